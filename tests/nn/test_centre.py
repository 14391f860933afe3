"""Where latents lie on average, given conditions."""

from __future__ import annotations

import pytest
import torch

from scdiffusion.nn import ConditionCentre, ConditionTensors


def cells_of(codes: list[list[int]], values: list[list[float]] | None = None) -> ConditionTensors:
    numbers = torch.tensor(values) if values else torch.zeros(len(codes), 0)
    return ConditionTensors(torch.tensor(codes), numbers)


def test_a_label_lies_at_the_mean_of_its_cells_less_two_cells_weight() -> None:
    centre = ConditionCentre([2], 0, 1)
    codes = [[0]] * 98 + [[1]] * 2
    latents = torch.tensor([[1.0]] * 98 + [[4.0]] * 2)
    centre.learn(latents, cells_of(codes))
    found = centre(cells_of([[0], [1], [-1]])).squeeze()
    assert found.tolist() == pytest.approx([98 / 100, 4 * 2 / 4, 0.0])


def test_what_two_conditions_add_is_added_for_a_pair_never_seen() -> None:
    centre = ConditionCentre([2, 2], 0, 1)
    codes = [[0, 0], [1, 0], [0, 1]] * 2000
    latents = torch.tensor([[-1.0], [1.0], [2.0]] * 2000)
    centre.learn(latents, cells_of(codes))
    assert float(centre(cells_of([[1, 1]]))) == pytest.approx(4.0, abs=0.01)


def test_a_number_adds_its_slope_and_a_missing_one_nothing() -> None:
    centre = ConditionCentre([], 1, 1)
    values = torch.linspace(-1, 1, 5001)[:, None]
    centre.learn(3 * values, ConditionTensors(torch.zeros(5001, 0, dtype=torch.long), values))
    asked = ConditionTensors(torch.zeros(2, 0, dtype=torch.long), torch.tensor([[0.5], [torch.nan]]))
    assert centre(asked).squeeze().tolist() == pytest.approx([1.5, 0.0], abs=0.01)

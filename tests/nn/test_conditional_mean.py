"""Where latents lie on average, given conditions."""

from __future__ import annotations

import pytest
import torch

from scdiffuse.nn import ConditionalMean, ConditionTensors


def cells_of(codes: list[list[int]], values: list[list[float]] | None = None) -> ConditionTensors:
    numbers = torch.tensor(values) if values else torch.zeros(len(codes), 0)
    return ConditionTensors(torch.tensor(codes), numbers)


def test_a_label_lies_at_the_mean_of_its_cells_less_two_cells_weight() -> None:
    conditional_mean = ConditionalMean([2], 0, 1)
    codes = [[0]] * 98 + [[1]] * 2
    latents = torch.tensor([[1.0]] * 98 + [[4.0]] * 2)
    conditional_mean.learn(latents, cells_of(codes))
    found = conditional_mean(cells_of([[0], [1], [-1]])).squeeze()
    assert found.tolist() == pytest.approx([98 / 100, 4 * 2 / 4, 0.0])


def test_what_two_conditions_add_is_added_for_a_pair_never_seen() -> None:
    conditional_mean = ConditionalMean([2, 2], 0, 1)
    codes = [[0, 0], [1, 0], [0, 1]] * 2000
    latents = torch.tensor([[-1.0], [1.0], [2.0]] * 2000)
    conditional_mean.learn(latents, cells_of(codes))
    assert float(conditional_mean(cells_of([[1, 1]]))) == pytest.approx(4.0, abs=0.01)


def test_a_number_adds_its_slope_and_a_missing_one_nothing() -> None:
    conditional_mean = ConditionalMean([], 1, 1)
    values = torch.linspace(-1, 1, 5001)[:, None]
    conditional_mean.learn(3 * values, ConditionTensors(torch.zeros(5001, 0, dtype=torch.long), values))
    asked = ConditionTensors(torch.zeros(2, 0, dtype=torch.long), torch.tensor([[0.5], [torch.nan]]))
    assert conditional_mean(asked).squeeze().tolist() == pytest.approx([1.5, 0.0], abs=0.01)


def test_a_pair_never_seen_is_filled_in_from_the_label_that_lies_near() -> None:
    """Types 0 and 1 lie together and answer a stimulus by 4; 2 and 3 lie apart and do not; 1 was not stimulated."""
    conditional_mean = ConditionalMean([4, 2], 0, 2)
    codes = [[kind, stimulus] for kind in range(4) for stimulus in range(2) if (kind, stimulus) != (1, 1)]
    place = torch.tensor([[5.0, 0.0], [4.5, 0.0], [-5.0, 0.0], [-4.5, 0.0]])
    latents = torch.stack([place[kind] + torch.tensor([0.0, 4.0 * stimulus * (kind < 2)]) for kind, stimulus in codes])
    conditional_mean.learn(latents.repeat(2000, 1), cells_of(codes * 2000))
    found = conditional_mean(cells_of([[1, 1], [3, 1], [0, 1]]))
    torch.testing.assert_close(found, torch.tensor([[4.5, 3.7], [-4.5, 0.0], [5.0, 4.0]]), atol=0.25, rtol=0.0)


def test_a_condition_of_one_label_has_no_pairs() -> None:
    conditional_mean = ConditionalMean([1, 2], 0, 1)
    codes = [[0, 0], [0, 1]] * 500
    conditional_mean.learn(torch.tensor([[-1.0], [1.0]] * 500), cells_of(codes))
    assert (conditional_mean.pair_weights == 0).all()
    assert conditional_mean(cells_of(codes[:2])).squeeze().tolist() == pytest.approx([-1.0, 1.0], abs=0.01)


def test_the_slope_of_a_number_may_differ_between_labels() -> None:
    conditional_mean = ConditionalMean([2], 1, 1)
    codes, values = [[0], [1]] * 50_000, torch.linspace(-1, 1, 100_000)[:, None]
    slopes = torch.tensor([2.0, -2.0]).repeat(50_000)[:, None]
    conditional_mean.learn(slopes * values + slopes, ConditionTensors(torch.tensor(codes), values))
    asked = ConditionTensors(torch.tensor([[0], [1]]), torch.tensor([[0.5], [0.5]]))
    assert conditional_mean(asked).squeeze().tolist() == pytest.approx([3.0, -3.0], abs=0.02)

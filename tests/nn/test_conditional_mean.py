"""Mean of latents given conditions: effects, interactions and their settings."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scdiffuse._core.errors import SettingError
from scdiffuse.nn import ConditionalMean, ConditionalMeanConfig, ConditionTensors


def cells_of(codes: list[list[int]], values: list[list[float]] | None = None) -> ConditionTensors:
    numbers = torch.tensor(values) if values else torch.zeros(len(codes), 0)
    return ConditionTensors(torch.tensor(codes), numbers)


def test_the_mean_of_a_label_is_shrunk_by_the_weight_of_two_cells() -> None:
    conditional_mean = ConditionalMean([2], 0, 1)
    codes = [[0]] * 98 + [[1]] * 2
    latents = torch.tensor([[1.0]] * 98 + [[4.0]] * 2)
    conditional_mean.learn(latents, cells_of(codes))
    found = conditional_mean(cells_of([[0], [1], [-1]])).squeeze()
    assert found.tolist() == pytest.approx([98 / 100, 4 * 2 / 4, 0.0])


def test_effects_add_up_in_an_out_of_distribution_combination() -> None:
    conditional_mean = ConditionalMean([2, 2], 0, 1)
    codes = [[0, 0], [1, 0], [0, 1]] * 2000
    latents = torch.tensor([[-1.0], [1.0], [2.0]] * 2000)
    conditional_mean.learn(latents, cells_of(codes))
    assert float(conditional_mean(cells_of([[1, 1]]))) == pytest.approx(4.0, abs=0.01)


def test_a_number_has_a_linear_effect_and_a_missing_one_has_none() -> None:
    conditional_mean = ConditionalMean([], 1, 1)
    values = torch.linspace(-1, 1, 5001)[:, None]
    conditional_mean.learn(3 * values, ConditionTensors(torch.zeros(5001, 0, dtype=torch.long), values))
    asked = ConditionTensors(torch.zeros(2, 0, dtype=torch.long), torch.tensor([[0.5], [torch.nan]]))
    assert conditional_mean(asked).squeeze().tolist() == pytest.approx([1.5, 0.0], abs=0.01)


def test_an_out_of_distribution_combination_is_predicted_from_similar_labels() -> None:
    """Types 0 and 1 are similar and respond to a stimulus by 4; 2 and 3 do not respond; 1 was not stimulated."""
    conditional_mean = ConditionalMean([4, 2], 0, 2)
    codes = [[kind, stimulus] for kind in range(4) for stimulus in range(2) if (kind, stimulus) != (1, 1)]
    place = torch.tensor([[5.0, 0.0], [4.5, 0.0], [-5.0, 0.0], [-4.5, 0.0]])
    latents = torch.stack([place[kind] + torch.tensor([0.0, 4.0 * stimulus * (kind < 2)]) for kind, stimulus in codes])
    conditional_mean.learn(latents.repeat(2000, 1), cells_of(codes * 2000))
    found = conditional_mean(cells_of([[1, 1], [3, 1], [0, 1]]))
    torch.testing.assert_close(found, torch.tensor([[4.5, 3.7], [-4.5, 0.0], [5.0, 4.0]]), atol=0.25, rtol=0.0)


def test_a_condition_of_one_label_has_no_interactions() -> None:
    conditional_mean = ConditionalMean([1, 2], 0, 1)
    codes = [[0, 0], [0, 1]] * 500
    conditional_mean.learn(torch.tensor([[-1.0], [1.0]] * 500), cells_of(codes))
    assert (conditional_mean.pair_weights == 0).all()
    assert conditional_mean(cells_of(codes[:2])).squeeze().tolist() == pytest.approx([-1.0, 1.0], abs=0.01)


def test_the_effect_of_a_number_may_differ_between_labels() -> None:
    conditional_mean = ConditionalMean([2], 1, 1)
    codes, values = [[0], [1]] * 50_000, torch.linspace(-1, 1, 100_000)[:, None]
    slopes = torch.tensor([2.0, -2.0]).repeat(50_000)[:, None]
    conditional_mean.learn(slopes * values + slopes, ConditionTensors(torch.tensor(codes), values))
    asked = ConditionTensors(torch.tensor([[0], [1]]), torch.tensor([[0.5], [0.5]]))
    assert conditional_mean(asked).squeeze().tolist() == pytest.approx([3.0, -3.0], abs=0.02)


def test_without_pairwise_interactions_effects_only_add_up() -> None:
    codes = [[0, 0], [1, 0], [0, 1], [1, 1]] * 2000
    latents = torch.tensor([[-1.0], [-1.0], [-1.0], [3.0]] * 2000)
    interaction = []
    for is_on in (True, False):
        mean = ConditionalMean([2, 2], 0, 1, pairwise_interactions=is_on)
        mean.learn(latents, cells_of(codes))
        found = mean(cells_of(codes[:4])).squeeze()
        interaction.append(float(found[3] + found[0] - found[1] - found[2]))
    assert interaction == pytest.approx([4.0, 0.0], abs=0.3)
    assert len(mean.pair_weights) == 0


def test_ridges_and_rank_are_settings() -> None:
    config = ConditionalMeanConfig(ridge=100.0, rank=3)
    mean = ConditionalMean([2], 0, 1, config=config)
    mean.learn(torch.tensor([[1.0]] * 100), cells_of([[0]] * 100))
    assert float(mean(cells_of([[0]]))) == pytest.approx(0.5)
    assert mean.label_embedding.shape == (2, 3)


@pytest.mark.parametrize(
    ("setting", "words"),
    [({"ridge": 0.0}, "`ridge` must be positive, got 0.0"), ({"rank": 0}, "`rank` must be at least 1, got 0")],
)
def test_settings_out_of_range_are_refused(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        ConditionalMeanConfig(**setting)

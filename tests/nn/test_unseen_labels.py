"""Unseen labels are embedded, and have the effects, of weighted means of trained labels."""

from __future__ import annotations

import copy

import torch

from scdiffuse.diffusion import DiffusionConfig, LatentDenoiser
from scdiffuse.nn import ConditionTensors, UnseenLabels

WEIGHTS = torch.tensor([[0.25, 0.75, 0.0], [0.0, -0.5, 1.5]])


def denoiser() -> LatentDenoiser:
    """A denoiser of three labels and two unseen ones, and of two labels, with random weights."""
    torch.manual_seed(0)
    config = DiffusionConfig(width=8, depth=1, embedding_width=6)
    made = LatentDenoiser(4, n_labels=(3, 2), config=config, n_unseen=(2, 0))
    for tensor in (*made.parameters(), made.conditional_mean.weights):
        torch.nn.init.normal_(tensor)
    made.conditions.unseen.set(0, WEIGHTS, torch.tensor([0.1, 0.9]))
    return made


def asked(*codes: tuple[int, int]) -> ConditionTensors:
    return ConditionTensors(torch.tensor(codes), torch.zeros(len(codes), 0))


def test_columns_hold_the_weights_of_trained_labels() -> None:
    unseen = UnseenLabels((3, 2), (2, 0))
    unseen.set(0, WEIGHTS, torch.ones(2))
    columns = asked((1, 0), (4, 1), (-1, -1)).columns((3, 2), unseen)
    expected = torch.tensor([[0.0, 1, 0, 1, 0], [0.0, -0.5, 1.5, 0, 1], [0.0, 0, 0, 0, 0]])
    torch.testing.assert_close(columns, expected)


def test_the_conditional_mean_of_an_unseen_label_is_the_weighted_mean_of_trained_ones() -> None:
    mean = denoiser().conditional_mean
    mean.pair_weights.zero_()
    trained = mean(asked((0, 1), (1, 1), (2, 1)))
    torch.testing.assert_close(mean(asked((3, 1), (4, 1))), WEIGHTS @ trained)


def test_the_embedding_of_an_unseen_label_lies_between_those_of_trained_ones() -> None:
    conditions = denoiser().conditions
    torch.nn.init.zeros_(conditions.outer.weight)
    torch.nn.init.zeros_(conditions.outer.bias)
    trained = conditions(asked((0, 1), (1, 1), (2, 1)))
    torch.testing.assert_close(conditions(asked((3, 1), (4, 1))), WEIGHTS @ trained)


def test_unseen_labels_are_saved_once_and_copied_with_the_denoiser() -> None:
    made = denoiser()
    assert [name for name in made.state_dict() if "unseen" in name] == [
        "conditions.unseen.weights_0",
        "conditions.unseen.expected_error_0",
    ]
    other = copy.deepcopy(made)
    other.conditions.unseen.set(0, torch.full((2, 3), 1 / 3), torch.ones(2))
    before, after = (one.conditional_mean(asked((3, 0))) for one in (made, other))
    assert not torch.allclose(before, after)


def test_a_denoiser_without_unseen_labels_has_the_tensors_it_always_had() -> None:
    made = LatentDenoiser(4, n_labels=(3, 2), config=DiffusionConfig(width=8, depth=1, embedding_width=6))
    assert not [name for name in made.state_dict() if "unseen" in name]

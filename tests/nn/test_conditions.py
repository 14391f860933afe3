from __future__ import annotations

import math

import pytest
import torch

from scdiffuse.nn import ConditionEmbedding, ConditionTensors

NAN = math.nan


@pytest.fixture
def embedding() -> ConditionEmbedding:
    """Two categorical conditions and one continuous, with weights that are not zero."""
    made = ConditionEmbedding([3, 2], 1, 8)
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_(generator=torch.Generator().manual_seed(weight.numel()))
    return made


def conditions(*rows: tuple[int, int, float]) -> ConditionTensors:
    return ConditionTensors(torch.tensor([row[:2] for row in rows]), torch.tensor([[row[2]] for row in rows]))


def test_a_fresh_embedding_ignores_its_conditions() -> None:
    fresh = ConditionEmbedding([3, 2], 1, 8)
    assert torch.equal(fresh(conditions((0, 1, 2.0), (-1, -1, NAN))), torch.zeros(2, 8))


def test_labels_numbers_and_missing_conditions_embed_differently(embedding: ConditionEmbedding) -> None:
    rows = [(a, b, x) for a in (-1, 0, 1, 2) for b in (-1, 0, 1) for x in (NAN, -1.0, 0.0, 0.5)]
    embedded = embedding(conditions(*rows))
    assert torch.isfinite(embedded).all()
    assert torch.cdist(embedded, embedded).add(100 * torch.eye(len(rows))).min() > 0.01


def test_conditions_interact(embedding: ConditionEmbedding) -> None:
    corners = embedding(conditions((0, 0, 0.0), (0, 1, 0.0), (1, 0, 0.0), (1, 1, 0.0)))
    assert (corners[0] + corners[3] - corners[1] - corners[2]).norm() > 0.1


def test_a_row_ignores_the_others(embedding: ConditionEmbedding) -> None:
    both = embedding(conditions((0, 1, 0.3), (2, -1, NAN)))
    torch.testing.assert_close(both[1:], embedding(conditions((2, -1, NAN))))


def test_a_missing_number_gives_no_gradient_that_is_not_a_number(embedding: ConditionEmbedding) -> None:
    embedding(conditions((0, 1, NAN))).sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in embedding.parameters() if weight.grad is not None)


def test_only_chosen_conditions_are_hidden() -> None:
    given = conditions((0, 1, 0.3), (2, 0, 0.5))
    hidden = given.without(torch.tensor([[True, False, True], [False, False, False]]))
    assert hidden.codes.tolist() == [[-1, 1], [2, 0]]
    assert hidden.values.isnan().tolist() == [[True], [False]]
    assert (given.n_cells, given.n_conditions) == (2, 3)
    assert given.codes[0, 0] == 0


def test_absent_conditions_are_all_missing() -> None:
    absent = conditions((0, 1, 0.3)).absent()
    assert absent.codes.tolist() == [[-1, -1]]
    assert absent.values.isnan().all()


def test_rows_are_taken_in_the_order_given() -> None:
    taken = conditions((0, 1, 0.3), (2, 0, 0.5)).rows(torch.tensor([1, 0]))
    assert taken.codes.tolist() == [[2, 0], [0, 1]]


def test_a_model_without_conditions_embeds_as_zero_columns() -> None:
    none = ConditionTensors(torch.zeros(4, 0, dtype=torch.int64), torch.zeros(4, 0))
    assert ConditionEmbedding([], 0, 8)(none).shape == (4, 8)


def test_padding_has_no_conditions() -> None:
    filled = conditions((0, 1, 2.0)).padded(3)
    assert filled.codes.tolist() == [[0, 1], [-1, -1], [-1, -1]]
    assert filled.values[0].tolist() == [2.0]
    assert filled.values[1:].isnan().all()


def test_columns_are_labels_then_numbers_and_missing_ones_are_zeros() -> None:
    conditions = ConditionTensors(torch.tensor([[1, 0], [-1, 2]]), torch.tensor([[0.5], [torch.nan]]))
    expected = torch.tensor([[0.0, 1.0, 1.0, 0.0, 0.0, 0.5], [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]])
    assert torch.equal(conditions.columns([2, 3]), expected)


def test_numbers_beyond_the_largest_embed_as_the_largest() -> None:
    embedding = ConditionEmbedding([], 1, 8, n_frequencies=3, largest=2.0)
    with torch.no_grad():
        for weight in embedding.parameters():
            weight.normal_(generator=torch.Generator().manual_seed(weight.numel()))
    numbers = ConditionTensors(torch.zeros(3, 0, dtype=torch.int64), torch.tensor([[2.0], [9.0], [1.0]]))
    largest, larger, smaller = embedding(numbers)
    assert torch.equal(largest, larger)
    assert not torch.equal(largest, smaller)
    assert embedding.numbers[0].in_features == 7

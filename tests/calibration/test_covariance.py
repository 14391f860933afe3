"""Expected expression from pseudobulks alone: exact where effects multiply, borrowed from what is alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from scdiffuse.calibration import CalibrationConfig, ConditionGrid, ExpectedExpression, Pseudobulk
from scdiffuse.calibration._covariance import (
    Combinations,
    Covariance,
    NoiseBins,
    best_components,
    covariance_grid,
    explain,
    label_similarity,
)
from scdiffuse.cells import ConditionTable


def table_of(codes: list[list[int]]) -> ConditionTable:
    return ConditionTable(np.array(codes, dtype=np.int64), np.zeros((len(codes), 0), np.float32))


def expected_of(made: np.ndarray[Any, Any], held: tuple[int, int], **settings: Any) -> np.ndarray[Any, Any]:
    """Expect the fractions of a combination that is left out, from many counts of all others, shape ``(T, S, G)``."""
    codes = np.argwhere(np.ones(made.shape[:2], dtype=bool))
    codes = codes[(codes != held).any(axis=1)]
    counts = np.stack([1e8 * made[a, b] / made[a, b].sum() for a, b in codes])
    table = replace(table_of(codes.tolist()), counts=np.full(len(codes), 5_000))
    grid = ConditionGrid.of(made.shape[:2], table, CalibrationConfig(**settings))
    assert grid is not None
    expected, n_genes = ExpectedExpression(grid, made.shape[2]), made.shape[2]
    expected.learn(Pseudobulk(counts, np.zeros(n_genes), detected=np.ones(n_genes), n_cells=5_000 * len(codes)))
    return np.asarray(expected.fractions(expected(np.array([held])))[0])


def test_effects_that_multiply_are_multiplied_for_labels_never_seen_together() -> None:
    draw = np.random.default_rng(0)
    genes = draw.lognormal(0.0, 1.0, 300)
    of_type, of_stimulus = np.exp(draw.normal(0.0, 0.5, (6, 1, 300))), np.exp(draw.normal(0.0, 0.5, (1, 4, 300)))
    made = genes * of_type * of_stimulus
    made /= made.sum(axis=2, keepdims=True)
    found, truth, before = np.log1p(1e4 * np.stack([expected_of(made, (2, 3)), made[2, 3], made[2, :3].mean(axis=0)]))
    assert np.square(found - truth).mean() < 0.02 * np.square(before - truth).mean()


@pytest.mark.parametrize(("pairwise", "low", "high"), [(True, 0.85, 1.1), (False, 0.3, 0.7)])
def test_a_type_responds_as_types_like_it(*, pairwise: bool, low: float, high: float) -> None:
    """A stimulus acts on half of the types, which are alike: the sum of effects shares it out over all of them."""
    draw = np.random.default_rng(0)
    made = np.tile(draw.lognormal(0.0, 1.0, 300), (8, 2, 1)) * np.exp(draw.normal(0.0, 0.05, (8, 1, 300)))
    made[:4, :, 100:200] *= 3.0
    made[:4, 1, :30] *= 5.0
    made /= made.sum(axis=2, keepdims=True)
    found = expected_of(made, (3, 1), pairwise_interactions=pairwise)
    part = np.log(found[:30] / made[3, 0, :30]).mean() / np.log(made[3, 1, :30] / made[3, 0, :30]).mean()
    assert low < part < high


def test_a_label_of_few_cells_is_expected_to_be_as_labels_like_it() -> None:
    """Effects of eight labels in two groups; one label was measured once, and badly."""
    draw = np.random.default_rng(0)
    group = np.repeat([[0.0], [3.0]], 4, axis=0)
    alike = [label_similarity(group + draw.normal(0.0, 0.2, (8, 1)), 1.0), np.eye(2)]
    codes, held = np.argwhere(np.ones((8, 2))), np.array([[7, 1]])
    true, noise = Covariance(labels=(1.0, 0.1), shared=0.0, own=0.01), np.full(15, 0.01)
    noise[-1] = 1.0
    values = Combinations(codes, alike, alike, 1.0).factorise(true, np.full(16, 1e-9)) @ draw.normal(size=(16, 500))
    measured = values[:-1] + np.sqrt(noise)[:, None] * draw.normal(size=(15, 500))
    errors = []
    for correlation in (alike, [np.eye(8), np.eye(2)]):
        known = Combinations(codes[:-1], alike, correlation, 1.0)
        found = known.covariance(true, held).T @ explain(known.factorise(true, noise), measured)
        errors.append(np.square(found - values[-1]).mean())
    assert errors[0] < 0.5 * errors[1]


def test_three_labels_are_alike_unless_that_is_turned_off_and_two_never() -> None:
    for is_on in (True, False):
        codes = [[0, 0], [0, 1], [1, 0], [2, 0]]
        grid = ConditionGrid.of([3, 2], table_of(codes), CalibrationConfig(alike_labels=is_on))
        assert grid is not None
        of_three, of_two = ExpectedExpression(grid, 5)._combinations().correlation
        assert np.array_equal(of_three, np.eye(3)) != is_on
        assert np.array_equal(of_two, np.eye(2))


def test_a_gene_that_nothing_changes_is_left_alone_however_noisy() -> None:
    draw = np.random.default_rng(0)
    counts = draw.poisson(20.0, (9, 400)).astype(float)
    codes = [[a, b] for a in range(3) for b in range(3)]
    grid = ConditionGrid.of([3, 3], replace(table_of(codes[:8]), counts=np.full(8, 100)))
    assert grid is not None
    expected = ExpectedExpression(grid, 400)
    expected.learn(Pseudobulk(counts[:8], np.zeros(400), detected=np.ones(400), n_cells=800))
    found = expected(np.array([[2, 2]]))[0]
    noise = expected.transform(counts[:8] / counts[:8].sum(axis=1, keepdims=True)).std(axis=0).mean()
    assert np.abs(found - found.mean()).mean() < 0.5 * noise


def test_the_variance_is_larger_where_nothing_was_seen() -> None:
    draw = np.random.default_rng(0)
    counts = draw.poisson(50.0 * np.exp(draw.normal(0.0, 0.5, (5, 200)))).astype(float)
    codes = [[0, 0], [0, 1], [1, 0], [2, 0], [2, 1]]
    grid = ConditionGrid.of([3, 2], replace(table_of(codes), counts=np.full(5, 100)))
    assert grid is not None
    expected = ExpectedExpression(grid, 200)
    expected.learn(Pseudobulk(counts, np.zeros(200), detected=np.ones(200), n_cells=500))
    seen, unseen = expected.variance(np.array([[1, 0], [1, 1]]))
    assert (seen > 0).all()
    assert (unseen > seen).all()


def test_an_effect_that_many_types_share_is_expected_with_less_error_than_one_that_none_shares() -> None:
    draw = np.random.default_rng(0)
    base = draw.lognormal(0.0, 1.0, (8, 1, 300))
    errors = []
    for shared in (True, False):
        effects = draw.normal(0.0, 0.5, (1 if shared else 8, 2, 300))
        made = np.broadcast_to(base, (8, 2, 300)) * np.exp(effects)
        counts = (1e6 * made / made.sum(axis=2, keepdims=True)).reshape(16, 300)[:-1]
        grid = ConditionGrid.of(
            [8, 2], replace(table_of(np.argwhere(np.ones((8, 2)))[:-1].tolist()), counts=np.full(15, 500))
        )
        assert grid is not None
        expected = ExpectedExpression(grid, 300)
        expected.learn(Pseudobulk(counts, np.zeros(300), detected=np.ones(300), n_cells=7_500))
        errors.append(expected.expected_error(np.array([7, 1])))
    assert 0 < errors[0] < 0.25
    assert 0.5 < errors[1] < 1


def test_genes_that_alike_combinations_switch_on_have_a_covariance_that_large() -> None:
    draw, config = np.random.default_rng(0), CalibrationConfig()
    codes = np.argwhere(np.ones((8, 3)))
    alike = [label_similarity(draw.normal(size=(n, 2)), config.length_scale) for n in (8, 3)]
    combinations = Combinations(codes, alike, alike, config.mean_variance)
    strong = Covariance(labels=(0.003, 0.003), shared=3.0, own=0.01)
    values = combinations.factorise(strong, np.full(24, 1e-3)) @ draw.normal(size=(24, 200))
    noise = NoiseBins(np.zeros(200, dtype=np.int64), np.full((1, 24), 1e-3))
    grid = covariance_grid(2, config)
    found = [grid[at] for at in best_components(values, noise, combinations, config=config)]
    assert np.mean([one.shared == strong.shared for one in found]) > 0.8

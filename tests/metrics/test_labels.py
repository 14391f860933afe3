"""Metrics of labelled cells against hand-made cells with known changes."""

from __future__ import annotations

import numpy as np
import pytest

from scdiffuse._core.errors import ConditionError, SettingError
from scdiffuse.metrics import (
    LabelledCells,
    cluster_recovery_ari,
    composition_distance,
    log_fold_changes,
    marker_recovery,
)

N_LABELS, N_MARKERS, N_GENES = 3, 8, 120


def typed_cells(n: int, *, seed: int, strength: float = 1.0, library_size: float = 2000.0) -> LabelledCells:
    """Counts of three types; each raises its own markers eightfold at full strength."""
    base = np.random.default_rng(0).gamma(2.0, 1.0, N_GENES) + 0.3
    stream = np.random.default_rng(seed)
    types = stream.integers(N_LABELS, size=n)
    change = np.zeros((N_LABELS, N_GENES))
    for k in range(N_LABELS):
        change[k, k * N_MARKERS : (k + 1) * N_MARKERS] = np.log(8) * strength
    rates = base * np.exp(change[types])
    counts = stream.poisson(library_size * rates / rates.sum(axis=1, keepdims=True))
    return LabelledCells(counts.astype(np.float32), np.array(["A", "B", "C"])[types])


def test_labels_that_are_not_given_are_left_out() -> None:
    cells, other = typed_cells(600, seed=1), typed_cells(600, seed=2)
    kept = [LabelledCells(one.values[one.labels != "C"], one.labels[one.labels != "C"]) for one in (cells, other)]
    assert log_fold_changes(cells, other, labels=["A", "B", "D"]) == log_fold_changes(*kept)
    assert marker_recovery(cells, other, labels=["A", "B"]).by_label.keys() == {"A", "B"}
    with pytest.raises(ConditionError, match="a change needs two labels"):
        log_fold_changes(cells, other, labels=["A"])


def test_faithful_cells_keep_the_changes() -> None:
    result = log_fold_changes(typed_cells(600, seed=1), typed_cells(600, seed=2), top_k=N_MARKERS)
    assert result.r > 0.98
    assert result.slope == pytest.approx(1.0, abs=0.03)
    assert result.overlap == 1.0


def test_halved_changes_have_half_the_slope() -> None:
    result = log_fold_changes(typed_cells(600, seed=1), typed_cells(600, seed=2, strength=0.5))
    assert result.slope == pytest.approx(0.5, abs=0.07)


def test_library_size_alone_changes_nothing() -> None:
    result = log_fold_changes(typed_cells(600, seed=1), typed_cells(600, seed=2, library_size=6000.0))
    assert result.slope == pytest.approx(1.0, abs=0.03)


def test_swapped_labels_turn_the_changes() -> None:
    generated = typed_cells(600, seed=2)
    swapped = LabelledCells(
        generated.values, np.array(["B", "C", "A"])[np.searchsorted(["A", "B", "C"], generated.labels)]
    )
    real = typed_cells(600, seed=1)
    assert log_fold_changes(real, swapped).r < 0
    assert marker_recovery(real, swapped, top=N_MARKERS).mean < 0.2


def test_the_changes_of_a_hand_computed_case() -> None:
    # Scaled to 10,000 the means are (2500, 7500) and (7500, 2500): log2 changes are +-log2(7500.1 / 2500.1).
    counts = np.repeat(np.array([[1.0, 3.0], [3.0, 1.0]]), 10, axis=0)
    cells = LabelledCells(counts, np.repeat(["a", "b"], 10))
    assert log_fold_changes(cells, cells, top_k=1) == pytest.approx((1.0, 1.0, 1.0))


def test_faithful_cells_name_the_same_markers() -> None:
    scores = marker_recovery(typed_cells(600, seed=1), typed_cells(600, seed=2), top=N_MARKERS)
    assert dict(scores.by_label) == {"A": 1.0, "B": 1.0, "C": 1.0}


def test_random_genes_recover_markers_at_chance() -> None:
    generated = typed_cells(600, seed=2, strength=0.0)
    assert marker_recovery(typed_cells(600, seed=1), generated, top=N_MARKERS).mean < 0.35


def test_missing_labels_are_left_out_of_changes() -> None:
    generated = typed_cells(600, seed=2)
    kept = generated.labels != "C"
    scores = marker_recovery(typed_cells(600, seed=1), LabelledCells(generated.values[kept], generated.labels[kept]))
    assert set(scores.by_label) == {"A", "B"}


def test_changes_need_two_labels() -> None:
    cells = typed_cells(60, seed=1)
    with pytest.raises(ConditionError, match="a change needs two labels"):
        log_fold_changes(LabelledCells(cells.values, np.full(60, "A")), cells)


def test_changes_need_expressed_genes() -> None:
    cells = typed_cells(120, seed=1)
    with pytest.raises(SettingError, match="genes reach `min_expression`"):
        log_fold_changes(cells, cells, min_expression=1e6)


def test_composition_is_total_variation() -> None:
    real = np.array(["a"] * 5 + ["b"] * 5)
    assert composition_distance(real, np.array(["a"] * 8 + ["c"] * 2)) == pytest.approx(0.5)


def test_composition_needs_cells() -> None:
    with pytest.raises(SettingError, match="at least one of each"):
        composition_distance(np.array(["a"]), np.array([]))


def blobs(n: int, *, seed: int) -> LabelledCells:
    stream = np.random.default_rng(seed)
    types = stream.integers(3, size=n)
    return LabelledCells(stream.normal(size=(n, 4)) + 12.0 * np.eye(3, 4)[types], np.array(["A", "B", "C"])[types])


def test_separate_clusters_are_recovered() -> None:
    assert cluster_recovery_ari(blobs(150, seed=1), blobs(150, seed=2).values) == 1.0


def test_a_shapeless_cloud_recovers_no_clusters() -> None:
    cloud = np.random.default_rng(0).normal(size=(300, 4)) + 4.0
    assert cluster_recovery_ari(blobs(150, seed=1), cloud) < 0.6


def test_clusters_need_two_labels() -> None:
    cells = blobs(60, seed=1)
    with pytest.raises(ConditionError, match="clusters need two"):
        cluster_recovery_ari(LabelledCells(cells.values, np.full(60, "A")), cells.values)


def test_cells_without_a_label_are_no_label() -> None:
    real = np.array(["a", "b", "", ""])
    assert composition_distance(real, np.array(["a", "b"])) == 0.0

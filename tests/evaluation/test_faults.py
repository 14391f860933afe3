"""Every planted fault is caught by the group meant for it, and a perfect generator is not flagged."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from scipy import sparse

from scdiffuse.evaluation import Report, evaluate
from scdiffuse.metrics import METRICS

CHEAP = [metric.name for metric in METRICS if metric.suite == "quick" and metric.cost == "cheap"]

CAUGHT_BY = [
    ("class_means", "biology", "variance_error"),
    ("class_means", "distribution", "recall"),
    ("over_dispersed", "biology", "mean_variance_trend"),
    ("under_dispersed", "biology", "mean_variance_trend"),
    ("shuffled_genes", "biology", "within_label_correlation_slope"),
    ("missing_type", "biology", "composition"),
    ("half_memorised", "privacy", "memorised_cells"),
    ("half_memorised", "privacy", "nearest_neighbour_ratio"),
    ("wrong_library_size", "biology", "library_size_distance"),
    ("negative_values", "validity", "invalid_values"),
    ("fractions", "validity", "invalid_values"),
    ("swapped_labels", "utility", "train_on_generated_f1"),
    ("swapped_labels", "luo2024", "label_accuracy"),
    ("weak_contrasts", "biology", "fold_change_slope"),
    ("collapsed_type", "distribution", "worst_label_coverage"),
]


def score(splits: Any, generated: Any, *names: str) -> Report:
    return evaluate(
        splits.real,
        generated,
        reference=splits.reference,
        train=splits.train,
        by="cell_type",
        metrics=names,
        progress=False,
    )


@pytest.mark.parametrize(("fault", "group", "metric"), CAUGHT_BY)
def test_a_planted_fault_is_caught_by_the_group_meant_for_it(
    fault: str, group: str, metric: str, splits: Any, faults: dict[str, Callable[..., Any]]
) -> None:
    report = score(splits, faults[fault](splits), metric)
    assert report.verdicts[group].flagged
    assert metric in report.verdicts[group].evidence


def test_perfect_generators_are_hardly_flagged(tissue: Any, splits: Any) -> None:
    """Intervals are of 95 %, so that one of many verdicts on perfect cells may be an alarm, but not two."""
    alarms = []
    for seed in (4, 5, 6):
        report = score(splits, tissue.draw(400, seed), *CHEAP, "boosting_pcs_auc")
        alarms += [(seed, group) for group, verdict in report.verdicts.items() if verdict.flagged]
    assert len(alarms) <= 1, alarms


def test_the_type_at_fault_is_named(splits: Any, faults: dict[str, Callable[..., Any]]) -> None:
    lost = score(splits, faults["missing_type"](splits), "composition").verdicts["biology"]
    assert "rare" in lost.labels
    assert "No cell of rare" in lost.text
    memorised = score(splits, faults["half_memorised"](splits), "closest_record", "memorised_cells")
    assert memorised.verdicts["privacy"].labels == ("beta",)
    assert "beta" in memorised.verdicts["privacy"].text
    assert memorised.verdicts["privacy"].level == "fails"


def test_a_classifier_names_the_genes_that_differ(splits: Any) -> None:
    altered = splits.perfect.copy()
    counts = altered.X.toarray()
    counts[:, 7] = 3
    altered.X = sparse.csr_matrix(counts)
    verdict = score(splits, altered, "forest_genes_auc").verdicts["two_sample"]
    expected = (
        r"A random forest on log-normalised genes distinguishes them from real cells "
        r"\(AUC .\d\d, reference .\d\d\), mainly by g7"
    )
    assert re.match(expected, verdict.text)


def test_memorised_cells_pass_everything_but_privacy(splits: Any) -> None:
    report = score(
        splits, splits.train, "energy", "coverage", "variance_error", "memorised_cells", "membership_distance"
    )
    assert not report.verdicts["distribution"].flagged
    assert not report.verdicts["biology"].flagged
    assert report.verdicts["privacy"].level == "fails"
    assert report.metrics["memorised_cells"]["value"] == pytest.approx(1.0, abs=0.05)

"""Scores within each cell type, so that a fault of one type is not hidden by the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.random import generator
from scdiffuse.evaluation._detection import detect
from scdiffuse.evaluation._prepared_cells import PreparedCells
from scdiffuse.evaluation._report_types import LabelSizes, MetricRecord
from scdiffuse.evaluation._scoring import VALIDITY, Comparison, Estimate, ReferenceScores, ScoredMetric, score
from scdiffuse.metrics import CellFeatures, Metric

__all__ = ["FEWEST_CELLS", "label_folds", "label_sizes", "measure_labels", "proportion_reference"]

FEWEST_CELLS = 20
"""Fewest cells of a label in every sample for a comparison within it."""
_MOST_CELLS = 300
_N_DRAWS = 400


def label_folds(n_folds: int) -> int:
    """Use one fold fewer within a label, where a fold costs as much and has fewer cells."""
    return max(2, n_folds - 1)


def label_sizes(prepared: PreparedCells) -> dict[str, LabelSizes]:
    """Count the cells of each label in every sample, and the cells a side of a comparison within the label.

    Parameters
    ----------
    prepared
        All cells.

    Returns
    -------
    Numbers by label; empty where a sample has no labels.
    """
    samples = {"real": prepared.real, "reference": prepared.reference, "generated": prepared.generated}
    if any(cells.labels is None for cells in samples.values()):
        return {}
    known = np.unique(np.concatenate([_labels(cells) for cells in samples.values()]))
    sizes: dict[str, LabelSizes] = {}
    for label in known[known != ""]:
        real, reference, generated = (int((_labels(cells) == label).sum()) for cells in samples.values())
        least = min(real, reference, generated, _MOST_CELLS)
        compared = least if least >= FEWEST_CELLS else 0
        sizes[str(label)] = LabelSizes(real=real, reference=reference, generated=generated, compared=compared)
    return sizes


def measure_labels(
    prepared: PreparedCells,
    metrics: Sequence[Metric],
    *,
    sizes: Mapping[str, LabelSizes],
    n_trees: int,
    seed: int,
    reference_scores: ReferenceScores,
    advance: Callable[..., None],
) -> dict[str, dict[str, MetricRecord]]:
    """Measure within each label the metrics that make sense there.

    Parameters
    ----------
    prepared
        All cells.
    metrics
        Metrics to measure.
    sizes
        Cells by label.
    n_trees
        Trees of a forest.
    seed
        Seed of subsamples and folds.
    reference_scores
        References measured so far.
    advance
        Called after each label.

    Returns
    -------
    Scores by label and metric, as in the JSON of a report.
    """
    suited = [metric for metric in metrics if metric.name != VALIDITY]
    scores: dict[str, dict[str, MetricRecord]] = {}
    for label, size in sizes.items():
        if size["compared"]:
            comparison = _compare(prepared, label, size["compared"], n_trees=n_trees, seed=seed)
            found = {
                metric.name: score(metric, [comparison], reference_scores=reference_scores, label=label, seed=seed)
                for metric in suited
                if not metric.missing(comparison.model)
            }
            scores[label] = {name: one.to_json() for name, one in found.items() if isinstance(one, ScoredMetric)}
        advance(1, note=label)
    return scores


def proportion_reference(
    metric: Metric, comparisons: Sequence[Comparison], *, reference_scores: ReferenceScores, seed: int
) -> ScoredMetric | str:
    """Score the proportions of labels against random draws of the same number of real cells.

    Splits are often stratified, so that two real samples agree in their proportions better than chance allows. The
    reference is therefore the distance between random draws from the pooled real proportions.

    Parameters
    ----------
    metric
        Distance between the proportions.
    comparisons
        The comparisons, one per seed.
    reference_scores
        References measured so far.
    seed
        Seed of the draws.

    Returns
    -------
    The score, or the reason why the metric cannot be scored.
    """
    found = score(metric, comparisons, reference_scores=reference_scores, intervals=False, seed=seed)
    if isinstance(found, str):
        return found
    pooled = np.concatenate([_labels(comparisons[0].model.real), _labels(comparisons[0].reference.generated)])
    sizes = np.unique(pooled[pooled != ""], return_counts=True)[1].astype(float)
    draws = (
        generator(seed, "shares").multinomial(found.n_cells, sizes / sizes.sum(), size=(2, _N_DRAWS)) / found.n_cells
    )
    gaps = 0.5 * np.abs(draws[0] - draws[1]).sum(axis=1)
    low, high = np.quantile(gaps, [0.025, 0.975])
    reference = Estimate(float(gaps.mean()), float(low), float(high), float(gaps.std()))
    flagged = found.model.value > reference.value + 3 * reference.error
    detection = detect(metric, found.model, reference, trivial=None, n_cells=found.n_cells)
    return replace(
        found, reference=reference, flagged=bool(flagged), normalised=None, trivial=None, detection=detection
    )


def _compare(prepared: PreparedCells, label: str, n_cells: int, *, n_trees: int, seed: int) -> Comparison:
    def draw(cells: CellFeatures, *, stream: str) -> CellFeatures:
        members = np.flatnonzero(_labels(cells) == label)
        return cells.take(generator(seed, "label", label, stream).permutation(members)[:n_cells])

    real = draw(prepared.real, stream="real")
    pair = prepared.pair(draw(prepared.generated, stream="generated"), real=real, seed=seed)
    pair = replace(
        pair,
        folds=label_folds(pair.folds),
        n_trees=n_trees,
        train=_own(prepared.train, label),
        reference=_own(prepared.projection, label),
    )
    other_real = draw(prepared.reference, stream="floor")  # the name of the stream fixes which cells are drawn
    return Comparison(model=pair, reference=pair.with_generated(other_real), baselines={})


def _own(cells: CellFeatures | None, label: str) -> CellFeatures | None:
    return cells if cells is None or cells.labels is None else cells.take(cells.labels == label)


def _labels(cells: CellFeatures) -> NDArray[np.str_]:
    return np.array([], dtype=str) if cells.labels is None else cells.labels

"""The engine of an evaluation: real cells are prepared once, and any number of generated samples is scored."""

from __future__ import annotations

import math
from collections.abc import Mapping

import anndata as ad
import numpy as np

from scdiffuse._core.errors import UserError
from scdiffuse._core.progress import Progress
from scdiffuse.evaluation._cell_figures import Drawing
from scdiffuse.evaluation._estimates import N_HALF_SAMPLES
from scdiffuse.evaluation._feature_space import FeatureSpace
from scdiffuse.evaluation._label_scores import label_folds, label_sizes, measure_labels, proportion_reference
from scdiffuse.evaluation._opening import CellsOrPath, open_cells
from scdiffuse.evaluation._overall import Evaluated, evaluated
from scdiffuse.evaluation._plan import LABEL_TREES, N_FOLDS, N_TREES, Plan
from scdiffuse.evaluation._prepared_cells import PreparedCells, prepare
from scdiffuse.evaluation._reading import check_labels, read_sample, shared_genes
from scdiffuse.evaluation._report import Report
from scdiffuse.evaluation._report_curve import describe_curve, measure_curve
from scdiffuse.evaluation._report_types import LabelSizes, PowerRecord, ReportSettings
from scdiffuse.evaluation._scoring import (
    VALIDITY,
    Comparison,
    Estimate,
    ReferenceScores,
    ScoredMetric,
    score,
)
from scdiffuse.evaluation._untrained_groups import find_untrained_groups
from scdiffuse.evaluation._verdicts import write_verdicts
from scdiffuse.evaluation.baselines import MEMORISING_BASELINE
from scdiffuse.metrics import CellFeatures, Metric

__all__ = ["Evaluator"]

_DRAWN_CELLS = 1500
_SKIPPED_BASELINES = (MEMORISING_BASELINE, "class_mean_noise")  # at the reference, and worst of all: known in advance
_SEEDS_NOTE = "{n} draws of the cells, one a seed, stratified by type: values are means over them."
_QUICK_NOTE = (
    "Quick suite: at most 1,000 cells a side, 500 for slow metrics. Classifier two-sample tests skip the baselines of "
    "memorised training cells and of class means. The full suite takes more cells and measures more."
)


class Evaluator:
    """Score generated samples one after the other against the same real cells.

    Feature space, real-vs-real reference and baselines depend only on the real cells, the shared genes and the number
    of generated cells. They are kept as long as genes and number stay the same.
    """

    def __init__(self, real: Mapping[str, CellsOrPath], plan: Plan) -> None:
        self._tables = {
            role: open_cells(cells, role, layer=plan.layer, round_counts=plan.round_counts)
            for role, cells in real.items()
        }
        self._plan = find_untrained_groups(self._tables, plan)
        self._genes_and_size: tuple[bytes, int] = (b"", 0)
        self._prepared: PreparedCells | None = None
        self._comparisons: list[Comparison] = []
        self._limited_comparisons: dict[int, list[Comparison]] = {}
        self._reference_scores = ReferenceScores()

    def score(self, generated: CellsOrPath) -> Report:
        """Score generated cells; raises as `evaluate` does."""
        table = open_cells(generated, "generated")
        plan, prepared = self._plan, self._read(table)
        sizes = label_sizes(prepared)
        scored: dict[str, ScoredMetric] = {}
        not_scored: dict[str, str] = {}
        with Progress("evaluate", len(plan.metrics) + len(sizes), unit="metrics", enabled=plan.progress) as bar:
            for metric in plan.metrics:
                found = _score_validity(metric, prepared) if metric.name == VALIDITY else self._score_one(metric)
                if isinstance(found, ScoredMetric):
                    scored[metric.name] = found
                else:
                    not_scored[metric.title] = found
                bar.advance(1, note=metric.title)
            by = measure_labels(
                prepared,
                plan.by_label,
                sizes=sizes,
                n_trees=LABEL_TREES[plan.suite],
                seed=plan.seeds[0],
                reference_scores=self._reference_scores,
                advance=bar.advance,
            )
        metrics = {name: one.to_json() for name, one in scored.items()}
        power, curve = _curve(prepared, plan)
        return Report(
            title=plan.title,
            metrics=metrics,
            by=by,
            verdicts=write_verdicts(
                metrics,
                by=by,
                sizes=sizes,
                invalid=prepared.invalid,
                curve=curve,
            ),
            power=power,
            settings=_settings(
                prepared,
                plan,
                what=evaluated(self._tables["real"], table),
                n_fitted=self._n_fitted,
                sizes=sizes,
                not_scored=not_scored,
            ),
            drawing=self._drawing(),
        )

    @property
    def _n_fitted(self) -> int:
        """Cells that the generator was fitted to; 0 where they are not given."""
        return int(self._tables["train"].n_obs) if "train" in self._tables else 0

    def _drawing(self) -> Drawing:
        """Collect the cells that the figures show."""
        drawn = self._comparisons[0].limit(_DRAWN_CELLS)
        return Drawing(
            model=drawn.model,
            reference=drawn.reference,
            baseline=drawn.baselines.get("independent_nb"),
            seed=self._plan.seeds[0],
        )

    def _read(self, table: ad.AnnData) -> PreparedCells:
        """Prepare generated cells; the real cells are read again only where genes or sizes differ."""
        plan = self._plan
        genes = shared_genes({**self._tables, "generated": table})
        generated = read_sample(table, role="generated", genes=genes, settings=plan.read_settings)
        genes_and_size = (genes.tobytes(), generated.n_cells)
        earlier, self._comparisons = self._comparisons if genes_and_size == self._genes_and_size else [], []
        if self._prepared is None or not earlier:
            samples = {
                role: read_sample(cells, role=role, genes=genes, settings=plan.read_settings)
                for role, cells in self._tables.items()
            }
            check_labels(samples["real"].labels, generated.labels, by=plan.by)
            self._prepared = prepare(
                {**samples, "generated": generated},
                genes,
                max_cells=plan.max_cells,
                folds=N_FOLDS[plan.suite],
                n_trees=N_TREES[plan.suite],
                seed=plan.seeds[0],
            )
            self._reference_scores = ReferenceScores()
        else:
            check_labels(self._prepared.real.labels, generated.labels, by=plan.by)
            self._prepared = self._prepared.with_generated(generated, seed=plan.seeds[0])
        names = _useful_baselines(self._prepared, plan)
        self._comparisons = [
            self._prepared.compare(
                n_cells=max(plan.most_compared, _DRAWN_CELLS),
                seed=seed,
                baselines=names,
                earlier=earlier[number] if earlier else None,
            )
            for number, seed in enumerate(plan.seeds)
        ]
        self._genes_and_size, self._limited_comparisons = genes_and_size, {}
        return self._prepared

    def _score_one(self, metric: Metric) -> ScoredMetric | str:
        plan = self._plan
        missing = metric.missing(self._comparisons[0].model)
        if plan.donor is None and "donors" in metric.needs:
            missing = tuple(sorted({*missing, "donors"}))
        if missing:
            return "it needs " + " and ".join(missing) + "."
        limited = self._limited(plan.limit(metric))
        if plan.skip_known_baselines and metric.cost != "cheap":
            limited = [comparison.without(*_SKIPPED_BASELINES) for comparison in limited]
        measure = proportion_reference if metric.name == "composition" else score
        return measure(metric, limited, reference_scores=self._reference_scores, seed=plan.seeds[0])

    def _limited(self, n_cells: int) -> list[Comparison]:
        """Limit the comparisons once for all metrics of a cost, which then share their computations."""
        if n_cells not in self._limited_comparisons:
            self._limited_comparisons[n_cells] = [comparison.limit(n_cells) for comparison in self._comparisons]
        return self._limited_comparisons[n_cells]


def _curve(prepared: PreparedCells, plan: Plan) -> tuple[PowerRecord | None, str]:
    """Measure the power curve, and describe it or say why there is none; of copies there is nothing to learn."""
    try:
        power = measure_curve(prepared, plan)
    except UserError as error:
        return None, f"There is no power curve: {error}"
    return power, "" if power is None else describe_curve(power)


def _useful_baselines(prepared: PreparedCells, plan: Plan) -> tuple[str, ...]:
    """Choose the baselines; an audit of privacy alone needs two of them."""
    if all(metric.group == "privacy" for metric in plan.metrics):
        return tuple(name for name in prepared.baseline_names if name in {"resampled", "independent_nb"})
    return prepared.baseline_names


def _score_validity(metric: Metric, prepared: PreparedCells) -> ScoredMetric:
    """Report the fraction of invalid values, counted before they were clipped."""
    fraction = prepared.invalid.value_fraction
    return ScoredMetric(
        metric=metric,
        n_cells=prepared.invalid.n_cells,
        model=Estimate(fraction, fraction, fraction, 0.0),
        reference=Estimate(0.0, 0.0, 0.0, 0.0),
        baselines={},
        trivial=None,
        normalised=None,
        flagged=fraction > 0,
        seeds=(fraction,),
    )


def _settings(
    prepared: PreparedCells,
    plan: Plan,
    *,
    what: Evaluated,
    n_fitted: int,
    sizes: dict[str, LabelSizes],
    not_scored: dict[str, str],
) -> ReportSettings:
    """Record how the numbers were measured, for the foot of the page and the JSON."""
    from scdiffuse._core.version import __version__

    space: FeatureSpace = prepared.space
    library_size = _median_library_size(prepared.real), _median_library_size(prepared.generated)
    n_seeds, n_equal = len(plan.seeds), min(prepared.n_equal, plan.most_compared)
    quick = [_QUICK_NOTE] if plan.skip_known_baselines else []
    notes = [*prepared.notes, *prepared.generated_notes, *plan.notes, *quick]
    if n_seeds > 1:
        notes.append(_SEEDS_NOTE.format(n=n_seeds))
    summary = (
        f"{prepared.generated.n_cells:,} generated cells against {prepared.real.n_cells:,} held-out real cells on "
        f"{space.genes.size:,} genes; at most {n_equal:,} a side, {n_seeds} seed{'s' * (n_seeds > 1)}. "
        f"Median library size: {library_size[1]:,.0f} generated, {library_size[0]:,.0f} real."
    )
    if n_fitted:
        summary = f"Fitted to {n_fitted:,} cells. {summary}"
    return {
        "summary": summary,
        **what,
        "version": __version__,
        "suite": plan.suite,
        "seed": plan.seeds[0],
        "n_seeds": n_seeds,
        "max_cells": plan.max_cells,
        "by": plan.by,
        "donor": plan.donor,
        "n_real": prepared.real.n_cells,
        "n_generated": prepared.generated.n_cells,
        "n_reference": prepared.reference.n_cells,
        "n_projection": prepared.projection.n_cells,
        "n_train": 0 if prepared.train is None else prepared.train.n_cells,
        "n_cells_a_side": n_equal,
        "n_genes": int(space.genes.size),
        "n_chosen_genes": int(space.chosen.size),
        "n_folds": prepared.folds,
        "n_folds_within_a_type": label_folds(prepared.folds),
        "n_half_samples": N_HALF_SAMPLES["cheap"],
        "n_half_samples_when_slow": N_HALF_SAMPLES["moderate"],
        "n_components": int(space.components.shape[0]),
        "labels": sizes,
        "notes": notes,
        "not_scored": not_scored,
    }


def _median_library_size(cells: CellFeatures) -> float:
    middle = float(np.median(np.asarray(cells.counts.sum(axis=1))))
    return middle if math.isfinite(middle) else 0.0

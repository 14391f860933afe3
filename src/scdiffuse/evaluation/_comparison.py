"""The machine of an evaluation: real cells prepared once, and any number of generated samples scored against them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.progress import Progress
from scdiffuse.evaluation._figures import Drawing
from scdiffuse.evaluation._labels import label_folds, label_sizes, measure_labels, share_floor
from scdiffuse.evaluation._material import Material, prepare
from scdiffuse.evaluation._report import Report
from scdiffuse.evaluation._samples import Cells, Reading, check_labels, open_cells, read_sample, shared_genes
from scdiffuse.evaluation._scoring import HALVES, VALIDITY, Arena, DenoisedMean, Scored, Standings, score
from scdiffuse.evaluation._verdicts import judge
from scdiffuse.evaluation.baselines import COPIER
from scdiffuse.metrics import Metric

__all__ = ["MOST_CELLS", "Comparison", "Plan", "Suite"]

Suite = Literal["quick", "full"]
MOST_CELLS: dict[str, dict[str, int]] = {
    "quick": {"cheap": 1000, "moderate": 500, "dear": 500},
    "full": {"cheap": 5000, "moderate": 2500, "dear": 2500},
}
"""Cells a side that a metric is given, by suite and cost."""
_FOLDS = {"quick": 3, "full": 5}
_LABEL_TREES = {"quick": 50, "full": 100}
_TRAIN_FACTOR = 4  # copying is looked for in more cells than are compared
_DRAWN_CELLS = 1500
_SPARED = (COPIER, "class_mean_noise")  # the one at the floor and the one worst of all, told without a judge
_SEEDS_NOTE = "Repeated with {n} seeds: values are means over them, and intervals are as wide as their spread at least."
_QUICK_NOTE = (
    "Quick suite: at most 1,000 cells a side, 500 for what is slow; judges are not shown copied cells and class means. "
    "The full suite takes more cells and measures more."
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is asked for, apart from the cells."""

    title: str
    """Headline of the report."""
    metrics: tuple[Metric, ...]
    """What to measure."""
    suite: Suite
    """How many cells and folds to spend on it."""
    seeds: tuple[int, ...]
    """One repeat each."""
    max_cells: int
    """Most cells a side."""
    by: str | None
    """Column of ``obs`` with the type."""
    donor: str | None
    """Column of ``obs`` with the donor."""
    layer: str | None
    """Layer with the counts."""
    progress: bool
    """Whether to show a bar."""
    spare: bool = False
    """Whether judges are kept from the baselines whose score is known beforehand."""

    @property
    def by_label(self) -> tuple[Metric, ...]:
        """What is measured type by type; in the quick suite one forest, in the space where few cells tell most."""
        quick = self.suite == "quick"
        suited = [metric for metric in self.metrics if metric.by_label or metric.name == "exact_copies"]
        return tuple(metric for metric in suited if metric.cost != "dear" or not quick)

    @property
    def reading(self) -> Reading:
        """How every sample is read."""
        limits = {"real": 2 * self.max_cells, "generated": self.max_cells, "reference": 2 * self.max_cells}
        limits["train"] = _TRAIN_FACTOR * self.max_cells
        return Reading(limits=limits, layer=self.layer, by=self.by, donor=self.donor, seed=self.seeds[0])

    def limit(self, metric: Metric) -> int:
        """Cells a side that a metric is given, by its cost."""
        return min(self.max_cells, MOST_CELLS[self.suite][metric.cost])

    @property
    def most_compared(self) -> int:
        """Cells a side that the metric with the most of them is given."""
        return max((self.limit(metric) for metric in self.metrics), default=0)


class Comparison:
    """Real cells by role, against which generated ones are scored one sample after the other.

    Spaces, floor and baselines depend on the real cells, the shared genes and the number of generated cells alone;
    they are kept for as long as the last two stay the same.
    """

    def __init__(self, real: Mapping[str, Cells], plan: Plan) -> None:
        self._tables = {role: open_cells(cells, role) for role, cells in real.items()}
        self._plan = plan
        self._shape: tuple[bytes, int] = (b"", 0)
        self._material: Material | None = None
        self._arenas: list[Arena] = []
        self._cuts: dict[int, list[Arena]] = {}
        self._standings = Standings()

    def score(self, generated: Cells) -> Report:
        """Score generated cells; raises as `evaluate` does."""
        plan, material = self._plan, self._read(open_cells(generated, "generated"))
        arenas, sizes = self._arenas, label_sizes(material)
        scored: dict[str, Scored] = {}
        not_scored: dict[str, str] = {}
        with Progress("evaluate", len(plan.metrics) + len(sizes), unit="metrics", enabled=plan.progress) as bar:
            for metric in plan.metrics:
                found = _score_faults(metric, material) if metric.name == VALIDITY else self._score_one(metric)
                if isinstance(found, Scored):
                    scored[metric.name] = found
                else:
                    not_scored[metric.title] = found
                bar.advance(1, note=metric.title)
            by = measure_labels(
                material,
                plan.by_label,
                sizes=sizes,
                n_trees=_LABEL_TREES[plan.suite],
                seed=plan.seeds[0],
                standings=self._standings,
                advance=bar.advance,
            )
        notes = [*material.notes, *material.made_notes, *([_QUICK_NOTE] if plan.spare else [])]
        if len(plan.seeds) > 1:
            notes.append(_SEEDS_NOTE.format(n=len(plan.seeds)))
        metrics = {name: one.to_json() for name, one in scored.items()}
        drawn = arenas[0].limit(_DRAWN_CELLS)
        return Report(
            title=plan.title,
            metrics=metrics,
            by=by,
            verdicts=judge(metrics, by=by, sizes=sizes, faults=material.faults),
            settings=_settings(material, plan) | {"labels": sizes, "notes": notes, "not_scored": not_scored},
            drawing=Drawing(
                model=drawn.model,
                floor=drawn.floor,
                baseline=drawn.baselines.get("independent_nb"),
                seed=plan.seeds[0],
            ),
        )

    def _read(self, table: ad.AnnData) -> Material:
        """See generated cells beside the real ones, which are read again only where they have to change."""
        plan = self._plan
        genes = shared_genes({**self._tables, "generated": table})
        made = read_sample(table, role="generated", genes=genes, reading=plan.reading)
        shape = (genes.tobytes(), made.n_cells)
        known, self._arenas = self._arenas if shape == self._shape else [], []
        if self._material is None or not known:
            samples = {
                role: read_sample(cells, role=role, genes=genes, reading=plan.reading)
                for role, cells in self._tables.items()
            }
            check_labels(samples["real"].labels, made.labels, by=plan.by)
            self._material = prepare(
                {**samples, "generated": made},
                genes,
                max_cells=plan.max_cells,
                folds=_FOLDS[plan.suite],
                seed=plan.seeds[0],
            )
            self._standings = Standings()
        else:
            check_labels(self._material.real.labels, made.labels, by=plan.by)
            self._material = self._material.renew(made, seed=plan.seeds[0])
        names = _useful_baselines(self._material, plan)
        self._arenas = [
            self._material.arena(
                n_cells=max(plan.most_compared, _DRAWN_CELLS),
                seed=seed,
                baselines=names,
                known=known[number] if known else None,
            )
            for number, seed in enumerate(plan.seeds)
        ]
        self._shape, self._cuts = shape, {}
        return self._material

    def _score_one(self, metric: Metric) -> Scored | str:
        plan = self._plan
        missing = metric.missing(self._arenas[0].model)
        if missing:
            return "it needs " + " and ".join(missing) + "."
        limited = self._limited(plan.limit(metric))
        if plan.spare and metric.cost != "cheap":
            limited = [arena.without(*_SPARED) for arena in limited]
        if metric.name == "composition":
            return share_floor(metric, limited, standings=self._standings, seed=plan.seeds[0])
        return score(metric, limited, standings=self._standings, seed=plan.seeds[0])

    def _limited(self, n_cells: int) -> list[Arena]:
        """Cut the arenas once for all metrics of a cost, which then share their computations."""
        if n_cells not in self._cuts:
            self._cuts[n_cells] = [arena.limit(n_cells) for arena in self._arenas]
        return self._cuts[n_cells]


def _useful_baselines(material: Material, plan: Plan) -> tuple[str, ...]:
    """Leave out what only likeness is measured against, when only privacy is asked for."""
    if all(metric.group == "privacy" for metric in plan.metrics):
        return tuple(name for name in material.baseline_names if name in {"resampled", "independent_nb"})
    return material.baseline_names


def _score_faults(metric: Metric, material: Material) -> Scored:
    """Read what was found before the values were made scorable."""
    share = material.faults.values
    return Scored(
        metric=metric,
        n_cells=material.faults.n_cells,
        model=DenoisedMean(share, share, share, 0.0),
        floor=DenoisedMean(0.0, 0.0, 0.0, 0.0),
        baselines={},
        trivial=None,
        skill=None,
        flagged=share > 0,
        seeds=(share,),
    )


def _settings(material: Material, plan: Plan) -> dict[str, Any]:
    """Tell how it was measured, for the foot of the page and the JSON."""
    from scdiffuse._core.version import __version__

    trained = 0 if material.train is None else material.train.n_cells
    depth = _middle_depth(material.real.counts.sum(axis=1)), _middle_depth(material.generated.counts.sum(axis=1))
    n_seeds, n_equal = len(plan.seeds), min(material.n_equal, plan.most_compared)
    summary = (
        f"{material.generated.n_cells:,} generated cells against {material.real.n_cells:,} held-out real cells on "
        f"{material.space.genes.size:,} genes; at most {n_equal:,} a side, {n_seeds} seed{'s' * (n_seeds > 1)}. "
        f"Median counts in a cell: {depth[1]:,.0f} generated, {depth[0]:,.0f} real."
    )
    return {
        "summary": summary,
        "version": __version__,
        "suite": plan.suite,
        "seed": plan.seeds[0],
        "n_seeds": n_seeds,
        "max_cells": plan.max_cells,
        "by": plan.by,
        "donor": plan.donor,
        "n_real": material.real.n_cells,
        "n_generated": material.generated.n_cells,
        "n_floor": material.floor.n_cells,
        "n_fit": material.fit.n_cells,
        "n_train": trained,
        "n_cells_a_side": n_equal,
        "n_genes": int(material.space.genes.size),
        "n_chosen_genes": int(material.space.chosen.size),
        "n_folds": material.folds,
        "n_folds_within_a_type": label_folds(material.folds),
        "n_half_samples": HALVES["cheap"],
        "n_half_samples_when_slow": HALVES["moderate"],
        "n_components": int(material.space.components.shape[0]),
    }


def _middle_depth(totals: NDArray[Any]) -> float:
    middle = float(np.median(np.asarray(totals)))
    return middle if math.isfinite(middle) else 0.0

"""The two calls of the room: score generated cells, and audit what they give away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scdiffusion._core.errors import SettingError
from scdiffusion._core.progress import Progress
from scdiffusion.evaluation._figures import Drawing
from scdiffusion.evaluation._labels import label_sizes, measure_labels, share_floor
from scdiffusion.evaluation._material import Material, prepare
from scdiffusion.evaluation._report import Report
from scdiffusion.evaluation._samples import Cells, read_samples
from scdiffusion.evaluation._scoring import VALIDITY, Arena, Estimate, Scored, score
from scdiffusion.evaluation._verdicts import judge
from scdiffusion.evaluation.baselines import COPIER
from scdiffusion.metrics import Metric, select_metrics

__all__ = ["audit", "evaluate"]

Suite = Literal["quick", "full"]
_MOST_CELLS: dict[str, dict[str, int]] = {
    "quick": {"cheap": 1000, "moderate": 500, "dear": 500},
    "full": {"cheap": 5000, "moderate": 2500, "dear": 2500},
}
_FOLDS = {"quick": 3, "full": 5}
_TRAIN_FACTOR = 4  # copying is looked for in more cells than are compared
_DRAWN_CELLS = 1500
_SPARED = (COPIER, "class_mean_noise")  # the one at the floor and the one worst of all, told without a judge
_QUICK_NOTE = (
    "Quick suite: at most 1,000 cells a side, 500 for what is slow; judges are not shown copied cells and class means. "
    "The full suite takes more cells and measures more."
)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What is asked for, apart from the cells."""

    metrics: tuple[Metric, ...]
    suite: Suite
    seeds: tuple[int, ...]
    max_cells: int
    progress: bool

    @property
    def by_label(self) -> tuple[Metric, ...]:
        """What is measured type by type; in the quick suite one forest, in the space where few cells tell most."""
        quick = self.suite == "quick"
        suited = [metric for metric in self.metrics if metric.by_label or metric.name == "exact_copies"]
        return tuple(metric for metric in suited if metric.cost != "dear" or not quick)

    def limit(self, metric: Metric) -> int:
        """Cells a side that a metric is given, by its cost."""
        return min(self.max_cells, _MOST_CELLS[self.suite][metric.cost])


def evaluate(  # noqa: PLR0913 - one flat call is what users write
    real: Cells,
    generated: Cells,
    *,
    reference: Cells | None = None,
    train: Cells | None = None,
    by: str | None = None,
    donor: str | None = None,
    layer: str | None = None,
    suite: Suite = "quick",
    metrics: Sequence[str] | None = None,
    seed: int = 0,
    n_seeds: int = 1,
    max_cells: int = 5000,
    progress: bool = True,
) -> Report:
    """Score anybody's generated cells against real ones, beside the floor and trivial baselines.

    Every metric is measured at equal numbers of cells: generated against held-out real cells, other real cells against
    them (the floor), and baselines that learn nothing against them. Genes are chosen and components fitted on real
    cells that are in none of these comparisons: a part of ``reference``.

    Parameters
    ----------
    real
        Held-out real cells with raw counts, which the generator never saw; AnnData or path of an ``.h5ad`` file.
    generated
        Cells to judge; values that are no counts are scored as far as they can be, and a verdict tells of them.
    reference
        More real cells, for the floor and the fitted spaces. Without it the real cells are split at random.
    train
        Cells that the generator was fitted to, for the baselines and for finding copies.
    by
        Column of ``obs`` with the type, in real and generated cells.
    donor
        Column of ``obs`` with the donor, in real and training cells.
    layer
        Layer with the raw counts; ``X`` when not given.
    suite
        ``"quick"`` leaves out what is slow or catches nothing of its own; ``"full"`` measures everything.
    metrics
        Names of the metrics to measure, instead of a suite.
    seed
        Seed of splits, subsamples, folds and baselines.
    n_seeds
        Repeat with so many seeds; values are averaged, intervals take in the spread.
    max_cells
        Most cells a side; slow metrics take fewer, and every table says how many.
    progress
        Show a progress bar when it takes longer than two seconds.

    Returns
    -------
    The report: verdicts, scores and figures.

    Raises
    ------
    CountsError
        Real cells hold other values than raw counts, or too few cells are left.
    GenesError
        The genes of the samples do not fit.
    UnknownNameError
        A column, layer or metric is unknown.
    ConditionError
        Generated labels occur nowhere among the real ones.
    SettingError
        ``suite``, ``n_seeds`` or ``max_cells`` is out of range.
    DataFileError
        A path does not lead to an ``.h5ad`` file.
    """
    _check_settings(suite, n_seeds, max_cells)
    plan = _Plan(
        metrics=select_metrics(suite, names=metrics),
        suite=suite,
        seeds=tuple(range(seed, seed + n_seeds)),
        max_cells=max_cells,
        progress=progress,
    )
    cells = {"real": real, "generated": generated, "reference": reference, "train": train}
    limits = {"real": 2 * max_cells, "generated": max_cells, "reference": 2 * max_cells}
    limits["train"] = _TRAIN_FACTOR * max_cells
    shared = read_samples(
        {role: one for role, one in cells.items() if one is not None},
        limits=limits,
        layer=layer,
        obs={"by": by, "donor": donor},
        seed=seed,
    )
    material = prepare(shared, max_cells=max_cells, folds=_FOLDS[suite], seed=seed)
    return _report(material, plan, title="How real are the generated cells?", by=by, donor=donor)


def audit(  # noqa: PLR0913 - one flat call is what users write
    train: Cells,
    held_out: Cells,
    generated: Cells,
    *,
    by: str | None = None,
    donor: str | None = None,
    layer: str | None = None,
    seed: int = 0,
    max_cells: int = 5000,
    progress: bool = True,
) -> Report:
    """Ask whether generated cells give away which cells, or whose, the generator was fitted to.

    Parameters
    ----------
    train
        Cells that the generator was fitted to, raw counts; AnnData or path of an ``.h5ad`` file.
    held_out
        Real cells of the same kind that it never saw; part of them gives the null and the spaces.
    generated
        The cells to publish.
    by
        Column of ``obs`` with the type, to find copies of one type only.
    donor
        Column of ``obs`` with the donor, to attack donors instead of cells.
    layer
        Layer with the raw counts; ``X`` when not given.
    seed
        Seed of splits and attacks.
    max_cells
        Most held-out and generated cells; training cells up to four times as many.
    progress
        Show a progress bar when it takes longer than two seconds.

    Returns
    -------
    The report, with the privacy metrics alone.

    Raises
    ------
    CountsError
        Real cells hold other values than raw counts, or too few cells are left.
    GenesError
        The genes of the samples do not fit.
    UnknownNameError
        A column or layer is unknown.
    SettingError
        ``max_cells`` is out of range.
    """
    _check_settings("full", 1, max_cells)
    chosen = tuple(metric for metric in select_metrics("full") if metric.group == "privacy")
    plan = _Plan(metrics=chosen, suite="full", seeds=(seed,), max_cells=max_cells, progress=progress)
    limits = {"real": 2 * max_cells, "generated": max_cells, "train": _TRAIN_FACTOR * max_cells}
    shared = read_samples(
        {"real": held_out, "generated": generated, "train": train},
        limits=limits,
        layer=layer,
        obs={"by": by, "donor": donor},
        seed=seed,
    )
    material = prepare(shared, max_cells=max_cells, folds=_FOLDS["full"], seed=seed)
    report = _report(material, plan, title="Do the generated cells give training cells away?", by=by, donor=donor)
    return replace(report, drawing=None)


def _check_settings(suite: str, n_seeds: int, max_cells: int) -> None:
    if suite not in _MOST_CELLS:
        msg = f"`suite` is {suite!r}, expected 'quick' or 'full'. Name single metrics with `metrics`."
        raise SettingError(msg)
    if n_seeds < 1:
        msg = f"`n_seeds` is {n_seeds}, expected at least 1. One seed is enough for a first look."
        raise SettingError(msg)
    if max_cells < 20:
        msg = f"`max_cells` is {max_cells}, expected at least 20. The default is 5,000."
        raise SettingError(msg)


def _report(material: Material, plan: _Plan, *, title: str, by: str | None, donor: str | None) -> Report:
    baselines = _useful_baselines(material, plan)
    arenas = [material.arena(seed=seed, baselines=baselines) for seed in plan.seeds]
    scored: dict[str, Scored] = {}
    not_scored: dict[str, str] = {}
    sizes = label_sizes(material)
    with Progress("evaluate", len(plan.metrics) + len(sizes), unit="metrics", enabled=plan.progress) as bar:
        for metric in plan.metrics:
            found = _score_one(metric, arenas, plan) if metric.name != VALIDITY else _score_faults(metric, material)
            if isinstance(found, Scored):
                scored[metric.name] = found
            else:
                not_scored[metric.title] = found
            bar.advance(1, note=metric.title)
        labels = measure_labels(material, plan.by_label, sizes=sizes, seed=plan.seeds[0], advance=bar.advance)
    settings = _settings(material, plan, by=by, donor=donor)
    notes = [*material.notes, *([_QUICK_NOTE] if plan.suite == "quick" else [])]
    settings |= {"labels": sizes, "notes": notes, "not_scored": not_scored}
    metrics = {name: one.to_json() for name, one in scored.items()}
    drawn = arenas[0].limit(_DRAWN_CELLS)
    drawing = Drawing(
        model=drawn.model, floor=drawn.floor, baseline=drawn.baselines.get("independent_nb"), seed=plan.seeds[0]
    )
    return Report(
        title=title,
        metrics=metrics,
        by=labels,
        verdicts=judge(metrics, by=labels, sizes=sizes, faults=material.faults),
        settings=settings,
        drawing=drawing,
    )


def _useful_baselines(material: Material, plan: _Plan) -> tuple[str, ...]:
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
        model=Estimate(share, share, share, 0.0),
        floor=Estimate(0.0, 0.0, 0.0, 0.0),
        baselines={},
        trivial=None,
        skill=None,
        flagged=share > 0,
        seeds=(share,),
    )


def _score_one(metric: Metric, arenas: list[Arena], plan: _Plan) -> Scored | str:
    missing = metric.missing(arenas[0].model)
    if missing:
        return "it needs " + " and ".join(missing) + "."
    limited = [arena.limit(plan.limit(metric)) for arena in arenas]
    if plan.suite == "quick" and metric.cost != "cheap":
        limited = [arena.without(*_SPARED) for arena in limited]
    if metric.name == "composition":
        return share_floor(metric, limited, seed=plan.seeds[0])
    return score(metric, limited, seed=plan.seeds[0])


def _settings(material: Material, plan: _Plan, *, by: str | None, donor: str | None) -> dict[str, Any]:
    """Tell how it was measured, for the foot of the page and the JSON."""
    from scdiffusion._core.version import __version__

    trained = 0 if material.train is None else material.train.n_cells
    depth = _middle_depth(material.real.counts.sum(axis=1)), _middle_depth(material.generated.counts.sum(axis=1))
    summary = (
        f"{material.generated.n_cells:,} generated cells against {material.real.n_cells:,} held-out real cells on "
        f"{material.space.genes.size:,} genes; {material.n_equal:,} a side. Median counts in a cell: {depth[1]:,.0f} "
        f"generated, {depth[0]:,.0f} real."
    )
    return {
        "summary": summary,
        "version": __version__,
        "suite": plan.suite,
        "seed": plan.seeds[0],
        "n_seeds": len(plan.seeds),
        "max_cells": plan.max_cells,
        "by": by,
        "donor": donor,
        "n_real": material.real.n_cells,
        "n_generated": material.generated.n_cells,
        "n_floor": material.floor.n_cells,
        "n_fit": material.fit.n_cells,
        "n_train": trained,
        "n_cells_a_side": material.n_equal,
        "n_genes": int(material.space.genes.size),
        "n_chosen_genes": int(material.space.chosen.size),
        "n_folds": material.folds,
        "n_components": int(material.space.components.shape[0]),
    }


def _middle_depth(totals: NDArray[Any]) -> float:
    middle = float(np.median(np.asarray(totals)))
    return middle if math.isfinite(middle) else 0.0

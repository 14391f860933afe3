"""The privacy audit: whether generated cells reveal training cells or donors."""

from __future__ import annotations

import math

from scdiffuse._core.errors import UserError
from scdiffuse._core.progress import Progress
from scdiffuse.evaluation._audit_cells import AuditCells, find_copies, prepare_audit
from scdiffuse.evaluation._opening import CellsOrPath, open_cells
from scdiffuse.evaluation._overall import Evaluated, evaluated
from scdiffuse.evaluation._plan import Plan, check_settings
from scdiffuse.evaluation._report import Report
from scdiffuse.evaluation._report_types import MetricRecord, ReportSettings
from scdiffuse.evaluation._scoring import Estimate, ScoredMetric
from scdiffuse.evaluation._shared_cells import refuse_training_cells
from scdiffuse.evaluation._untrained_groups import find_untrained_groups
from scdiffuse.evaluation._verdicts import write_verdicts
from scdiffuse.evaluation.baselines import MEMORISING_BASELINE
from scdiffuse.metrics import Metric, SamplePair, Score, get_metric, select_metrics
from scdiffuse.metrics._catalogue_privacy import copy_score
from scdiffuse.metrics._labelled_cells import frequent_labels

__all__ = ["audit"]

_COPIES = "memorised_cells"
_MIN_LABEL_CELLS = 20
_WIDTH = 2 * 1.96  # standard errors between the ends of a 95 % interval


def audit(  # noqa: PLR0913 - one flat call is what users write
    train: CellsOrPath,
    held_out: CellsOrPath,
    generated: CellsOrPath,
    *,
    by: str | None = None,
    donor: str | None = None,
    layer: str | None = None,
    round_counts: bool = False,
    seed: int = 0,
    max_cells: int = 5000,
    progress: bool = True,
) -> Report:
    """Audit privacy: test whether generated cells reveal the training cells or their donors (membership inference).

    Copies are looked up among all cells. Attacks take a random part, and compare what they say of training cells with
    what they say of held-out cells, so both have to come from the same donors. Give ``donor`` where cells have donors:
    held-out cells of training donors then stand for cells that were not trained on, and cells of other donors for
    donors that were not. The documentation of privacy says what an audit promises and what it does not.

    Parameters
    ----------
    train
        Cells that the generator was fitted to, raw counts; AnnData, or the path of cells in any format that
        `CellGenerator` reads.
    held_out
        Real cells of the same kind that the generator was not fitted to; they give the null, the feature space, and
        what attackers know of other cells.
    generated
        The cells to publish.
    by
        Column of ``obs`` with the cell type, to find memorisation of a single type.
    donor
        Column of ``obs`` with the donor, for donor-level membership inference. If it is not given, a column with
        groups that were held out as a whole is found, so that their difference is not taken for membership of cells.
    layer
        Layer with the raw counts, or ``"raw.X"``; when not given ``X``, or the one place that holds counts.
    round_counts
        Round counts of real cells with decimals, as SoupX makes them, to whole ones.
    seed
        Seed of splits and attacks.
    max_cells
        Most held-out and generated cells of an attack; training cells up to four times as many. Exact copies are looked
        up among all cells.
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
        The samples share too few genes.
    UnknownNameError
        A column or layer is unknown.
    SettingError
        ``max_cells`` is out of range, or most held-out cells are training cells.
    """
    check_settings("full", 1, max_cells, seed=seed)
    given = {"real": held_out, "train": train, "generated": generated}
    tables = {role: open_cells(cells, role, layer=layer, round_counts=round_counts) for role, cells in given.items()}
    asked = Plan(
        title="Do the generated cells reveal training cells?",
        metrics=tuple(metric for metric in select_metrics("full") if _is_asked(metric, by=by, donor=donor)),
        suite="full",
        seeds=(seed,),
        max_cells=max_cells,
        by=by,
        donor=donor,
        layer=layer,
        progress=progress,
    )
    plan = find_untrained_groups(tables, asked)
    prepared = prepare_audit(tables, plan)
    found, sources, prints = find_copies(tables, plan)
    shared = refuse_training_cells(prints["real"], prints["train"])
    copies = copy_score(found, features=sources)
    scored, not_scored = _score(prepared, plan)
    metrics = {_COPIES: _scored(get_metric(_COPIES), copies, memorised=1.0, n_cells=found.n_generated)} | scored
    by_label = _score_labels(prepared)
    sizes = {role: len(side.hashes) for role, side in prints.items()}
    return Report(
        title=plan.title,
        metrics=metrics,
        by=by_label,
        verdicts=write_verdicts(metrics, by=by_label, sizes={}, invalid=prepared.invalid),
        settings=_settings(
            prepared,
            plan,
            what=evaluated(tables["real"], tables["generated"]),
            sizes=sizes,
            not_scored=not_scored,
            shared=shared,
        ),
    )


def _is_asked(metric: Metric, *, by: str | None, donor: str | None) -> bool:
    given = {"labels": by, "donors": donor}
    return metric.group == "privacy" and all(given.get(need, need) is not None for need in metric.needs)


def _score(prepared: AuditCells, plan: Plan) -> tuple[dict[str, MetricRecord], dict[str, str]]:
    """Measure every metric but exact copies, for generated cells and for memorised training cells."""
    scored: dict[str, MetricRecord] = {}
    not_scored: dict[str, str] = {}
    memorised = prepared.pair.with_generated(prepared.memorised)
    with Progress("audit", len(plan.metrics), unit="metrics", enabled=plan.progress) as bar:
        for metric in plan.metrics:
            bar.advance(1, note=metric.title)
            if metric.name == _COPIES:
                continue
            answer = _score_one(metric, prepared.pair, memorised)
            if isinstance(answer, str):
                not_scored[metric.title] = answer
            else:
                scored[metric.name] = answer
    return scored, not_scored


def _score_one(metric: Metric, pair: SamplePair, memorised: SamplePair) -> MetricRecord | str:
    missing = metric.missing(pair)
    if missing:
        return "it needs " + " and ".join(missing) + "."
    try:
        own = metric.compute(pair)
    except UserError as error:
        return str(error)
    if not math.isfinite(own.value):
        return "The value is not a number for these cells."
    try:
        worst = metric.compute(memorised).value
    except UserError:  # the draw of training cells may hold too few of a rare label; no verdict depends on it
        worst = math.nan
    return _scored(metric, own, memorised=worst, n_cells=pair.generated.n_cells)


def _scored(metric: Metric, own: Score, *, memorised: float, n_cells: int) -> MetricRecord:
    """Put a score beside its null and beside that of memorised training cells."""
    null = metric.target if own.null is None else own.null
    low, high = (math.nan if end is None else end for end in (own.low, own.high))
    normalised = metric.normalise(own.value, reference=null, trivial=memorised)
    return ScoredMetric(
        metric=metric,
        n_cells=n_cells,
        model=Estimate(own.value, low, high, (high - low) / _WIDTH, own.features, own.p, own.doubt, own.sizes),
        reference=Estimate(null),
        baselines={MEMORISING_BASELINE: memorised},
        trivial=MEMORISING_BASELINE,
        normalised=normalised if math.isfinite(normalised) else None,
        flagged=own.p is not None and not own.doubt and own.p < metric.alpha,
        seeds=(own.value,),
    ).to_json()


def _score_labels(prepared: AuditCells) -> dict[str, dict[str, MetricRecord]]:
    """Measure within each label what makes sense there."""
    pair = prepared.pair
    sides = (pair.real, pair.generated, pair.train)
    labels = [cells.labels for cells in sides if cells is not None and cells.labels is not None]
    if len(labels) < len(sides):
        return {}
    shared = set.intersection(*(set(frequent_labels(side, min_cells=_MIN_LABEL_CELLS)) for side in labels))
    memorised = pair.with_generated(prepared.memorised)
    metrics = [metric for metric in select_metrics("full") if metric.group == "privacy" and metric.by_label]
    scores: dict[str, dict[str, MetricRecord]] = {}
    for label in sorted(shared):
        for metric in (get_metric(_COPIES), *metrics):
            answer = _score_one(metric, pair.limit_to_label(label), memorised.limit_to_label(label))
            if not isinstance(answer, str):
                scores.setdefault(label, {})[metric.name] = answer
    return scores


def _settings(
    prepared: AuditCells,
    plan: Plan,
    *,
    what: Evaluated,
    sizes: dict[str, int],
    not_scored: dict[str, str],
    shared: list[str],
) -> ReportSettings:
    """Record how the audit was done."""
    from scdiffuse._core.version import __version__

    pair = prepared.pair
    assert pair.train is not None
    assert pair.reference is not None
    summary = (
        f"All {sizes['generated']:,} generated cells looked up among all {sizes['train']:,} training cells; attacks on "
        f"{pair.train.n_cells:,} training and {pair.real.n_cells:,} held-out cells with {pair.generated.n_cells:,} "
        f"generated ones, by attackers who hold {pair.reference.n_cells:,} other real cells. "
        f"{len(pair.gene_names):,} genes, one seed."
    )
    return {
        "summary": summary,
        **what,
        "version": __version__,
        "suite": "full",
        "seed": pair.seed,
        "n_seeds": 1,
        "max_cells": plan.max_cells,
        "by": plan.by,
        "donor": plan.donor,
        "n_real": pair.real.n_cells,
        "n_generated": sizes["generated"],
        "n_reference": pair.reference.n_cells,
        "n_projection": pair.reference.n_cells,
        "n_train": sizes["train"],
        "n_cells_a_side": min(pair.real.n_cells, pair.generated.n_cells),
        "n_genes": len(pair.gene_names),
        "n_chosen_genes": len(pair.chosen),
        "n_folds": 0,
        "n_folds_within_a_type": 0,
        "n_half_samples": 0,
        "n_half_samples_when_slow": 0,
        "n_components": int(pair.real.pcs.shape[1]),
        "labels": {},
        "notes": [*shared, *prepared.notes],
        "not_scored": not_scored,
    }

"""The calls of the room: score generated cells, score many generators alike, and audit what cells give away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scdiffuse._core.errors import SettingError
from scdiffuse.evaluation._comparison import MOST_CELLS, Comparison, Plan, Suite
from scdiffuse.evaluation._report import Report
from scdiffuse.evaluation._samples import Cells
from scdiffuse.metrics import select_metrics

__all__ = ["Benchmark", "audit", "evaluate"]


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
    benchmark = Benchmark(
        real,
        reference=reference,
        train=train,
        by=by,
        donor=donor,
        layer=layer,
        suite=suite,
        metrics=metrics,
        seed=seed,
        n_seeds=n_seeds,
        max_cells=max_cells,
        progress=progress,
    )
    return benchmark.score(generated)


class Benchmark:
    """Score any number of generators against the same real cells, measuring floor and baselines once.

    A score is what `evaluate` gives for the same cells and settings. What the real side costs is paid with the first
    sample, and again only where a sample has other genes or another number of cells than the one before.

    Parameters
    ----------
    real
        Held-out real cells with raw counts, which no generator saw; AnnData or path of an ``.h5ad`` file.
    reference, train, by, donor, layer, suite, metrics, seed, n_seeds, max_cells, progress
        As for `evaluate`; ``train`` holds the cells that all the generators were fitted to.

    Raises
    ------
    CountsError
        There are no real cells.
    UnknownNameError
        A metric is unknown.
    SettingError
        ``suite``, ``n_seeds`` or ``max_cells`` is out of range.
    DataFileError
        A path does not lead to an ``.h5ad`` file.
    """

    def __init__(  # noqa: PLR0913 - the settings of `evaluate`
        self,
        real: Cells,
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
    ) -> None:
        _check_settings(suite, n_seeds, max_cells)
        plan = Plan(
            title="How real are the generated cells?",
            metrics=select_metrics(suite, names=metrics),
            suite=suite,
            seeds=tuple(range(seed, seed + n_seeds)),
            max_cells=max_cells,
            by=by,
            donor=donor,
            layer=layer,
            progress=progress,
            spare=suite == "quick" and metrics is None,
        )
        given = {"real": real, "reference": reference, "train": train}
        self._comparison = Comparison({role: cells for role, cells in given.items() if cells is not None}, plan)

    def score(self, generated: Cells) -> Report:
        """Score one generator's cells.

        Parameters
        ----------
        generated
            Cells to judge; values that are no counts are scored as far as they can be, and a verdict tells of them.

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
            A column or layer is unknown.
        ConditionError
            Generated labels occur nowhere among the real ones.
        DataFileError
            A path does not lead to an ``.h5ad`` file.
        """
        return self._comparison.score(generated)


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
    plan = Plan(
        title="Do the generated cells give training cells away?",
        metrics=tuple(metric for metric in select_metrics("full") if metric.group == "privacy"),
        suite="full",
        seeds=(seed,),
        max_cells=max_cells,
        by=by,
        donor=donor,
        layer=layer,
        progress=progress,
    )
    return replace(Comparison({"real": held_out, "train": train}, plan).score(generated), drawing=None)


def _check_settings(suite: str, n_seeds: int, max_cells: int) -> None:
    if suite not in MOST_CELLS:
        msg = f"`suite` is {suite!r}, expected 'quick' or 'full'. Name single metrics with `metrics`."
        raise SettingError(msg)
    if n_seeds < 1:
        msg = f"`n_seeds` is {n_seeds}, expected at least 1. One seed is enough for a first look."
        raise SettingError(msg)
    if max_cells < 20:
        msg = f"`max_cells` is {max_cells}, expected at least 20. The default is 5,000."
        raise SettingError(msg)

"""Evaluation of generated cells: `evaluate` for one generator, `Benchmark` for several on the same real cells."""

from __future__ import annotations

from collections.abc import Sequence

from scdiffuse._core.errors import SettingError
from scdiffuse.evaluation._evaluator import Evaluator
from scdiffuse.evaluation._opening import CellsOrPath
from scdiffuse.evaluation._plan import Plan, Suite, check_settings
from scdiffuse.evaluation._report import Report
from scdiffuse.metrics import select_metrics

__all__ = ["Benchmark", "evaluate"]


def evaluate(  # noqa: PLR0913 - one flat call is what users write
    real: CellsOrPath,
    generated: CellsOrPath,
    *,
    reference: CellsOrPath | None = None,
    train: CellsOrPath | None = None,
    truth: CellsOrPath | None = None,
    refitted: CellsOrPath | None = None,
    by: str | None = None,
    donor: str | None = None,
    layer: str | None = None,
    round_counts: bool = False,
    suite: Suite = "quick",
    metrics: Sequence[str] | None = None,
    seed: int = 0,
    n_seeds: int = 3,
    max_cells: int = 5000,
    progress: bool = True,
) -> Report:
    """Evaluate generated cells of any generator against real ones, with a real-vs-real reference and trivial baselines.

    Every metric compares the same held-out real cells, at equal numbers of cells, with generated cells, with other real
    cells (the real-vs-real reference) and with trivial baselines. Genes are chosen and principal components are fitted
    on real cells that are in none of these comparisons: a part of ``reference``.

    Parameters
    ----------
    real
        Held-out real cells with raw counts, which the generator never saw; AnnData, or the path of
        cells in any format that `CellGenerator` reads.
    generated
        Cells to evaluate. Values that cannot be counts are clipped before scoring, and a verdict reports them.
    reference
        More real cells, for the real-vs-real reference and the principal components. Without them the real cells are
        split at random.
    train
        Cells that the generator was fitted to, for the baselines and to find memorised training cells.
    truth, refitted
        A second reference, the parametric bootstrap (see `parametric_bootstrap`): fresh cells of the fitted model, and
        cells of a model that was fitted to as many cells of the first as that was fitted to real ones. The classifiers
        that tell these two apart see what finite training costs by itself; what lies above is what the model gets
        wrong.
    by
        Column of ``obs`` with the cell type, in real and generated cells.
    donor
        Column of ``obs`` with the donor, in real and training cells.
    layer
        Layer with the raw counts, or ``"raw.X"``; when not given ``X``, or the one place that holds counts.
    round_counts
        Round counts of real cells with decimals, as SoupX makes them, to whole ones.
    suite
        ``"quick"`` leaves out slow and redundant metrics; ``"full"`` measures everything.
    metrics
        Names of the metrics to measure, instead of a suite.
    seed
        Seed of splits, subsamples, folds and baselines.
    n_seeds
        Number of draws of the cells, one a seed; values are averaged, intervals include the spread between draws.
    max_cells
        Most cells a side. The quick suite takes 1,000 at most, slow metrics half of that; every table says how many.
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
        The samples share too few genes.
    UnknownNameError
        A column, layer or metric is unknown.
    ConditionError
        No generated label occurs among the real ones.
    SettingError
        ``suite``, ``n_seeds`` or ``max_cells`` is out of range, or only one of ``truth`` and ``refitted`` is given.
    DataFileError
        A path does not lead to readable cells.
    """
    benchmark = Benchmark(
        real,
        reference=reference,
        train=train,
        truth=truth,
        refitted=refitted,
        by=by,
        donor=donor,
        layer=layer,
        round_counts=round_counts,
        suite=suite,
        metrics=metrics,
        seed=seed,
        n_seeds=n_seeds,
        max_cells=max_cells,
        progress=progress,
    )
    return benchmark.score(generated)


class Benchmark:
    """Compare several generators on the same real cells, with the same real-vs-real reference and baselines.

    `score` gives the same report as `evaluate` with the same cells and settings. Real cells are read, split and
    projected, and reference and baselines measured, with the first sample. They are computed again only if a sample has
    other genes or another number of cells than the sample before.

    Parameters
    ----------
    real
        Held-out real cells with raw counts, which no generator saw; AnnData, or the path of
        cells in any format that `CellGenerator` reads.
    reference, train, truth, refitted, by, donor, layer, round_counts
        As for `evaluate`; ``train`` are the cells that all generators were fitted to.
    suite, metrics, seed, n_seeds, max_cells, progress
        As for `evaluate`.

    Raises
    ------
    CountsError
        There are no real cells.
    UnknownNameError
        A metric is unknown.
    SettingError
        ``suite``, ``n_seeds`` or ``max_cells`` is out of range, or only one of ``truth`` and ``refitted`` is given.
    DataFileError
        A path does not lead to readable cells.
    """

    def __init__(  # noqa: PLR0913 - the settings of `evaluate`
        self,
        real: CellsOrPath,
        *,
        reference: CellsOrPath | None = None,
        train: CellsOrPath | None = None,
        truth: CellsOrPath | None = None,
        refitted: CellsOrPath | None = None,
        by: str | None = None,
        donor: str | None = None,
        layer: str | None = None,
        round_counts: bool = False,
        suite: Suite = "quick",
        metrics: Sequence[str] | None = None,
        seed: int = 0,
        n_seeds: int = 3,
        max_cells: int = 5000,
        progress: bool = True,
    ) -> None:
        check_settings(suite, n_seeds, max_cells, seed=seed)
        if (truth is None) != (refitted is None):
            given, lacking = ("truth", "refitted") if refitted is None else ("refitted", "truth")
            msg = f"`{given}` is given without `{lacking}`, expected both: they are compared with each other."
            raise SettingError(msg + f" Pass `{lacking}` too.")
        plan = Plan(
            title="How real are the generated cells?",
            metrics=select_metrics(suite, names=metrics),
            suite=suite,
            seeds=tuple(range(seed, seed + n_seeds)),
            max_cells=max_cells,
            by=by,
            donor=donor,
            layer=layer,
            round_counts=round_counts,
            progress=progress,
            skip_known_baselines=suite == "quick" and metrics is None,
            power_curve=metrics is None,
        )
        samples = {"real": real, "reference": reference, "train": train, "truth": truth, "refitted": refitted}
        self._evaluator = Evaluator({role: cells for role, cells in samples.items() if cells is not None}, plan)

    def score(self, generated: CellsOrPath) -> Report:
        """Score the cells of one generator.

        Parameters
        ----------
        generated
            Cells to evaluate. Values that cannot be counts are clipped before scoring, and a verdict reports them.

        Returns
        -------
        The report: verdicts, scores and figures.

        Raises
        ------
        CountsError
            Real cells hold other values than raw counts, or too few cells are left.
        GenesError
            The samples share too few genes.
        UnknownNameError
            A column or layer is unknown.
        ConditionError
            No generated label occurs among the real ones.
        DataFileError
            A path does not lead to readable cells.
        """
        return self._evaluator.score(generated)

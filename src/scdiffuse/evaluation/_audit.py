"""The privacy audit: whether generated cells reveal training cells or donors."""

from __future__ import annotations

from dataclasses import replace

from scdiffuse.evaluation._evaluator import Evaluator
from scdiffuse.evaluation._plan import Plan, check_settings
from scdiffuse.evaluation._reading import CellsOrPath
from scdiffuse.evaluation._report import Report
from scdiffuse.metrics import select_metrics

__all__ = ["audit"]


def audit(  # noqa: PLR0913 - one flat call is what users write
    train: CellsOrPath,
    held_out: CellsOrPath,
    generated: CellsOrPath,
    *,
    by: str | None = None,
    donor: str | None = None,
    layer: str | None = None,
    seed: int = 0,
    max_cells: int = 5000,
    progress: bool = True,
) -> Report:
    """Audit privacy: test whether generated cells reveal the training cells or their donors (membership inference).

    Parameters
    ----------
    train
        Cells that the generator was fitted to, raw counts; AnnData or path of an ``.h5ad`` file.
    held_out
        Real cells of the same kind that the generator was not fitted to; they give the null and the feature space.
    generated
        The cells to publish.
    by
        Column of ``obs`` with the cell type, to find memorisation of a single type.
    donor
        Column of ``obs`` with the donor, for donor-level membership inference.
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
        The samples share too few genes.
    UnknownNameError
        A column or layer is unknown.
    SettingError
        ``max_cells`` is out of range.
    """
    check_settings("full", 1, max_cells)
    plan = Plan(
        title="Do the generated cells reveal training cells?",
        metrics=tuple(metric for metric in select_metrics("full") if metric.group == "privacy"),
        suite="full",
        seeds=(seed,),
        max_cells=max_cells,
        by=by,
        donor=donor,
        layer=layer,
        progress=progress,
    )
    return replace(Evaluator({"real": held_out, "train": train}, plan).score(generated), drawing=None)

"""Cells as named on the command line: files of any format, where their counts are, and labels in a table."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from scdiffuse._core.errors import ScdiffuseWarning, SettingError

if TYPE_CHECKING:
    import anndata as ad

    from scdiffuse.evaluation import Report
    from scdiffuse.generator import CellGenerator

__all__ = ["ChosenCells", "choose_cells", "evaluate_held_out", "layer_named", "load_cells", "with_labels"]

_FEWEST = 80
"""Cells to evaluate with: half of them stand in for the generated ones, and half of those train the classifiers."""


def layer_named(layer: str | None, *, use_raw: bool) -> str | None:
    """Return the layer that two options name.

    Parameters
    ----------
    layer
        What ``--layer`` gives.
    use_raw
        Whether ``--use-raw`` is given.

    Raises
    ------
    SettingError
        Both are.
    """
    from scdiffuse.cells import RAW

    if use_raw and layer is not None:
        msg = f"`--layer` is {layer!r} and `--use-raw` is given; expected one of them. Leave one out."
        raise SettingError(msg)
    return RAW if use_raw else layer


def load_cells(
    paths: Sequence[Path], *, layer: str | None, round_counts: bool = False, labels: Path | None = None
) -> ad.AnnData:
    """Read cells into memory, with counts in `X`.

    Parameters
    ----------
    paths
        Files and folders of any format.
    layer, round_counts
        As for `scdiffuse.cells.read_cells`.
    labels
        A table with more columns of `obs`, if any.
    """
    from scdiffuse.cells import add_labels, read_cells, read_labels

    adata = read_cells(list(paths), layer=layer, round_counts=round_counts)
    return adata if labels is None else add_labels(adata, read_labels(labels))


def with_labels(
    paths: Mapping[str, Path | None], labels: Path | None, *, layer: str | None, round_counts: bool
) -> dict[str, ad.AnnData | Path]:
    """Add the columns of a table to each of several sets of cells of which it names some.

    Parameters
    ----------
    paths
        Path by purpose; `None` where there is none.
    labels
        The table, if any; without it the cells stay in their files.
    layer, round_counts
        As for `load_cells`.

    Returns
    -------
    Path by purpose, or cells in memory with counts in `X` and in the layer that is named.

    Raises
    ------
    DataFileError
        The table names no cell at all, or one cell twice.
    """
    given = {role: path for role, path in paths.items() if path is not None}
    if labels is None:
        return dict(given)
    from scdiffuse.cells import add_labels, read_labels

    table = read_labels(labels)
    cells = {role: load_cells([path], layer=layer, round_counts=round_counts) for role, path in given.items()}
    named = [role for role, adata in cells.items() if adata.obs_names.isin(table.index).any()]
    for role, adata in cells.items():
        if role in named or not named:
            cells[role] = add_labels(adata, table)
        else:
            msg = f"No cell of `{role}` has a row in the table of labels; these cells keep the columns that they have."
            warnings.warn(msg, ScdiffuseWarning, stacklevel=2)
        if layer is not None:
            cells[role].layers[layer] = cells[role].X
    return dict(cells)


class ChosenCells(NamedTuple):
    """Cells to fit, and cells held out of the fit."""

    fit: ad.AnnData | list[Path]
    held_out: ad.AnnData | None
    layer: str | None
    """Where the counts to fit are."""
    round_counts: bool


def choose_cells(
    paths: list[Path],
    *,
    layer: str | None,
    round_counts: bool,
    labels: Path | None,
    share: float,
    by: Sequence[str] | None,
    seed: int,
) -> ChosenCells:
    """Choose the cells of a fit; those in files stay there unless labels are added or cells are held out.

    Parameters
    ----------
    paths, layer, round_counts, labels
        As for `load_cells`.
    share
        Fraction of cells to hold out.
    by
        Columns whose labels are among the cells held out as they are among the others.
    seed
        Seed of the choice.
    """
    if labels is None and not share:
        return ChosenCells(paths, None, layer, round_counts)
    from scdiffuse.cells import split

    adata = load_cells(paths, layer=layer, round_counts=round_counts, labels=labels)
    if not share:
        return ChosenCells(adata, None, None, round_counts=False)
    parts = split(adata, by=by or None, fractions=(1 - share, 0.0, share), seed=seed)
    if parts.held_out.n_obs < _FEWEST:
        msg = f"`--hold-out` leaves {parts.held_out.n_obs} of {adata.n_obs} cells to evaluate with; expected at least"
        raise SettingError(msg + f" {_FEWEST}. Hold out a larger fraction, or give more cells.")
    return ChosenCells(parts.fit, parts.held_out, None, round_counts=False)


def evaluate_held_out(model: CellGenerator, cells: ChosenCells, *, seed: int, progress: bool) -> Report:
    """Generate as many cells as were held out, under their conditions, and compare the two.

    Parameters
    ----------
    model
        The fitted model; it keeps the scores.
    cells
        Cells of the fit, in memory, and cells held out of it.
    seed
        Seed of the generated cells and of the evaluation.
    progress
        Show bars.
    """
    from scdiffuse.evaluation import evaluate

    train, held_out = cells.fit, cells.held_out
    assert held_out is not None
    assert not isinstance(train, list)
    names = list(model.conditions.names)
    asked = {"where": held_out.obs[names]} if names else {"n_cells": held_out.n_obs}
    generated = model.generate(**asked, seed=seed, progress=progress)
    by = next(iter(model.conditions.categorical), None)
    report = evaluate(held_out, generated, train=train, by=by, seed=seed, progress=progress)
    model.record_scores(report.to_json())
    return report

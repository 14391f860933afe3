"""Reading the cells to compare: AnnData or files, restricted to shared genes, with checks of their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from scdiffuse._core.errors import (
    ConditionError,
    CountsError,
    DataFileError,
    GenesError,
    SettingError,
    UnknownNameError,
    did_you_mean,
)
from scdiffuse._core.random import generator
from scdiffuse.cells import reading, require_whole
from scdiffuse.evaluation._invalid_values import count_invalid_values

__all__ = [
    "ReadSettings",
    "Sample",
    "check_labels",
    "first_columns",
    "label_of",
    "read_rows",
    "read_sample",
    "shared_genes",
]

_MIN_SHARED_GENES = 10
_MIN_SHARED_FRACTION = 0.5
_LARGEST_SINGLE = 1e30  # a number in single precision, such as 0.1, is written as it was meant


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Counts of some cells on the shared genes, with their labels."""

    counts: sparse.csr_matrix
    """Shape ``(N, G)``."""
    labels: NDArray[np.str_] | None = None
    """One label a cell, empty text where missing."""
    donors: NDArray[np.str_] | None = None
    """One donor a cell."""
    notes: tuple[str, ...] = ()
    """Notes on how the cells were read."""

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.counts.shape[0])

    def take(self, rows: NDArray[Any]) -> Sample:
        """Keep some cells, by index or mask."""
        return Sample(
            counts=self.counts[rows],
            labels=None if self.labels is None else self.labels[rows],
            donors=None if self.donors is None else self.donors[rows],
            notes=self.notes,
        )


@dataclass(frozen=True, kw_only=True)
class ReadSettings:
    """How cells are read; the same for every sample of a comparison."""

    limits: Mapping[str, int]
    """Most cells to keep, by role."""
    layer: str | None
    """Layer with the counts of the real cells; generated cells without that layer use ``X``."""
    by: str | None
    """Column of ``obs`` with the cell type."""
    donor: str | None
    """Column of ``obs`` with the donor."""
    seed: int
    """Seed of the choice of cells."""


def read_sample(table: ad.AnnData, *, role: str, genes: NDArray[np.str_], settings: ReadSettings) -> Sample:
    """Read a sample: draw its cells at random up to the limit, and restrict it to the shared genes.

    Parameters
    ----------
    table
        The cells; those with the role ``"generated"`` may hold invalid values, all others have to hold raw counts.
    role
        Purpose of the cells, also named in messages.
    genes
        Names of the shared genes, shape ``(G,)``.
    settings
        How to read.

    Returns
    -------
    The sample with the genes in that order, and notes for the report.

    Raises
    ------
    CountsError
        Counts are missing, or real cells hold other values.
    UnknownNameError
        A column or layer is missing.
    """
    notes: list[str] = []
    rows, limit = np.arange(table.n_obs), settings.limits[role]
    if table.n_obs > limit:
        rows = np.sort(generator(settings.seed, "cells", role).choice(table.n_obs, limit, replace=False))
        notes.append(f"{role}: {limit:,} of {table.n_obs:,} cells, drawn at random.")
    return Sample(
        counts=_counts(table, role=role, layer=settings.layer, rows=rows, genes=genes, notes=notes),
        labels=_column(table, settings.by, role=role, rows=rows, notes=notes),
        donors=_column(table, settings.donor, role=role, rows=rows, notes=notes, optional=True),
        notes=tuple(notes),
    )


def read_rows(
    table: ad.AnnData, rows: NDArray[np.int64], *, role: str, layer: str | None, genes: NDArray[np.str_]
) -> sparse.csr_matrix:
    """Read the counts of some cells on the shared genes.

    Parameters
    ----------
    table
        As for `read_sample`.
    rows
        Cells to read.
    role
        As for `read_sample`.
    layer
        As in `ReadSettings`.
    genes
        As for `read_sample`.

    Returns
    -------
    Counts, shape ``(len(rows), G)``; a copy.

    Raises
    ------
    CountsError
        Counts are missing, or real cells hold other values.
    """
    return _counts(table, role=role, layer=layer, rows=rows, genes=genes, notes=[])


def shared_genes(tables: Mapping[str, ad.AnnData]) -> NDArray[np.str_]:
    """Find the genes that all samples have.

    Parameters
    ----------
    tables
        Cells by role, ``"real"`` and ``"generated"`` or ``"predicted"`` among them.

    Returns
    -------
    Their names in the order of the real cells, shape ``(G,)``.

    Raises
    ------
    GenesError
        Too few genes are shared, or genes occur twice.
    """
    for role, table in tables.items():
        if not table.var_names.is_unique:
            twice = list(table.var_names[table.var_names.duplicated()][:3])
            msg = f"`{role}` names genes twice, such as {twice}, expected unique names. Call `var_names_make_unique()`."
            raise GenesError(msg)
    other = "predicted" if "predicted" in tables else "generated"
    real, generated = tables["real"].var_names, tables[other].var_names
    shared = real
    for table in tables.values():
        shared = shared[shared.isin(table.var_names)]
    if len(shared) < max(_MIN_SHARED_GENES, _MIN_SHARED_FRACTION * min(len(real), len(generated))):
        msg = (
            f"Real and {other} cells share {len(shared):,} genes of {len(real):,} and {len(generated):,}, expected "
            f"at least half of them and {_MIN_SHARED_GENES}. Their names look like {list(real[:2])} and "
            f"{list(generated[:2])}; use the same kind of gene names in both."
        )
        raise GenesError(msg)
    return np.asarray(shared, dtype=str)


def first_columns(names: pd.Index[str], genes: pd.Index[str]) -> NDArray[np.int64]:
    """Find the columns of genes, of a repeated name the first; -1 where there is none."""
    first = np.flatnonzero(~names.duplicated())
    found = names[first].get_indexer(genes)
    return np.where(found >= 0, first[found], -1)


def _counts(
    table: ad.AnnData,
    *,
    role: str,
    layer: str | None,
    rows: NDArray[np.int64],
    genes: NDArray[np.str_],
    notes: list[str],
) -> sparse.csr_matrix:
    if layer is not None and layer not in table.layers and role != "generated":
        msg = f"`layer` {layer!r} is not a layer of `{role}`; expected one of {list(table.layers)}."
        raise UnknownNameError(msg + did_you_mean(layer, table.layers))
    with reading(_name_of(table, role)):
        matrix = table.layers[layer] if layer is not None and layer in table.layers else table.X
    if matrix is None:
        msg = f"`{role}` has no `X`, expected raw counts there. Name the layer that holds them with `layer`."
        raise CountsError(msg)
    with reading(_name_of(table, role)):
        if np.dtype(matrix.dtype).kind not in "biuf":
            msg = f"{_name_of(table, role)} holds {matrix.dtype} values, expected counts. Convert them first."
            raise CountsError(msg)
        if getattr(matrix, "format", None) == "csc" and hasattr(matrix, "to_memory"):
            matrix = matrix.to_memory()  # rows of a stored one are taken from the whole, and unchecked
        if sparse.issparse(matrix):
            require_whole(matrix, name=_name_of(table, role))
        chosen = matrix[rows] if rows.size < table.n_obs or table.isbacked else matrix
        counts = sparse.csr_matrix(chosen, dtype=np.float32)
        counts.check_format()
    if counts.shape != (rows.size, table.n_vars):
        msg = f"{_name_of(table, role)} has {counts.shape} counts for {rows.size:,} cells and {table.n_vars:,} genes;"
        raise DataFileError(msg + " expected one row a cell and one column a gene. Write the file again.")
    columns = table.var_names.get_indexer(pd.Index(genes))
    if columns.size != table.n_vars or (columns != np.arange(columns.size)).any():
        total = float(np.abs(counts.data).sum())
        counts = sparse.csr_matrix(counts[:, columns])
        if columns.size < table.n_vars:
            dropped = 1 - float(np.abs(counts.data).sum()) / max(total, 1.0)
            missing = table.n_vars - columns.size
            notes.append(f"{role}: {missing:,} genes ({dropped:.1%} of the counts) are not in every sample: left out.")
    if chosen is matrix and not counts.has_canonical_format:
        counts = counts.copy()  # it may share its arrays with the cells of the user
    counts.sum_duplicates()
    invalid = count_invalid_values(counts)
    if role != "generated" and invalid.cell_fraction:
        layers = ", ".join(repr(name) for name in table.layers) or "none"
        msg = (
            f"`{role}` holds values that are negative, fractional or not finite in {invalid.cell_fraction:.0%} of its "
            f"cells, expected raw counts. Name the layer that holds them with `layer` (layers here: {layers})."
        )
        raise CountsError(msg)
    return counts


def _name_of(table: ad.AnnData, role: str) -> str:
    """Name cells in a message: their purpose, and their file if they have one."""
    return f"`{role}`" + (f" {str(table.filename)!r}" if table.filename else "")


def _column(
    table: ad.AnnData,
    key: object,
    *,
    role: str,
    rows: NDArray[np.int64],
    notes: list[str],
    optional: bool = False,
) -> NDArray[np.str_] | None:
    if key is None:
        return None
    if not isinstance(key, str):
        msg = f"`by` or `donor` is {key!r}; expected the name of one column of `obs`. Join several into one column."
        raise SettingError(msg)
    if key not in table.obs:
        if role == "real":
            known = list(table.obs.columns)
            msg = f"{key!r} is not a column of the real cells' `obs`; expected one of {known}."
            raise UnknownNameError(msg + did_you_mean(key, known))
        if role != "generated" or not optional:
            notes.append(f"{role}: no column {key!r} in `obs`, so metrics that need it are not scored.")
        return None
    return np.array([label_of(value) for value in table.obs[key].iloc[rows].astype(object)], dtype=str)


def label_of(value: object) -> str:
    """Write a label; numbers without needless digits, so that 3 and 3.0 are one; empty text where missing."""
    if pd.isna(value):  # type: ignore[call-overload]
        return ""
    if not isinstance(value, float | np.floating):
        return str(value)
    number = float(value)
    is_single = not number.is_integer() and abs(number) < _LARGEST_SINGLE and float(np.float32(number)) == number
    return np.format_float_positional(np.float32(number) if is_single else number, trim="-")


def check_labels(real: NDArray[np.str_] | None, generated: NDArray[np.str_] | None, *, by: str | None) -> None:
    """Refuse generated labels of which none occurs among the real cells.

    Parameters
    ----------
    real, generated
        Labels of the samples, one a cell.
    by
        Column that the labels are from.

    Raises
    ------
    ConditionError
        No label of the generated cells occurs among the real ones.
    """
    if real is None or generated is None or np.intersect1d(real[real != ""], generated).size:
        return
    msg = (
        f"No label in `obs[{by!r}]` of the generated cells, such as {str(generated[0])!r}, occurs among the real ones, "
        f"such as {str(real[0])!r}, expected the same names. Rename the generated labels, or leave `by` out."
    )
    raise ConditionError(msg)

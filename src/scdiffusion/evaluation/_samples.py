"""Reading the cells to compare: any AnnData or file, brought to the same genes, with what is wrong with them said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from scdiffusion._core.errors import (
    ConditionError,
    CountsError,
    DataFileError,
    GenesError,
    UnknownNameError,
    did_you_mean,
)

__all__ = ["Cells", "Faults", "Sample", "Shared", "find_faults", "read_samples"]

Cells: TypeAlias = ad.AnnData | str | Path
_MIN_SHARED_GENES = 10
_MIN_SHARED_PART = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Counts of some cells on the shared genes, with their labels."""

    counts: sparse.csr_matrix
    """Shape ``(N, G)``."""
    labels: NDArray[np.str_] | None = None
    """One a cell, empty text where missing."""
    donors: NDArray[np.str_] | None = None
    """One a cell."""

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
        )


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Values that no count matrix can hold, by the number of cells that have any."""

    negative: int
    fractional: int
    infinite: int
    empty: int
    n_cells: int
    values: float = 0.0
    """Share of the stored values."""

    @property
    def share(self) -> float:
        """Share of cells with at least a kind of fault, from the commonest kind."""
        return max(self.negative, self.fractional, self.infinite) / max(self.n_cells, 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Shared:
    """Samples on the genes that all of them have."""

    genes: NDArray[np.str_]
    samples: dict[str, Sample]
    faults: Faults
    notes: tuple[str, ...]


def read_samples(
    cells: Mapping[str, Cells],
    *,
    limits: Mapping[str, int],
    layer: str | None,
    obs: Mapping[str, str | None],
    seed: int,
) -> Shared:
    """Read every sample, limit its cells at random, and bring all to the genes they share.

    Parameters
    ----------
    cells
        AnnData or paths by role; ``"generated"`` may hold bad values, all other roles have to hold raw counts.
    limits
        Most cells to keep, by role.
    layer
        Layer with the counts of the real cells; the generated ones use it too where they have it, else ``X``.
    obs
        Columns for ``"by"`` and ``"donor"``, or ``None``.
    seed
        Seed of the choice of cells.

    Returns
    -------
    The samples, on the genes of the first one in their order, and remarks for the report.

    Raises
    ------
    DataFileError
        A path does not lead to a readable `.h5ad` file.
    CountsError
        Real cells are missing or hold other values than counts.
    GenesError
        The genes do not fit, or occur twice.
    UnknownNameError
        A column or layer is not there.
    ConditionError
        No label of the generated cells occurs among the real ones.
    """
    stream = np.random.default_rng([seed, 1])
    notes: list[str] = []
    tables = {role: _open(one, role) for role, one in cells.items()}
    genes = _shared_genes(tables)
    samples: dict[str, Sample] = {}
    for role, table in tables.items():
        rows = np.arange(table.n_obs)
        if table.n_obs > limits[role]:
            rows = np.sort(stream.choice(table.n_obs, limits[role], replace=False))
            notes.append(f"{role}: {limits[role]:,} of {table.n_obs:,} cells, drawn at random.")
        samples[role] = Sample(
            counts=_counts(table, role=role, layer=layer, rows=rows, genes=genes, notes=notes),
            labels=_column(table, obs.get("by"), role=role, rows=rows, notes=notes),
            donors=_column(table, obs.get("donor"), role=role, rows=rows, notes=notes, optional=True),
        )
    faults = find_faults(samples["generated"].counts)
    samples["generated"] = replace(samples["generated"], counts=_as_scored(samples["generated"].counts))
    _check_labels(samples, obs.get("by"))
    return Shared(genes=genes, samples=samples, faults=faults, notes=tuple(notes))


def find_faults(counts: sparse.csr_matrix) -> Faults:
    """Count the cells with values that are negative, fractional or not finite, and those without any count.

    Parameters
    ----------
    counts
        Any matrix of cells by genes, shape ``(N, G)``.

    Returns
    -------
    Number of cells for each fault.
    """
    stored = counts.data
    finite = np.isfinite(stored)
    whole = np.where(finite, stored, 0)

    def cells(bad: NDArray[np.bool_]) -> int:
        marks = sparse.csr_matrix((bad.astype(np.int32), counts.indices, counts.indptr), shape=counts.shape)
        return int((np.asarray(marks.sum(axis=1)).ravel() > 0).sum())

    return Faults(
        negative=cells(whole < 0),
        fractional=cells(whole != np.rint(whole)),
        infinite=cells(~finite),
        empty=int((np.asarray(abs(counts).sum(axis=1)).ravel() == 0).sum()),
        n_cells=int(counts.shape[0]),
        values=float(((whole < 0) | (whole != np.rint(whole)) | ~finite).mean()) if stored.size else 0.0,
    )


def _as_scored(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Make bad values scorable, negative and not finite ones as zero; the verdict on the counts tells of them."""
    repaired = counts.copy()
    repaired.data = np.maximum(np.nan_to_num(repaired.data, nan=0.0, posinf=0.0, neginf=0.0), 0)
    repaired.eliminate_zeros()
    return repaired


def _open(cells: Cells, role: str) -> ad.AnnData:
    if isinstance(cells, ad.AnnData):
        table = cells
    else:
        try:
            table = ad.read_h5ad(cells, backed="r")
        except (OSError, KeyError, ValueError) as error:
            msg = f"`{role}` {str(cells)!r} cannot be read, expected an `.h5ad` file. Check the path; it said: {error}."
            raise DataFileError(msg) from error
    if not table.n_obs:
        msg = f"`{role}` holds no cells, expected at least one. Check the file, or the mask that chose its cells."
        raise CountsError(msg)
    return table


def _shared_genes(tables: Mapping[str, ad.AnnData]) -> NDArray[np.str_]:
    for role, table in tables.items():
        if not table.var_names.is_unique:
            twice = list(table.var_names[table.var_names.duplicated()][:3])
            msg = f"`{role}` names genes twice, such as {twice}, expected unique names. Call `var_names_make_unique()`."
            raise GenesError(msg)
    real, made = tables["real"].var_names, tables["generated"].var_names
    shared = real
    for table in tables.values():
        shared = shared[shared.isin(table.var_names)]
    if len(shared) < max(_MIN_SHARED_GENES, _MIN_SHARED_PART * min(len(real), len(made))):
        msg = (
            f"Real and generated cells share {len(shared):,} genes of {len(real):,} and {len(made):,}, expected at "
            f"least half. Their names look like {list(real[:2])} and {list(made[:2])}; bring both to one kind of name."
        )
        raise GenesError(msg)
    return np.asarray(shared, dtype=str)


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
    matrix = table.layers[layer] if layer is not None and layer in table.layers else table.X
    if matrix is None:
        msg = f"`{role}` has no `X`, expected raw counts there. Name the layer that holds them with `layer`."
        raise CountsError(msg)
    chosen = matrix[rows] if rows.size < table.n_obs or table.isbacked else matrix
    counts = sparse.csr_matrix(chosen, dtype=np.float32)
    columns = table.var_names.get_indexer(pd.Index(genes))
    if columns.size != table.n_vars or (columns != np.arange(columns.size)).any():
        total = float(np.abs(counts.data).sum())
        counts = sparse.csr_matrix(counts[:, columns])
        if columns.size < table.n_vars:
            left = 1 - float(np.abs(counts.data).sum()) / max(total, 1.0)
            missing = table.n_vars - columns.size
            notes.append(f"{role}: {missing:,} genes ({left:.1%} of the counts) are not in every sample: left out.")
    counts.sum_duplicates()
    faults = find_faults(counts)
    if role != "generated" and faults.share:
        layers = ", ".join(repr(name) for name in table.layers) or "none"
        msg = (
            f"`{role}` holds values that are negative, fractional or not finite in {faults.share:.0%} of its cells, "
            f"expected raw counts. Name the layer that holds them with `layer` (layers here: {layers})."
        )
        raise CountsError(msg)
    return counts


def _column(
    table: ad.AnnData,
    key: str | None,
    *,
    role: str,
    rows: NDArray[np.int64],
    notes: list[str],
    optional: bool = False,
) -> NDArray[np.str_] | None:
    if key is None:
        return None
    if key not in table.obs:
        if role == "real":
            known = list(table.obs.columns)
            msg = f"{key!r} is not a column of the real cells' `obs`; expected one of {known}."
            raise UnknownNameError(msg + did_you_mean(key, known))
        if role != "generated" or not optional:
            notes.append(f"{role}: no column {key!r} in `obs`, so nothing that needs it could be scored.")
        return None
    column = table.obs[key].iloc[rows].astype(object)
    return np.asarray(column.where(column.notna(), "").astype(str), dtype=str)


def _check_labels(samples: Mapping[str, Sample], by: str | None) -> None:
    real, made = samples["real"].labels, samples["generated"].labels
    if real is None or made is None or np.intersect1d(real[real != ""], made).size:
        return
    msg = (
        f"No label in `obs[{by!r}]` of the generated cells, such as {str(made[0])!r}, occurs among the real ones, "
        f"such as {str(real[0])!r}, expected the same names. Rename the generated labels, or leave `by` out."
    )
    raise ConditionError(msg)

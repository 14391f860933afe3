"""Cells by condition: a perturbation, in a cell type where there are several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from scdiffuse._core.errors import ConditionError, CountsError, SettingError, UnknownNameError, did_you_mean
from scdiffuse.evaluation._reading import label_of, read_rows
from scdiffuse.metrics import count_hashes, log_normalise
from scdiffuse.metrics._feature_matrices import Array

__all__ = [
    "Condition",
    "ConditionCells",
    "Expression",
    "Keys",
    "as_in_column",
    "read_cells",
    "read_means",
    "unlabelled_notes",
]

Expression: TypeAlias = Literal["log1p", "counts"]


class Condition(NamedTuple):
    """A perturbation of a cell type."""

    cell_type: str
    """Empty where cell types are not distinguished."""
    perturbation: str

    def __str__(self) -> str:
        """Name both."""
        return f"{self.cell_type}, {self.perturbation}" if self.cell_type else self.perturbation


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Where the conditions of cells are."""

    perturbation: str
    """Column of ``obs``."""
    control: str
    """Its label of the cells without a perturbation."""
    cell_type: str | None
    layer: str | None

    def control_of(self, condition: Condition) -> Condition:
        """Return the condition of the control cells."""
        return Condition(condition.cell_type, self.control)

    def read(self, table: ad.AnnData, role: str) -> tuple[Array, Array]:
        """Read cell type and perturbation of each cell, shape ``(N,)`` each; empty text where missing."""
        perturbations = _labels(table, self.perturbation, role=role, argument="perturbation_key")
        if self.cell_type is None:
            return np.full(table.n_obs, "", dtype=object), perturbations
        return _labels(table, self.cell_type, role=role, argument="cell_type_key"), perturbations


def _labels(table: ad.AnnData, key: str, *, role: str, argument: str) -> Array:
    if key not in table.obs:
        known = list(table.obs.columns)
        msg = f"`{argument}` {key!r} is not a column of the `obs` of `{role}`; expected one of {known}."
        raise UnknownNameError(msg + did_you_mean(key, known))
    column = table.obs[key].astype(object)
    return np.array([label_of(value) for value in column], dtype=object)


@dataclass(frozen=True, kw_only=True, eq=False)
class ConditionCells:
    """Expression of cells, by condition."""

    expression: sparse.csr_matrix
    """Shape ``(N, G)``."""
    counts: sparse.csr_matrix | None
    """Raw counts, shape ``(N, G)``; none where only expression is known."""
    totals: Array
    """Library size over the shared genes, shape ``(N,)``."""
    rows: dict[Condition, NDArray[np.int64]]
    """Cells of each condition."""
    _means: dict[Condition, Array] = field(default_factory=dict)

    def __contains__(self, condition: object) -> bool:
        """Whether there are such cells."""
        return condition in self.rows

    @cached_property
    def conditions(self) -> list[Condition]:
        """All conditions, in order of their names."""
        return sorted(self.rows)

    def mean(self, condition: Condition) -> Array:
        """Average the expression of a condition, shape ``(G,)``."""
        if condition not in self._means:
            mean = self.expression[self.rows[condition]].mean(axis=0, dtype=np.float64)
            self._means[condition] = np.asarray(mean).ravel()
        return self._means[condition]

    def n_cells(self, condition: Condition) -> int:
        """Count the cells of a condition; 0 where there are none."""
        return len(self.rows.get(condition, ()))

    def dense(self, rows: NDArray[np.int64]) -> Array:
        """Return the expression of some cells, shape ``(n, G)``."""
        return np.asarray(self.expression[rows].toarray())

    def draw(self, condition: Condition, n: int, stream: np.random.Generator) -> NDArray[np.int64]:
        """Draw cells of a condition, none twice before all are used."""
        members = self.rows[condition]
        rounds = -(-n // members.size)
        return np.concatenate([stream.permutation(members) for _ in range(rounds)])[:n]

    def without(self, conditions: set[Condition]) -> ConditionCells:
        """Leave out conditions."""
        rows = {one: at for one, at in self.rows.items() if one not in conditions}
        return ConditionCells(expression=self.expression, counts=self.counts, totals=self.totals, rows=rows)

    def at_genes(self, genes: NDArray[np.int64]) -> ConditionCells:
        """Keep some genes."""
        counts = None if self.counts is None else sparse.csr_matrix(self.counts[:, genes])
        return ConditionCells(
            expression=sparse.csr_matrix(self.expression[:, genes]), counts=counts, totals=self.totals, rows=self.rows
        )


def read_cells(
    table: ad.AnnData,
    *,
    role: str,
    keys: Keys,
    genes: Array,
    expression: Expression,
    values: Expression = "counts",
) -> ConditionCells:
    """Read cells on the shared genes, and normalise them.

    Parameters
    ----------
    table
        The cells.
    role
        The argument that gave them, for messages.
    keys
        Where their conditions are.
    genes
        Names of the shared genes.
    expression
        What to compare: ``"log1p"`` of counts per 10,000, or the counts.
    values
        What the matrix holds; ``"log1p"`` is taken as it is.

    Raises
    ------
    CountsError
        The values are not what they should be.
    SettingError
        Counts are to be compared, and the values are none.
    """
    types, perturbations = keys.read(table, role)
    rows = _rows_by_condition(types, perturbations, typed=keys.cell_type is not None)
    if not rows:
        msg = f"No cell of `{role}` has a label in `{keys.perturbation}`, expected perturbations and the control there."
        raise ConditionError(msg + " Check the column.")
    chosen = np.sort(np.concatenate(list(rows.values())))
    rows = {one: np.searchsorted(chosen, at) for one, at in rows.items()}
    layer = keys.layer if role != "predicted" or keys.layer in table.layers else None
    if values == "log1p":
        if expression != "log1p":
            msg = "`predicted_values` is 'log1p' and `expression` 'counts'; expected counts to compare counts with."
            raise SettingError(msg + " Compare `expression='log1p'`.")
        held = _logs(table, chosen, genes=genes, role=role)
        return ConditionCells(
            expression=held, counts=None, totals=np.full(chosen.size, np.nan), rows=_in_own_order(rows, held)
        )
    try:
        counts = read_rows(table, chosen, role=role, layer=layer, genes=genes)
    except CountsError as error:
        if role == "predicted":
            msg = f"{error} For log-normalised predictions pass `predicted_values='log1p'`."
            raise CountsError(msg) from None
        raise
    held = log_normalise(counts) if expression == "log1p" else counts
    totals = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()
    return ConditionCells(expression=held, counts=counts, totals=totals, rows=_in_own_order(rows, counts))


def _in_own_order(
    rows: dict[Condition, NDArray[np.int64]], values: sparse.csr_matrix
) -> dict[Condition, NDArray[np.int64]]:
    """Order cells by what they express, so that draws of them do not depend on the order of a file."""
    hashes = count_hashes(values)
    return {one: at[np.argsort(hashes[at], kind="stable")] for one, at in rows.items()}


def as_in_column(control: object, column: object) -> str:
    """Write the control as its column does, where ``"0.0"`` is typed for the number 0."""
    if isinstance(control, str) and isinstance(column, pd.Series) and pd.api.types.is_numeric_dtype(column):
        number = pd.to_numeric(control, errors="coerce")
        return control if pd.isna(number) else label_of(float(number))
    return label_of(control)


def unlabelled_notes(tables: Mapping[str, ad.AnnData], keys: Keys) -> Iterator[str]:
    """Say how many cells have no cell type, which are left out."""
    for role, table in tables.items():
        n = 0 if keys.cell_type is None else int(table.obs[keys.cell_type].isna().sum())
        if n:
            yield f"{n:,} cells of `{role}` have no {keys.cell_type!r} and are left out."


def _rows_by_condition(types: Array, perturbations: Array, *, typed: bool) -> dict[Condition, NDArray[np.int64]]:
    found: dict[Condition, list[int]] = {}
    for at, (one, other) in enumerate(zip(types, perturbations, strict=True)):
        if other and (one or not typed):
            found.setdefault(Condition(one, other), []).append(at)
    return {one: np.array(rows, dtype=np.int64) for one, rows in sorted(found.items())}


def _logs(table: ad.AnnData, rows: NDArray[np.int64], *, genes: Array, role: str) -> sparse.csr_matrix:
    """Read log expression, which may be negative by a model's error but is finite."""
    if table.X is None:
        msg = f"`{role}` has no `X`, expected log expression there."
        raise CountsError(msg)
    columns = table.var_names.get_indexer(pd.Index(genes))
    held = sparse.csr_matrix(table.X[rows])[:, columns].astype(np.float32)
    if not np.isfinite(held.data).all():
        msg = f"`{role}` holds values that are not finite, expected log expression. Check how they were made."
        raise CountsError(msg)
    return sparse.csr_matrix(held)


def read_means(table: pd.DataFrame, *, keys: Keys, genes: Array) -> dict[Condition, Array]:
    """Read predicted means: a row a perturbation, a column a gene.

    Parameters
    ----------
    table
        Mean expression; the index names the perturbation, or cell type and perturbation.
    keys
        Where conditions are, in the real cells.
    genes
        Names of the shared genes.

    Returns
    -------
    Mean expression by condition, shape ``(G,)`` each.

    Raises
    ------
    ConditionError
        The index does not name one condition a row.
    CountsError
        A value is not a finite number.
    """
    levels = 1 if keys.cell_type is None else 2
    if table.index.nlevels != levels or not table.index.is_unique:
        what = "the perturbation" if levels == 1 else "cell type and perturbation (two levels)"
        msg = f"The index of `predicted` has {table.index.nlevels} levels and {len(table)} rows; expected {what}, once"
        raise ConditionError(msg + " each. Call `set_index`.")
    values = table.loc[:, list(genes)].to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        msg = "`predicted` holds values that are not finite numbers, expected mean expression. Fill or drop them."
        raise CountsError(msg)
    names = [one if isinstance(one, tuple) else ("", one) for one in table.index]
    return {Condition(label_of(one), label_of(other)): row for (one, other), row in zip(names, values, strict=True)}

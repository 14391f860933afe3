"""Cells by condition: a perturbation, in a cell type where there are several."""

from __future__ import annotations

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
    "Predicted",
    "as_number",
    "holds_numbers",
    "read_cells",
    "read_means",
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
    numeric: frozenset[str] = frozenset()
    """Columns that hold numbers in the real cells; text in other samples is read as numbers there."""

    def control_of(self, condition: Condition) -> Condition:
        """Return the condition of the control cells."""
        return Condition(condition.cell_type, self.control)

    def read(self, table: ad.AnnData, role: str) -> tuple[Array, Array]:
        """Read cell type and perturbation of each cell, shape ``(N,)`` each; empty text where missing."""
        perturbations = self._column(table, self.perturbation, role=role, argument="perturbation_key")
        if self.cell_type is None:
            return np.full(table.n_obs, "", dtype=object), perturbations
        return self._column(table, self.cell_type, role=role, argument="cell_type_key"), perturbations

    def label(self, value: object, key: str) -> str:
        """Write a label as the real cells have it in a column."""
        return as_number(label_of(value)) if key in self.numeric else label_of(value)

    def _column(self, table: ad.AnnData, key: str, *, role: str, argument: str) -> Array:
        if key not in table.obs:
            known = list(table.obs.columns)
            msg = f"`{argument}` {key!r} is not a column of the `obs` of `{role}`; expected one of {known}."
            raise UnknownNameError(msg + did_you_mean(key, known))
        codes, values = pd.factorize(table.obs[key])  # missing is -1, the last one
        return np.array([*(self.label(value, key) for value in values), ""], dtype=object)[codes]


def holds_numbers(column: object) -> bool:
    """Whether a column holds numbers, in categories or not."""
    if not isinstance(column, pd.Series):
        return False
    dtype = column.dtype.categories.dtype if isinstance(column.dtype, pd.CategoricalDtype) else column.dtype
    return bool(pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype))


def as_number(label: str) -> str:
    """Write text that says a number as the label of the number: ``"005"`` and ``"5.0"`` are 5."""
    try:
        return str(int(label))  # whole numbers may have more digits than a float holds
    except ValueError:
        pass
    try:
        number = float(label)
    except ValueError:
        return label
    return label_of(number) if np.isfinite(number) else label


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


Predicted: TypeAlias = ConditionCells | dict[Condition, Array]
"""What was predicted: cells, or their mean expression by condition."""


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
    named = table.set_axis([str(name) for name in table.columns], axis=1)[list(genes)]
    try:
        values = named.to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        values = named.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        where = f"in row {table.index[row]!r} for gene {str(genes[column])!r}"
        msg = f"`predicted` holds {str(named.iat[row, column])!r} {where};"
        raise CountsError(msg + " expected finite numbers, mean expression. Fill or drop what is not.")
    means: dict[Condition, Array] = {}
    for index, row in zip(table.index, values, strict=True):
        one, other = index if isinstance(index, tuple) else ("", index)
        kind = "" if keys.cell_type is None else keys.label(one, keys.cell_type)
        name = Condition(kind, keys.label(other, keys.perturbation))
        if name in means or "" in name[2 - levels :]:
            msg = f"The index of `predicted` names {index!r} twice or not at all; expected one name for each row."
            raise ConditionError(msg + " Write it, and each once.")
        means[name] = row
    return means

"""Conditions of each generated cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import ConditionError, SettingError
from scdiffuse._core.random import cell_uniforms
from scdiffuse.cells._condition_table import ConditionTable
from scdiffuse.cells._conditions import Conditions

__all__ = ["ConditionPlan", "plan_conditions"]

_MOST_CELLS = 1_000_000_000  # of one call, some terabytes of counts
_NEAR = 0.1  # training standard deviations within which a training cell matches a requested number


class _Pool:
    """Training rows that match the labels of a request, ready to be searched for its numbers.

    Parameters
    ----------
    training
        Distinct rows of the training cells.
    codes
        The labels; an open or hidden one matches all. Labels that no row has together match all rows.
    columns
        The continuous conditions that requests give numbers of.
    """

    def __init__(self, training: ConditionTable, codes: NDArray[np.int64], columns: NDArray[np.intp]) -> None:
        rows = np.flatnonzero(((codes < 0) | (training.codes == codes)).all(axis=1))
        self._is_seen = bool(rows.size)
        self.rows = rows if self._is_seen else np.arange(len(training))
        self._values = training.values
        self._orders = {int(at): np.argsort(training.values[self.rows, at]) for at in columns}
        self._ascending = {
            at: training.values[self.rows[order], at].astype(np.float64) for at, order in self._orders.items()
        }

    def near(self, values: NDArray[np.float32]) -> NDArray[np.intp]:
        """Find the rows that are near the numbers of a request, or nearest; an open or hidden number matches all."""
        requested = np.flatnonzero(~np.isnan(values))
        if not requested.size or not self._is_seen:
            return self.rows
        at = int(requested[0])
        ends = float(values[at]) + 1.1 * _NEAR * np.array([-1.0, 1.0])  # a little more, as differences are rounded
        begin, end = np.searchsorted(self._ascending[at], ends)
        rows = np.sort(self.rows[self._orders[at][begin:end]])
        far = self._distances(rows, values, requested)
        if not (far <= _NEAR).any():
            rows = self.rows
            far = self._distances(rows, values, requested)
        if np.isnan(far).all():
            return rows
        near: NDArray[np.intp] = rows[far <= max(_NEAR, float(np.nanmin(far)) + 1e-6)]
        return near

    def _distances(
        self, rows: NDArray[np.intp], values: NDArray[np.float32], requested: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        distances: NDArray[np.float32] = np.abs(self._values[rows][:, requested] - values[requested]).max(axis=1)
        return distances


@dataclass(frozen=True, kw_only=True, eq=False)
class ConditionPlan:
    """Conditions of cells to generate, computed for any subset of the cells."""

    n_cells: int
    """Number of cells."""
    seed: int
    requests: ConditionTable
    """Requested conditions, one row for each request with its number of cells."""
    drawn_codes: NDArray[np.bool_]
    """Categorical conditions that the request leaves open, shape ``(C_categorical,)``."""
    drawn_values: NDArray[np.bool_]
    """Continuous conditions that the request leaves open, shape ``(C_continuous,)``."""
    training: ConditionTable
    """Distinct rows of the training cells, from which open conditions are drawn."""
    pools: tuple[_Pool, ...]
    """Rows of `training` that match the labels of a request."""
    pool_of_request: NDArray[np.intp]
    """Position in `pools` for each request."""
    same_as: NDArray[np.intp]
    """The first request with the same conditions, for each request."""

    def table(self, cells: NDArray[np.integer]) -> ConditionTable:
        """Return the conditions of some cells.

        Parameters
        ----------
        cells
            Cell indices from 0 to ``n_cells - 1``, shape ``(B,)``.

        Returns
        -------
        One row for each cell, which depends on its index, the seed and the request, not on `n_cells`.
        """
        request = self.request_of(cells)
        table = self.requests.take(request)
        if not (self.drawn_codes.any() or self.drawn_values.any()):
            return ConditionTable(table.codes, table.values)
        drawn = self.training.take(self._draw(np.asarray(cells), self.same_as[request]))
        return ConditionTable(
            np.where(self.drawn_codes, drawn.codes, table.codes),
            np.where(self.drawn_values, drawn.values, table.values),
        )

    def request_of(self, cells: NDArray[np.integer]) -> NDArray[np.intp]:
        """Return the request that each cell belongs to, shape ``(B,)``."""
        return np.searchsorted(np.cumsum(self.requests.counts), cells, side="right")

    def _draw(self, cells: NDArray[np.integer], request_of_cell: NDArray[np.intp]) -> NDArray[np.intp]:
        """Draw a training row for each cell, with the frequencies of the training cells."""
        uniforms = cell_uniforms(self.seed, "conditions", cells)
        rows = np.empty(len(cells), dtype=np.intp)
        order = np.argsort(request_of_cell, kind="stable")
        requests, begins = np.unique(request_of_cell[order], return_index=True)
        for request, mine in zip(requests, np.split(order, begins[1:]), strict=False):
            pool = self.pools[self.pool_of_request[request]].near(self.requests.values[request])
            ends = np.cumsum(self.training.counts[pool])
            rows[mine] = pool[np.searchsorted(ends, uniforms[mine] * ends[-1], side="right")]
        return rows


def plan_conditions(
    conditions: Conditions,
    training: ConditionTable,
    *,
    n_cells: int | None = None,
    where: Mapping[str, Any] | pd.DataFrame | None = None,
    seed: int = 0,
    argument: str = "where",
) -> ConditionPlan:
    """Decide the conditions of all cells to generate.

    Conditions that `where` leaves open are drawn together from training cells that have the requested labels and
    numbers within a tenth of a training standard deviation (or the nearest ones). For an out-of-distribution
    combination of labels, they are drawn from all training cells.

    Parameters
    ----------
    conditions
        Conditions of the model.
    training
        Conditions of the training cells.
    n_cells
        Number of cells; may be left out when `where` is a table.
    where
        Names with one label or number each; ``None`` hides the condition from the model. Or a table with conditions as
        columns: one row a cell, or rows with a column ``n_cells``. `None` follows the
        training proportions.
    seed
        Seed of the draw.
    argument
        What the user calls `where`, for messages; a table is offered as `where` alone.

    Returns
    -------
    The plan.

    Raises
    ------
    UnknownNameError
        `where` names a condition or label that was not trained.
    ConditionError
        Text is given for a number, several labels for one name, or two columns of a table have one name.
    SettingError
        `where` is neither a mapping nor a table, or the number of cells is missing, not positive, or contradicts the
        table.
    """
    training = training.distinct()
    frame = _frame(where, conditions, argument=argument)
    given = [name for name in frame.columns if name != "n_cells" or name in conditions.names]
    for name in given:
        conditions.require(str(name))
    counts = _cell_numbers(frame, n_cells, conditions, is_table=isinstance(where, pd.DataFrame))
    encoded = conditions.encode(frame[given], partial=True)
    drawn_codes = np.array([name not in given for name in conditions.categorical], dtype=bool)
    drawn_values = np.array([name not in given for name in conditions.continuous], dtype=bool)
    pools: tuple[_Pool, ...] = ()
    pool_of_request = same_as = np.zeros(len(frame), dtype=np.intp)
    if drawn_codes.any() or drawn_values.any():
        keys = np.concatenate([encoded.codes, np.nan_to_num(encoded.values, nan=np.inf)], axis=1)
        _, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        same_as = first[which.ravel()]
        labels, which = np.unique(encoded.codes, axis=0, return_inverse=True)
        pool_of_request = which.ravel()
        pools = tuple(_Pool(training, codes, np.flatnonzero(~drawn_values)) for codes in labels)
    return ConditionPlan(
        n_cells=int(counts.sum()),
        seed=seed,
        requests=ConditionTable(encoded.codes, encoded.values, counts),
        drawn_codes=drawn_codes,
        drawn_values=drawn_values,
        training=training,
        pools=pools,
        pool_of_request=pool_of_request,
        same_as=same_as,
    )


def _frame(where: object, conditions: Conditions, *, argument: str) -> pd.DataFrame:
    """Turn a request into a table; a mapping is a table of one row."""
    if isinstance(where, pd.DataFrame):
        if where.empty:
            msg = f"The table `where` has {len(where)} rows and {where.shape[1]} columns; expected at least one each."
            raise SettingError(msg + " Leave `where` out to follow the training proportions.")
        twice = where.columns[where.columns.duplicated()]
        if len(twice):
            msg = f"The table `where` has several columns {twice[0]!r}; expected one. Rename or drop the others."
            raise ConditionError(msg)
        return where.reset_index(drop=True)
    if where is not None and not isinstance(where, Mapping):
        msg = f"`{argument}` is of type {type(where).__name__}; expected a mapping such as {{'cell_type': 'B'}}, or a"
        raise SettingError(msg + " table. Pass one of these; of a row of a table, `row.to_dict()`.")
    columns: dict[str, list[Any]] = {}
    for name, value in (where or {}).items():
        conditions.require(name)
        if pd.api.types.is_list_like(value):
            msg = f"`{argument}` gives {name!r} {len(list(value))} values; expected one label or number, or None."
            do = (
                "a table with one row a cell, or rows with a column `n_cells`" if argument == "where" else "one of them"
            )
            raise ConditionError(msg + f" Pass {do}.")
        columns[name] = [value.item() if isinstance(value, np.ndarray) else value]
    return pd.DataFrame(columns, index=pd.RangeIndex(1), dtype=object)


def _cell_numbers(
    frame: pd.DataFrame, n_cells: int | None, conditions: Conditions, *, is_table: bool
) -> NDArray[np.int64]:
    """Find the number of cells of each request."""
    is_whole = n_cells is None or (isinstance(n_cells, int | float | np.number) and n_cells % 1 == 0)
    if n_cells is not None and (not is_whole or n_cells < 1):
        msg = f"`n_cells` must be at least 1, got {n_cells!r}; expected a whole number. Pass one such as 1000."
        raise SettingError(msg)
    _require_bounded(float(n_cells or 0))
    if "n_cells" in frame and "n_cells" not in conditions.names:
        numbers = pd.to_numeric(frame["n_cells"], errors="coerce")
        if numbers.isna().any() or (numbers < 0).any() or (numbers % 1 != 0).any() or numbers.sum() < 1:
            msg = "The column 'n_cells' of `where` must hold whole numbers of cells, not negative and not all 0."
            raise SettingError(msg)
        _require_bounded(float(numbers.sum()))
        counts = numbers.to_numpy().astype(np.int64)
    elif n_cells is None and not is_table:
        msg = "`n_cells` is missing; expected the number of cells to generate. Pass `n_cells`, or a table as `where`."
        raise SettingError(msg)
    elif n_cells is not None and len(frame) == 1:
        counts = np.array([n_cells], dtype=np.int64)
    else:
        counts = np.ones(len(frame), dtype=np.int64)
    if n_cells is not None and n_cells != counts.sum():
        msg = f"`n_cells` is {n_cells}, but the table `where` has {counts.sum()} cells;"
        raise SettingError(msg + " leave `n_cells` out or make them agree.")
    return counts


def _require_bounded(n: float) -> None:
    if n > _MOST_CELLS:
        msg = f"{n:.10g} cells are asked for; expected at most {_MOST_CELLS:,} in one call. Lower `n_cells`, or call"
        raise SettingError(msg + " several times with other seeds.")

"""The library sizes that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError
from scdiffuse._core.random import cell_normals

__all__ = ["CellLibrarySizes", "GivenLibrarySize", "LibrarySize", "plan_sizes"]

LibrarySize = int | tuple[float, float] | Sequence[int] | NDArray[np.integer]
"""One number for all, a mean with a standard deviation as a tuple, or one number a cell."""

MAX_LIBRARY_SIZE = 100_000_000
"""Counts that a cell can be asked to have at most."""


def plan_sizes(
    library_size: LibrarySize | None, *, n: int, seed: int
) -> Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]:
    """Check what was asked for, before anything costly.

    Parameters
    ----------
    library_size
        What the user gave; `None` keeps the sizes that the model generates.
    n
        Number of cells.
    seed
        Seed of drawn sizes.

    Returns
    -------
    A function of cell indices and the model's own sizes that returns the sizes to use.

    Raises
    ------
    SettingError
        A size is not a positive whole number, or there are not `n` of them.
    """
    if library_size is None:
        return lambda cells, own: own
    if isinstance(library_size, tuple) and len(library_size) == 2:
        return _drawn(*library_size, seed=seed)
    given = np.asarray(library_size)
    if given.dtype.kind not in "iuf" or given.ndim > 1 or (given < 1).any() or (given % 1 != 0).any():
        msg = f"`library_size` must hold whole numbers of at least 1, got {library_size!r}; expected one number,"
        raise SettingError(msg + " a tuple of mean and standard deviation, or one number a cell.")
    if given.ndim and given.size != n:
        msg = f"`library_size` holds {given.size} numbers for {n} cells; give one number, or one a cell."
        raise SettingError(msg)
    _require_bounded(float(given.max(initial=1)))
    sizes = given.astype(np.int64)
    if given.ndim:
        return lambda cells, own: sizes[cells]
    return lambda cells, own: np.full(len(cells), sizes)


def _require_bounded(largest: float) -> None:
    """Refuse library sizes whose counts do not fit into 32 bits."""
    if not largest <= MAX_LIBRARY_SIZE:
        msg = f"`library_size` asks for up to {largest:.3g} counts a cell; expected at most {MAX_LIBRARY_SIZE:,}."
        raise SettingError(msg + " The deepest cells have some million counts.")


def _drawn(
    mean: float, std: float, *, seed: int
) -> Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]:
    """Draw log-normal sizes of that mean and standard deviation."""
    given: tuple[object, object] = (mean, std)
    is_numeric = all(isinstance(one, Real) and not isinstance(one, bool) for one in given)
    if not (is_numeric and mean >= 1 and std >= 0):
        msg = f"`library_size` is a mean of {mean!r} with a standard deviation of {std!r}; expected at least 1 and 0,"
        raise SettingError(msg + " both numbers. A list has one number a cell.")
    _require_bounded(mean + 10.0 * std)
    variance = np.log1p((std / mean) ** 2)

    def draw(cells: NDArray[np.int64], own: NDArray[np.int64]) -> NDArray[np.int64]:
        normals = cell_normals(seed, "library size", cells, 1)[:, 0].astype(np.float64)
        sizes = np.exp(np.log(mean) - 0.5 * variance + np.sqrt(variance) * normals)
        drawn: NDArray[np.int64] = np.clip(np.round(sizes), 1, MAX_LIBRARY_SIZE).astype(np.int64)
        return drawn

    return draw


GivenLibrarySize = LibrarySize | str | None
"""A `LibrarySize`, or ``"own"`` for that of the given cell, or `None` for the one that is generated with the cell."""


@dataclass(frozen=True, eq=False)
class CellLibrarySizes:
    """Library sizes of cells, or `None` where they are generated."""

    library_sizes: NDArray[np.int64] | None

    @classmethod
    def plan(
        cls, asked: GivenLibrarySize, given: NDArray[np.int64] | None, *, n_cells: int, seed: int
    ) -> CellLibrarySizes:
        """Decide the library sizes of cells.

        Parameters
        ----------
        asked
            What the user asked for.
        given
            Library sizes of the cells at hand.
        n_cells
            Number of cells.
        seed
            Seed of drawn library sizes.

        Raises
        ------
        SettingError
            A word other than "own", or a number out of range.
        """
        if isinstance(asked, str):
            if asked != "own":
                msg = f"`library_size` must be 'own', a number, a tuple, numbers or None; got {asked!r}."
                raise SettingError(msg + " 'own' keeps the counts of each cell, None generates them.")
            return cls(given)
        if asked is None:
            return cls(None)
        cells = np.arange(n_cells, dtype=np.int64)
        return cls(plan_sizes(asked, n=n_cells, seed=seed)(cells, np.zeros(n_cells, dtype=np.int64)))

    def of(self, cells: NDArray[np.int64] | slice) -> NDArray[np.int64] | None:
        """Return those of some cells."""
        return None if self.library_sizes is None else self.library_sizes[cells]

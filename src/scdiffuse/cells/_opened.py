"""Cells on disk that others took the place of after their labels were read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial

from scdiffuse._core.errors import DataFileError
from scdiffuse.cells._rows import Stored
from scdiffuse.cells._structure import reading, where_of

__all__ = ["Opened", "opened_store"]

_HEAD = 16  # rows, or values, of the arrays that are not compared whole


class Opened:
    """Something cheap that tells cells on disk from others, as it was when they were opened.

    Parameters
    ----------
    where
        Path of the cells, for the message.
    read
        Reads it again.
    seen
        What it was.
    once
        Compare it once only, as it is large.
    """

    def __init__(self, where: str, read: Callable[[], object], *, seen: object, once: bool = False) -> None:
        self._where, self._read, self._seen, self._once = where, read, seen, once

    def require_unchanged(self) -> None:
        """Check that the cells are those that were opened.

        Raises
        ------
        DataFileError
            They are not.
        """
        if self._seen is None:
            return
        try:
            is_same = self._read() == self._seen
        except Exception:  # noqa: BLE001 - other cells under the old description fail in every way there is
            is_same = False
        if not is_same:
            msg = f"The cells in {self._where!r} changed since they were opened; expected the same until a fit is done."
            raise DataFileError(msg + " Make the CellGenerator again.")
        self._seen = None if self._once else self._seen


def opened_store(whole: Sequence[Stored], heads: Sequence[Stored]) -> Opened | None:
    """Describe a matrix of a zarr store, whose files can be replaced while it is open.

    Parameters
    ----------
    whole
        Arrays that are compared as they are.
    heads
        Arrays whose beginning is compared.

    Returns
    -------
    What tells it from others; `None` for a file, which stays while it is open.
    """
    if not hasattr(heads[0], "store"):
        return None
    where = where_of(heads[0])
    with reading(f"{where!r}"):
        return Opened(where, partial(_digest, whole, heads), seen=_digest(whole, heads), once=True)


def _digest(whole: Sequence[Stored], heads: Sequence[Stored]) -> str:
    parts = [*(part[:] for part in whole), *(part[:_HEAD] for part in heads)]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()

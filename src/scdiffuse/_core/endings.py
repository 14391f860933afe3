"""Endings of file names, which say what is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scdiffuse._core.errors import SettingError

__all__ = ["CELLS", "FIGURES", "PAGES", "require_ending"]

CELLS = (".h5ad",)
"""Of files of cells."""
FIGURES = (".png", ".svg", ".pdf")
"""Of pictures."""
PAGES = (".html",)
"""Of reports."""


def require_ending(path: str | Path, endings: Sequence[str], *, name: str = "path") -> None:
    """Refuse a file whose name says that it holds something else.

    Parameters
    ----------
    path
        The file about to be written.
    endings
        Endings that are right; the first one is suggested.
    name
        The argument, for the message.

    Raises
    ------
    SettingError
        The name has another ending, or none.
    """
    path = Path(path)
    if path.suffix.lower() not in endings:
        is_cut = path.suffix and not path.suffix[1:].isdigit()  # v1.2 is no ending
        better = path.with_suffix(endings[0]) if is_cut else path.parent / f"{path.name or 'cells'}{endings[0]}"
        expected = " or ".join(f"`{one}`" for one in endings)
        msg = f"`{name}` {str(path)!r} does not end with {expected}, which is written."
        raise SettingError(msg + f" Pass {str(better)!r}.")

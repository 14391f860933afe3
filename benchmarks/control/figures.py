"""Axes and files of the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def grid(n_rows: int, n_columns: int, *, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Make a figure with axes in rows."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return figure, list(figure.subplots(n_rows, n_columns, squeeze=False).ravel())


def save(figure: Figure, path: Path) -> None:
    """Write a figure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)

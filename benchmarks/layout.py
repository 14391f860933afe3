"""How results look: numbers, tables and goals in Markdown, and the axes and files of figures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REAL = "real cells"
"""Row of the real-vs-real reference."""

Row = dict[str, Any]


def grid(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Write a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(number(cell) for cell in line) + " |" for line in lines)


def number(value: object) -> str:
    """Write a number with three digits behind the point; text as it is, nothing for what is missing."""
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"


def spread(values: Iterable[float | None]) -> str:
    """Write the mean of numbers and, of several, their standard deviation; nothing where there are none."""
    numbers = np.array([value for value in values if value is not None], float)
    if not numbers.size:
        return ""
    digits = 1 if np.abs(numbers).max() >= 10 else 3
    deviation = f" ± {numbers.std(ddof=1):.{digits}f}" if numbers.size > 1 else ""
    return f"{numbers.mean():.{digits}f}{deviation}"


def goal(what: str, *, value: float, met: bool) -> str:
    """State a goal, what was reached, and whether that is enough."""
    reached = "not measured" if math.isnan(value) else f"{value:.2f}"
    return f"- {what}: {reached}, **{'met' if met else 'missed'}**."


def only(rows: Iterable[Row], **wanted: object) -> list[Row]:
    """Take the rows that have these values."""
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


def mean(rows: Iterable[Row], measure: str) -> float:
    """Average a measure over the rows that have it."""
    values = [row[measure] for row in rows if row.get(measure) is not None]
    return float(np.mean(values)) if values else math.nan


def distinct(rows: Iterable[Row], key: str) -> list[Any]:
    """List the values of a key, in the order in which rows have them."""
    return list(dict.fromkeys(row[key] for row in rows))


def figure_of(name: str, caption: str) -> str:
    """Show a figure that stands beside the records."""
    return f"![{caption}](results/{name})"


def axes_of(n_rows: int, n_columns: int, *, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Make a figure with axes in rows."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return figure, list(figure.subplots(n_rows, n_columns, squeeze=False).ravel())


def save(figure: Figure, path: Path) -> None:
    """Write a figure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})

"""Markdown tables of the results page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def grid(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Write a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(number(cell) for cell in line) + " |" for line in lines)


def number(value: object) -> str:
    """Write a number with three digits behind the point; text as it is, nothing for what is missing."""
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"

"""What ``scdiffuse inspect`` says of cells, for a person."""

from __future__ import annotations

from typing import Any

from scdiffuse._core.text import one_line
from scdiffuse.cli._arguments import as_typed

__all__ = ["describe_data"]

_SHOWN_LABELS = 30
_OPTIONS = {name: f"--{name.replace('_', '-')}" for name in ("layer", "continuous", "min_cells")}
_OPTIONS["round_counts"] = "--round"


def describe_data(found: dict[str, Any]) -> str:
    """Describe the result of `inspect_cells` for a person.

    Parameters
    ----------
    found
        What it returned.
    """
    lines = [f"{found['n_cells']:,} cells x {found['n_genes']:,} genes"]
    if found["counts"]:
        lines += [f"Raw counts: {', '.join(map(_place_name, found['counts']))}", found["genes"]]
    else:
        lines.append("As they are, no model can be fitted to these cells: see the problems")
    if found["conditions"]:
        lines.append("Columns that can be conditions (--condition), with cells by label:")
    for name, labels in found["conditions"].items():
        shown = [f"{one_line(label)} ({n:,})" for label, n in list(labels.items())[:_SHOWN_LABELS]]
        more = [f"and {len(labels) - _SHOWN_LABELS} more"] if len(labels) > _SHOWN_LABELS else []
        lines.append(f"  {one_line(name)}: {', '.join(shown + more)}{_missing(found, name)}")
    if found["continuous"]:
        lines.append("Columns with numbers (--continuous):")
    for name, (low, high) in found["continuous"].items():
        lines.append(f"  {one_line(name)}: {low:g} to {high:g}{_missing(found, name)}")
    for title in ("notes", "problems"):
        if found[title]:
            lines.append(f"{title.capitalize()}:")
            lines += [f"  - {one_line(as_typed(text, _OPTIONS))}" for text in found[title]]
    if "command" in found:
        lines.append(f"Fit: about {_duration(found['fit_seconds'])} of one CPU core, within a factor of three. Run")
        lines.append(f"  {one_line(found['command'])}")
    return "\n".join(lines)


def _missing(found: dict[str, Any], name: str) -> str:
    n = found["missing"].get(name, 0)
    return f"; missing for {n:,} cell{'s'[: n != 1]}" if n else ""


def _place_name(layer: str | None) -> str:
    from scdiffuse.cells import RAW

    return {None: "X", RAW: "raw (pass --use-raw)"}.get(layer, f"layer {layer!r} (pass --layer {layer})")


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"

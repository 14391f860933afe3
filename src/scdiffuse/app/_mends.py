"""What is found in cells before a fit, and what can be done about it with one click."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scdiffuse.app._cell_sets import CellSet
from scdiffuse.app._errors import RefusedError

__all__ = ["inspect_set", "read_renamed"]

_RARE = 20
"""A label of fewer cells is offered to be merged or dropped."""
_RAW = "raw.X"
_OTHER = "other"


def inspect_set(cells: CellSet) -> dict[str, Any]:
    """Inspect a file of cells as it is mended so far.

    Parameters
    ----------
    cells
        The set.

    Returns
    -------
    What `inspect_cells` finds, with labels as lists in the order of their numbers, and ``mends``: requests that open
    the same file with something changed.
    """
    from scdiffuse.generator import inspect_cells

    found = inspect_cells(cells.path, layer=cells.layer, round_counts=cells.round_counts, renamed=cells.renamed)
    conditions = {
        name: [{"label": label, "n": n} for label, n in labels.items()] for name, labels in found["conditions"].items()
    }
    return {
        "fittable": bool(found["counts"]),
        "counts": [{"layer": layer, "title": _title(layer)} for layer in found["counts"]],
        "genes": found.get("genes", ""),
        "n_kept": found.get("n_kept", 0),
        "conditions": conditions,
        "continuous": found["continuous"],
        "missing": found["missing"],
        "notes": found["notes"],
        "problems": found["problems"],
        "fit_seconds": found.get("fit_seconds"),
        "command": found.get("command"),
        "mends": [*_other_places(cells, found), *_rounding(cells, found), *_rare_labels(conditions)],
    }


def _title(layer: str | None) -> str:
    return {None: "X", _RAW: "raw"}.get(layer, f"layer {layer}")


def _other_places(cells: CellSet, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Offer the other places with counts."""
    used = found["counts"][0] if found["counts"] else cells.layer
    return [
        {"id": f"layer:{layer}", "title": f"Read the counts of {_title(layer)}", "body": {"layer": layer}}
        for layer in found["counts"][1:] or _places(cells, found)
        if layer != used
    ]


def _places(cells: CellSet, found: Mapping[str, Any]) -> list[str | None]:
    """Look for counts elsewhere, where the place that was read holds none."""
    if found["counts"]:
        return []
    from scdiffuse.generator import list_places

    return list_places(cells.path)


def _rounding(cells: CellSet, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Offer to round where a message does."""
    if cells.round_counts or not any("round_counts" in text for text in found["problems"]):
        return []
    return [{"id": "round", "title": "Round counts with decimals, as SoupX leaves them", "body": {"round": True}}]


def _rare_labels(conditions: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Offer to merge or to drop labels of few cells."""
    mends = []
    for name, labels in conditions.items():
        rare = [one["label"] for one in labels if one["n"] < _RARE]
        if not rare or len(rare) == len(labels):
            continue
        n = f"{len(rare)} label{'s'[: len(rare) > 1]} of {name} with fewer than {_RARE} cells"
        if len(rare) > 1:
            body = {"labels": {name: {"merge": rare, "into": _OTHER}}}
            mends.append({"id": f"rare:{name}", "title": f"Merge {n} into '{_OTHER}'", "body": body})
        body = {"labels": {name: {"drop": rare}}}
        mends.append({"id": f"drop:{name}", "title": f"Count {n} as missing", "body": body})
    return mends


def read_renamed(labels: Mapping[str, Any], before: Mapping[str, Mapping[str, str | None]]) -> dict[str, Any]:
    """Read which labels to merge or drop, in addition to what is renamed already.

    Parameters
    ----------
    labels
        By column: ``merge`` with the labels and ``into``, ``drop`` with the labels, or ``rename``, new label by label.
    before
        New label by column and label.

    Examples
    --------
    >>> read_renamed({"type": {"merge": ["a", "b"], "into": "c"}}, {"type": {"x": None}})
    {'type': {'x': None, 'a': 'c', 'b': 'c'}}
    >>> read_renamed({"type": {"drop": ["c"]}}, {"type": {"a": "c", "b": "c"}})
    {'type': {'a': None, 'b': None, 'c': None}}
    """
    renamed: dict[str, dict[str, str | None]] = {name: dict(one) for name, one in before.items()}
    for name, change in labels.items():
        if not isinstance(change, Mapping):
            raise RefusedError(422, f"`labels` of {name!r} is {change!r}; expected what to merge, drop or rename.")
        into = str(change.get("into", _OTHER))
        wanted: dict[str, str | None] = {str(label): into for label in change.get("merge", [])}
        wanted |= {str(label): None for label in change.get("drop", [])}
        renamed_to = change.get("rename", {}).items()
        wanted |= {str(label): other if other is None else str(other) for label, other in renamed_to}
        new = renamed.setdefault(str(name), {})
        new |= {label: wanted[now] for label, now in new.items() if now in wanted}
        new |= wanted
    return renamed

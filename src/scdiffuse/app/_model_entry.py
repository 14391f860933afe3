"""A model folder that is open, and what the page sees of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scdiffuse.app._lines import Lines
from scdiffuse.app._saved import known_fields

if TYPE_CHECKING:
    from scdiffuse.generator import CellGenerator

__all__ = ["ModelEntry", "as_labels"]


@dataclass(kw_only=True)
class ModelEntry:
    """What is known of a model."""

    id: str
    name: str
    path: Path
    file: str | None = None
    state: Literal["reading", "ready", "failed"] = "reading"
    error: str | None = None
    cells: str | None = None
    """Set of the real cells that it was fitted to, where that was done here."""
    held_out: str | None = None
    """Set of the real cells that it was not fitted to."""
    facts: dict[str, Any] = field(default_factory=dict)
    lines: Lines = field(default_factory=Lines)

    def to_json(self) -> dict[str, Any]:
        """Return what the page sees."""
        plain = {"id": self.id, "name": self.name, "file": self.file, "state": self.state, "error": self.error}
        return plain | {"cells": self.cells, "held_out": self.held_out} | self.facts | self.lines.to_json()

    def to_saved(self) -> dict[str, Any]:
        """Return what is needed to open it again."""
        names = ("id", "name", "file", "cells", "held_out")
        return {name: getattr(self, name) for name in names} | {"path": str(self.path), "lines": self.lines.to_json()}

    @classmethod
    def from_saved(cls, saved: Mapping[str, Any]) -> ModelEntry:
        """Read what `to_saved` wrote."""
        plain = known_fields(cls, saved)
        return cls(path=Path(plain.pop("path")), lines=Lines.from_json(plain.pop("lines")), **plain)


def as_labels(model: CellGenerator, values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn labels and numbers written as text into those of the model, and leave all else as it is.

    Parameters
    ----------
    model
        The fitted model.
    values
        Conditions as the page sends them.

    Returns
    -------
    Conditions as `CellGenerator.generate` takes them; names and labels that the model lacks stay, to be refused there.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        known = {str(label): label for label in model.conditions.categorical.get(name, ())}
        found[name] = known.get(str(value), value) if value is not None else None
        if name in model.conditions.continuous and isinstance(value, str):
            with suppress(ValueError):
                found[name] = float(value)
    return found

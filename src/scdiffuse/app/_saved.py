"""State that is kept in JSON files, which are there whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scdiffuse._core.files import replaced_file

__all__ = ["read_json", "write_json"]


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever was kept
    """Read what was kept.

    Raises
    ------
    OSError
        There is no such file.
    ValueError
        It is damaged.
    """
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, tree: object) -> None:
    """Keep numbers, text, lists and mappings; an earlier file stays until the new one is whole."""
    with replaced_file(path) as partial:
        partial.write_text(json.dumps(tree), encoding="utf-8")

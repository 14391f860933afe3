"""State that is kept in JSON files, which are there whole or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scdiffuse._core.files import replaced_file

__all__ = ["largest_number", "read_json", "write_json"]

_ID = re.compile(r'(?:"|\\n)[acdghmpt](\d{1,6})(?:"| = )')


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


def largest_number(files: Iterable[Path]) -> int:
    """Return the largest number of an id that files mention, in whatever state they are; 0 where there is none.

    Parameters
    ----------
    files
        Files of a session and of its jobs; they may be missing.
    """
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in files if path.is_file())
    return max((int(number) for text in texts for number in _ID.findall(text)), default=0)

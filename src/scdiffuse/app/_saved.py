"""State that is kept in JSON files, which are there whole or not at all."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from scdiffuse._core.errors import ScdiffuseWarning
from scdiffuse._core.files import replaced_file
from scdiffuse.app._folders import free_path

__all__ = ["known_fields", "largest_number", "read_json", "read_list", "read_tree", "write_json"]

T = TypeVar("T")

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


def read_tree(path: Path) -> dict[str, Any]:
    """Read the state of a session; a damaged file is kept beside, and a warning says so.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    What was kept; nothing where there is no file.
    """
    try:
        tree = read_json(path)
        if isinstance(tree, dict):
            return tree
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        pass
    kept = path.rename(free_path(path.with_name(f"{path.name}.damaged")))
    msg = f"The state of the session in {str(path)!r} is damaged; expected what the app wrote. It is kept as"
    warnings.warn(f"{msg} {kept.name!r}, and the session begins anew.", ScdiffuseWarning, stacklevel=2)
    return {}


def read_list(tree: Mapping[str, Any], name: str, read: Callable[[Any], T]) -> list[T]:
    """Read a list of a session; what cannot be read is left out, and a warning says so.

    Parameters
    ----------
    tree
        What was kept.
    name
        Name of the list.
    read
        Reads one entry.
    """
    found = []
    for saved in tree.get(name) or []:
        try:
            found.append(read(saved))
        except (KeyError, TypeError, ValueError, AttributeError):
            msg = f"One of the {name} of the session cannot be read; expected what this version writes. It is left out."
            warnings.warn(msg, ScdiffuseWarning, stacklevel=2)
    return found


def known_fields(kind: Any, saved: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    """Leave out what another version has written and this one does not know."""
    return {one.name: saved[one.name] for one in fields(kind) if one.name in saved}

"""Folders of ours, a saved model or shards, whose files are replaced without a moment in between.

A file of the folder names the others. Only files that it names are ever replaced or removed; what a user keeps beside
them stays. A new version is collected in a hidden folder inside. One move makes it valid at once: from then on a file
that is in `NEXT_FOLDER` stands for the one of its name. The files are then moved to their places, the one that names
the others last. A process that is killed on the way leaves the old version or the new one, and the next that writes
there finishes the moves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from scdiffuse._core.files import flush, is_partial, locked, partial_folder, remove_abandoned
from scdiffuse._core.slots import (
    CARD_FILE,
    CONFIG_FILE,
    MODEL_FILES,
    NEXT_FOLDER,
    SHARD_STATISTICS_FILE,
    SHARDS_FILE,
    TRAINING_FILE,
)

__all__ = ["MODEL", "SHARDS", "FolderKind", "current", "discard_folder", "finish_replacing", "is_free", "move_in"]

_SHARD = re.compile(rf"shard-\d+\.h5ad|{re.escape(SHARD_STATISTICS_FILE)}")


class FolderKind(NamedTuple):
    """A kind of folder that this package writes."""

    title: str
    mark: str
    """File that names the others."""
    names: Callable[[dict[str, Any]], set[str]]
    """Reads which files the mark names; names that are none of this kind are ignored."""
    is_name: Callable[[str], bool]
    """Whether a file of this kind may have a name."""

    def files(self, folder: Path) -> frozenset[str] | None:
        """Return the files of ours in a folder, the mark among them, or `None` if it is of no such kind."""
        try:
            tree = json.loads(current(folder, self.mark).read_text(encoding="utf-8"))
            return frozenset({self.mark, *self.names(tree)})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None


def _model_names(tree: dict[str, Any]) -> set[str]:
    running = set() if tree["finished"] else {TRAINING_FILE}
    return ({*tree["files"], CARD_FILE} & MODEL_FILES) | running


def _shard_names(tree: dict[str, Any]) -> set[str]:
    listed = [*tree["shards"], *([tree["statistics"]] if "statistics" in tree else [])]
    return {one["file"] for one in listed if _SHARD.fullmatch(one["file"])}


MODEL = FolderKind("a saved model", CONFIG_FILE, _model_names, lambda name: name in MODEL_FILES)
SHARDS = FolderKind("shards", SHARDS_FILE, _shard_names, lambda name: _SHARD.fullmatch(name) is not None)


def current(folder: Path, name: str) -> Path:
    """Return where a file of a folder of ours is: a newer version counts as soon as all of it is there.

    Parameters
    ----------
    folder
        A folder of ours.
    name
        Name of the file, which need not exist.
    """
    newer = folder / NEXT_FOLDER / name
    return newer if newer.exists() else folder / name


def finish_replacing(folder: Path, *, kind: FolderKind, wait: bool = False) -> None:
    """Move the files of a new version to their places, where a process was killed before it had done so.

    Parameters
    ----------
    folder
        A folder of ours; one that cannot be changed stays as it is, which `current` reads as well.
    kind
        What it holds.
    wait
        Wait for a process that is doing so, and report errors.
    """
    if not (folder / NEXT_FOLDER).is_dir():
        return
    if wait:
        with locked(folder):
            move_in(folder, kind)
        return
    with locked(folder, wait=False) as is_alone, suppress(OSError):
        if is_alone:
            move_in(folder, kind)


def discard_folder(folder: Path, *, kind: FolderKind) -> None:
    """Remove a folder of ours that nobody needs any more, unless it holds something else too.

    Parameters
    ----------
    folder
        The folder; nothing happens if there is none.
    kind
        What it holds.
    """
    remove_abandoned(folder)
    owned = kind.files(folder)
    if owned is not None and all(one.name in owned or is_partial(one) for one in folder.iterdir()):
        with partial_folder(folder) as away:
            folder.rename(away / folder.name)


def is_free(folder: Path) -> bool:
    """Return whether nothing is at a path but perhaps a folder in which nothing is complete."""
    if not folder.is_dir():
        return not folder.exists()
    return all(is_partial(one) for one in folder.iterdir())


def move_in(folder: Path, kind: FolderKind) -> None:
    """Move the files of a new version to their places, from wherever that ended; see the top of this file."""
    pending = folder / NEXT_FOLDER
    if not pending.is_dir():
        return
    if (pending / kind.mark).is_file():
        new, old = kind.files(folder) or frozenset(), _old_files(folder, kind)
        for file in sorted(pending.iterdir()):
            if file.name != kind.mark:
                file.replace(folder / file.name)
        for name in sorted(old - new):
            (folder / name).unlink(missing_ok=True)
        flush(folder)
        (pending / kind.mark).replace(folder / kind.mark)
    pending.rmdir()
    flush(folder)


def _old_files(folder: Path, kind: FolderKind) -> frozenset[str]:
    """Return the files of the version before the one that is being moved in."""
    try:
        return frozenset(kind.names(json.loads((folder / kind.mark).read_text(encoding="utf-8"))))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return frozenset()

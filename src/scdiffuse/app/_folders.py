"""The files that the app may read: what was named at the start, and what was uploaded."""

from __future__ import annotations

import itertools
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scdiffuse._core.folders import current
from scdiffuse._core.slots import CONFIG_FILE, SHARDS_FILE
from scdiffuse.app._errors import RefusedError

__all__ = ["UPLOADS", "Folders", "Root", "free_path", "kind_of", "safe_name"]

UPLOADS = "uploads"
_CELL_ENDINGS = (".h5ad", ".h5", ".loom", ".zarr")
_TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".mtx")
_MOST_ENTRIES = 2_000
_LONGEST_NAME = 120
_MOST_BYTES = 200
"""Of a name; file systems take 255."""


class Root(NamedTuple):
    """A file or folder named at the start."""

    name: str
    path: Path


class Folders:
    """Turns what a request names into a path, and refuses all that lies outside.

    Parameters
    ----------
    paths
        Files and folders named at the start.
    uploads
        Folder of uploaded files.
    """

    def __init__(self, paths: Iterable[Path], *, uploads: Path) -> None:
        self.uploads = uploads.resolve()
        self._roots: dict[str, Path] = {}
        for path in paths:
            whole = path.resolve()
            if whole not in self._roots.values():
                self._roots[self._free_name(whole.name or "root")] = whole

    @property
    def roots(self) -> list[Root]:
        """What was named at the start."""
        return [Root(name, path) for name, path in self._roots.items()]

    def name_of(self, path: Path) -> str | None:
        """Return how requests name a path, or `None` if it lies outside."""
        whole = _real(path)
        for name, root in [*self._roots.items(), (UPLOADS, self.uploads)]:
            if whole == root or whole.is_relative_to(root):
                return "/".join([name, *whole.relative_to(root).parts])
        return None

    def find(self, file: object) -> Path:
        """Return the path that a request names.

        Parameters
        ----------
        file
            Name of a root, and the way from there, such as ``"data/pbmc/cells.h5ad"``.

        Raises
        ------
        RefusedError
            It lies outside of what was named at the start, or does not exist.
        """
        if not isinstance(file, str) or "\0" in file or "\\" in file:
            raise RefusedError(403, f"{file!r} is no name of a file; expected one that `api/files` lists.")
        name, _, rest = file.partition("/")
        root = self.uploads if name == UPLOADS else self._roots.get(name)
        parts = [part for part in rest.split("/") if part]
        if root is None or ".." in parts or "." in parts:
            raise RefusedError(403, f"{file!r} lies outside of the folders named at the start.")
        path = _real(root.joinpath(*parts))
        if path != root and not path.is_relative_to(root):
            raise RefusedError(403, f"{file!r} leads outside of the folders named at the start.")
        if not _exists(path):
            raise RefusedError(404, f"{file!r} does not exist. Look at the list of files again.")
        return path

    def list(self, folder: str) -> dict[str, Any]:
        """List a folder: ``folder``, ``parent`` and ``entries``."""
        if not folder:
            roots = [*self.roots, *([Root(UPLOADS, self.uploads)] if self.uploads.is_dir() else [])]
            entries = [_entry(root.path, name=root.name, file=root.name) for root in roots]
            return {"folder": "", "parent": None, "entries": entries}
        path = self.find(folder)
        if not path.is_dir():
            raise RefusedError(422, f"{folder!r} is a file; expected a folder.")
        entries = []
        for one in sorted(path.iterdir(), key=lambda one: (not one.is_dir(), one.name.lower()))[:_MOST_ENTRIES]:
            if not one.name.startswith(".") and self._is_inside(one):
                entries.append(_entry(one, name=one.name, file=f"{folder.rstrip('/')}/{one.name}"))
        return {"folder": folder, "parent": folder.rstrip("/").rpartition("/")[0], "entries": entries}

    def require_inside(self, path: Path) -> None:
        """Refuse a file or folder through which files outside would be read, by links of folders or inside of files.

        Parameters
        ----------
        path
            Cells or a model.

        Raises
        ------
        RefusedError
            A link leads outside, or an HDF5 file reads another file.
        """
        home, places, seen = _real(path), [path], set[Path]()
        if path.name.endswith((".mtx", ".mtx.gz")):
            places += [one for one in path.parent.glob("*.tsv*") if one.is_symlink()]
        while places:
            place = places.pop()
            whole = _real(place)
            if not (whole.is_relative_to(home) or self.name_of(whole) is not None):
                msg = f"{place.name!r} of {path.name!r} leads outside of the folders named at the start. Copy it into"
                raise RefusedError(403, msg + " the folder, or name the folder where it lies with `--folder`.")
            if whole in seen:
                continue
            seen.add(whole)
            if not whole.is_dir():
                refuse_links(whole)
                continue
            with os.scandir(whole) as found:
                reads_hdf5 = home.suffix != ".zarr"
                places += [Path(one.path) for one in found if reads_hdf5 or one.is_symlink() or one.is_dir()]

    def _is_inside(self, path: Path) -> bool:
        """Return whether links lead nowhere else."""
        return self.name_of(path) is not None and _exists(path)

    def _free_name(self, name: str) -> str:
        """Return a name that no other root has."""
        taken = {*self._roots, UPLOADS}
        return next(one for one in [name, *(f"{name}-{at}" for at in range(2, 1000))] if one not in taken)


def _real(path: Path) -> Path:
    """Follow all links; unlike `Path.resolve`, links that lead in a circle are no error."""
    return Path(os.path.realpath(path))


def _exists(path: Path) -> bool:
    """Return whether something is there; a name that is too long is that of nothing."""
    try:
        return path.exists()
    except OSError:
        return False


def refuse_links(path: Path) -> None:
    """Refuse an HDF5 file that reads other files: by external links, external storage or virtual data.

    Parameters
    ----------
    path
        Any file.

    Raises
    ------
    RefusedError
        It does.
    """
    import h5py

    if not path.is_file() or not h5py.is_hdf5(path):
        return

    def find_link(name: str, link: object) -> str | None:
        return name if isinstance(link, h5py.ExternalLink) else None

    def find_storage(name: str, held: object) -> str | None:
        return name if isinstance(held, h5py.Dataset) and (held.external or held.is_virtual) else None

    with h5py.File(path, "r") as file:
        found = file.visititems_links(find_link) or file.visititems(find_storage)
    if found:
        msg = f"{found!r} of {path.name!r} lies in another file; expected all of its data inside. Copy them into it."
        raise RefusedError(422, msg)


def safe_name(name: str) -> str:
    """Reduce a name given by a browser to one that is safe in a folder: letters of any language, numbers and ``._+-``.

    Parameters
    ----------
    name
        As given.

    Raises
    ------
    RefusedError
        Nothing is left of it.

    Examples
    --------
    >>> safe_name("../../etc/pass wd.h5ad")
    'pass_wd.h5ad'
    """
    last = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1])
    stem, ending = _split_ending(
        "".join(one if one in "._+-" or unicodedata.category(one)[0] in "LMN" else "_" for one in last).lstrip(".")
    )
    if not stem:
        raise RefusedError(422, f"{name!r} is no name of a file; expected one such as 'cells.h5ad'.")
    stem = stem[: _LONGEST_NAME - len(ending)]
    while len((stem + ending).encode()) > _MOST_BYTES:
        stem = stem[:-1]
    return stem + ending


def free_path(path: Path, *, inside: str = "") -> Path:
    """Return a path, or the same with the first number that is free, so that nothing is replaced.

    Parameters
    ----------
    path
        Where a file would go; or a folder for files.
    inside
        Name of the file in that folder.
    """
    stem, ending = _split_ending(path.name)
    numbered = (path.with_name(f"{stem}-{at}{ending}") for at in itertools.count(2))
    return next(
        one for one in itertools.chain([path], numbered) if not os.path.lexists(one / inside) and not one.is_file()
    )


def _split_ending(name: str) -> tuple[str, str]:
    """Take the ending from a name, such as ``.h5ad`` or ``.mtx.gz``."""
    ending = re.search(r"(?<=.)(\.[^.]{1,10}){1,2}$", name)
    return (name[: ending.start()], ending.group()) if ending else (name, "")


def _entry(path: Path, *, name: str, file: str) -> Mapping[str, Any]:
    kind = kind_of(path)
    return {"name": name, "file": file, "kind": kind, "bytes": path.stat().st_size if path.is_file() else None}


def kind_of(path: Path) -> str:
    """Tell cells from models, plain folders and other things, by name and without reading.

    Parameters
    ----------
    path
        Where it is.
    """
    if not path.is_dir():
        return "cells" if _has_ending(path, (*_CELL_ENDINGS, *_TEXT_ENDINGS)) else "other"
    if current(path, CONFIG_FILE).is_file() and path.suffix != ".zarr":
        return "model"
    if path.suffix == ".zarr" or current(path, SHARDS_FILE).is_file() or any(path.glob("*matrix.mtx*")):
        return "cells"
    return "folder"


def _has_ending(path: Path, endings: Sequence[str]) -> bool:
    name = path.name.lower()
    for packed in (".gz", ".bz2", ".xz"):
        name = name.removesuffix(packed)
    return name.endswith(tuple(endings))

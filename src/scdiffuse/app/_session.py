"""The session: cells, models, jobs and actions, and the folder that keeps them when the server ends."""

from __future__ import annotations

import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anndata as ad
import pandas as pd

from scdiffuse._core.errors import UserError
from scdiffuse.app._cell_sets import CellSet, CellStore, describe_columns
from scdiffuse.app._changes import Changes
from scdiffuse.app._errors import RefusedError
from scdiffuse.app._folders import UPLOADS, Folders
from scdiffuse.app._lines import Action, Lines
from scdiffuse.app._model_entry import ModelEntry
from scdiffuse.app._saved import largest_number, read_list, read_tree, write_json

if TYPE_CHECKING:
    from scdiffuse.generator import CellGenerator

__all__ = ["Limits", "Session"]

_FILE = "session.json"
_MOST_LOADED = 4
_MOST_THINGS = 200
_MOST_TABLES = 50


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one session may take up."""

    max_shown: int = 20_000
    """Cells of a set that are held and shown."""
    max_generate: int = 20_000
    """Cells of one request."""
    max_upload: int = 2 * 1024**3
    """Bytes of an uploaded file, and of all of them together times four."""
    max_memory: int = 2 * 1024**3
    """Bytes of counts in memory."""


class Session:
    """What a page works with.

    Parameters
    ----------
    folder
        Folder for uploads, jobs, and the state of the session.
    paths
        Files and folders that may be read.
    limits
        What the session may take up.
    """

    def __init__(self, folder: Path, paths: list[Path], *, limits: Limits | None = None) -> None:
        self.folder = folder.resolve()
        self.limits = limits or Limits()
        self.folders = Folders(paths, uploads=self.folder / UPLOADS)
        self.changes = Changes()
        self.cells: dict[str, CellSet] = {}
        self.models: dict[str, ModelEntry] = {}
        self.tables: OrderedDict[str, pd.DataFrame] = OrderedDict()
        self.actions: list[Action] = []
        self.start: dict[str, str | None] = {"cells": None, "model": None}
        self._store = CellStore(self.limits.max_memory)
        self._loaded: OrderedDict[str, CellGenerator] = OrderedDict()
        self._lock = threading.RLock()
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="open")
        self._patient_pool = ThreadPoolExecutor(1, thread_name_prefix="patient")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._last_number = largest_number([self.folder / _FILE, *self.folder.glob("jobs/*/job.json")])
        self._restore()

    # --- names and tables ---

    def new_id(self, letter: str) -> str:
        """Return an id that nothing has had."""
        with self._lock:
            self._last_number += 1
            return f"{letter}{self._last_number}"

    def require_room(self) -> None:
        """Refuse what would open more than a session may hold; what a job has made is always opened."""
        if len(self.cells) + len(self.models) >= _MOST_THINGS:
            raise RefusedError(429, f"{_MOST_THINGS} sets of cells and models are open. Remove some first.")

    def add_table(self, table: pd.DataFrame) -> str:
        """Keep a table to be downloaded; the last fifty are kept."""
        name = self.new_id("d")
        with self._lock:
            self.tables[name] = table
            while len(self.tables) > _MOST_TABLES:
                self.tables.popitem(last=False)
        return name

    def record(self, title: str, lines: Lines) -> None:
        """Write down an action for the notebook."""
        with self._lock:
            self.actions = [*self.actions, Action(title, lines)][-1_000:]
        self.save()

    def in_background(self, work: Callable[[], object], *, patiently: bool = False) -> None:
        """Do something that takes longer than an answer may.

        Parameters
        ----------
        work
            What to do.
        patiently
            One after the other, behind all else of this kind: nobody waits for it, and what is opened does not either.
        """

        def run() -> None:
            try:
                work()
            except Exception:  # noqa: BLE001 - what fails has said so already, or is a fault
                traceback.print_exc()

        (self._patient_pool if patiently else self._pool).submit(run)

    def close(self) -> None:
        """End the threads that open things."""
        for pool in (self._pool, self._patient_pool):
            pool.shutdown(wait=False, cancel_futures=True)

    # --- cells ---

    def add_cells(self, cells: CellSet, made: ad.AnnData | None = None) -> CellSet:
        """Add a set of cells: those just made, or else they are read in the background.

        Parameters
        ----------
        cells
            What is known of them; their file is there.
        made
            The cells, if they are in memory; of too many, some are drawn when the file is read.
        """
        with self._lock:
            self.cells[cells.id] = cells
        self.save()
        if made is not None and made.n_obs <= self.limits.max_shown:
            self._store.put(cells.id, made)
            cells.n_cells = cells.n_shown = made.n_obs
            cells.n_genes, cells.obs, cells.state = made.n_vars, describe_columns(made.obs), "ready"
            self.changes.note("cells", cells.id)
            return cells
        self.changes.note("cells", cells.id)
        self.in_background(lambda: self._open_cells(cells))
        return cells

    def get_cells(self, name: object) -> CellSet:
        """Return a set of cells that is ready."""
        cells = self.cells.get(str(name))
        if cells is None:
            raise RefusedError(404, f"There are no cells {name!r}.")
        _require_ready(cells, f"The cells {cells.id}", reading="are being read")
        return cells

    def adata(self, name: object) -> ad.AnnData:
        """Return the cells of a set that are shown; nobody changes them."""
        cells = self.get_cells(name)
        return self._store.get(cells.id, lambda: self._read(cells))

    def forget_cells(self, name: str) -> None:
        """Remove a set from the session; files stay."""
        with self._lock:
            if self.cells.pop(name, None) is None:
                raise RefusedError(404, f"There are no cells {name!r}.")
        self._store.forget(name)
        self.save()
        self.changes.note("cells", name)

    def whole_obs(self, cells: CellSet) -> pd.DataFrame:
        """Read the labels of all cells of a file."""
        from scdiffuse.generator import sample_cells

        return sample_cells(
            cells.path, n_cells=1, layer=cells.layer, round_counts=cells.round_counts, renamed=cells.renamed
        ).obs

    def _read(self, cells: CellSet) -> ad.AnnData:
        from scdiffuse.generator import sample_cells

        self.folders.require_inside(cells.path)
        found = sample_cells(
            cells.path,
            n_cells=self.limits.max_shown,
            layer=cells.layer,
            round_counts=cells.round_counts,
            renamed=cells.renamed,
        )
        cells.n_cells, cells.n_genes, cells.n_shown = found.n_cells, found.adata.n_vars, found.adata.n_obs
        return found.adata

    def _open_cells(self, cells: CellSet) -> None:
        try:
            adata = self._store.get(cells.id, lambda: self._read(cells))
            cells.obs = describe_columns(adata.obs)
            cells.state = "ready"
        except (UserError, MemoryError, OSError) as error:
            cells.state, cells.error = "failed", str(error)
        except Exception as error:
            cells.state, cells.error = "failed", f"A fault of scdiffuse: {error!r}"
            raise
        finally:
            self.changes.note("cells", cells.id)
        if cells.kind == "real" and cells.state == "ready":
            self._inspect(cells)

    def _inspect(self, cells: CellSet) -> None:
        from scdiffuse.app._mends import inspect_set

        try:
            cells.inspect = inspect_set(cells)
        except (UserError, MemoryError, OSError) as error:
            cells.inspect = {"fittable": False, "problems": [str(error)], "notes": [], "mends": []}
        self.changes.note("cells", cells.id)

    # --- models ---

    def add_model(self, entry: ModelEntry) -> ModelEntry:
        """Add a model and load it in the background."""
        with self._lock:
            self.models[entry.id] = entry
        self.save()
        self.changes.note("model", entry.id)
        self.in_background(lambda: self._open_model(entry))
        return entry

    def get_model(self, name: object) -> ModelEntry:
        """Return a model that is ready."""
        entry = self.models.get(str(name))
        if entry is None:
            raise RefusedError(404, f"There is no model {name!r}.")
        _require_ready(entry, f"The model {entry.id}", reading="is being read")
        return entry

    def generator(self, name: object) -> CellGenerator:
        """Return a loaded model; the four used last stay in memory."""
        return self._load(self.get_model(name))

    def _load(self, entry: ModelEntry) -> CellGenerator:
        from scdiffuse.generator import load

        with self._lock:
            if entry.id not in self._loaded:
                self.folders.require_inside(entry.path)
                self._loaded[entry.id] = load(entry.path)
            self._loaded.move_to_end(entry.id)
            while len(self._loaded) > _MOST_LOADED:
                self._loaded.popitem(last=False)
            return self._loaded[entry.id]

    def _open_model(self, entry: ModelEntry) -> None:
        from scdiffuse.generator import describe_generator

        try:
            model = self._load(entry)
            entry.facts = describe_generator(model)
            entry.state = "ready"
            self.in_background(
                lambda: model.generate(2, progress=False)
            )  # compiled loops are loaded by the first cells
        except (UserError, MemoryError, OSError) as error:
            entry.state, entry.error = "failed", str(error)
        finally:
            if entry.state == "reading":
                entry.state, entry.error = "failed", "A fault of scdiffuse; the terminal shows where."
            self.changes.note("model", entry.id)

    # --- what outlives the server ---

    def save(self) -> None:
        """Keep what is needed to open everything again."""
        with self._lock:
            tree = {
                "last_id": f"c{self._last_number}",
                "cells": [one.to_saved() for one in self.cells.values()],
                "models": [one.to_saved() for one in self.models.values()],
                "actions": [{"title": one.title, "lines": one.lines.to_json()} for one in self.actions],
            }
            write_json(self.folder / _FILE, tree)

    def _restore(self) -> None:
        """Open again what a server that ended had open, as far as it is still there."""
        tree = read_tree(self.folder / _FILE)
        for cells in read_list(tree, "cells", CellSet.from_saved):
            if cells.path.exists() and self._may_open(cells.path):
                self.cells[cells.id] = cells
        for entry in read_list(tree, "models", ModelEntry.from_saved):
            if entry.path.exists() and self._may_open(entry.path):
                self.models[entry.id] = entry
        self.actions = read_list(tree, "actions", lambda one: Action(one["title"], Lines.from_json(one["lines"])))
        for cells in self.cells.values():
            self.in_background(lambda cells=cells: self._open_cells(cells))  # type: ignore[misc]
        for entry in self.models.values():
            self.in_background(lambda entry=entry: self._open_model(entry))  # type: ignore[misc]

    def _may_open(self, path: Path) -> bool:
        """Return whether a path is of this session, or among what was named at this start."""
        return path.resolve().is_relative_to(self.folder) or self.folders.name_of(path) is not None


def _require_ready(entry: CellSet | ModelEntry, which: str, *, reading: str) -> None:
    """Refuse what could not be read, or is being read."""
    if entry.state == "failed":
        raise RefusedError(422, f"{which} cannot be read: {entry.error}")
    if entry.state == "reading":
        raise RefusedError(409, f"{which} {reading}. Ask again in a moment.")

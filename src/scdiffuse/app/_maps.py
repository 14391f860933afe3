"""One map for real and generated cells: fitted to one set, which others join."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from scdiffuse.app._errors import RefusedError
from scdiffuse.app._session import Session

if TYPE_CHECKING:
    from scdiffuse.evaluation import CellMap

__all__ = ["Maps"]

Method = Literal["pca", "umap"]
_TITLES = {"pca": "Principal components", "umap": "UMAP"}
_MOST_FRAMES = 8
_MOST_POINTS = 64
"""Arrays of points that are kept."""


@dataclass
class _Frame:
    """The map of one set."""

    cell_map: CellMap | None = None
    umap: Literal["computing", "ready", "failed"] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Maps:
    """Maps of a session by the set that each is fitted to.

    Parameters
    ----------
    session
        Holds the cells.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._frames: OrderedDict[str, _Frame] = OrderedDict()
        self._closed = threading.Event()
        self._points: OrderedDict[tuple[str, str, str], NDArray[np.float32]] = OrderedDict()

    def close(self) -> None:
        """End the layout that is being computed."""
        self._closed.set()

    def describe(self, frame: str) -> dict[str, Any]:
        """Return which maps of a set there are; UMAP begins in the background when it is first asked for."""
        held = self._frame(frame)
        cells = self._session.get_cells(frame)
        assert held.cell_map is not None
        with held.lock:
            if held.umap is None:
                held.umap = "computing"
                self._session.in_background(lambda: self._fit_umap(frame, held), patiently=True)
        notes = [
            f"The map is fitted to {held.cell_map.n_fitted:,} cells of {cells.name}; all others are projected onto it."
        ]
        if cells.kind != "real":
            notes.append("These are no real cells: the map shows nothing that the generated cells lack.")
        states = {"pca": "ready", "umap": held.umap}
        methods = [{"name": name, "title": title, "state": states[name]} for name, title in _TITLES.items()]
        return {"frame": frame, "methods": methods, "note": " ".join(notes)}

    def points(self, frame: str, cells: str, method: str) -> NDArray[np.float32]:
        """Return the places of the shown cells of a set on the map of another, shape ``(N, 2)``."""
        if method not in get_args(Method):
            raise RefusedError(422, f"`method` is {method!r}; expected 'pca' or 'umap'.")
        held = self._frame(frame)
        if method == "umap" and held.umap != "ready":
            why = "cannot be computed" if held.umap == "failed" else "is being computed. Ask again in a moment"
            raise RefusedError(409, f"The UMAP of {frame} {why}.")
        key = (frame, cells, method)
        with self._lock:
            if key in self._points:
                self._points.move_to_end(key)
                return self._points[key]
        adata = self._session.adata(cells)
        assert held.cell_map is not None
        placed = held.cell_map.place(adata, "umap" if method == "umap" else "pca")
        with self._lock:
            self._points[key] = placed
            while len(self._points) > _MOST_POINTS:
                self._points.popitem(last=False)
        return placed

    def _frame(self, name: str) -> _Frame:
        """Return the map of a set, fitted when it is first asked for."""
        from scdiffuse.evaluation import CellMap

        adata = self._session.adata(name)
        with self._lock:
            held = self._frames.setdefault(name, _Frame())
            self._frames.move_to_end(name)
            while len(self._frames) > _MOST_FRAMES:
                self._frames.popitem(last=False)
        with held.lock:
            if held.cell_map is None:
                held.cell_map = CellMap(adata)
        return held

    def _lay_out(self, cell_map: CellMap) -> None:
        cell_map.fit_umap(apart=True, cancel=self._closed)

    def _fit_umap(self, name: str, held: _Frame) -> None:
        assert held.cell_map is not None
        try:
            self._lay_out(held.cell_map)
        finally:
            held.umap = "ready" if held.cell_map.has_umap else "failed"
            self._session.changes.note("map", name)

"""Two samples to compare, seen once in every space that a metric may read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from scdiffuse.metrics._arrays import Labelled

__all__ = ["Pair", "View", "labelled", "teacher"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """One sample of cells in every space; rows are the same cells throughout."""

    counts: sparse.csr_matrix
    """Raw counts of all shared genes, shape ``(N, G)``."""
    genes: NDArray[np.float32]
    """Log-normalised values of the chosen genes, dense, shape ``(N, H)``."""
    pcs: NDArray[np.float32]
    """Principal components fitted on the reference cells, shape ``(N, P)``."""
    depth: NDArray[np.float32]
    """Depth features (see :func:`depth_features`), shape ``(N, F)``."""
    labels: NDArray[np.str_] | None = None
    """One label a cell, shape ``(N,)``; empty text where missing."""
    donors: NDArray[np.str_] | None = None
    """One donor a cell, shape ``(N,)``."""
    _shared: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def remember(self, key: str, build: Callable[[], T]) -> T:
        """Compute once what depends on these cells alone, whatever they are compared with.

        Parameters
        ----------
        key
            Name of the computation.
        build
            Called the first time only.

        Returns
        -------
        What ``build`` returned.
        """
        return _recall(self._shared, key, build)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.pcs)

    def take(self, rows: NDArray[Any]) -> View:
        """Keep some cells.

        Parameters
        ----------
        rows
            Row indices or a boolean mask of shape ``(N,)``.

        Returns
        -------
        A view of those cells, in the given order.
        """
        return View(counts=self.counts[rows], genes=self.genes[rows], **self._narrow(rows))

    def glance(self, rows: NDArray[Any]) -> View:
        """Keep some cells for a short while; the wide spaces are cut when a metric reads them.

        Parameters
        ----------
        rows
            Row indices or a boolean mask of shape ``(N,)``.

        Returns
        -------
        A view of those cells, in the given order, that holds on to this one.
        """
        return _Glance(self, rows)

    def _narrow(self, rows: NDArray[Any]) -> dict[str, Any]:
        """Cut all but the wide spaces."""
        narrow = {name: getattr(self, name) for name in ("pcs", "depth", "labels", "donors")}
        return {name: None if value is None else value[rows] for name, value in narrow.items()}


class _Glance(View):
    """Some cells of a view, whose counts and genes are cut on first use."""

    def __init__(self, whole: View, rows: NDArray[Any]) -> None:
        vars(self).update(whole._narrow(rows), _whole=whole, _rows=rows, _shared={})

    @cached_property
    def counts(self) -> sparse.csr_matrix:
        """Raw counts."""
        return vars(self)["_whole"].counts[vars(self)["_rows"]]

    @cached_property
    def genes(self) -> NDArray[np.float32]:
        """Log-normalised values."""
        return cast("NDArray[np.float32]", vars(self)["_whole"].genes[vars(self)["_rows"]])


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """Real and generated cells, with what else a metric may need."""

    real: View
    """Held-out real cells."""
    generated: View
    """The cells to judge."""
    gene_names: NDArray[np.str_]
    """Names of the columns of ``counts``, shape ``(G,)``."""
    chosen: NDArray[np.int64]
    """Columns of ``counts`` that ``genes`` holds, shape ``(H,)``."""
    depth_names: tuple[str, ...]
    """Names of the columns of ``depth``."""
    train: View | None = None
    """Cells the generator was fitted on."""
    reference: View | None = None
    """Real cells that neither side holds; they fitted the projection."""
    seed: int = 0
    """Seed of every subsample, fold and forest."""
    n_jobs: int = 2
    """Threads for the forests."""
    max_cells: int = 5000
    """Distances and neighbours see at most this many cells of each side; exact transport at most 2,000 of them."""
    judge_cells: int = 2500
    """Discriminators see at most this many cells of each side."""
    folds: int = 5
    """Folds of the discriminators; each costs one fit."""
    n_trees: int = 100
    """Trees of a forest."""
    _shared: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def remember(self, key: str, build: Callable[[], T]) -> T:
        """Compute once what several metrics read off one computation.

        Parameters
        ----------
        key
            Name of the computation.
        build
            Called the first time only.

        Returns
        -------
        What ``build`` returned.
        """
        return _recall(self._shared, key, build)

    def only(self, label: str) -> Pair:
        """Limit every sample to the cells of one label.

        Parameters
        ----------
        label
            The label.

        Returns
        -------
        A pair of those cells; samples without labels are left whole.
        """
        return replace(
            self,
            real=_of_label(self.real, label),
            generated=_of_label(self.generated, label),
            train=None if self.train is None else _of_label(self.train, label),
            reference=None if self.reference is None else _of_label(self.reference, label),
        )

    def half(self, rows: tuple[NDArray[Any], NDArray[Any]], *, name: str) -> Pair:
        """Take some cells of both sides; pairs of one name remember together.

        Parameters
        ----------
        rows
            Row indices of the real and of the generated cells; always the same under one name.
        name
            Name of the choice of cells.

        Returns
        -------
        A pair of those cells, with the same training and reference cells.
        """
        cut = replace(self, real=self.real.glance(rows[0]), generated=self.generated.glance(rows[1]))
        known: dict[str, Any] = self.remember(name, dict)
        object.__setattr__(cut, "_shared", known)
        return cut

    def with_generated(self, generated: View) -> Pair:
        """Put another sample in the generated cells' place, such as real cells for the floor.

        Parameters
        ----------
        generated
            The cells to judge instead.

        Returns
        -------
        A pair with the same real cells.
        """
        return replace(self, generated=generated)


def _recall(known: dict[str, Any], key: str, build: Callable[[], T]) -> T:
    if key not in known:
        known[key] = build()
    return cast("T", known[key])


def _of_label(view: View, label: str) -> View:
    """Keep the cells of one label where labels are known."""
    return view if view.labels is None else view.take(view.labels == label)


def labelled(view: View, space: str = "pcs") -> Labelled:
    """Read one space of a view with its labels, which the metric declares to need."""
    assert view.labels is not None
    return Labelled(getattr(view, space), view.labels)


def teacher(pair: Pair) -> View:
    """Take the real cells to learn labels from: the training cells, else the reference."""
    view = pair.train if pair.train is not None and pair.train.labels is not None else pair.reference
    assert view is not None
    return view

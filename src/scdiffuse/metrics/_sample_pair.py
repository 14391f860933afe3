"""Two samples to compare, with their features in every space that a metric reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from scdiffuse._core.errors import ConditionError
from scdiffuse.metrics._labelled_cells import LabelledCells

__all__ = ["CellFeatures", "SamplePair", "label_source", "labelled_cells"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, eq=False)
class CellFeatures:
    """Features of one sample of cells in every space; row ``i`` is the same cell in each of them."""

    counts: sparse.csr_matrix
    """Raw counts of all shared genes, shape ``(N, G)``."""
    genes: NDArray[np.float32]
    """Log-normalised values of the chosen genes, dense, shape ``(N, H)``."""
    pcs: NDArray[np.float32]
    """Principal components fitted on the reference cells, shape ``(N, P)``."""
    qc: NDArray[np.float32]
    """QC metrics of each cell (see :func:`qc_features`), shape ``(N, F)``."""
    labels: NDArray[np.str_] | None = None
    """One label a cell, shape ``(N,)``; empty text where missing."""
    donors: NDArray[np.str_] | None = None
    """One donor a cell, shape ``(N,)``."""
    _shared: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def cached(self, key: str, build: Callable[[], T]) -> T:
        """Compute a result that depends on these cells alone once, and reuse it in every comparison.

        Parameters
        ----------
        key
            Name of the computation.
        build
            Computes the result; called on first use only.

        Returns
        -------
        The result of ``build``.
        """
        return _cached(self._shared, key, build)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.pcs)

    def take(self, rows: NDArray[Any] | slice) -> CellFeatures:
        """Keep some cells.

        Parameters
        ----------
        rows
            Row indices, a boolean mask of shape ``(N,)``, or a slice.

        Returns
        -------
        The features of those cells, in the given order.
        """
        return CellFeatures(counts=self.counts[rows], genes=self.genes[rows], **self._narrow(rows))

    def take_lazily(self, rows: NDArray[Any]) -> CellFeatures:
        """Keep some cells, copying their counts and genes only when a metric reads them.

        Parameters
        ----------
        rows
            Row indices or a boolean mask of shape ``(N,)``.

        Returns
        -------
        The features of those cells, in the given order; the whole sample stays in memory.
        """
        return _LazyCellFeatures(self, rows)

    def join(self, others: CellFeatures) -> CellFeatures:
        """Append other cells.

        Parameters
        ----------
        others
            Cells with the same features.

        Returns
        -------
        The features of both; labels and donors only where both have them.
        """
        joined: dict[str, Any] = {}
        for name in ("genes", "pcs", "qc", "labels", "donors"):
            mine, theirs = getattr(self, name), getattr(others, name)
            joined[name] = None if mine is None or theirs is None else np.concatenate([mine, theirs])
        return CellFeatures(counts=sparse.csr_matrix(sparse.vstack([self.counts, others.counts])), **joined)

    def _narrow(self, rows: NDArray[Any] | slice) -> dict[str, Any]:
        """Select rows of everything but counts and genes."""
        kept = {name: getattr(self, name) for name in ("pcs", "qc", "labels", "donors")}
        return {name: None if value is None else value[rows] for name, value in kept.items()}


class _LazyCellFeatures(CellFeatures):
    """Some cells of a sample, whose counts and genes are copied on first use."""

    def __init__(self, whole: CellFeatures, rows: NDArray[Any]) -> None:
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
class SamplePair:
    """Real and generated cells, with everything else that a metric may need."""

    real: CellFeatures
    """Held-out real cells."""
    generated: CellFeatures
    """The cells to evaluate."""
    gene_names: NDArray[np.str_]
    """Names of the columns of ``counts``, shape ``(G,)``."""
    chosen: NDArray[np.int64]
    """Columns of ``counts`` that are also in ``genes``, shape ``(H,)``."""
    qc_names: tuple[str, ...]
    """Names of the columns of ``qc``."""
    train: CellFeatures | None = None
    """Cells the generator was fitted on."""
    reference: CellFeatures | None = None
    """Reference cells that are in neither sample; the principal components are fitted to them."""
    seed: int = 0
    """Seed of every subsample, fold and forest."""
    n_jobs: int = 2
    """Threads for the forests."""
    max_cells: int = 5000
    """Most cells of each side for distances and neighbours; exact transport takes at most 2,000 of them."""
    max_classifier_cells: int = 2500
    """Most cells of each side for a classifier two-sample test."""
    folds: int = 5
    """Cross-validation folds of a classifier two-sample test; each costs one fit."""
    n_trees: int = 100
    """Trees of a forest."""
    contrasted: tuple[str, ...] | None = None
    """Labels to find changes between, so that all pairs compare the same; all with cells enough if not given."""
    _shared: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def cached(self, key: str, build: Callable[[], T]) -> T:
        """Compute a result that several metrics share once.

        Parameters
        ----------
        key
            Name of the computation.
        build
            Computes the result; called on first use only.

        Returns
        -------
        The result of ``build``.
        """
        return _cached(self._shared, key, build)

    def limit_to_label(self, label: str) -> SamplePair:
        """Limit every sample to the cells of one label.

        Parameters
        ----------
        label
            The label.

        Returns
        -------
        A pair of those cells; samples without labels stay whole.
        """
        return replace(
            self,
            real=_of_label(self.real, label),
            generated=_of_label(self.generated, label),
            train=None if self.train is None else _of_label(self.train, label),
            reference=None if self.reference is None else _of_label(self.reference, label),
        )

    def subset(self, rows: tuple[NDArray[Any], NDArray[Any]], *, name: str) -> SamplePair:
        """Take some cells of both sides; subsets of one name share their cached results.

        Parameters
        ----------
        rows
            Row indices of the real and of the generated cells; always the same under one name.
        name
            Name of the subset.

        Returns
        -------
        A pair of those cells, with the same training and reference cells.
        """
        cut = replace(self, real=self.real.take_lazily(rows[0]), generated=self.generated.take_lazily(rows[1]))
        shared: dict[str, Any] = self.cached(name, dict)
        object.__setattr__(cut, "_shared", shared)
        return cut

    def with_generated(self, generated: CellFeatures) -> SamplePair:
        """Compare the same real cells with another sample, such as other real cells for the real-vs-real reference.

        Parameters
        ----------
        generated
            The cells to evaluate instead.

        Returns
        -------
        A pair with the same real cells.
        """
        return replace(self, generated=generated)


def _cached(results: dict[str, Any], key: str, build: Callable[[], T]) -> T:
    if key not in results:
        results[key] = build()
    return cast("T", results[key])


def _of_label(cells: CellFeatures, label: str) -> CellFeatures:
    """Keep the cells of one label; a sample without labels stays whole."""
    return cells if cells.labels is None else cells.take(cells.labels == label)


def labelled_cells(cells: CellFeatures, space: str = "pcs") -> LabelledCells:
    """Read one feature space with the labels; of cells without labels, such as reference cells, nothing can be said."""
    if cells.labels is None:
        msg = "Some of the real cells compared have no labels; expected a label for each cell of every sample."
        raise ConditionError(msg + " Give all samples the column that `by` names.")
    return LabelledCells(getattr(cells, space), cells.labels)


def label_source(pair: SamplePair) -> CellFeatures:
    """Choose the real cells that a label classifier learns from: training cells, else reference cells."""
    known = [cells for cells in (pair.train, pair.reference) if cells is not None and cells.labels is not None]
    if not known:
        msg = "Neither training nor reference cells have labels; expected them in one of the two."
        raise ConditionError(msg + " Give `train` or `reference` the column that `by` names.")
    return known[0]

"""Copies of training cells: exact ones, found by a hash of each cell, and near ones, which stand out in their tail."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError
from scdiffuse.metrics._exact_tests import clopper_pearson, excess_p_value, tail_excess
from scdiffuse.metrics._feature_matrices import Array, Counts, as_csr, paired, subsample
from scdiffuse.metrics._grouped_folds import count_hashes, row_hashes
from scdiffuse.metrics._neighbours import nearest

__all__ = ["CopyScore", "Fingerprints", "exact_copies", "fingerprints", "near_copies", "shared_cells"]

_CHANCE = 1e-6
_FEWEST_TRAINED = 3
_N_CANDIDATES = 10
_BLOCK_ROWS = 256


class Fingerprints(NamedTuple):
    """What tells whether two cells are equal, and whether that can be chance."""

    hashes: NDArray[np.uint64]
    """A hash of all counts of a cell, 0 for a cell without counts; shape ``(N,)``."""
    log_chance: NDArray[np.float64]
    """The largest log-probability that any expression profile gives these counts, by multinomial sampling; ``(N,)``."""


class CopyScore(NamedTuple):
    """How many generated cells are copies, beside how many held-out cells are."""

    value: float
    """Fraction of the generated cells."""
    null: float
    """Fraction of the held-out cells."""
    low: float
    """Lower end of the exact 95 % interval of the value."""
    high: float
    n_copies: int
    n_generated: int
    n_held_out_copies: int
    n_held_out: int
    p: float
    """Probability of as many without copying."""
    sources: NDArray[np.int64]
    """The training cell of each copy, shape ``(n_copies,)``."""


def fingerprints(counts: Counts) -> Fingerprints:
    """Hash every cell, whatever the order in which its counts are stored.

    Parameters
    ----------
    counts
        Raw counts, ``(N, G)``; columns have to mean the same genes wherever hashes are compared.

    Returns
    -------
    The hashes, and how likely each cell is at most.
    """
    from scipy.special import gammaln

    matrix = as_csr(counts).astype(np.float64)
    library_size = np.asarray(matrix.sum(axis=1)).ravel()
    values = matrix.data
    terms = values * np.log(np.maximum(values, 1e-300)) - gammaln(values + 1)
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    by_cell = np.bincount(rows, weights=terms, minlength=matrix.shape[0])
    log_chance = by_cell + gammaln(library_size + 1) - library_size * np.log(np.maximum(library_size, 1))
    return Fingerprints(np.where(library_size > 0, count_hashes(matrix), 0), np.minimum(log_chance, 0.0))


def exact_copies(train: Fingerprints, held_out: Fingerprints, generated: Fingerprints) -> CopyScore:
    """Count the generated cells that equal a training cell, gene by gene, and test them against chance.

    A cell with few counts can equal another one by chance, as often as held-out cells do (Fisher's exact test). A cell
    with many counts cannot: even if its exact profile were expected, sampling noise alone would hit its counts with the
    probability ``exp(log_chance)``. Where that leaves less than one such match in a million audits, and no held-out
    cell has one, a single copy is significant.

    Parameters
    ----------
    train, held_out, generated
        Fingerprints of the three samples, on the same genes.

    Returns
    -------
    The fraction with its exact interval, the null, both numbers, and the p-value.

    Raises
    ------
    SettingError
        If there are no generated or held-out cells.
    """
    n_generated, n_held_out = len(generated.hashes), len(held_out.hashes)
    if not min(n_generated, n_held_out):
        msg = f"Got {n_generated} generated and {n_held_out} held-out cells; expected at least one of each."
        raise SettingError(msg + " Pass cells to compare.")
    places, null_places = (_find(cells.hashes, train.hashes) for cells in (generated, held_out))
    deepest = _deepest(generated, train)
    tests = []
    for needed, cells in ((np.inf, "all"), (deepest, "deep")):
        hits, null_hits = (
            int(((place >= 0) & (side.log_chance <= needed)).sum())
            for place, side in ((places, generated), (null_places, held_out))
        )
        tests.append(_CHANCE if cells == "deep" and hits and not null_hits else 1.0)
        tests.append(excess_p_value((hits, n_generated), (null_hits, n_held_out)))
    n_copies, n_null = int((places >= 0).sum()), int((null_places >= 0).sum())
    low, high = clopper_pearson(n_copies, n_generated)
    return CopyScore(
        n_copies / n_generated, n_null / n_held_out, low, high, n_copies, n_generated, n_null, n_held_out,
        min(*tests, 1.0), places[places >= 0],
    )  # fmt: skip


def shared_cells(cells: Fingerprints, others: Fingerprints) -> int:
    """Count the cells that are among others too, gene by gene, with too many counts for chance.

    Parameters
    ----------
    cells, others
        Fingerprints of two samples, on the same genes.
    """
    places = _find(cells.hashes, others.hashes)
    return int(((places >= 0) & (cells.log_chance <= _deepest(cells, others))).sum())


def _deepest(cells: Fingerprints, others: Fingerprints) -> float:
    """Return the log-probability of a cell below which no match of two samples is chance."""
    return float(np.log(_CHANCE) - np.log(max(len(cells.hashes), 1)) - np.log(max(len(others.hashes), 1)))


def _find(wanted: NDArray[np.uint64], among: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Find the row of each hash, -1 where there is none."""
    if not len(among):
        return np.full(len(wanted), -1)
    order = np.argsort(among, kind="stable")
    places = order[np.minimum(np.searchsorted(among[order], wanted), len(among) - 1)]
    return np.where((among[places] == wanted) & (wanted != 0), places, -1).astype(np.int64)


def near_copies(
    train: tuple[Array, Array],
    held_out: tuple[Array, Array],
    generated: tuple[Array, Array],
    *,
    max_cells: int = 5000,
    seed: int = 0,
) -> CopyScore:
    """Count the generated cells that lie nearer to one training cell, and to no other, than nearly any held-out cell.

    The ten training cells nearest to a cell in components are compared with it over all genes, by their cosine. The
    distance to the nearest over that to the second nearest is near 1 for an independent cell, because many genes hold
    many independent counts, and small for a copy with some counts changed. The lowest tail is tested against that of
    other real cells: held-out ones, and training cells beside the other training cells. Of equal training cells one is
    kept.

    Parameters
    ----------
    train, held_out, generated
        Principal components and log-normalised genes of each sample, shapes ``(N, P)`` and ``(N, G)``.
    max_cells
        At most this many cells of each sample are asked about; the training cells are all searched.
    seed
        Chooses the cells where there are more.

    Returns
    -------
    The cells in the tail where they exceed other real cells most significantly, none where they do not; its numbers of
    held-out cells count these other real cells.

    Raises
    ------
    SettingError
        If there are fewer than two cells of a sample, or three different ones to train on.
    """
    paired(train[0], held_out[0])
    paired(train[0], generated[0])
    once = np.sort(np.unique(row_hashes(train[1]), return_index=True)[1])
    if len(once) < _FEWEST_TRAINED:
        msg = f"{len(once)} of the {len(train[1])} training cells differ; expected at least {_FEWEST_TRAINED}"
        raise SettingError(msg + " different ones. Give more training cells.")
    pcs, genes = train[0][once], train[1][once]
    asked, null, own = (
        subsample(size, max_cells, seed=seed, stream=name)
        for name, size in (("generated", len(generated[0])), ("held out", len(held_out[0])), ("train", len(once)))
    )
    ratios, sources = _gene_ratios(genes, generated[1][asked], _candidates(pcs, generated[0][asked]))
    null_ratios = np.concatenate(
        [
            _gene_ratios(genes, held_out[1][null], _candidates(pcs, held_out[0][null]))[0],
            _gene_ratios(genes, genes[own], _candidates(pcs, None)[own])[0],
        ]
    )
    found = tail_excess(ratios, null_ratios)
    low, high = clopper_pearson(found.n_beyond, len(ratios))
    copies = np.argsort(ratios, kind="stable")[: found.n_beyond]
    return CopyScore(
        found.n_beyond / len(ratios), found.n_null_beyond / len(null_ratios), low, high, found.n_beyond, len(ratios),
        found.n_null_beyond, len(null_ratios), found.p, once[sources[copies]],
    )  # fmt: skip


def _candidates(train: Array, cells: Array | None) -> NDArray[np.int64]:
    """Find the training cells nearest to each cell; without cells, to each training cell beside itself."""
    n_others = len(train) - (cells is None)
    return nearest(train if cells is None else cells, train, k=min(_N_CANDIDATES, n_others), itself=cells is None)[1]


def _gene_ratios(train: Array, cells: Array, near: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
    """Divide the distance to the nearest by that to the second nearest candidate; the nearest one's row."""
    known, asked = _unit_rows(train), _unit_rows(cells)
    ratios, sources = np.empty(len(near)), np.empty(len(near), dtype=np.int64)
    for start in range(0, len(near), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        # Single precision leaves 1e-7 between equal cells.
        squares = np.maximum(1.0 - np.einsum("nkg,ng->nk", known[near[rows]], asked[rows]), 1e-6)
        order = np.argsort(squares, axis=1, kind="stable")
        first, second = np.take_along_axis(squares, order[:, :2], axis=1).T
        ratios[rows] = first / second
        sources[rows] = np.take_along_axis(near[rows], order[:, :1], axis=1)[:, 0]
    return ratios, sources


def _unit_rows(values: Array) -> Array:
    values = np.asarray(values, dtype=np.float32)
    norms: Array = np.maximum(np.sqrt(np.einsum("ij,ij->i", values, values)), 1e-12)[:, None]
    return np.asarray(values / norms)

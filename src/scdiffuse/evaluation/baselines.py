"""Trivial baselines: generators without learning that a model has to beat, and memorised training cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from scdiffuse._core.errors import CountsError, SettingError, UnknownNameError, did_you_mean
from scdiffuse._core.random import generator

__all__ = ["BASELINES", "MEMORISING_BASELINE", "class_mean_noise", "independent_nb", "resampled", "shuffled_genes"]

Floats: TypeAlias = NDArray[np.floating]
_BLOCK_VALUES = 1 << 24  # dense values held at once
_RARE_MEAN = 1.0  # genes below it are drawn by inversion from zero, the value of most of their cells
_NEGLIGIBLE = 1e-9  # mass below the spacing of a single-precision uniform
_PRIOR_CELLS = 20.0  # weight of the gene's dispersion over all types, in cells


def independent_nb(
    train: ad.AnnData, *, by: str | None = None, n_cells: int | None = None, seed: int = 0, layer: str | None = None
) -> ad.AnnData:
    r"""Draw every gene of every cell type independently from a negative binomial: right margins, no correlations.

    Mean and dispersion are those of the moments, :math:`\alpha = (v - \mu) / \mu^2`, where the dispersion of a type is
    shrunk towards that of the gene over all types with the weight of 20 cells. Genes of a cell share no library size.

    Parameters
    ----------
    train
        Cells to fit, raw counts.
    by
        Column of ``train.obs`` with the cell type; without it all cells are one type.
    n_cells
        Cells to draw; as many as in ``train`` by default.
    seed
        Seed of the draw.
    layer
        Layer with the counts; ``X`` by default.

    Returns
    -------
    ``n_cells`` cells with integer counts in ``X`` (CSR) and, in ``obs[by]``, types in the proportions of ``train``.

    Raises
    ------
    CountsError
        The counts are negative or fractional, or there are no cells.
    UnknownNameError
        ``by`` is not a column of ``train.obs``.
    SettingError
        ``n_cells`` is not positive.
    """
    source = _Source(train, by=by, n_cells=n_cells, seed=seed, layer=layer)
    stream = generator(seed, "independent_nb")
    means = np.vstack([_moments(source.counts[rows])[0] for rows in source.groups])
    variances = np.vstack([_moments(source.counts[rows])[1] for rows in source.groups])
    sizes = np.array([rows.size for rows in source.groups], dtype=float)[:, None]
    squares = means**2
    excess = variances - means
    pooled = (sizes * excess).sum(axis=0) / np.maximum((sizes * squares).sum(axis=0), 1e-12)
    weighted = (sizes - 1) * np.divide(excess, squares, out=np.zeros_like(excess), where=squares > 0)
    dispersion = np.maximum((weighted + _PRIOR_CELLS * pooled) / (sizes - 1 + _PRIOR_CELLS), 0)

    def draw(group: int, rows: NDArray[np.int64]) -> Floats:
        return _negative_binomial(stream, mean=means[group], alpha=np.maximum(dispersion[group], 1e-8), n=rows.size)

    return source.build(draw)


def shuffled_genes(
    train: ad.AnnData, *, by: str | None = None, n_cells: int | None = None, seed: int = 0, layer: str | None = None
) -> ad.AnnData:
    """Shuffle every gene among the cells of a type: exact margins, no correlations, no common library size.

    Parameters
    ----------
    train, by, n_cells, seed, layer
        As for `independent_nb`.

    Returns
    -------
    ``n_cells`` cells with integer counts in ``X`` (CSR) and, in ``obs[by]``, types in the proportions of ``train``.

    Raises
    ------
    CountsError, UnknownNameError, SettingError
        As for `independent_nb`.
    """
    source = _Source(train, by=by, n_cells=n_cells, seed=seed, layer=layer)
    stream = generator(seed, "shuffled_genes")

    def draw(group: int, rows: NDArray[np.int64]) -> Floats:
        members = source.groups[group]
        picks = _choose(stream, members, rows.size)
        return stream.permuted(source.counts[picks].toarray(), axis=0)

    return source.build(draw)


def resampled(
    train: ad.AnnData, *, by: str | None = None, n_cells: int | None = None, seed: int = 0, layer: str | None = None
) -> ad.AnnData:
    """Return training cells as if they were generated: memorised cells, perfect by every metric but privacy.

    Parameters
    ----------
    train, by, n_cells, seed, layer
        As for `independent_nb`.

    Returns
    -------
    ``n_cells`` cells with integer counts in ``X`` (CSR) and their own types in ``obs[by]``; no cell twice before
    all are used.

    Raises
    ------
    CountsError, UnknownNameError, SettingError
        As for `independent_nb`.
    """
    source = _Source(train, by=by, n_cells=n_cells, seed=seed, layer=layer)
    return source.to_anndata(source.counts[source.template])


def class_mean_noise(
    train: ad.AnnData, *, by: str | None = None, n_cells: int | None = None, seed: int = 0, layer: str | None = None
) -> ad.AnnData:
    """Add normal noise to the mean of each type, round, and clip at zero: right means and variances only.

    Parameters
    ----------
    train, by, n_cells, seed, layer
        As for `independent_nb`.

    Returns
    -------
    ``n_cells`` cells with integer counts in ``X`` (CSR) and, in ``obs[by]``, types in the proportions of ``train``.

    Raises
    ------
    CountsError, UnknownNameError, SettingError
        As for `independent_nb`.
    """
    source = _Source(train, by=by, n_cells=n_cells, seed=seed, layer=layer)
    stream = generator(seed, "class_mean_noise")
    moments = [_moments(source.counts[rows]) for rows in source.groups]

    def draw(group: int, rows: NDArray[np.int64]) -> Floats:
        mean, variance = moments[group]
        noise = stream.standard_normal((rows.size, mean.size), dtype=np.float32)
        return np.maximum(np.rint(mean + np.sqrt(variance) * noise), 0).astype(np.float32)

    return source.build(draw)


BASELINES: dict[str, Callable[..., ad.AnnData]] = {
    "independent_nb": independent_nb,
    "shuffled_genes": shuffled_genes,
    "class_mean_noise": class_mean_noise,
    "resampled": resampled,
}
"""Every baseline by name."""

MEMORISING_BASELINE = "resampled"
"""The baseline of memorised training cells; it sets the normalised score 0 of privacy metrics only."""


class _Source:
    """Training cells by type, and the types of the cells to draw."""

    def __init__(self, train: ad.AnnData, *, by: str | None, n_cells: int | None, seed: int, layer: str | None) -> None:
        self.counts = _raw_counts(train, layer)
        self.var_names = train.var_names
        self.obs = _columns(train, by)
        if n_cells is not None and n_cells < 1:
            msg = f"`n_cells` is {n_cells}, expected at least one cell. Omit it to draw as many cells as `train` has."
            raise SettingError(msg)
        codes = np.zeros(train.n_obs, dtype=np.int64)
        if by is not None:
            codes = pd.factorize(train.obs[by], use_na_sentinel=False)[0]
        all_rows = np.arange(train.n_obs)
        self.groups = [all_rows[codes == code] for code in range(codes.max() + 1)]
        stream = generator(seed, "baseline template")  # the memorised cells, and the types of every baseline
        self.template = _choose(stream, all_rows, train.n_obs if n_cells is None else n_cells)
        self.codes = codes[self.template]

    def build(self, draw: Callable[[int, NDArray[np.int64]], Floats]) -> ad.AnnData:
        """Draw the cells of each type in blocks that stay small when dense."""
        parts: list[sparse.csr_matrix] = []
        order: list[NDArray[np.int64]] = []
        for group in range(len(self.groups)):
            for rows in self._blocks(np.flatnonzero(self.codes == group)):
                parts.append(sparse.csr_matrix(draw(group, rows)))
                order.append(rows)
        stacked = sparse.vstack(parts, format="csr")
        return self.to_anndata(stacked[np.argsort(np.concatenate(order), kind="stable")])

    def to_anndata(self, counts: sparse.csr_matrix) -> ad.AnnData:
        """Build the AnnData: integer counts, the type of each cell, new cell names."""
        obs = self.obs.iloc[self.template].copy()
        obs.index = pd.Index([f"baseline-{number}" for number in range(obs.shape[0])])
        matrix = sparse.csr_matrix(counts, dtype=np.int32)
        return ad.AnnData(X=matrix, obs=obs, var=pd.DataFrame(index=self.var_names))

    def _blocks(self, rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        step = max(64, _BLOCK_VALUES // self.counts.shape[1])
        for begin in range(0, rows.size, step):
            yield rows[begin : begin + step]


def _columns(train: ad.AnnData, by: str | None) -> pd.DataFrame:
    if by is None:
        return pd.DataFrame(index=train.obs.index)
    if by not in train.obs:
        known = list(train.obs.columns)
        msg = f"`by` {by!r} is not a column of `train.obs`; expected one of {known}."
        raise UnknownNameError(msg + did_you_mean(by, known))
    return pd.DataFrame(train.obs[[by]])


def _raw_counts(train: ad.AnnData, layer: str | None) -> sparse.csr_matrix:
    matrix = sparse.csr_matrix(train.X if layer is None else train.layers[layer], dtype=np.float32)
    if not matrix.shape[0]:
        msg = "`train` holds no cells; expected at least one. Pass the cells that the generator was fitted to."
        raise CountsError(msg)
    stored = matrix.data
    if stored.size and not (np.isfinite(stored).all() and (stored >= 0).all() and (stored == np.rint(stored)).all()):
        msg = "`train` holds values that are negative or not whole, expected raw counts. Pass the layer that has them."
        raise CountsError(msg)
    return matrix


def _moments(counts: sparse.csr_matrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and unbiased variance of each gene, each ``(G,)``; one cell counts as Poisson."""
    n = counts.shape[0]
    mean = np.asarray(counts.mean(axis=0, dtype=np.float64)).ravel()
    if n == 1:
        return mean, mean
    square = np.asarray(counts.multiply(counts).mean(axis=0, dtype=np.float64)).ravel()
    return mean, np.maximum(square - mean**2, 0) * n / (n - 1)


def _negative_binomial(
    stream: np.random.Generator, *, mean: NDArray[np.float64], alpha: NDArray[np.float64], n: int
) -> NDArray[np.float32]:
    """Draw ``(n, G)`` counts with variance ``mean + alpha mean^2``, spending time on non-zero values only."""
    drawn = np.zeros((n, mean.size), dtype=np.float32)
    common = np.flatnonzero(mean >= _RARE_MEAN)
    rates = stream.gamma(1 / alpha[common], mean[common] * alpha[common], size=(n, common.size))
    drawn[:, common] = stream.poisson(rates)
    rare = np.flatnonzero((mean > 0) & (mean < _RARE_MEAN))
    zero = np.exp(-np.log1p(alpha[rare] * mean[rare]) / alpha[rare])  # probability of zero
    uniform = stream.random((n, rare.size), dtype=np.float32)
    cells, genes = np.nonzero(uniform > zero)
    quantile = uniform[cells, genes].astype(np.float64)
    inverse_dispersion, step = 1 / alpha[rare][genes], (alpha * mean / (1 + alpha * mean))[rare][genes]
    mass = zero[genes]
    total, value, active = mass.copy(), np.zeros(cells.size), np.arange(cells.size)
    while active.size:
        mass[active] *= (value[active] + inverse_dispersion[active]) / (value[active] + 1) * step[active]
        value[active] += 1
        total[active] += mass[active]
        active = active[(quantile[active] > total[active]) & (mass[active] > _NEGLIGIBLE)]
    drawn[cells, rare[genes]] = value
    return drawn


def _choose(stream: np.random.Generator, members: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Draw ``n`` members, no cell twice before all are used."""
    rounds = -(-n // members.size)
    return np.concatenate([stream.permutation(members) for _ in range(rounds)])[:n]

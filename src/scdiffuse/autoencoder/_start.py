"""Where the linear loadings of the decoder start: gene programmes of the training cells that others confirm."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from scdiffuse._core.random import generator
from scdiffuse.autoencoder._autoencoder import CountAutoencoder
from scdiffuse.cells import Source
from scdiffuse.metrics import pearson_residuals

__all__ = ["gene_programmes", "start_at_programmes"]

_LEAST = 1e-12
_DOUBT = 2.0  # standard errors by which the variance of validation cells has to exceed that of independent genes


@torch.no_grad()
def start_at_programmes(
    autoencoder: CountAutoencoder,
    source: Source,
    *,
    training: NDArray[np.int64],
    validation: NDArray[np.int64],
    seed: int = 0,
) -> None:
    """Add gene programmes to the initial linear loadings, unless `programme_start` is off.

    Training from small random loadings finds what many genes share first, and ends before it finds programmes of a few
    dozen genes, such as the response to interferon.

    Parameters
    ----------
    autoencoder
        The network, not trained yet.
    source
        Raw counts of the genes that the network knows.
    training, validation
        Cells to find programmes in and to confirm them with, indices into the source.
    seed
        Seed of the training cells that are looked at.
    """
    config = autoencoder.config
    if not config.programme_start:
        return
    n_cells = min(config.n_start_cells, max(1, config.n_start_counts // autoencoder.n_genes))
    rows = generator(seed, "cells of gene programmes").permutation(training)[:n_cells]
    found = gene_programmes(
        source.rows(np.sort(rows)),
        source.rows(np.sort(validation[:n_cells])),
        most=config.n_latent,
        shrinkage=config.shrinkage,
    )
    autoencoder.decoder.loadings[: len(found)] += torch.from_numpy(found).to(autoencoder.decoder.loadings)


def gene_programmes(
    training: sp.csr_matrix, validation: sp.csr_matrix, *, most: int, shrinkage: float = 0.0
) -> NDArray[np.float32]:
    r"""Estimate what gene programmes do to the log expression fractions of genes.

    Programmes are the principal components of Pearson residuals. With standardised scores :math:`s_c` of cells, the
    counts of gene :math:`g` beyond those expected change by :math:`d_g = \sum_c s_c (x_{cg} - \mu_{cg}) / \sum_c
    \mu_{cg}` in proportion. For Gaussian scores :math:`d_g` is the loading. Scores of few cells lie far out at
    :math:`t = \sqrt{\overline{s^4} - 3}`, and the loading is :math:`\log(1 + t |d_g|) / t`, with the sign of
    :math:`d_g`. The Gaussian prior of loadings shrinks it by :math:`x_g / (x_g + \text{shrinkage})` for :math:`x_g`
    counts. Components have the noise of the cells that they come from: each is multiplied by the root of the
    share of its variance that validation cells have beyond that of independent genes and two standard errors.

    Parameters
    ----------
    training, validation
        Raw counts of cells to find programmes in, and of others, shapes ``(N, G)`` and ``(M, G)``.
    most
        Number of programmes ``K``; fewer if there are fewer cells or genes.
    shrinkage
        Precision of the Gaussian prior of loadings.

    Returns
    -------
    Loadings, shape ``(K, G)``, the strongest programme first; 0 where validation cells confirm nothing.

    References
    ----------
    Lause, Berens & Kobak 2021, https://doi.org/10.1186/s13059-021-02451-7, eq. 5 (Pearson residuals).
    Baik & Silverstein 2006, https://doi.org/10.1016/j.jmva.2005.08.003 (components of few cells overstate variances).
    """
    from sklearn.decomposition import PCA

    n_programmes = min(most, *(size - 1 for size in training.shape))
    if n_programmes < 1:
        return np.zeros((0, training.shape[1]), dtype=np.float32)
    counts = np.asarray(training.sum(axis=0), dtype=np.float64).ravel()
    fractions = (counts + 1) / (counts + 1).sum()
    bound = float(np.sqrt(training.shape[0]))
    residuals = _pearson_residuals(training, fractions, bound=bound)
    pca = PCA(n_programmes, svd_solver="randomized", random_state=0).fit(residuals)
    scores = pca.transform(residuals).astype(np.float64)
    residuals = _pearson_residuals(validation, fractions, bound=bound)
    others = pca.transform(residuals)
    squares = np.square(others - others.mean(axis=0))
    doubt = _DOUBT * squares.std(axis=0) / np.sqrt(len(squares))
    confirmed = squares.mean(axis=0) - doubt - np.square(pca.components_) @ residuals.var(axis=0)
    share = np.clip(confirmed / np.maximum(scores.var(axis=0), _LEAST), 0, 1)
    scores /= np.maximum(scores.std(axis=0), _LEAST)
    sizes = np.asarray(training.sum(axis=1), dtype=np.float64).ravel()
    change = ((training.T @ scores).T - np.outer(sizes @ scores, fractions)) / (sizes.sum() * fractions)
    typical = np.sqrt(np.maximum(np.mean(scores**4, axis=0) - 3, _LEAST))[:, None]
    loadings = np.sign(change) * np.log1p(typical * np.abs(change)) / typical
    shrunk = counts / (counts + max(shrinkage, _LEAST))
    return np.asarray(loadings * shrunk * np.sqrt(share)[:, None], dtype=np.float32)


def _pearson_residuals(cells: sp.csr_matrix, fractions: NDArray[np.float64], *, bound: float) -> NDArray[np.float32]:
    """Measure counts against what the library size alone explains, in standard deviations, shape ``(N, G)``."""
    expected = np.asarray(cells.sum(axis=1), dtype=np.float32).reshape(-1, 1) * fractions.astype(np.float32)
    return pearson_residuals(cells.toarray().astype(np.float32, copy=False), expected, bound=bound)

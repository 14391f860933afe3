"""The spaces that cells are compared in, fitted on real cells that neither side of the comparison holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from scdiffuse._core.errors import CountsError
from scdiffuse.evaluation._samples import Sample
from scdiffuse.metrics import View, depth_features, log_normalise

__all__ = ["Space", "fit_space"]

_MIN_FIT_CELLS = 10
_OVERDISPERSION = 100.0  # Lause et al. 2021: what remains above it is biology
_BLOCK_GENES = 2048


@dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """Chosen genes and principal components of some real cells."""

    genes: NDArray[np.str_]
    """Names of all shared genes, shape ``(G,)``."""
    chosen: NDArray[np.int64]
    """Columns of the genes that vary most, ascending, shape ``(H,)``."""
    centre: NDArray[np.float32]
    """Mean log-normalised value of the chosen genes, shape ``(H,)``."""
    components: NDArray[np.float32]
    """Principal components, shape ``(P, H)``."""
    depth_names: tuple[str, ...]
    """Names of the depth features."""

    def view(self, sample: Sample) -> View:
        """Show a sample in every space.

        Parameters
        ----------
        sample
            Counts on the shared genes, shape ``(N, G)``.

        Returns
        -------
        The same cells in the same order.
        """
        genes = _log_values(sample.counts, self.chosen)
        return View(
            counts=sample.counts,
            genes=genes,
            pcs=((genes - self.centre) @ self.components.T).astype(np.float32, copy=False),
            depth=depth_features(sample.counts, self.genes)[0],
            labels=sample.labels,
            donors=sample.donors,
        )


def fit_space(sample: Sample, genes: NDArray[np.str_], *, n_genes: int = 2000, n_pcs: int = 30, seed: int = 0) -> Space:
    """Choose the genes that vary most and fit principal components to their log-normalised values.

    Genes are ranked by the variance of their Pearson residuals under a negative binomial of dispersion 1/100.

    Parameters
    ----------
    sample
        Real cells that are compared with nothing, counts of shape ``(N, G)``.
    genes
        Names of the columns, shape ``(G,)``.
    n_genes
        Most genes to choose.
    n_pcs
        Most components to fit.
    seed
        Seed of the randomised decomposition.

    Returns
    -------
    The space.

    Raises
    ------
    CountsError
        There are fewer than ten cells.

    References
    ----------
    Lause et al. 2021, https://doi.org/10.1186/s13059-021-02451-7, eq. 5.
    """
    if sample.n_cells < _MIN_FIT_CELLS:
        msg = (
            f"{sample.n_cells} real cells are left to fit the gene choice and the components, expected at least "
            f"{_MIN_FIT_CELLS}. Give more real cells, or a larger `reference`."
        )
        raise CountsError(msg)
    from sklearn.decomposition import PCA

    score = _residual_variance(sample.counts)
    chosen = np.sort(np.argsort(-score, kind="stable")[:n_genes])
    chosen = chosen[score[chosen] > 0]
    values = _log_values(sample.counts, chosen)
    width = max(1, min(n_pcs, values.shape[1] - 1, values.shape[0] - 1))
    fitted = PCA(n_components=width, svd_solver="randomized", random_state=seed).fit(values)
    return Space(
        genes=genes,
        chosen=chosen,
        centre=fitted.mean_.astype(np.float32),
        components=fitted.components_.astype(np.float32),
        depth_names=tuple(depth_features(sample.counts[:1], genes)[1]),
    )


def _log_values(counts: sparse.csr_matrix, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """Log-normalise over all genes, then keep the chosen ones, dense ``(N, H)``."""
    values: NDArray[np.float32] = log_normalise(counts)[:, chosen].toarray().astype(np.float32, copy=False)
    return values


def _residual_variance(counts: sparse.csr_matrix) -> NDArray[np.float64]:
    """Variance of clipped Pearson residuals, gene by gene, ``(G,)``; never the whole matrix dense."""
    depth = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    share = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel() / max(depth.sum(), 1.0)
    limit = np.sqrt(counts.shape[0])
    by_gene = counts.tocsc()
    score = np.zeros(counts.shape[1])
    for begin in range(0, counts.shape[1], _BLOCK_GENES):
        columns = slice(begin, begin + _BLOCK_GENES)
        expected = depth[:, None] * share[columns]
        scale = np.sqrt(expected + expected**2 / _OVERDISPERSION)
        residual = by_gene[:, columns].toarray() - expected
        residual = np.divide(residual, scale, out=np.zeros_like(residual), where=scale > 0)
        score[columns] = np.clip(residual, -limit, limit).var(axis=0)
    return score

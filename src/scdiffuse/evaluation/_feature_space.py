"""Feature spaces for comparing cells: variable genes and principal components of separate real cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from scdiffuse._core.errors import CountsError
from scdiffuse.evaluation._reading import Sample
from scdiffuse.metrics import CellFeatures, log_normalise, qc_features

__all__ = ["FeatureSpace", "fit_space", "likely_variable"]

_MIN_FIT_CELLS = 10
_OVERDISPERSION = 100.0  # Lause et al. 2021: what remains above it is biology
_BLOCK_GENES = 2048


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureSpace:
    """Highly variable genes and principal components of real cells that are in neither sample."""

    genes: NDArray[np.str_]
    """Names of all shared genes, shape ``(G,)``."""
    chosen: NDArray[np.int64]
    """Columns of the genes that vary most, ascending, shape ``(H,)``."""
    mean: NDArray[np.float32]
    """Mean log-normalised value of the chosen genes, shape ``(H,)``."""
    components: NDArray[np.float32]
    """Principal components, shape ``(P, H)``."""
    qc_names: tuple[str, ...]
    """Names of the QC metrics."""

    def features(self, sample: Sample) -> CellFeatures:
        """Compute the features of a sample in every space.

        Parameters
        ----------
        sample
            Counts on the shared genes, shape ``(N, G)``.

        Returns
        -------
        The same cells in the same order.
        """
        genes = _log_values(sample.counts, self.chosen)
        return CellFeatures(
            counts=sample.counts,
            genes=genes,
            pcs=((genes - self.mean) @ self.components.T).astype(np.float32, copy=False),
            qc=qc_features(sample.counts, self.genes)[0],
            labels=sample.labels,
            donors=sample.donors,
        )


def fit_space(
    sample: Sample,
    genes: NDArray[np.str_],
    *,
    n_genes: int = 2000,
    n_pcs: int = 30,
    seed: int = 0,
    candidates: NDArray[np.int64] | None = None,
) -> FeatureSpace:
    """Choose highly variable genes, and fit principal components to their log-normalised values.

    Genes are ranked by the variance of their Pearson residuals under a negative binomial of dispersion 1/100.

    Parameters
    ----------
    sample
        Real cells that are in neither sample, counts of shape ``(N, G)``.
    genes
        Names of the columns, shape ``(G,)``.
    n_genes
        Most genes to choose.
    n_pcs
        Most components to fit.
    seed
        Seed of the randomised decomposition.
    candidates
        Columns to choose among, ascending; all of them if not given.

    Returns
    -------
    The feature space.

    Raises
    ------
    CountsError
        There are fewer than ten cells, or no gene varies between them.

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

    score = _residual_variance(sample.counts, candidates)
    chosen = np.sort(np.argsort(-score, kind="stable")[:n_genes])
    chosen = chosen[score[chosen] > 0]
    if not chosen.size:
        msg = f"No gene of `real` varies between {sample.n_cells} of its cells, expected cells that differ."
        raise CountsError(msg + " Check the layer.")
    values = _log_values(sample.counts, chosen)
    width = max(1, min(n_pcs, values.shape[1] - 1, values.shape[0] - 1))
    fitted = PCA(n_components=width, svd_solver="randomized", random_state=seed).fit(values)
    return FeatureSpace(
        genes=genes,
        chosen=chosen,
        mean=fitted.mean_.astype(np.float32),
        components=fitted.components_.astype(np.float32),
        qc_names=tuple(qc_features(sample.counts[:1], genes)[1]),
    )


def _log_values(counts: sparse.csr_matrix, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """Log-normalise over all genes, then keep the chosen ones, dense ``(N, H)``."""
    values: NDArray[np.float32] = log_normalise(counts)[:, chosen].toarray().astype(np.float32, copy=False)
    return values


def _residual_variance(counts: sparse.csr_matrix, candidates: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """Variance of clipped Pearson residuals, gene by gene, ``(G,)``; dense for a block of genes at a time.

    Genes that are no candidates get 0.
    """
    library_size = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    fraction = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel() / max(library_size.sum(), 1.0)
    limit = np.sqrt(counts.shape[0])
    by_gene = counts.tocsc()
    looked_at = np.arange(counts.shape[1]) if candidates is None else candidates
    score = np.zeros(counts.shape[1])
    for begin in range(0, len(looked_at), _BLOCK_GENES):
        columns = looked_at[begin : begin + _BLOCK_GENES]
        expected = library_size[:, None] * fraction[columns]
        scale = np.sqrt(expected + expected**2 / _OVERDISPERSION)
        residual = by_gene[:, columns].toarray() - expected
        residual = np.divide(residual, scale, out=np.zeros_like(residual), where=scale > 0)
        score[columns] = np.clip(residual, -limit, limit).var(axis=0)
    return score


def likely_variable(counts: sparse.csr_matrix, n_genes: int) -> NDArray[np.int64]:
    """Rank genes by an approximation that touches counts above zero alone, for `fit_space` to choose among the first.

    It takes all cells for cells of the mean library size, and clips nothing.

    Parameters
    ----------
    counts
        Raw counts, shape ``(N, G)``.
    n_genes
        Genes to return.

    Returns
    -------
    Their columns, ascending.
    """
    sizes = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    scale = np.divide(sizes.mean(), sizes, out=np.zeros_like(sizes), where=sizes > 0)
    values = counts.data * np.repeat(scale, np.diff(counts.indptr))
    n_cells, width = counts.shape
    mean = np.bincount(counts.indices, values, minlength=width) / n_cells
    variance = np.bincount(counts.indices, values**2, minlength=width) / n_cells - mean**2
    expected = mean + mean**2 / _OVERDISPERSION
    score = np.divide(variance, expected, out=np.zeros_like(mean), where=expected > 0)
    return np.sort(np.argsort(-score, kind="stable")[:n_genes])

"""Metrics of raw counts without labels: gene moments, zero fractions, gene correlations, QC metrics of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from scdiffuse._core.errors import GenesError, SettingError
from scdiffuse.metrics._feature_matrices import Array, Counts, as_csr
from scdiffuse.metrics._line_fit import LineFit, fit_line

__all__ = [
    "GeneProfile",
    "gene_correlation",
    "gene_profile",
    "invalid_values",
    "log_normalise",
    "mean_error",
    "mean_variance_trend",
    "qc_features",
    "variance_error",
    "zero_error",
]

_PSEUDO_MEAN = 0.01
_TREND_BINS = 20
_MITOCHONDRIAL = ("MT-",)
_RIBOSOMAL = ("RPS", "RPL")


class GeneProfile(NamedTuple):
    """Moments of raw counts, gene by gene, shape ``(G,)`` each."""

    mean: Array
    variance: Array
    """Unbiased."""
    zero_fraction: Array


def log_normalise(counts: Counts, *, target: float = 1e4) -> sparse.csr_matrix:
    """Scale each cell to one total and take ``log(1 + x)``.

    Parameters
    ----------
    counts
        Raw counts, shape ``(N, G)``; cells without counts stay empty.
    target
        Total of each cell before the logarithm.

    Returns
    -------
    CSR ``float32`` of shape ``(N, G)``; negative values count as 0.
    """
    matrix = as_csr(counts).astype(np.float64)
    matrix.data = np.maximum(np.nan_to_num(matrix.data), 0)
    totals = np.asarray(matrix.sum(axis=1)).ravel()
    scale = np.divide(target, totals, out=np.zeros_like(totals), where=totals > 0)
    matrix.data = np.log1p(matrix.data * np.repeat(scale, np.diff(matrix.indptr)))
    return matrix.astype(np.float32)


def qc_features(counts: Counts, gene_names: Sequence[str] | Array) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Compute QC metrics of each cell: library size, genes detected, and how counts are spread over genes.

    Parameters
    ----------
    counts
        Raw counts, shape ``(N, G)``.
    gene_names
        Gene symbols, ``G`` of them; human or mouse ribosomal and mitochondrial genes are found by their prefix.

    Returns
    -------
    features
        Shape ``(N, F)``, ``float32``.
    names
        ``log_library_size``, ``log_genes_detected``, ``singleton_fraction`` (of the detected genes, those with one
        count), ``top_gene_fraction`` (of the counts), and ``ribosomal_fraction`` and ``mitochondrial_fraction`` where
        such genes exist.

    Raises
    ------
    GenesError
        If the number of names is not the number of genes.
    """
    matrix = as_csr(counts).astype(np.float64)
    if len(gene_names) != matrix.shape[1]:
        msg = f"Got {len(gene_names)} gene names for {matrix.shape[1]} genes; pass one name a gene."
        raise GenesError(msg)
    totals = np.asarray(matrix.sum(axis=1)).ravel()
    detected = np.asarray((matrix > 0).sum(axis=1)).ravel()
    single = np.asarray((matrix == 1).sum(axis=1)).ravel() if matrix.nnz else np.zeros(len(totals))
    features = {
        "log_library_size": np.log1p(np.maximum(totals, 0)),
        "log_genes_detected": np.log1p(detected),
        "singleton_fraction": single / np.maximum(detected, 1),
        "top_gene_fraction": matrix.max(axis=1).toarray().ravel() / np.maximum(totals, 1),
    }
    symbols = [str(name).upper() for name in gene_names]
    for name, prefixes in (("ribosomal_fraction", _RIBOSOMAL), ("mitochondrial_fraction", _MITOCHONDRIAL)):
        members = np.flatnonzero([symbol.startswith(prefixes) for symbol in symbols])
        if len(members):
            features[name] = np.asarray(matrix[:, members].sum(axis=1)).ravel() / np.maximum(totals, 1)
    return np.column_stack(list(features.values())).astype(np.float32), tuple(features)


def gene_profile(counts: Counts) -> GeneProfile:
    """Compute mean, variance and zero fraction of each gene's raw counts.

    Parameters
    ----------
    counts
        Raw counts, shape ``(N, G)`` with at least two cells.

    Returns
    -------
    Profile of ``float64`` arrays.

    Raises
    ------
    SettingError
        If there are fewer than two cells.

    Examples
    --------
    >>> gene_profile(np.array([[0, 1], [2, 1]])).variance.tolist()
    [2.0, 0.0]
    """
    matrix = as_csr(counts).astype(np.float64)
    n = matrix.shape[0]
    if n < 2:
        msg = f"Got {n} cells; a variance needs at least two. Compare more cells."
        raise SettingError(msg)
    mean = np.asarray(matrix.mean(axis=0)).ravel()
    squares = np.asarray(matrix.multiply(matrix).sum(axis=0)).ravel()
    variance = np.maximum((squares - n * mean**2) / (n - 1), 0)
    nonzero = np.asarray((matrix != 0).sum(axis=0)).ravel()
    return GeneProfile(mean, variance, 1 - nonzero / n)


def mean_error(real: GeneProfile, generated: GeneProfile) -> float:
    r"""Compare the genes' mean counts on a logarithmic scale.

    .. math:: \sqrt{ \operatorname{mean}_g \log_2^2 \frac{m'_g + 0.01}{m_g + 0.01} }

    Parameters
    ----------
    real, generated
        Profiles of the same genes.

    Returns
    -------
    Root mean squared doublings, at least 0.
    """
    return _doublings(real.mean, generated.mean)


def variance_error(real: GeneProfile, generated: GeneProfile) -> float:
    """Compare the genes' variances as :func:`mean_error` compares the means.

    Parameters
    ----------
    real, generated
        Profiles of the same genes.

    Returns
    -------
    Root mean squared doublings, at least 0.
    """
    return _doublings(real.variance, generated.variance)


def _doublings(real: Array, generated: Array) -> float:
    """Root mean square of log2 ratios, with a pseudocount that damps the rarest genes."""
    ratios = np.log2((generated + _PSEUDO_MEAN) / (real + _PSEUDO_MEAN))
    return float(np.sqrt(np.mean(ratios**2)))


def zero_error(real: GeneProfile, generated: GeneProfile) -> float:
    """Compare the genes' zero fractions.

    Parameters
    ----------
    real, generated
        Profiles of the same genes.

    Returns
    -------
    Mean absolute difference, 0..1.
    """
    return float(np.abs(real.zero_fraction - generated.zero_fraction).mean())


def mean_variance_trend(real: GeneProfile, generated: GeneProfile) -> float:
    """Compare the mean-variance trend: how variable genes are at a given mean.

    Genes of each sample are gathered in bins of equal width in log10 of the mean; the mean of log10(variance / mean) is
    taken in each bin with at least 5 genes of both samples. Poisson counts have 0 there.

    Parameters
    ----------
    real, generated
        Profiles of the same genes.

    Returns
    -------
    Root mean squared difference of the trends over the shared bins, in powers of ten, weighted by the real genes in the
    bin; NaN when no bin is shared.
    """
    means = np.concatenate([real.mean, generated.mean])
    if not (means > 0).any():
        return float("nan")
    lowest, highest = np.log10(means[means > 0].min()), np.log10(means.max())
    edges = np.linspace(lowest, highest + 1e-9, _TREND_BINS + 1)
    (real_trend, real_sizes), (trend, sizes) = (_trend(profile, edges) for profile in (real, generated))
    shared = (real_sizes >= 5) & (sizes >= 5)
    if not shared.any():
        return float("nan")
    squares = (trend[shared] - real_trend[shared]) ** 2
    return float(np.sqrt(np.average(squares, weights=real_sizes[shared])))


def _trend(profile: GeneProfile, edges: Array) -> tuple[Array, NDArray[np.int64]]:
    """Average log10 of variance over mean within bins of log10 mean, and count the genes."""
    used = (profile.mean > 0) & (profile.variance > 0)
    ratio = np.log10(profile.variance[used] / profile.mean[used])
    bins = np.clip(np.digitize(np.log10(profile.mean[used]), edges) - 1, 0, len(edges) - 2)
    sizes = np.bincount(bins, minlength=len(edges) - 1)
    sums = np.bincount(bins, weights=ratio, minlength=len(edges) - 1)
    return sums / np.maximum(sizes, 1), sizes


def invalid_values(counts: Counts) -> float:
    """Compute the fraction of stored values that cannot be counts: negative, fractional or not finite.

    Parameters
    ----------
    counts
        Matrix, shape ``(N, G)``.

    Returns
    -------
    Fraction of the stored non-zero values, 0..1.

    Examples
    --------
    >>> invalid_values(np.array([[1.0, 0.5], [0.0, 2.0], [-1.0, 3.0]]))
    0.4
    """
    values = as_csr(counts).data
    values = values[values != 0]
    if not len(values):
        return 0.0
    with np.errstate(invalid="ignore"):
        bad = ~np.isfinite(values) | (values < 0) | (values != np.round(values))
    return float(bad.mean())


def gene_correlation(
    real_counts: Counts, generated_counts: Counts, *, top: int = 200, labels: tuple[Array, Array] | None = None
) -> LineFit:
    """Compare the correlations between genes, pair by pair.

    The ``top`` genes that vary most, after log-normalisation, in both samples together are correlated in each sample;
    the upper triangles of the two matrices are compared.

    Parameters
    ----------
    real_counts, generated_counts
        Raw counts of the same genes, shapes ``(N, G)`` and ``(M, G)``.
    top
        Number of genes, at least 3.
    labels
        Labels of the real and the generated cells: then each label's mean is subtracted first, which leaves the
        correlations within labels.

    Returns
    -------
    Pearson correlation of the two triangles, and total-least-squares slope of generated on real.

    Raises
    ------
    SettingError
        If ``top`` is below 3 or the numbers of genes differ.
    """
    real, generated = log_normalise(real_counts), log_normalise(generated_counts)
    if top < 3 or real.shape[1] != generated.shape[1]:
        msg = (
            f"Got `top` {top} and matrices of {real.shape[1]} and {generated.shape[1]} genes; expected at least 3 and "
            "the same genes. Bring both to the same genes first."
        )
        raise SettingError(msg)
    spread = _variances(real) + _variances(generated)
    chosen = np.sort(np.argsort(-spread, kind="stable")[:top])
    sides = (real, generated)
    of_cells = (None, None) if labels is None else labels
    triangles = [
        _correlations(side[:, chosen].toarray().astype(np.float64), names)
        for side, names in zip(sides, of_cells, strict=True)
    ]
    return fit_line(*triangles)


def _variances(matrix: sparse.csr_matrix) -> Array:
    """Variance of each column of a sparse matrix."""
    wide = matrix.astype(np.float64)
    mean = np.asarray(wide.mean(axis=0)).ravel()
    return np.asarray(np.asarray(wide.multiply(wide).mean(axis=0)).ravel() - mean**2)


def _correlations(values: Array, labels: Array | None) -> Array:
    """Upper triangle of the correlation matrix; a constant gene correlates 0 with all."""
    for rows in [slice(None)] if labels is None else [labels == name for name in np.unique(labels)]:
        values[rows] -= values[rows].mean(axis=0)
    norms = np.sqrt((values**2).sum(axis=0))
    scaled = values / np.where(norms > 1e-12, norms, 1)
    return np.asarray((scaled.T @ scaled)[np.triu_indices(values.shape[1], k=1)])

"""Differentially expressed genes of predicted against those of real perturbed cells: tests in, numbers out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError
from scdiffuse.metrics._feature_matrices import Array

__all__ = [
    "GeneTests",
    "de_overlap",
    "de_precision",
    "de_recovery",
    "direction_match",
    "fold_change_spearman",
    "rank_sum_tests",
    "shared_top_genes",
]

_SMALLEST_FDR = 1e-10


class GeneTests(NamedTuple):
    """Tests of perturbed against control cells, gene by gene, shape ``(G,)`` each."""

    log2_fold_change: Array
    p: Array
    fdr: Array
    """Adjusted by Benjamini and Hochberg over all genes."""


def rank_sum_tests(cells: Array, control: Array, *, log1p: bool = True) -> GeneTests:
    r"""Test every gene between perturbed and control cells by Wilcoxon's rank sum (Mann and Whitney's U).

    p is two-sided, by the normal approximation with corrections for ties and continuity. Fold changes are those of
    geometric means, :math:`\log_2 (e^{\bar x} - 1) / (e^{\bar y} - 1)` for log expression, 0 where a gene is found on
    neither side and infinite where it is found on one.

    Parameters
    ----------
    cells, control
        Expression, shapes ``(N, G)`` and ``(M, G)``.
    log1p
        The values are ``log(1 + x)``; otherwise fold changes are those of the values' means.

    Returns
    -------
    Fold change, p and FDR of each gene.

    Raises
    ------
    SettingError
        There are no cells, other genes, or NaN.

    References
    ----------
    pdex 0.3.0 as cell-eval 0.8.2 calls it, https://github.com/ArcInstitute/pdex (``epsilon=0``).
    """
    from scipy.stats import mannwhitneyu

    x, y = (np.asarray(values) for values in (cells, control))
    if min(len(x), len(y)) < 1 or x.shape[1] != y.shape[1]:
        msg = f"Got cells of shape {x.shape} and {y.shape}, expected at least one of each and the same genes."
        raise SettingError(msg)
    n_bad = int(np.count_nonzero(np.isnan(x).any(axis=0) | np.isnan(y).any(axis=0)))
    if n_bad:
        msg = f"{n_bad} of {x.shape[1]} genes hold NaN, expected numbers. Check what the expression was made from."
        raise SettingError(msg)
    p = np.ones(x.shape[1])
    varies = (np.minimum(x.min(axis=0), y.min(axis=0)) < np.maximum(x.max(axis=0), y.max(axis=0))).nonzero()[0]
    if varies.size:
        p[varies] = mannwhitneyu(x[:, varies], y[:, varies], axis=0, method="asymptotic").pvalue
    p = np.clip(np.nan_to_num(p, nan=1.0), 0, 1)
    return GeneTests(_log2_ratio(_natural_mean(x, log1p=log1p), _natural_mean(y, log1p=log1p)), p, _adjusted(p))


def _adjusted(p: Array) -> Array:
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(p))


def _natural_mean(values: Array, *, log1p: bool) -> Array:
    mean = values.mean(axis=0, dtype=np.float64)
    natural = np.expm1(mean) if log1p else mean
    return np.asarray(np.maximum(natural, 0.0))  # some methods predict a little less than nothing


def _log2_ratio(above: Array, below: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(np.log2(above / below), nan=0.0, posinf=np.inf, neginf=-np.inf)


def de_overlap(predicted: GeneTests, real: GeneTests, *, n_genes: int | None = None, fdr: float = 0.05) -> float:
    r"""Measure which part of the real DE genes is among as many predicted ones (overlap@N; DES).

    The significant genes of each side are ordered by absolute fold change, largest first. With
    :math:`k` the smaller of ``n_genes`` and the number of real DE genes, it is
    :math:`|R_{1..k} \cap P_{1..k}| / k`.

    Parameters
    ----------
    predicted, real
        Tests against control cells, by `rank_sum_tests`.
    n_genes
        Most genes to compare; as many as real cells have DE genes if not given.
    fdr
        Genes below it are DE genes.

    Returns
    -------
    0 to 1; 0 where no gene is predicted to be DE. NaN where real cells have no DE gene; `cell-eval` gives 0 there.

    References
    ----------
    ``overlap_at_N`` of cell-eval 0.8.2, https://github.com/ArcInstitute/cell-eval: the differential expression score
    (DES) of the Virtual Cell Challenge.

    Examples
    --------
    >>> real = GeneTests(np.array([3.0, 2.0, 1.0]), np.zeros(3), np.array([0.0, 0.0, 1.0]))
    >>> de_overlap(GeneTests(np.array([3.0, 0.1, 2.0]), np.zeros(3), np.zeros(3)), real)
    0.5
    """
    ranked, found = _ranked(real, fdr), _ranked(predicted, fdr)
    return _shared_part(found, ranked, min(n_genes or ranked.size, ranked.size))


def de_precision(predicted: GeneTests, real: GeneTests, *, n_genes: int | None = None, fdr: float = 0.05) -> float:
    r"""Measure which part of the predicted DE genes is among as many real ones (precision@N).

    Parameters
    ----------
    predicted, real, n_genes, fdr
        As for `de_overlap`; :math:`k` is the smaller of ``n_genes`` and the number of *predicted* DE genes.

    Returns
    -------
    0 to 1; 0 where no gene is predicted to be DE.

    References
    ----------
    ``precision_at_N`` of cell-eval 0.8.2, https://github.com/ArcInstitute/cell-eval.

    Examples
    --------
    >>> real = GeneTests(np.array([3.0, 2.0, 1.0]), np.zeros(3), np.array([0.0, 0.0, 1.0]))
    >>> de_precision(GeneTests(np.array([3.0, 0.1, 2.0]), np.zeros(3), np.array([0.0, 1.0, 1.0])), real)
    1.0
    """
    ranked, found = _ranked(real, fdr), _ranked(predicted, fdr)
    return _shared_part(found, ranked, min(n_genes or found.size, found.size)) if found.size else 0.0


def _ranked(tests: GeneTests, fdr: float) -> NDArray[np.int64]:
    """List significant genes by absolute fold change, in single precision as others hold it."""
    size = np.abs(tests.log2_fold_change.astype(np.float32))
    order = np.argsort(-size, kind="stable")
    return order[tests.fdr[order].astype(np.float32) < fdr]


def _shared_part(found: NDArray[np.int64], ranked: NDArray[np.int64], n: int) -> float:
    return float(np.intersect1d(found[:n], ranked[:n]).size / n) if n else float("nan")


def shared_top_genes(predicted: Array, real: Array, *, n_genes: int = 100) -> float:
    """Measure which part of the ``n_genes`` genes with the highest scores two tests share (common DEGs).

    Parameters
    ----------
    predicted, real
        Score of each gene, shape ``(G,)``; it is taken without its sign.
    n_genes
        Number of genes; half of all, where there are fewer than twice as many.

    Returns
    -------
    0 to 1; genes at random share ``n_genes / G``. 0 where no gene is predicted to change.

    References
    ----------
    The common DEGs of scPerturBench, https://github.com/bm2-lab/scPerturBench.

    Examples
    --------
    >>> shared_top_genes(np.array([5.0, -4.0, 0.0, 1.0]), np.array([4.0, 0.5, 0.0, 3.0]), n_genes=2)
    0.5
    """
    n = max(1, min(n_genes, len(real) // 2))
    if not np.any(predicted):
        return 0.0
    found, wanted = (np.argsort(-np.abs(scores), kind="stable")[:n] for scores in (predicted, real))
    return float(np.intersect1d(found, wanted).size / n)


def direction_match(predicted: GeneTests, real: GeneTests, *, fdr: float = 0.05) -> float:
    """Measure for which part of the real DE genes the predicted change has the right sign.

    Parameters
    ----------
    predicted, real, fdr
        As for `de_overlap`.

    Returns
    -------
    0 to 1, and a half by chance; a gene that is predicted to stay as it is counts as wrong. NaN without a DE gene.

    References
    ----------
    ``de_direction_match`` of cell-eval 0.8.2, https://github.com/ArcInstitute/cell-eval.
    """
    marks = real.fdr < fdr
    if not marks.any():
        return float("nan")
    return float(np.mean(np.sign(predicted.log2_fold_change[marks]) == np.sign(real.log2_fold_change[marks])))


def fold_change_spearman(predicted: GeneTests, real: GeneTests, *, fdr: float = 0.05) -> float:
    """Rank-correlate predicted with real log fold changes over the real DE genes.

    Parameters
    ----------
    predicted, real, fdr
        As for `de_overlap`.

    Returns
    -------
    Spearman's correlation, -1 to 1; 0 where all predicted changes are the same, NaN with fewer than two DE genes.

    References
    ----------
    ``de_spearman_lfc_sig`` of cell-eval 0.8.2, https://github.com/ArcInstitute/cell-eval.
    """
    from scipy.stats import rankdata

    marks = real.fdr < fdr
    if marks.sum() < 2:
        return float("nan")
    ranks = [rankdata(tests.log2_fold_change[marks]) for tests in (predicted, real)]
    if min(np.ptp(one) for one in ranks) == 0:
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def de_recovery(predicted: GeneTests, real: GeneTests, *, fdr: float = 0.05, curve: str = "pr") -> float:
    r"""Measure how well predicted significance finds the real DE genes: area under a curve.

    Genes are ordered by :math:`-\log_{10}` of the predicted FDR, which is cut at 1e-10.

    Parameters
    ----------
    predicted, real, fdr
        As for `de_overlap`.
    curve
        ``"pr"``: average precision, whose chance level is the part of genes that are DE; ``"roc"``: area under the
        ROC curve, a half by chance.

    Returns
    -------
    0 to 1; NaN where no gene or every gene is DE.

    Raises
    ------
    SettingError
        The curve is unknown.

    References
    ----------
    ``pr_auc`` and ``roc_auc`` of cell-eval 0.8.2, https://github.com/ArcInstitute/cell-eval.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    measures = {"pr": average_precision_score, "roc": roc_auc_score}
    if curve not in measures:
        msg = f"`curve` is {curve!r}, expected one of {list(measures)}; choose one of them."
        raise SettingError(msg)
    marks = real.fdr < fdr
    if not 0 < marks.sum() < marks.size:
        return float("nan")
    return float(measures[curve](marks, -np.log10(np.clip(predicted.fdr, _SMALLEST_FDR, 1))))

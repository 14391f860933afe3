"""Metrics of Luo et al. 2024 (scDiffusion), for comparison with published tables; most of them saturate."""

from __future__ import annotations

import numpy as np

from scdiffuse.metrics._classifiers import BinaryClassifier
from scdiffuse.metrics._distances import kernel_sum, squared_mean
from scdiffuse.metrics._feature_matrices import Array, Counts, as_csr, equal_sizes, paired, subsample
from scdiffuse.metrics._genes import log_normalise
from scdiffuse.metrics._labelled_cells import LabelledCells
from scdiffuse.metrics._neighbours import lisi
from scdiffuse.metrics._two_sample import AucInterval, delong_interval
from scdiffuse.metrics._utility import label_accuracy_by_label

__all__ = [
    "centroid_cosine",
    "centroid_distance",
    "forest_auc_depth5",
    "ilisi",
    "knn_auc",
    "label_accuracy",
    "mmd5",
    "pcc",
    "scc",
]


def scc(real_counts: Counts, generated_counts: Counts) -> float:
    """Correlate the genes' mean log-normalised values by rank.

    Parameters
    ----------
    real_counts, generated_counts
        Raw counts of the same genes, shapes ``(N, G)`` and ``(M, G)``.

    Returns
    -------
    Spearman correlation, -1..1; class means reach 1, so it is no evidence of realism.

    References
    ----------
    Luo et al. 2024, https://doi.org/10.1093/bioinformatics/btae518, column SCC.
    """
    from scipy.stats import spearmanr

    return float(spearmanr(*_means(real_counts, generated_counts)).statistic)


def pcc(real_counts: Counts, generated_counts: Counts) -> float:
    """Correlate the genes' mean log-normalised values.

    Parameters
    ----------
    real_counts, generated_counts
        Raw counts of the same genes, shapes ``(N, G)`` and ``(M, G)``.

    Returns
    -------
    Pearson correlation, -1..1; class means reach 1, so it is no evidence of realism.

    References
    ----------
    Luo et al. 2024, https://doi.org/10.1093/bioinformatics/btae518, column PCC.
    """
    return float(np.corrcoef(*_means(real_counts, generated_counts))[0, 1])


def _means(real_counts: Counts, generated_counts: Counts) -> tuple[Array, Array]:
    """Mean log-normalised value of each gene of both samples."""
    real, generated = (
        np.asarray(log_normalise(as_csr(counts)).astype(np.float64).mean(axis=0)).ravel()
        for counts in (real_counts, generated_counts)
    )
    return real, generated


def mmd5(x: Array, y: Array, *, max_cells: int = 5000, seed: int = 0) -> float:
    """Compare mean embeddings with the five summed kernels of domain adaptation, with each cell's pair with itself.

    The middle kernel is ``exp(-d^2 / b)`` with ``b`` the mean squared distance between different pooled cells, the
    others have ``b`` times 1/4, 1/2, 2, 4. Biased upwards: use :func:`mmd` as evidence.

    Parameters
    ----------
    x, y
        Real and generated cells, shapes ``(N, F)`` and ``(M, F)``.
    max_cells
        At most this many cells of each side are used, equally many.
    seed
        Chooses the cells where there are more.

    Returns
    -------
    The biased squared discrepancy, 0..10.

    References
    ----------
    Luo et al. 2024, column MMD; kernels of Long et al. 2015, https://arxiv.org/abs/1502.02791, section 3.
    """
    x, y = equal_sizes(*paired(x, y), max_cells=max_cells, seed=seed)
    pooled = np.concatenate([x, y])
    scales = (squared_mean(pooled) or 1.0) * 2.0 ** np.arange(-2, 3)
    n = len(x)
    within = kernel_sum(x, x, scales) + kernel_sum(y, y, scales)
    return float(len(scales) * (within - 2 * kernel_sum(x, y, scales)) / n**2)


def ilisi(x: Array, y: Array, *, max_cells: int = 5000, seed: int = 0) -> float:
    """Measure the mixing of real and generated cells, as :func:`lisi` with perplexity 30.

    Parameters
    ----------
    x, y
        Real and generated cells, shapes ``(N, F)`` and ``(M, F)``.
    max_cells
        At most this many cells of each side are used, equally many.
    seed
        Chooses the cells where there are more.

    Returns
    -------
    0 apart, 1 mixed.

    References
    ----------
    Luo et al. 2024, column LISI.
    """
    return lisi(x, y, perplexity=30, max_cells=max_cells, seed=seed)


def forest_auc_depth5(
    x: Array, y: Array, *, n_trees: int = 1000, max_cells: int = 2500, seed: int = 0, n_jobs: int = 2
) -> AucInterval:
    """Measure the AUC of a forest of shallow trees on a held-out quarter of the cells.

    Parameters
    ----------
    x, y
        Real and generated cells in principal components, shapes ``(N, F)`` and ``(M, F)``.
    n_trees
        Number of trees of depth 5.
    max_cells
        At most this many cells of each side are used.
    seed
        Chooses cells, split and trees.
    n_jobs
        Threads.

    Returns
    -------
    Area under the curve with its DeLong interval; .5 is chance.

    References
    ----------
    Luo et al. 2024, column RF AUC.
    """
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(n_estimators=n_trees, max_depth=5, random_state=seed, n_jobs=n_jobs)
    return _quarter_auc(forest, x, y, max_cells=max_cells, seed=seed)


def knn_auc(x: Array, y: Array, *, k: int = 5, max_cells: int = 2500, seed: int = 0) -> AucInterval:
    """Measure the AUC of nearest neighbours on a held-out quarter of the cells.

    Parameters
    ----------
    x, y
        Real and generated cells in principal components, shapes ``(N, F)`` and ``(M, F)``.
    k
        Number of voting neighbours.
    max_cells
        At most this many cells of each side are used.
    seed
        Chooses cells and split.

    Returns
    -------
    Area under the curve with its DeLong interval; .5 is chance. Degenerate in gene space, where cells without noise are
    nearest to everything.

    References
    ----------
    Luo et al. 2024, column KNN AUC.
    """
    from sklearn.neighbors import KNeighborsClassifier

    return _quarter_auc(KNeighborsClassifier(k, algorithm="brute"), x, y, max_cells=max_cells, seed=seed)


def _quarter_auc(model: BinaryClassifier, x: Array, y: Array, *, max_cells: int, seed: int) -> AucInterval:
    """Fit three quarters of the cells, and score the stratified rest."""
    from sklearn.model_selection import train_test_split

    x, y = paired(x, y, least=8)
    x, y = (cells[subsample(len(cells), max_cells, seed=seed, stream=f"judged {k}")] for k, cells in enumerate((x, y)))
    features = np.concatenate([x, y]).astype(np.float32)
    truth = np.arange(len(features)) >= len(x)
    fit, held_out = train_test_split(np.arange(len(features)), test_size=0.25, stratify=truth, random_state=seed)
    model.fit(features[fit], truth[fit])
    return delong_interval(truth[held_out], model.predict_proba(features[held_out])[:, 1])


def label_accuracy(train: LabelledCells, generated: LabelledCells, *, max_cells: int = 5000, seed: int = 0) -> float:
    """Measure how often a classifier fitted to real cells assigns a generated cell the right label.

    Parameters
    ----------
    train
        Features of real cells, shape ``(N, F)``, with one label a cell.
    generated
        Features of generated cells, shape ``(M, F)``, with the label asked for.
    max_cells
        At most this many cells of each side are used.
    seed
        Chooses the cells where there are more.

    Returns
    -------
    Mean over labels of the fraction assigned the right label, 0..1; compare it with the value for held-out real cells.

    References
    ----------
    Luo et al. 2024, section 3.2, with logistic regression on real cells instead of CellTypist.
    """
    return label_accuracy_by_label(train, generated, max_cells=max_cells, seed=seed).mean


def centroid_distance(x: Array, y: Array) -> float:
    """Measure the Euclidean distance between the samples' means.

    Parameters
    ----------
    x, y
        Real and generated cells, shapes ``(N, F)`` and ``(M, F)``.

    Returns
    -------
    Distance in the units of the features.

    References
    ----------
    Zinati et al. 2024, https://doi.org/10.1038/s41467-024-48516-6, column "Euclidean distance"; its control is the
    same number between two halves of the real cells.
    """
    x, y = paired(x, y, least=1)
    return float(np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)))


def centroid_cosine(x: Array, y: Array) -> float:
    """Measure the cosine distance between the samples' means.

    Parameters
    ----------
    x, y
        Real and generated cells, not centred (log-normalised genes), shapes ``(N, F)`` and ``(M, F)``.

    Returns
    -------
    1 minus the cosine, 0..2.

    References
    ----------
    Zinati et al. 2024, https://doi.org/10.1038/s41467-024-48516-6, column "Cosine distance".
    """
    x, y = paired(x, y, least=1)
    a, b = x.mean(axis=0), y.mean(axis=0)
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return 1.0 if norms == 0 else float(1 - a @ b / norms)

"""Metrics of labelled cells: log-fold changes, marker genes, cell type proportions, clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import ConditionError, SettingError
from scdiffuse.metrics._feature_matrices import Array, paired
from scdiffuse.metrics._genes import log_normalise
from scdiffuse.metrics._labelled_cells import (
    FEWEST_CONTRASTED,
    LabelledCells,
    LabelScores,
    check_labelled,
    frequent_labels,
    shared_labels,
)
from scdiffuse.metrics._line_fit import fit_line

__all__ = ["FoldChanges", "cluster_recovery_ari", "composition_distance", "log_fold_changes", "marker_recovery"]

_PSEUDO_EXPRESSION = 0.1
_N_VOTERS = 15


class FoldChanges(NamedTuple):
    """How well generated cells preserve the log-fold changes between labels."""

    r: float
    """Pearson correlation of generated and real log-fold changes."""
    slope: float
    """Total-least-squares slope; below 1 the changes are attenuated."""
    overlap: float
    """Mean fraction of the ``top_k`` most raised genes of a label that both samples share."""


def log_fold_changes(
    real: LabelledCells,
    generated: LabelledCells,
    *,
    top_k: int = 50,
    min_cells: int = FEWEST_CONTRASTED,
    min_expression: float = 0.5,
    labels: Sequence[str] | None = None,
) -> FoldChanges:
    r"""Compare the changes of expression from each label to the rest.

    With :math:`m` the mean of counts scaled to 10,000 a cell, a change is

    .. math:: \log_2 \frac{m_{g,\text{label}} + 0.1}{m_{g,\text{rest}} + 0.1}.

    The rest is the plain mean over the other shared labels, so that label proportions do not matter.

    Parameters
    ----------
    real, generated
        Raw counts of the same genes, shapes ``(N, G)`` and ``(M, G)``, with one label (type or condition) a cell.
    top_k
        Length of the lists that are compared.
    min_cells
        Labels with fewer cells on either side are left out.
    min_expression
        Genes whose highest label mean, averaged over both samples, stays below this (counts per 10,000) are left out:
        their changes are noise.
    labels
        Compare no others; all if not given.

    Returns
    -------
    Correlation, slope and overlap over all labels and genes.

    Raises
    ------
    ConditionError
        If fewer than two labels have enough cells on both sides.
    """
    real, generated = check_labelled(real), check_labelled(generated)
    labels = _two_labels(real, generated, min_cells, among=labels)
    means = [_label_means(cells, labels) for cells in (real, generated)]
    kept = (means[0] + means[1]).max(axis=0) / 2 >= min_expression
    if kept.sum() < 2:
        msg = (
            f"{int(kept.sum())} genes reach `min_expression` {min_expression}; expected at least 2. Lower it or pass "
            "raw counts of more genes."
        )
        raise SettingError(msg)
    changes = [_changes(values[:, kept]) for values in means]
    line = fit_line(changes[0].ravel(), changes[1].ravel())
    k = min(top_k, int(kept.sum()))
    tops = [np.argsort(-values, axis=1, kind="stable")[:, :k] for values in changes]
    fractions = [len(set(a) & set(b)) / k for a, b in zip(*tops, strict=True)]
    return FoldChanges(line.r, line.slope, float(np.mean(fractions)))


def _two_labels(
    real: LabelledCells, generated: LabelledCells, min_cells: int, *, among: Sequence[str] | None
) -> list[str]:
    """List the shared labels; a contrast needs two."""
    shared = shared_labels(real, generated, min_cells=min_cells)
    labels = shared if among is None else [label for label in shared if label in among]
    if len(labels) < 2:
        msg = (
            f"{len(labels)} labels {labels} have at least {min_cells} cells in both samples; a change needs two labels."
        )
        raise ConditionError(msg + " Compare cells of more labels, or generate more of them.")
    return labels


def _label_means(cells: LabelledCells, labels: list[str]) -> Array:
    """Mean of counts scaled to 10,000, shape ``(K, G)``."""
    scaled = log_normalise(cells.values).astype(np.float64)
    scaled.data = np.expm1(scaled.data)
    return np.stack([np.asarray(scaled[cells.labels == label].mean(axis=0)).ravel() for label in labels])


def _changes(means: Array) -> Array:
    """Log2 change of each label against the mean of the others."""
    rest = (means.sum(axis=0) - means) / (len(means) - 1)
    return np.asarray(np.log2((means + _PSEUDO_EXPRESSION) / (rest + _PSEUDO_EXPRESSION)))


def marker_recovery(
    real: LabelledCells,
    generated: LabelledCells,
    *,
    top: int = 20,
    min_cells: int = FEWEST_CONTRASTED,
    labels: Sequence[str] | None = None,
) -> LabelScores:
    """Measure the fraction of marker genes that generated cells recover, label by label.

    Markers are the genes with the largest Welch statistic of log-normalised values, label against the other shared
    labels.

    Parameters
    ----------
    real, generated
        Raw counts of the same genes, shapes ``(N, G)`` and ``(M, G)``, with one label a cell.
    top
        Number of markers a label.
    min_cells
        Labels with fewer cells on either side are left out.
    labels
        As in `log_fold_changes`.

    Returns
    -------
    Fraction of real markers that are also generated markers, per label and on average, 0..1.

    Raises
    ------
    ConditionError
        If fewer than two labels have enough cells on both sides.
    """
    real, generated = check_labelled(real), check_labelled(generated)
    labels = _two_labels(real, generated, min_cells, among=labels)
    k = min(top, real.values.shape[1])
    tables = [np.argsort(-_welch(cells, labels), axis=1, kind="stable")[:, :k].tolist() for cells in (real, generated)]
    by_label = {label: len(set(a) & set(b)) / k for label, a, b in zip(labels, *tables, strict=True)}
    return LabelScores(float(np.mean(list(by_label.values()))), by_label)


def _welch(cells: LabelledCells, labels: list[str]) -> Array:
    """Welch's statistic of each label against the other labels, shape ``(K, G)``."""
    values = log_normalise(cells.values).astype(np.float64)
    sizes = np.array([(cells.labels == label).sum() for label in labels], dtype=np.float64)[:, None]
    groups = [values[cells.labels == label] for label in labels]
    sums = np.stack([np.asarray(group.sum(axis=0)).ravel() for group in groups])
    squares = np.stack([np.asarray(group.multiply(group).sum(axis=0)).ravel() for group in groups])
    others = sizes.sum() - sizes
    mean, rest = sums / sizes, (sums.sum(axis=0) - sums) / others
    error = (squares / sizes - mean**2) / (sizes - 1)
    rest_error = ((squares.sum(axis=0) - squares) / others - rest**2) / (others - 1)
    # The small constant keeps rarely detected genes with a vanishing error from ranking first.
    return np.asarray((mean - rest) / np.sqrt(np.maximum(error + rest_error, 0) + 1e-4))


def composition_distance(real_labels: Array, generated_labels: Array) -> float:
    r"""Compare the labels' proportions by total variation, :math:`\frac12 \sum_k |p_k - q_k|`.

    Parameters
    ----------
    real_labels, generated_labels
        One label a cell, shapes ``(N,)`` and ``(M,)``.

    Returns
    -------
    The fraction of cells that would need another label, 0..1.

    Raises
    ------
    SettingError
        If a side has no cells.

    Examples
    --------
    >>> composition_distance(np.array(["a", "b"]), np.array(["a", "a"]))
    0.5
    """
    sides = [np.asarray(labels).astype(str) for labels in (real_labels, generated_labels)]
    sides = [side[side != ""] for side in sides]
    if not all(len(side) for side in sides):
        msg = f"Got {len(sides[0])} real and {len(sides[1])} generated labels; expected at least one of each."
        raise SettingError(msg + " Pass cells that carry labels.")
    names = np.unique(np.concatenate(sides))
    fractions = [np.array([(side == name).mean() for name in names]) for side in sides]
    return float(np.abs(fractions[0] - fractions[1]).sum() / 2)


def cluster_recovery_ari(real: LabelledCells, generated_values: Array, *, seed: int = 0) -> float:
    """Measure whether clusters of generated cells follow the labels of the nearest real cells.

    Each generated cell takes the majority label of its 15 nearest real cells; generated cells are clustered by k-means
    with as many clusters as there are real labels with at least 10 cells; the two partitions are compared.

    Parameters
    ----------
    real
        Features, shape ``(N, F)``, with one label a cell.
    generated_values
        Features of the generated cells, shape ``(M, F)``.
    seed
        Starts the clusters.

    Returns
    -------
    Adjusted Rand index, 1 for equal partitions and about 0 for unrelated ones.

    Raises
    ------
    ConditionError
        If fewer than two labels have 10 real cells.

    References
    ----------
    Hubert and Arabie 1985, https://doi.org/10.1007/BF01908075, eq. 5.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    real = check_labelled(real)
    labels = frequent_labels(real.labels, min_cells=10)
    if len(labels) < 2:
        msg = f"Got {len(labels)} labels with at least 10 real cells; clusters need two. Pass cells of more labels."
        raise ConditionError(msg)
    x, y = paired(real.values, generated_values, least=len(labels))
    nearest_labels = predict_labels(x, real.labels, y)
    clusters = KMeans(n_clusters=len(labels), n_init=10, random_state=seed).fit_predict(y)
    return float(adjusted_rand_score(nearest_labels, clusters))


def predict_labels(x: Array, labels: NDArray[Any], y: Array) -> NDArray[Any]:
    """Predict for each row of ``y`` the majority label of its 15 nearest rows of ``x``."""
    from sklearn.neighbors import KNeighborsClassifier

    known = labels != ""
    voters = KNeighborsClassifier(n_neighbors=min(_N_VOTERS, int(known.sum())), algorithm="brute")
    return np.asarray(voters.fit(x[known], labels[known]).predict(y))

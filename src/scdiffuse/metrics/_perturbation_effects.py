"""Predicted effects of perturbations against measured ones: mean expression in, numbers out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError
from scdiffuse.metrics._feature_matrices import Array

__all__ = [
    "EffectDistance",
    "discrimination_score",
    "gene_weights",
    "mean_absolute_error",
    "mean_squared_error",
    "overestimated_t",
    "pearson_delta",
    "weighted_delta_r2",
    "weighted_mse",
]

EffectDistance: TypeAlias = Literal["l1", "l2", "cosine"]
_CONSTANT = 1e-12
_FEWEST_CELLS = 2


def pearson_delta(predicted: Array, real: Array, *, control: Array, predicted_control: Array | None = None) -> float:
    r"""Correlate the predicted with the measured change of mean expression.

    .. math:: r = \operatorname{corr}_g \left( \hat m_g - \hat c_g, \; m_g - c_g \right)

    Parameters
    ----------
    predicted, real
        Mean expression of predicted and of real perturbed cells, shape ``(G,)``.
    control
        Mean expression of control cells, shape ``(G,)``.
    predicted_control
        What the predicted change starts from; ``control`` if not given.

    Returns
    -------
    Pearson's correlation over genes, -1 to 1. A change that is the same in all genes correlates 0; `cell-eval` gives
    NaN there.

    Notes
    -----
    The noise of the control cells is in both changes, so that the correlation is not 0 for a prediction without
    information. Compare it with the baselines.

    References
    ----------
    ``pearson_delta`` of cell-eval 0.8.2, https://github.com/ArcInstitute/cell-eval.

    Examples
    --------
    >>> pearson_delta(np.array([1.0, 2.0, 5.0]), np.array([1.0, 3.0, 9.0]), control=np.array([1.0, 1.0, 1.0]))
    1.0
    """
    change = predicted - (control if predicted_control is None else predicted_control)
    return _correlation(change, real - control)


def _correlation(x: Array, y: Array) -> float:
    x, y = (values - values.mean() for values in (np.asarray(x, np.float64), np.asarray(y, np.float64)))
    norms = np.sqrt((x @ x) * (y @ y))
    return 0.0 if norms <= _CONSTANT else float(np.clip(x @ y / norms, -1, 1))  # NaN stays NaN in this order


def mean_squared_error(predicted: Array, real: Array) -> float:
    """Average the squared difference of mean expression, or of its change, over genes.

    Parameters
    ----------
    predicted, real
        Mean expression, or its change from control, shape ``(G,)``. The two give the same number where both changes
        start from the same control cells.

    Returns
    -------
    Mean of squares, at least 0.

    References
    ----------
    ``mse`` and ``mse_delta`` of cell-eval 0.8.2, https://github.com/ArcInstitute/cell-eval.

    Examples
    --------
    >>> mean_squared_error(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    2.0
    """
    return float(np.mean((np.asarray(predicted, np.float64) - real) ** 2))


def mean_absolute_error(predicted: Array, real: Array) -> float:
    """Average the absolute difference of mean expression, or of its change, over genes.

    Parameters
    ----------
    predicted, real
        As for `mean_squared_error`.

    Returns
    -------
    Mean of absolute values, at least 0.

    References
    ----------
    ``mae`` and ``mae_delta`` of cell-eval 0.8.2, https://github.com/ArcInstitute/cell-eval.

    Examples
    --------
    >>> mean_absolute_error(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    1.0
    """
    return float(np.mean(np.abs(np.asarray(predicted, np.float64) - real)))


def overestimated_t(cells: Array, others: Array) -> Array:
    r"""Compute the t of every gene between two samples, with the variance of the others overestimated.

    .. math:: t_g = \frac{\bar x_g - \bar y_g}{\sqrt{s_{x,g}^2 / n + s_{y,g}^2 / \min(n, m)}}

    Parameters
    ----------
    cells, others
        Expression, shapes ``(n, G)`` and ``(m, G)``, two cells each at least.

    Returns
    -------
    Shape ``(G,)``; 0 where a gene is constant.

    Raises
    ------
    SettingError
        A sample has fewer than two cells.

    References
    ----------
    ``method="t-test_overestim_var"`` of ``scanpy.tl.rank_genes_groups``.
    """
    x, y = (np.asarray(values, np.float64) for values in (cells, others))
    if min(len(x), len(y)) < _FEWEST_CELLS:
        msg = f"Got {len(x)} and {len(y)} cells; a variance needs at least two. Compare more cells."
        raise SettingError(msg)
    spread = np.sqrt(x.var(axis=0, ddof=1) / len(x) + y.var(axis=0, ddof=1) / min(len(x), len(y)))
    shift = x.mean(axis=0) - y.mean(axis=0)
    return np.asarray(np.divide(shift, spread, out=np.zeros_like(shift), where=spread > 0))


def gene_weights(scores: Array) -> Array:
    r"""Weigh genes by how specifically a perturbation changes them.

    .. math:: w_g \propto \left( \frac{|t_g| - \min |t|}{\max |t| - \min |t|} \right)^2, \quad \sum_g w_g = 1

    Parameters
    ----------
    scores
        Score of each gene, shape ``(G,)``: `overestimated_t` between the perturbed cells and those of all other
        perturbations, not the control cells.

    Returns
    -------
    Weights that add up to 1, shape ``(G,)``; equal ones where all scores are the same.

    References
    ----------
    Mejia et al. 2026, Needles in the Haystack, https://icml.cc/virtual/2026/poster/63346 (preprint
    https://arxiv.org/abs/2506.22641): absolute scores, scaled to 0..1, squared, and divided by their sum.

    Examples
    --------
    >>> gene_weights(np.array([0.0, -1.0, 2.0])).tolist()
    [0.0, 0.2, 0.8]
    """
    size = np.abs(np.asarray(scores, np.float64))
    width = size.max() - size.min()
    if width < _CONSTANT:
        return np.full(size.shape, 1 / size.size)
    squares = ((size - size.min()) / width) ** 2
    return np.asarray(squares / squares.sum())


def weighted_mse(predicted: Array, real: Array, *, weights: Array) -> float:
    r"""Average the squared difference of mean expression with weights (WMSE).

    .. math:: \sum_g w_g (\hat m_g - m_g)^2 / \sum_g w_g

    Parameters
    ----------
    predicted, real
        Mean expression, shape ``(G,)``.
    weights
        As by `gene_weights`, shape ``(G,)``.

    Returns
    -------
    At least 0.

    References
    ----------
    Mejia et al. 2026, https://icml.cc/virtual/2026/poster/63346.

    Examples
    --------
    >>> weighted_mse(np.array([1.0, 3.0]), np.array([1.0, 1.0]), weights=np.array([3.0, 1.0]))
    1.0
    """
    return float(np.average((np.asarray(predicted, np.float64) - real) ** 2, weights=weights))


def weighted_delta_r2(predicted: Array, real: Array, *, reference: Array, weights: Array) -> float:
    r"""Measure the weighted fraction of a change, relative to all perturbations, that a prediction explains.

    .. math:: R^2_w(\Delta) = 1 - \frac{\sum_g w_g (\hat\Delta_g - \Delta_g)^2}{\sum_g w_g (\Delta_g - \bar\Delta)^2},
        \quad \Delta_g = m_g - a_g, \quad \bar\Delta = \sum_g w_g \Delta_g / \sum_g w_g

    Parameters
    ----------
    predicted, real
        Mean expression, shape ``(G,)``.
    reference
        Mean :math:`a` of the means of all perturbations, shape ``(G,)``.
    weights
        As by `gene_weights`, shape ``(G,)``.

    Returns
    -------
    At most 1; below 0 for a prediction that is worse than the same change in all genes. NaN where the change is the
    same in all genes.

    References
    ----------
    Mejia et al. 2026, https://icml.cc/virtual/2026/poster/63346.

    Examples
    --------
    >>> one = np.ones(2)
    >>> weighted_delta_r2(np.array([1.0, 0.0]), np.array([2.0, 0.0]), reference=0 * one, weights=one)
    0.5
    """
    change = np.asarray(real, np.float64) - reference
    total = np.average((change - np.average(change, weights=weights)) ** 2, weights=weights)
    if total < _CONSTANT:
        return float("nan")
    return float(1 - weighted_mse(predicted, real, weights=weights) / total)


def discrimination_score(
    predicted: Array,
    real: Array,
    *,
    own: int,
    metric: EffectDistance = "l1",
    genes: NDArray[np.bool_] | None = None,
) -> float:
    """Rank the measured effect of a perturbation among all measured effects, by distance to the predicted one (PDS).

    Parameters
    ----------
    predicted
        Predicted change of mean expression, shape ``(G,)``.
    real
        Measured change of every perturbation, shape ``(P, G)``.
    own
        Row of ``real`` of the predicted perturbation.
    metric
        Distance between changes.
    genes
        Genes to compare, shape ``(G,)``; leave out the gene that is targeted. All if not given.

    Returns
    -------
    ``1 - n / P`` with ``n`` the number of perturbations whose effect is nearer than the own, and half of those that are
    as near: 1 at best, ``1 / P`` at worst, and about a half for a prediction without information. NaN where the
    prediction holds NaN.

    Raises
    ------
    SettingError
        The metric is unknown.

    Notes
    -----
    It ranks, so it does not notice a wrong scale: predicted effects made many times larger keep their score or gain.

    References
    ----------
    ``discrimination_score`` of cell-eval 0.8.2, https://github.com/ArcInstitute/cell-eval (Virtual Cell Challenge).

    Examples
    --------
    >>> effects = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> discrimination_score(np.array([9.0, 0.5]), effects, own=0)
    1.0
    """
    if metric not in get_args(EffectDistance):
        msg = f"`metric` is {metric!r}, expected one of {list(get_args(EffectDistance))}; choose one of them."
        raise SettingError(msg)
    effects, effect = np.asarray(real, np.float64), np.asarray(predicted, np.float64)
    if genes is not None:
        effects, effect = effects[:, genes], effect[genes]
    distances = _DISTANCES[metric](effects, effect)
    if np.isnan(distances[own]):
        return float("nan")
    nearer, equal = np.count_nonzero(distances < distances[own]), np.count_nonzero(distances == distances[own]) - 1
    return float(1 - (nearer + equal / 2) / len(effects))


def _cosine(effects: Array, effect: Array) -> Array:
    norms = np.linalg.norm(effects, axis=1) * np.linalg.norm(effect)
    return np.asarray(1 - np.divide(effects @ effect, norms, out=np.zeros(len(effects)), where=norms > 0))


_DISTANCES: dict[str, Callable[[Array, Array], Array]] = {
    "l1": lambda effects, effect: np.abs(effects - effect).sum(axis=1),
    "l2": lambda effects, effect: np.sqrt(((effects - effect) ** 2).sum(axis=1)),
    "cosine": _cosine,
}

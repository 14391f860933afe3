"""Effects of labels that no training cell has, from features that they share with trained labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdiffuse.calibration._config import CalibrationConfig

__all__ = ["LabelWeights", "weigh_labels"]

Array = NDArray[np.float64]
_FEWEST = 3  # labels with features that tell anything of others
_LEAST_SPREAD = 1e-3  # variance between labels, of that which includes sampling


class LabelWeights(NamedTuple):
    """Trained labels whose effects stand for those of unseen labels."""

    weights: Array
    """Shape ``(n_unseen, n)``; each row sums to 1."""
    expected_error: Array
    """Part that is expected to be missed of what each has of its own, against the median of trained labels, 0 to 1,
    shape ``(n_unseen,)``."""


class _Kernel(NamedTuple):
    """How alike labels are by their features."""

    trained: Array
    """Between trained labels, shape ``(n, n)``; 1 is what a label has with itself, on average."""
    unseen: Array
    """Between unseen and trained labels, shape ``(n_unseen, n)``."""
    own: Array
    """Of each unseen label with itself, shape ``(n_unseen,)``."""


def weigh_labels(
    effects: Array, n_cells: Array, *, features: Array, unseen: Array, config: CalibrationConfig
) -> LabelWeights:
    r"""Predict the effects of unseen labels by kernel regression on features.

    .. math:: e(u) = \bar e + k(u)^\top (K + \lambda D)^{-1} (E - \bar e)

    with the effects :math:`E` of the trained labels, their generalised mean :math:`\bar e`, and the diagonal matrix
    :math:`D` of 1 plus the sampling variance of each effect in units of the variance between labels. The kernel, linear
    or a Gaussian, and :math:`\lambda` are those that predict each trained label best from all others. The mean alone is
    among them, so features that tell nothing are left alone. A combination whose features are the sum of those of its
    parts has, by the linear kernel, the sum of their effects. Of a feature in which no trained label differs nothing
    is learnt: an unseen label that has it is expected to differ by as much as trained labels do by theirs.

    Parameters
    ----------
    effects
        Effects of the ``n`` trained labels on latents of unit variance, shape ``(n, D)``.
    n_cells
        Training cells of each, shape ``(n,)``.
    features
        Features of the trained labels, shape ``(n, F)``; NaN for labels without features, which stand apart.
    unseen
        Features of the unseen labels, shape ``(n_unseen, F)``.
    config
        Settings.

    References
    ----------
    Rasmussen and Williams 2006, https://gaussianprocess.org/gpml, sections 2.7 and 5.4.
    """
    known = ~np.isnan(features).any(axis=1)
    n_known, weights = int(known.sum()), np.zeros((len(unseen), len(effects)))
    if n_known < _FEWEST:
        weights[:, known if n_known else slice(None)] = 1.0 / (n_known or len(effects))
        return LabelWeights(weights, np.ones(len(unseen)))
    own, sampled = effects[known], effects.shape[1] / n_cells[known]
    total = float(np.square(own - own.mean(axis=0)).sum(axis=1).mean())
    spread = max(total - sampled.mean(), _LEAST_SPREAD * total, 1e-12)
    features, noise = features[known], sampled / spread
    varies = np.ptp(features, axis=0) > 0
    kernels = _kernels(features[:, varies], unseen[:, varies], length_scale=config.feature_length_scale)
    choices = [(kernel, ridge) for kernel in kernels for ridge in (np.inf, *config.feature_ridges)]
    left_out = [_leave_out(own, kernel, noise=noise, ridge=ridge) for kernel, ridge in choices]
    best = int(np.argmin([errors.sum() for errors, _ in left_out]))
    (kernel, ridge), (errors, variances) = choices[best], left_out[best]
    found, variance = _solve(kernel.trained, kernel.unseen, kernel.own, noise=noise, ridge=ridge)
    weights[:, known] = found
    beyond = errors - sampled  # no smaller than what its own spread leaves open, where sampling explains all of it
    missed = variance * max(beyond.mean(), beyond.std(ddof=1) / np.sqrt(n_known)) / variances.mean()
    if ridge < np.inf:
        missed += spread * _novelty(features, unseen, varies)
    change = weights @ effects - np.median(effects, axis=0)
    return LabelWeights(weights, missed / (missed + np.square(change).sum(axis=1)).clip(min=1e-12))


def _kernels(features: Array, unseen: Array, *, length_scale: float) -> list[_Kernel]:
    """Compare labels by a linear kernel and by a Gaussian, of features of variance 1."""
    both = np.concatenate([features, unseen])
    centre, scale = features.mean(axis=0), features.std(axis=0)
    both = (both - centre) / scale
    n = len(features)
    products = both @ both.T
    squares = np.diag(products)[:, None] + np.diag(products)[None] - 2 * products
    typical = squares[:n, :n].sum() / (n * (n - 1))
    linear = products / max(np.diag(products)[:n].mean(), 1e-12)
    gaussian = np.exp(-squares / max(2 * length_scale**2 * typical, 1e-12))
    return [_Kernel(one[:n, :n], one[n:, :n], np.diag(one)[n:]) for one in (linear, gaussian)]


def _novelty(features: Array, unseen: Array, varies: NDArray[np.bool_]) -> Array:
    """Measure by how much unseen labels differ in features in which trained ones do not, shape ``(n_unseen,)``.

    In units of what a trained label differs in all others, on average; each feature counts as if one more label, with
    that value, had been trained.
    """
    n = len(features)
    n_new = (unseen[:, ~varies] != features[0, ~varies]).sum(axis=1)
    return np.asarray(n_new * (n + 1) ** 2 / (n * max(varies.sum(), 1)), dtype=np.float64)


def _solve(trained: Array, others: Array, own: Array, *, noise: Array, ridge: float) -> tuple[Array, Array]:
    """Find the weights of the trained labels, shape ``(n_others, n)``, and the variance that is left, ``(n_others,)``.

    Variances are in units of what the features explain; with an infinite ridge they explain nothing.
    """
    covariance = np.diag(1.0 + noise) if ridge == np.inf else trained + np.diag(ridge * (1.0 + noise))
    mean = np.linalg.solve(covariance, np.ones(len(trained)))
    precision = mean.sum()
    if ridge == np.inf:
        return np.tile(mean / precision, (len(others), 1)), np.ones(len(others))
    found = np.linalg.solve(covariance, others.T).T
    rest = 1.0 - found.sum(axis=1)
    variance = own + ridge - (found * others).sum(axis=1) + rest**2 / precision
    return rest[:, None] * mean / precision + found, variance


def _leave_out(effects: Array, kernel: _Kernel, *, noise: Array, ridge: float) -> tuple[Array, Array]:
    """Predict each trained label from all others: square errors and the variance that was left, each ``(n,)``."""
    errors, variances = np.empty(len(effects)), np.empty(len(effects))
    for at in range(len(effects)):
        rest = np.delete(np.arange(len(effects)), at)
        alike, own = kernel.trained[at, rest][None], kernel.trained[at, at][None]
        within = kernel.trained[np.ix_(rest, rest)]
        weights, variances[at : at + 1] = _solve(within, alike, own, noise=noise[rest], ridge=ridge)
        errors[at] = np.square(effects[at] - weights[0] @ effects[rest]).sum()
    return errors, variances

"""Ridge regression of effects on features of few conditions, in closed form."""

from __future__ import annotations

from typing import Literal

import numpy as np

from scdiffuse.metrics._feature_matrices import Array

__all__ = ["ridge_effect"]

_PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
_FEWEST_TO_CHOOSE = 3


def ridge_effect(
    features: Array, effects: Array, wanted: Array, *, kernel: Literal["linear", "rbf"] = "linear"
) -> Array:
    r"""Predict the effect of a condition from its features, by (kernel) ridge regression with a free intercept.

    The penalty is the one of a grid with the least squared error of leaving one condition out, which is known in closed
    form; at the largest the answer is the average effect. With fewer than three conditions it is the mean variance of
    the features.

    Parameters
    ----------
    features
        Features of the measured conditions, shape ``(n, F)``, two at least.
    effects
        Their effects, shape ``(n, G)``.
    wanted
        Features of the condition asked for, shape ``(F,)``.
    kernel
        Inner products, or Gaussians whose width is the median distance between conditions.

    Returns
    -------
    Shape ``(G,)``.

    References
    ----------
    Hastie, Tibshirani & Friedman 2009, The Elements of Statistical Learning, 2nd edition, eq. 7.64 (leaving one out)
    and section 5.8.1 (kernels).
    """
    n = len(features)
    everything = np.vstack([features, wanted[None]]).astype(np.float64)
    gram = _gram(everything, kernel, n)
    inner, asked = gram[:n, :n], gram[n, :n]
    centred = inner - inner.mean(axis=0) - inner.mean(axis=1)[:, None] + inner.mean()
    towards = asked - inner.mean(axis=0) - asked.mean() + inner.mean()
    average = effects.mean(axis=0)
    scale = max(float(np.trace(centred)) / n, 1e-12)
    values, vectors = np.linalg.eigh(centred)
    rotated = vectors.T @ (effects - average)
    penalty = (
        scale
        if n < _FEWEST_TO_CHOOSE
        else scale * min(_PENALTIES, key=lambda one: _left_out_error(values, vectors, rotated, penalty=one * scale))
    )
    return np.asarray(average + (towards @ vectors / (np.maximum(values, 0) + penalty)) @ rotated)


def _gram(features: Array, kernel: str, n: int) -> Array:
    if kernel == "linear":
        features = features - features[:n].mean(axis=0)
        return np.asarray(features @ features.T)
    squares = ((features[:, None] - features[None]) ** 2).sum(axis=2)
    between = squares[:n, :n][np.triu_indices(n, k=1)]
    return np.asarray(np.exp(-squares / max(float(np.median(between)), 1e-12)))


def _left_out_error(values: Array, vectors: Array, rotated: Array, *, penalty: float) -> float:
    """Sum of squared errors when each condition is predicted from the others."""
    shrink = np.maximum(values, 0) / (np.maximum(values, 0) + penalty)
    residuals = vectors @ ((1 - shrink)[:, None] * rotated)
    leverage = 1 / len(values) + (vectors**2 @ shrink)
    return float(((residuals / np.maximum(1 - leverage, 1e-9)[:, None]) ** 2).sum())

"""Slope and correlation of generated values against real ones, without attenuation by sampling noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scdiffuse.metrics._feature_matrices import Array

__all__ = ["LineFit", "fit_line"]


class LineFit(NamedTuple):
    """How generated values follow the real ones."""

    r: float
    """Pearson correlation."""
    slope: float
    """Slope of the total-least-squares line of generated on real; 1 is faithful, below 1 is attenuated."""


def fit_line(real: Array, generated: Array) -> LineFit:
    r"""Fit the line that generated values draw against real ones, with noise expected on both sides.

    Ordinary least squares would give a slope below 1 between two halves of one data set, because the real values carry
    sampling noise too. The major axis has no such bias when both sides are equally noisy:

    .. math:: b = \frac{s_{yy} - s_{xx} + \sqrt{(s_{yy} - s_{xx})^2 + 4 s_{xy}^2}}{2 s_{xy}}.

    Parameters
    ----------
    real, generated
        Paired values, shape ``(P,)`` each.

    Returns
    -------
    Correlation and slope; zero correlation and slope where one side does not vary.

    References
    ----------
    Deming regression with a variance ratio of 1 (Adcock 1878).

    Examples
    --------
    >>> fit_line(np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.5, 1.0]))
    LineFit(r=1.0, slope=0.5)
    """
    x = np.asarray(real, dtype=np.float64) - np.mean(real)
    y = np.asarray(generated, dtype=np.float64) - np.mean(generated)
    xx, yy, xy = float(x @ x), float(y @ y), float(x @ y)
    # Equal values may differ from their mean by rounding.
    if min(np.ptp(real), np.ptp(generated)) == 0 or min(xx, yy) <= 0 or xy == 0:
        return LineFit(0.0, 0.0)
    slope = (yy - xx + float(np.hypot(yy - xx, 2 * xy))) / (2 * xy)
    return LineFit(float(np.round(xy / np.sqrt(xx * yy), 12)), slope)

"""Elementary functions of vectors in single precision, compiled so that a processor takes many numbers at once.

Machine code is kept by the file of the function that Python calls: after a change of this file, save those of its
callers too.
"""

from __future__ import annotations

import math

import numpy as np

from scdiffuse._core.compiled import compiled_fused, compiled_sums
from scdiffuse.autoencoder.cpu._nll_types import Floats

__all__ = [
    "add_into",
    "digamma_rest",
    "dot",
    "exp_into",
    "log1p_into",
    "log_into",
    "none_into",
    "stirling",
    "sum_of",
    "take_from",
]

_0, _1, _2 = np.float32(0.0), np.float32(1.0), np.float32(2.0)
_HALF, _SIXTH, _OF_4, _OF_5, _OF_6, _OF_7 = (np.float32(1 / math.factorial(n)) for n in range(2, 8))
_AREA = tuple(np.float32(2 / n) for n in (3, 5, 7, 9))
_LOWEST, _HIGHEST = np.float32(-87.0), np.float32(88.0)  # whose exponentials are numbers of full precision
_LOG2_E, _LN_2 = np.float32(1.0 / math.log(2.0)), np.float32(math.log(2.0))
_STIRLING = tuple(np.float32(one) for one in (1 / 12, 1 / 360, 1 / 1260))
_DIGAMMA = tuple(np.float32(one) for one in (1 / 12, 1 / 120, 1 / 252))
_EXPONENT, _BIAS, _MIDDLE = np.int32(23), np.int32(127), np.int32(0x3F2AAAAB)  # of words that hold numbers; 2 / 3


@compiled_fused
def exp_into(x: Floats, found: Floats) -> None:
    """Compute exponentials; what lies below -87 or above 88 counts as that."""
    power = np.empty(x.size, np.float32)
    words = power.view(np.int32)
    for at in range(x.size):
        within = _LOWEST if x[at] < _LOWEST else x[at]
        within = _HIGHEST if within > _HIGHEST else within
        whole = np.floor(within * _LOG2_E + _HALF)
        rest = within - whole * _LN_2
        words[at] = (np.int32(whole) + _BIAS) << _EXPONENT
        high = _OF_4 + rest * (_OF_5 + rest * (_OF_6 + rest * _OF_7))
        found[at] = _1 + rest * (_1 + rest * (_HALF + rest * (_SIXTH + rest * high)))
    for at in range(x.size):
        found[at] *= power[at]


@compiled_fused
def log_into(x: Floats, found: Floats) -> None:
    """Compute logarithms of positive numbers of full precision, by those of numbers between 2 / 3 and 4 / 3."""
    part = np.empty(x.size, np.float32)
    words = part.view(np.int32)
    for at in range(x.size):
        part[at] = x[at]
    for at in range(x.size):
        word = words[at]
        whole = np.int32((word - _MIDDLE) >> _EXPONENT)
        words[at] = word - (whole << _EXPONENT)
        found[at] = np.float32(whole) * _LN_2
    for at in range(x.size):
        ratio = (part[at] - _1) / (part[at] + _1)
        square = ratio * ratio
        found[at] += ratio * (_2 + square * (_AREA[0] + square * (_AREA[1] + square * (_AREA[2] + square * _AREA[3]))))


@compiled_fused
def log1p_into(x: Floats, found: Floats) -> None:
    """Compute logarithms of 1 and numbers that are not negative, also where these are small."""
    whole = np.empty(x.size, np.float32)
    for at in range(x.size):
        whole[at] = _1 + x[at]
    log_into(whole, found)
    for at in range(x.size):
        found[at] += (x[at] - (whole[at] - _1)) / whole[at]


@compiled_sums
def sum_of(x: Floats) -> float:
    """Add all up."""
    whole = _0
    for at in range(x.size):
        whole += x[at]
    return float(whole)


@compiled_sums
def dot(x: Floats, y: Floats) -> float:
    """Add all products up."""
    whole = _0
    for at in range(x.size):
        whole += x[at] * y[at]
    return float(whole)


@compiled_fused
def add_into(x: Floats, found: Floats) -> None:
    """Add to what is there."""
    for at in range(x.size):
        found[at] += x[at]


@compiled_fused
def take_from(x: Floats, times: np.float32, found: Floats) -> None:
    """Take a multiple away from what is there."""
    for at in range(x.size):
        found[at] -= times * x[at]


@compiled_fused
def stirling(inverse: np.float32) -> np.float32:
    """Compute the rest of Stirling's series for the logarithm of the gamma function, at one over a number from 4 on."""
    square = inverse * inverse
    return inverse * (_STIRLING[0] - square * (_STIRLING[1] - square * _STIRLING[2]))


@compiled_fused
def digamma_rest(inverse: np.float32) -> np.float32:
    """Compute the same of its derivative."""
    square = inverse * inverse
    return -_HALF * inverse - square * (_DIGAMMA[0] - square * (_DIGAMMA[1] - square * _DIGAMMA[2]))


@compiled_fused
def none_into(outlier_component: Floats, found: Floats) -> None:
    r"""Compute :math:`1 - e^{-\beta}`: by its series where the difference would lose digits."""
    power = np.empty(outlier_component.size, np.float32)
    for at in range(outlier_component.size):
        power[at] = -outlier_component[at]
    exp_into(power, power)
    for at in range(outlier_component.size):
        b = outlier_component[at]
        series = _HALF - b * (_SIXTH - b * (_OF_4 - b * (_OF_5 - b * (_OF_6 - b * _OF_7))))
        found[at] = b * (_1 - b * series) if b < _HALF else _1 - power[at]

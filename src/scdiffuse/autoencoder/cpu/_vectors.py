"""Elementary functions of vectors in single precision, compiled so that the CPU vectorises them."""

from __future__ import annotations

import math

import numpy as np

from scdiffuse._core.compiled import compiled
from scdiffuse.autoencoder.cpu._bits import bits_of, number_of
from scdiffuse.autoencoder.cpu._nll_types import Floats

__all__ = [
    "add_into",
    "digamma_rest",
    "dot",
    "exp_into",
    "log1p_into",
    "log_into",
    "one_minus_exp_into",
    "rising_into",
    "stirling",
    "sum_of",
    "take_from",
]

_0, _1, _2, _3, _4 = (np.float32(n) for n in range(5))
_HALF, _SIXTH, _OF_4, _OF_5, _OF_6, _OF_7 = (np.float32(1 / math.factorial(n)) for n in range(2, 8))
_AREA = tuple(np.float32(2 / n) for n in (3, 5, 7, 9))
_LOWEST, _HIGHEST = np.float32(-87.0), np.float32(88.0)  # whose exponentials are normal numbers
_LOG2_E, _LN_2 = np.float32(1.0 / math.log(2.0)), np.float32(math.log(2.0))
_STIRLING = tuple(np.float32(one) for one in (1 / 12, 1 / 360, 1 / 1260))
_DIGAMMA = tuple(np.float32(one) for one in (1 / 12, 1 / 120, 1 / 252))
_LARGEST_SIZE = np.float32(2.0**30)  # counts are Poisson beyond; its fourth power is a number yet
_EXPONENT, _BIAS, _MIDDLE = np.int32(23), np.int32(127), np.int32(0x3F2AAAAB)  # of the bits of a number; 2 / 3


@compiled(fused=True, inner=True)
def exp_into(x: Floats, found: Floats) -> None:
    """Compute exponentials of numbers clamped to -87 and 88."""
    for at in range(x.size):
        within = _LOWEST if x[at] < _LOWEST else x[at]
        within = _HIGHEST if within > _HIGHEST else within
        whole = np.floor(within * _LOG2_E + _HALF)
        rest = within - whole * _LN_2
        power = number_of(np.int32((np.int32(whole) + _BIAS) << _EXPONENT))
        high = _OF_4 + rest * (_OF_5 + rest * (_OF_6 + rest * _OF_7))
        found[at] = (_1 + rest * (_1 + rest * (_HALF + rest * (_SIXTH + rest * high)))) * power


@compiled(fused=True, inner=True)
def log_into(x: Floats, found: Floats) -> None:
    """Compute logarithms of positive normal numbers, by a series between 2 / 3 and 4 / 3."""
    part = np.empty(x.size, np.float32)
    for at in range(x.size):
        word = bits_of(x[at])
        whole = np.int32((word - _MIDDLE) >> _EXPONENT)
        part[at] = number_of(np.int32(word - (whole << _EXPONENT)))
        found[at] = np.float32(whole) * _LN_2
    for at in range(x.size):
        ratio = (part[at] - _1) / (part[at] + _1)
        square = ratio * ratio
        found[at] += ratio * (_2 + square * (_AREA[0] + square * (_AREA[1] + square * (_AREA[2] + square * _AREA[3]))))


@compiled(fused=True, inner=True)
def log1p_into(x: Floats, found: Floats) -> None:
    """Compute logarithms of 1 plus numbers of at least 0, exact for small numbers too."""
    whole = np.empty(x.size, np.float32)
    for at in range(x.size):
        whole[at] = _1 + x[at]
    log_into(whole, found)
    for at in range(x.size):
        found[at] += (x[at] - (whole[at] - _1)) / whole[at]


@compiled(any_order=True, inner=True)
def sum_of(x: Floats) -> float:
    """Sum a vector."""
    whole = _0
    for at in range(x.size):
        whole += x[at]
    return float(whole)


@compiled(any_order=True, inner=True)
def dot(x: Floats, y: Floats) -> float:
    """Compute the dot product of two vectors."""
    whole = _0
    for at in range(x.size):
        whole += x[at] * y[at]
    return float(whole)


@compiled(fused=True, inner=True)
def add_into(x: Floats, found: Floats) -> None:
    """Add a vector in place."""
    for at in range(x.size):
        found[at] += x[at]


@compiled(fused=True, inner=True)
def take_from(x: Floats, times: np.float32, found: Floats) -> None:
    """Subtract a multiple of a vector in place."""
    for at in range(x.size):
        found[at] -= times * x[at]


@compiled(fused=True, inner=True)
def stirling(inverse: np.float32) -> np.float32:
    """Compute the rest of Stirling's series of the log gamma function, at one over a number of at least 4."""
    square = inverse * inverse
    return inverse * (_STIRLING[0] - square * (_STIRLING[1] - square * _STIRLING[2]))


@compiled(fused=True, inner=True)
def digamma_rest(inverse: np.float32) -> np.float32:
    """Compute the rest of the asymptotic series of digamma, at one over a number of at least 4."""
    square = inverse * inverse
    return -_HALF * inverse - square * (_DIGAMMA[0] - square * (_DIGAMMA[1] - square * _DIGAMMA[2]))


@compiled(fused=True, inner=True)
def one_minus_exp_into(beta: Floats, found: Floats) -> None:
    r"""Compute :math:`1 - e^{-\beta}`: by a series where the difference would lose digits."""
    power = np.empty(beta.size, np.float32)
    for at in range(beta.size):
        power[at] = -beta[at]
    exp_into(power, power)
    for at in range(beta.size):
        b = beta[at]
        series = _HALF - b * (_SIXTH - b * (_OF_4 - b * (_OF_5 - b * (_OF_6 - b * _OF_7))))
        found[at] = b * (_1 - b * series) if b < _HALF else _1 - power[at]


@compiled(any_order=True, inner=True)
def rising_into(x: Floats, r: Floats, value: Floats, gradient: Floats) -> None:  # noqa: PLR0917
    """Compute `likelihoods._log_ratio.rising` and its derivative by ``r``."""
    n = x.size
    buffer = np.empty((5, n), np.float32)
    base, top, log_ratio, log_top, product = buffer[0], buffer[1], buffer[2], buffer[3], buffer[4]
    for at in range(n):
        base[at] = r[at] + _4
    for at in range(n):
        top[at] = x[at] / base[at]
    log1p_into(top, log_ratio)
    for at in range(n):
        top[at] = x[at] + base[at]
    log_into(top, log_top)
    for at in range(n):
        size = r[at] if r[at] < _LARGEST_SIZE else _LARGEST_SIZE
        low = (x[at] + size) * (x[at] + size + _1) / (size * (size + _1))
        product[at] = low * ((x[at] + size + _2) * (x[at] + size + _3) / ((size + _2) * (size + _3)))
    for at in range(n):
        value[at] = (base[at] - _HALF) * log_ratio[at] + x[at] * (log_top[at] - _1)
    for at in range(n):
        value[at] += stirling(_1 / top[at]) - stirling(_1 / base[at])
    for at in range(n):
        gradient[at] = log_ratio[at] + digamma_rest(_1 / top[at]) - digamma_rest(_1 / base[at])
    for at in range(n):
        gradient[at] += x[at] / ((x[at] + r[at]) * r[at]) + x[at] / ((x[at] + r[at] + _1) * (r[at] + _1))
    for at in range(n):
        low, high = r[at] + _2, r[at] + _3
        gradient[at] += x[at] / ((x[at] + low) * low) + x[at] / ((x[at] + high) * high)
    log_into(product, log_top)
    for at in range(n):
        value[at] -= log_top[at]

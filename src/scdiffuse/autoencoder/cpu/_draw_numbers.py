"""Numbers that compiled loops draw from the stream of a cell."""

from __future__ import annotations

import math

import numpy as np

from scdiffuse._core.compiled import compiled
from scdiffuse._core.random import GOLDEN
from scdiffuse.autoencoder.cpu._stream import State, mixed

__all__ = ["cluster_size", "gamma", "negative_binomial", "normal", "poisson", "read", "uniform"]

_SINGLY = 10.0  # mean below which a Poisson number is drawn by adding exponential gaps
_12 = np.uint64(12)


@compiled(inner=True)
def read(word: np.uint64) -> float:
    """Mix the word of a stream and read the result as a number between 0 and 1."""
    return (np.float64(mixed(word) >> _12) + 0.5) * 2.0**-52


@compiled(inner=True)
def uniform(state: State) -> float:
    """Draw the next uniform number between 0 and 1."""
    state[0] += GOLDEN
    return read(state[0])


@compiled(inner=True)
def normal(state: State) -> float:
    """Draw a standard normal number (Box and Muller 1958)."""
    radius = math.sqrt(-2.0 * math.log(uniform(state)))
    return radius * math.cos(2.0 * math.pi * uniform(state))


@compiled(inner=True)
def gamma(shape: float, state: State) -> float:
    """Draw a gamma number of scale 1: Marsaglia and Tsang 2000, https://doi.org/10.1145/358407.358414."""
    least = (shape if shape >= 1.0 else shape + 1.0) - 1.0 / 3.0
    slope = 1.0 / math.sqrt(9.0 * least)
    while True:
        deviate = normal(state)
        cube = (1.0 + slope * deviate) ** 3
        if cube > 0.0 and math.log(uniform(state)) < 0.5 * deviate**2 + least * (1.0 - cube + math.log(cube)):
            break
    drawn = least * cube
    return drawn if shape >= 1.0 else drawn * math.exp(math.log(uniform(state)) / shape)


@compiled(inner=True)
def poisson(mean: float, state: State) -> int:
    """Draw a Poisson number: Hormann 1993, https://doi.org/10.1016/0167-6687(93)90997-4, algorithm PTRS."""
    if mean < _SINGLY:
        count, gap = -1, mean
        while gap >= 0.0:
            count += 1
            gap += math.log(uniform(state))
        return count
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    while True:
        u, v = uniform(state) - 0.5, uniform(state)
        us = 0.5 - abs(u)
        k = math.floor((2.0 * a / us + b) * u + mean + 0.43)
        if us >= 0.07 and v <= 0.9277 - 3.6224 / (b - 2.0):
            return int(k)
        if k < 0 or (us < 0.013 and v > us):
            continue
        tested = math.log(v * inverse_alpha / (a / us**2 + b))
        if tested <= k * math.log(mean) - mean - math.lgamma(k + 1.0):
            return int(k)


@compiled(inner=True)
def negative_binomial(mean: float, r: float, state: State) -> int:
    """Draw a negative binomial number: a Poisson number with a gamma rate."""
    return poisson(gamma(r, state) * mean / r, state)


@compiled(inner=True)
def cluster_size(chance: float, log_ratio: float, state: State) -> int:
    """Draw a logarithmic number of at least 2: Kemp 1981, https://doi.org/10.2307/2346348, with 1 rejected."""
    while True:
        other = -math.expm1(-log_ratio * uniform(state))
        if uniform(state) * chance < other:
            return 2 + int(math.log(uniform(state)) / math.log(other))

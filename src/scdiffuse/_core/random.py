"""Random streams in which every cell has its own numbers, whatever the batch size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.seeds import require_seed

__all__ = [
    "GOLDEN",
    "Draws",
    "cell_keys",
    "cell_normals",
    "cell_uniforms",
    "generator",
    "keyed_generators",
    "mix",
    "noise_ids_of",
]

Words = TypeVar("Words", np.uint64, NDArray[np.uint64])

_VALUES_AT_ONCE = 1 << 18  # fits the cache: twice as fast as whole arrays


def generator(seed: int, *stream: int | str) -> np.random.Generator:
    """Open the random stream of a seed and a name.

    Parameters
    ----------
    seed
        The user's seed.
    stream
        Name of the stream, such as ``"batches", epoch``; other names give independent numbers.

    Returns
    -------
    A new generator, the same on every machine and in every process.

    Examples
    --------
    >>> int(generator(0, "batches", 1).integers(100)) == int(generator(0, "batches", 1).integers(100))
    True
    """
    return np.random.Generator(np.random.Philox(key=_key(seed, *stream)))


class Draws:
    """Random streams for the cells of a training step, one for each slice of them.

    The numbers of a cell depend on its slice, not on the process that computes it.

    Parameters
    ----------
    streams
        One for each slice.
    bounds
        Starts of the slices from 0, and the end of the last one: one more than there are streams.

    Examples
    --------
    >>> draws = Draws([generator(0, "x"), generator(0, "y")], [0, 2, 3])
    >>> [(rows.start, rows.stop) for _, rows in draws], draws.uniforms(5).shape
    ([(0, 2), (2, 3)], (3, 5))
    """

    def __init__(self, streams: Sequence[np.random.Generator], bounds: Sequence[int]) -> None:
        self._streams = streams
        self._rows = [slice(begin, end) for begin, end in pairwise(bounds)]
        self.n_cells = bounds[-1]

    @classmethod
    def of(cls, stream: np.random.Generator, n_cells: int) -> Draws:
        """Draw the numbers of all cells of a step from one stream.

        Parameters
        ----------
        stream
            Source of all numbers.
        n_cells
            Number of cells ``B``.
        """
        return cls([stream], [0, n_cells])

    def __iter__(self) -> Iterator[tuple[np.random.Generator, slice]]:
        """Visit each stream and the rows of its cells."""
        return iter(zip(self._streams, self._rows, strict=True))

    def uniforms(self, *shape: int) -> NDArray[np.float64]:
        """Draw uniform numbers between 0 and 1 for each cell, shape ``(B, *shape)``."""
        numbers = np.empty((self.n_cells, *shape))
        for stream, rows in self:
            stream.random(out=numbers[rows])
        return numbers

    def normals(self, *shape: int) -> NDArray[np.float32]:
        """Draw standard normal numbers for each cell, shape ``(B, *shape)``."""
        numbers = np.empty((self.n_cells, *shape), np.float32)
        for stream, rows in self:
            stream.standard_normal(out=numbers[rows], dtype=np.float32)
        return numbers

    def keys(self) -> NDArray[np.uint64]:
        """Draw the key of a random stream for each cell, shape ``(B,)``."""
        numbers = np.empty(self.n_cells, np.uint64)
        for stream, rows in self:
            numbers[rows] = stream.integers(2**64, size=rows.stop - rows.start, dtype=np.uint64)
        return numbers


def cell_keys(seed: int, stream: str, cells: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Return the key of the random stream of each cell.

    Parameters
    ----------
    seed
        The user's seed.
    stream
        Name of the stream.
    cells
        Cell indices, shape ``(N,)``, not negative.

    Returns
    -------
    Distinct keys, shape ``(N,)``; each depends on ``(seed, stream, cell)`` only.
    """
    return _cell_hashes(_key(seed, stream) & _MASK, np.asarray(cells))


def noise_ids_of(cells: NDArray[np.integer], requested: NDArray[np.floating]) -> NDArray[np.uint64]:
    """Return noise ids that differ between cells of one index with different requests, so that they share no noise.

    Parameters
    ----------
    cells
        Cell indices, shape ``(N,)``, not negative.
    requested
        Requested conditions of each cell as numbers, shape ``(N, K)``; NaN where a condition is open.

    Returns
    -------
    Noise ids for `cell_keys` and `cell_normals` in place of indices, shape ``(N,)``; the index itself where all
    conditions are open.

    Examples
    --------
    >>> noise_ids_of(np.array([7, 7]), np.array([[np.nan], [np.nan]]))
    array([7, 7], dtype=uint64)
    >>> one, other = noise_ids_of(np.array([7, 7]), np.array([[0.0], [1.0]]))
    >>> bool(one == other)
    False
    """
    apart = np.asarray(cells).astype(np.uint64)
    for at, column in enumerate(np.asarray(requested, dtype=np.float64).T):
        words = np.ascontiguousarray(column + 0.0).view(np.uint64)  # a negative zero becomes a positive one
        mixed = mix(apart ^ mix(words + np.uint64((at + 1) * int(GOLDEN) & _MASK)))
        apart = np.where(np.isnan(column), apart, mixed)
    return apart


def keyed_generators(keys: NDArray[np.uint64]) -> Iterator[np.random.Generator]:
    """Iterate over the random streams of some cells.

    Parameters
    ----------
    keys
        Keys of the streams, shape ``(N,)``.

    Yields
    ------
    One generator object, set to the start of the next stream in each iteration: draw before the next iteration. The
    numbers depend on the key only.
    """
    bits = np.random.Philox(key=0)
    start = bits.state
    moving = np.random.Generator(bits)
    for key in keys:
        start["state"] = {"counter": np.zeros(4, np.uint64), "key": np.array([key, 0], np.uint64)}
        bits.state = start
        yield moving


def cell_uniforms(seed: int, stream: str, cells: NDArray[np.integer]) -> NDArray[np.float64]:
    """Draw one uniform number for each cell.

    Parameters
    ----------
    seed
        The user's seed.
    stream
        Name of the stream.
    cells
        Cell indices, shape ``(N,)``, not negative.

    Returns
    -------
    Numbers strictly between 0 and 1, shape ``(N,)``; each depends on ``(seed, stream, cell)`` only.

    Examples
    --------
    >>> bool(cell_uniforms(0, "x", np.arange(9))[7] == cell_uniforms(0, "x", np.array([7]))[0])
    True
    """
    return _uniforms(_cell_hashes(_key(seed, stream) & _MASK, np.asarray(cells)))


def cell_normals(  # noqa: PLR0917 - seed, stream, cells as in `cell_keys`; width is a shape
    seed: int, stream: str, cells: NDArray[np.integer], width: int
) -> NDArray[np.float32]:
    """Draw a standard normal vector for each cell.

    A 64-bit hash of (seed, stream, cell, column) is read as a uniform number and mapped by the inverse of the normal
    distribution, so that any cell can be computed alone.

    Parameters
    ----------
    seed
        The user's seed.
    stream
        Name of the stream.
    cells
        Cell indices, shape ``(N,)``, not negative.
    width
        Numbers per cell; a narrower draw is the beginning of a wider one.

    Returns
    -------
    Normals, shape ``(N, width)``; row ``i`` depends on ``(seed, stream, cells[i])`` only.

    References
    ----------
    Steele et al. 2014, https://doi.org/10.1145/2660193.2660195 (the mixing function of SplitMix64).
    """
    from scipy.special import ndtri

    words = _key(seed, stream)
    rows = _cell_hashes(words & _MASK, np.asarray(cells))
    columns = _cell_hashes(words >> 64, np.arange(width))
    normals = np.empty((rows.size, width), dtype=np.float32)
    step = max(1, _VALUES_AT_ONCE // max(width, 1))
    for begin in range(0, rows.size, step):
        hashes = mix(rows[begin : begin + step, None] ^ columns)
        normals[begin : begin + step] = ndtri(_uniforms(hashes))
    return normals


_MASK = (1 << 64) - 1
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _key(seed: int, *stream: int | str) -> int:
    """Hash seed and names to 128 bits, the same in every process."""
    require_seed(seed)
    words = [int(seed), *(word if isinstance(word, str) else int(word) for word in stream)]
    return int.from_bytes(hashlib.blake2b(repr(words).encode(), digest_size=16).digest(), "little")


def _cell_hashes(key: int, cells: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Hash indices under a 64-bit key; two rounds keep neighbouring cells apart."""
    spread = (cells.astype(np.uint64) + np.uint64(1)) * GOLDEN  # wraps at 2**64 by design
    return mix(mix(spread) ^ np.uint64(key))


def mix(words: Words) -> Words:
    """Finish SplitMix64: a bijection in which each input bit affects every output bit."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _uniforms(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Read the upper 52 bits as the middle of one of 2**52 intervals, so neither 0 nor 1 occurs."""
    return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52

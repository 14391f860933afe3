"""Compiled loops, also where machine code cannot be kept."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from scdiffuse._core.compiled import compiled, compiled_fused, compiled_sums


def _twice(x: int) -> int:
    return 2 * x


def test_a_compiled_function_returns_the_same() -> None:
    assert compiled(_twice)(21) == _twice(21)


def test_it_compiles_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, asked = numba.njit, []

    def no_place(*, cache: bool = False, nogil: bool, error_model: str, fastmath: set[str]) -> object:
        asked.append(cache)
        if cache:
            raise RuntimeError
        return whole(nogil=nogil, error_model="numpy", fastmath=fastmath)

    monkeypatch.setattr(numba, "njit", no_place)
    assert compiled(_twice)(21) == _twice(21)
    assert asked == [True, False]


def _sum(numbers: NDArray[np.float32]) -> float:
    total = np.float32(0.0)
    for at in range(len(numbers)):
        total += numbers[at]
    return float(total)


def test_sums_in_any_order_are_the_same_up_to_rounding_and_at_every_call() -> None:
    numbers = np.random.default_rng(0).random(1000).astype(np.float32)
    fast = compiled_sums(_sum)
    assert fast(numbers) == pytest.approx(_sum(numbers), rel=1e-5)
    assert fast(numbers) == fast(numbers.copy())


def _apart(numbers: NDArray[np.float32]) -> float:
    whole = np.float32(1.0) + numbers[0]
    return float(numbers[0] - (whole - np.float32(1.0)))


def test_fused_code_keeps_the_order_of_sums() -> None:
    numbers = np.array([1e-9], np.float32)  # which is lost beside 1, and found again only if nothing is reordered
    assert compiled_fused(_apart)(numbers) == numbers[0]

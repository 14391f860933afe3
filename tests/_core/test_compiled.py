"""Compiled loops, also where machine code cannot be kept."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from scdiffuse._core.compiled import compiled


def _twice(x: int) -> int:
    return 2 * x


def test_a_compiled_function_returns_the_same() -> None:
    assert compiled()(_twice)(21) == _twice(21)


def test_it_compiles_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, asked = numba.njit, []

    def no_place(*, cache: bool = False, **settings: Any) -> object:
        asked.append(cache)
        if cache:
            raise RuntimeError
        return whole(**settings)

    monkeypatch.setattr(numba, "njit", no_place)
    assert compiled()(_twice)(21) == _twice(21)
    assert asked == [True, False]


@compiled(inner=True)
def _thrice(x: int) -> int:
    return 3 * x


def _six_times(x: int) -> int:
    return 2 * _thrice(x)


def test_compiled_functions_call_inner_ones() -> None:
    assert compiled()(_six_times)(7) == 42


def _sum(numbers: NDArray[np.float32]) -> float:
    total = np.float32(0.0)
    for at in range(len(numbers)):
        total += numbers[at]
    return float(total)


def test_sums_in_any_order_are_the_same_up_to_rounding_and_at_every_call() -> None:
    numbers = np.random.default_rng(0).random(1000).astype(np.float32)
    fast = compiled(any_order=True)(_sum)
    assert fast(numbers) == pytest.approx(_sum(numbers), rel=1e-5)
    assert fast(numbers) == fast(numbers.copy())


def _apart(numbers: NDArray[np.float32]) -> float:
    whole = np.float32(1.0) + numbers[0]
    return float(numbers[0] - (whole - np.float32(1.0)))


def test_fused_code_keeps_the_order_of_sums() -> None:
    numbers = np.array([1e-9], np.float32)  # which is lost beside 1, and found again only if nothing is reordered
    assert compiled(fused=True)(_apart)(numbers) == numbers[0]

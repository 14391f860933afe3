"""Compiled loops, also where machine code cannot be kept."""

from __future__ import annotations

import numba
import pytest

from scdiffusion._core.compiled import compiled


def _twice(x: int) -> int:
    return 2 * x


def test_a_compiled_function_returns_the_same() -> None:
    assert compiled(_twice)(21) == _twice(21)


def test_it_compiles_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, asked = numba.njit, []

    def no_place(*, nogil: bool, cache: bool = False) -> object:
        asked.append(cache)
        if cache:
            raise RuntimeError
        return whole(nogil=nogil)

    monkeypatch.setattr(numba, "njit", no_place)
    assert compiled(_twice)(21) == _twice(21)
    assert asked == [True, False]

"""Compiled loops, also where machine code cannot be kept."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from scdiffuse._core.compiled import _digest, compiled


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


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_code_is_compiled_anew_where_a_function_that_it_calls_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = "from scdiffuse._core.compiled import compiled\n"
    inner, outer = tmp_path / "inner_loops.py", tmp_path / "outer_loops.py"
    outer.write_text(f"{header}from inner_loops import part\n\n@compiled()\ndef whole(x):\n    return part(x) + 1\n")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions of one second are the same to Python
    for factor in (2, 3):
        inner.write_text(f"{header}\n@compiled(inner=True)\ndef part(x):\n    return {factor} * x\n")
        _digest.cache_clear()  # as a new process does
        monkeypatch.setitem(sys.modules, "inner_loops", _module(inner))
        assert _module(outer).whole(10) == 10 * factor + 1


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

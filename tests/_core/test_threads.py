"""Rows that threads share: each once, in order, no more threads than asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from scdiffuse._core.threads import run_by_rows


@pytest.fixture
def four_threads(set_threads: Callable[[int], None]) -> None:
    """Let torch use four threads."""
    set_threads(4)


@pytest.mark.usefixtures("four_threads")
@pytest.mark.parametrize(
    ("n_rows", "at_most", "parts"),
    [
        (10, 9, [(0, 2), (2, 5), (5, 7), (7, 10)]),
        (10, 2, [(0, 5), (5, 10)]),
        (10, 0, [(0, 10)]),
        (2, 9, [(0, 1), (1, 2)]),
        (0, 9, [(0, 0)]),
    ],
)
def test_rows_are_divided_in_order(n_rows: int, at_most: int, parts: list[tuple[int, int]]) -> None:
    assert run_by_rows(lambda rows: rows, n_rows, at_most=at_most) == parts


@pytest.mark.usefixtures("four_threads")
def test_parts_run_at_the_same_time() -> None:
    meeting = threading.Barrier(4, timeout=10)
    assert len(set(run_by_rows(lambda _: meeting.wait() * 0 + threading.get_ident(), 4, at_most=4))) == 4


@pytest.mark.usefixtures("four_threads")
def test_what_one_thread_raises_is_raised() -> None:
    def fail(rows: tuple[int, int]) -> None:
        if rows[0] > 0:
            raise ValueError(rows)

    with pytest.raises(ValueError, match="3, 4"):
        run_by_rows(lambda rows: fail(rows) if rows[0] == 3 else None, 4, at_most=4)

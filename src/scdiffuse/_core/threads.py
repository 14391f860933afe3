"""Rows divided among threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import TypeVar

import torch

__all__ = ["run_by_rows"]

Result = TypeVar("Result")


def run_by_rows(call: Callable[[tuple[int, int]], Result], n_rows: int, *, at_most: int) -> list[Result]:
    """Divide rows among as many threads as torch uses; compiled functions release the interpreter lock.

    Parameters
    ----------
    call
        Function of the first row and the end of a part.
    n_rows
        Number of rows.
    at_most
        Most threads to use.

    Returns
    -------
    Results of the calls in the order of rows; at least one.
    """
    n = max(1, min(torch.get_num_threads(), n_rows, at_most))
    parts = list(pairwise(n_rows * at // n for at in range(n + 1)))
    if n == 1:
        return [call(parts[0])]
    waiting = [_pool(os.getpid(), n - 1).submit(call, part) for part in parts[1:]]
    return [call(parts[0]), *(one.result() for one in waiting)]


@cache
def _pool(_process: int, n: int) -> ThreadPoolExecutor:
    """Keep threads for the next calls; a forked process needs its own."""
    return ThreadPoolExecutor(n, thread_name_prefix="rows")

"""Coroutines in a thread of their own: the one of the tests may hold the loop of a browser."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import anyio

Result = TypeVar("Result")


def run_async(function: Callable[[], Awaitable[Result]]) -> Result:
    """Run a coroutine function to its end."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, function).result()

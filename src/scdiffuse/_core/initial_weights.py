"""First weights of networks, which PyTorch's modules draw from a generator that all threads share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import torch

__all__ = ["initial_weights"]

_LOCK = Lock()


@contextmanager
def initial_weights(seed: int = 0) -> Iterator[None]:
    """Let the modules built in a block draw their weights from a seed, whatever other threads build.

    The global generator is as before when the block ends.

    Parameters
    ----------
    seed
        Seed of the weights; any where saved ones replace them.
    """
    with _LOCK, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield

"""Networks that compute in another way for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

__all__ = ["changed_forward"]


@contextmanager
def changed_forward(
    networks: Sequence[nn.Module], change: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    """Change what networks do when they are called, for as long as the context lasts; contexts may be nested.

    Parameters
    ----------
    networks
        What to change.
    change
        From what a network does to what it shall do.
    """
    before = [vars(network).get("forward") for network in networks]
    for network in networks:
        setattr(network, "forward", change(network.forward))  # noqa: B010 - a method for mypy
    try:
        yield
    finally:
        for network, own in zip(networks, before, strict=True):
            delattr(network, "forward")
            if own is not None:
                setattr(network, "forward", own)  # noqa: B010

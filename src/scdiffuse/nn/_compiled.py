"""Compile networks with ``torch.compile`` for the steps of a fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from os import environ
from typing import Any

import torch
from torch import nn

from scdiffuse._core.errors import SettingError
from scdiffuse.nn._forward import changed_forward

__all__ = ["compiled_steps", "require_compiler"]


def compiled_steps(networks: Sequence[nn.Module]) -> AbstractContextManager[None]:
    """Compile networks within a context, for calls with gradients only: the shapes of training steps do not change.

    Parameters
    ----------
    networks
        Networks to compile, from tensors to tensors.
    """
    return changed_forward(networks, _compiled)


def _compiled(forward: Callable[..., Any]) -> Callable[..., Any]:
    compiled = torch.compile(forward)
    return lambda *inputs: compiled(*inputs) if torch.is_grad_enabled() else forward(*inputs)


def require_compiler(device: torch.device) -> None:
    """Check early that a compiler is installed, which the first step needs.

    Parameters
    ----------
    device
        Device to compile for.

    Raises
    ------
    SettingError
        No compiler is installed.
    """
    if device.type == "cuda":
        found, needed = find_spec("triton") is not None, "the package `triton`"
    else:
        found, needed = shutil.which(environ.get("CXX", "g++")) is not None, "a C++ compiler, such as `g++`"
    if not found:
        msg = f"`compiled` is True, and no compiler is installed for {device.type!r}; expected {needed}."
        raise SettingError(msg + " Install one, or leave `compiled` out.")

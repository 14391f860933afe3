"""Networks that are compiled for the steps of a fit."""

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
    """Compile networks for as long as the context lasts, where gradients are taken: there shapes stay the same.

    Parameters
    ----------
    networks
        What to compile: tensors in, tensors out.
    """
    return changed_forward(networks, _compiled)


def _compiled(forward: Callable[..., Any]) -> Callable[..., Any]:
    quick = torch.compile(forward)
    return lambda *given: quick(*given) if torch.is_grad_enabled() else forward(*given)


def require_compiler(device: torch.device) -> None:
    """Refuse early what would fail at the first step, in words that help.

    Parameters
    ----------
    device
        Where networks shall be compiled.

    Raises
    ------
    SettingError
        There is nothing to compile with.
    """
    if device.type == "cuda":
        found, needed = find_spec("triton") is not None, "the package `triton`"
    else:
        found, needed = shutil.which(environ.get("CXX", "g++")) is not None, "a C++ compiler, such as `g++`"
    if not found:
        msg = f"`compiled` is True, and there is nothing to compile with on {device.type!r}; expected {needed}."
        raise SettingError(msg + " Install it, or leave `compiled` out.")

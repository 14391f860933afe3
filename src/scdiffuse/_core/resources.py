"""Memory and devices of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from scdiffuse._core.errors import OutOfMemoryError, SettingError

__all__ = ["explain_memory", "require_device", "require_single_precision"]

_SIGNS = ("can't allocate memory", "out of memory", "not enough memory")


@contextmanager
def explain_memory(advice: str) -> Iterator[None]:
    """Name the setting that lowers the memory use of a block, if memory runs out.

    Parameters
    ----------
    advice
        What the user can do.

    Raises
    ------
    OutOfMemoryError
        The block ran out of memory; other errors pass unchanged.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch reports it as RuntimeError
        if isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _SIGNS):
            msg = f"The machine ran out of memory. {advice}"
            raise OutOfMemoryError(msg) from error
        raise


def require_device(device: str) -> None:
    """Check that PyTorch can compute on a device.

    Parameters
    ----------
    device
        Name of the device.

    Raises
    ------
    SettingError
        PyTorch cannot use the device.
    """
    try:
        torch.zeros(1, device=device).item()  # a device without memory, such as `meta`, holds no numbers
    except (RuntimeError, AssertionError, UnicodeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        msg = f"`device` {device!r} cannot be used ({reason}); expected 'cpu', or an accelerator that PyTorch finds."
        raise SettingError(msg + " Leave `device` out.") from error


def require_single_precision() -> None:
    """Check that new tensors are of the type that models are.

    Raises
    ------
    SettingError
        The default of PyTorch was changed.
    """
    if torch.get_default_dtype() != torch.float32:
        msg = (
            f"The default type of PyTorch is {torch.get_default_dtype()}; expected torch.float32, which models are of."
        )
        raise SettingError(msg + " Call `torch.set_default_dtype(torch.float32)` before.")

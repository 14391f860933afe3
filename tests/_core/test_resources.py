"""Memory and devices that are not there, told with what to do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scdiffuse._core.errors import OutOfMemoryError, SettingError
from scdiffuse._core.resources import explain_memory, require_device


def test_memory_that_numpy_cannot_get_is_reported() -> None:
    with pytest.raises(OutOfMemoryError, match=r"The machine ran out of memory. Do less."), explain_memory("Do less."):
        np.empty(2**55)


def test_memory_that_torch_cannot_get_is_reported() -> None:
    with pytest.raises(OutOfMemoryError, match=r"ran out of memory. Do less."), explain_memory("Do less."):
        torch.empty(2**60)


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(RuntimeError, match=r"^shapes differ$"), explain_memory("Do less."):
        raise RuntimeError("shapes differ")  # noqa: EM101


@pytest.mark.parametrize("device", ["quantum", "cuda:77", "meta"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(
        SettingError, match=f"`device` '{device}' cannot be used .*; expected 'cpu'.* Leave `device` out"
    ):
        require_device(device)

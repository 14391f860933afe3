"""A device that stands in for a GPU where there is none: ``python -m pytest -p tests.stand_in -m gpu``.

Its code is compiled at the first use, which takes a C++ compiler, the package ``ninja`` and half a minute.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType

import torch

NAME = "stand_in"


def pytest_configure() -> None:
    """Open the device before tests are collected."""
    from torch.utils import cpp_extension

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cpp_extension.load(NAME, [str(Path(__file__).parent / "device.cpp")], extra_cflags=["-O1"])
    torch.utils.rename_privateuse1_backend(NAME)  # type: ignore[attr-defined]
    device = ModuleType(f"torch.{NAME}")
    functions = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "is_bf16_supported": lambda: True,
        "_is_in_bad_fork": lambda: False,
        "_lazy_init": lambda: None,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_amp_supported_dtype": lambda: [torch.bfloat16],
        "manual_seed_all": lambda _seed: None,
    }
    for name, call in functions.items():
        setattr(device, name, call)
    torch._register_device_module(NAME, device)  # type: ignore[no-untyped-call]
    torch.utils.generate_methods_for_privateuse1_backend()  # type: ignore[attr-defined]
    torch.Tensor.__deepcopy__ = _copy  # type: ignore[method-assign]


def _copy(tensor: torch.Tensor, memo: dict[int, torch.Tensor]) -> torch.Tensor:
    """Copy a tensor; what PyTorch does in its place knows a few devices only."""
    return memo.setdefault(id(tensor), tensor.detach().clone())

"""Read files of other packages without running code from them."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scdiffuse._core.errors import ModelFolderError

__all__ = ["LICENCE", "read_checkpoint", "require_files", "require_finite"]

_DAMAGES = (
    pickle.UnpicklingError, zipfile.BadZipFile, struct.error, EOFError, RuntimeError, ValueError, TypeError,
    AttributeError, LookupError,
)  # fmt: skip
LICENCE = "Weights are under the licence of their publisher; read it before sharing a model that holds them."
"""Note on pretrained weights in the model card."""


def require_files(folder: Path, names: Sequence[str], *, kind: str) -> None:
    """Check that a folder has all files.

    Parameters
    ----------
    folder
        The folder.
    names
        Files that it must hold.
    kind
        Package that wrote it, for the message.

    Raises
    ------
    ModelFolderError
        The path is not a folder, or a file is missing.
    """
    if not folder.is_dir():
        msg = f"{str(folder)!r} is not a folder; expected one written by {kind}, with {', '.join(names)}."
        raise ModelFolderError(msg + " Check the path.")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        msg = f"{str(folder)!r} has no file `{missing[0]}`; expected a folder written by {kind}, with"
        raise ModelFolderError(msg + f" {', '.join(names)}. Copy the whole folder again from where it was published.")


def read_checkpoint(
    path: Path, *, kind: str, stand_ins: Sequence[tuple[Callable[..., object], str]] = ()
) -> dict[str, Any]:
    """Read a file of ``torch.save``, tensors and plain containers only.

    Parameters
    ----------
    path
        The file.
    kind
        Package that wrote it, for the message.
    stand_ins
        Harmless callables that replace those named in the file, with the full name of each.

    Returns
    -------
    The dictionary in the file.

    Raises
    ------
    ModelFolderError
        The file is damaged, or holds objects that cannot be read without running code.
    """
    try:
        with torch.serialization.safe_globals(list(stand_ins)):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGES as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        detail = next((line for line in reversed(reason) if "GLOBAL" in line or "Unsupported" in line), reason[0])
        msg = f"`{path.name}` in {str(path.parent)!r} cannot be read as weights ({detail.strip()[:200]}); expected what"
        msg += f" {kind} wrote. Nothing in it was run. Copy it again, or write it anew with a recent version of that"
        raise ModelFolderError(msg + " package.") from error
    if not isinstance(loaded, dict):
        msg = f"`{path.name}` in {str(path.parent)!r} holds a {type(loaded).__name__}; expected the weights that {kind}"
        raise ModelFolderError(msg + " wrote. Copy it again from where it was published.")
    return loaded


def require_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Check that weights are numbers, as those of a training that diverged are not.

    Parameters
    ----------
    tensors
        Weights by name.
    path
        Their file, for the message.

    Raises
    ------
    ModelFolderError
        A weight is NaN or infinite.
    """
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            msg = f"`{name}` of `{path.name}` in {str(path.parent)!r} holds NaN or infinite values; expected finite"
            raise ModelFolderError(msg + " weights. Copy the file again, or train that model anew.")

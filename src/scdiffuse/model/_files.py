"""The files of a model folder: tensors, texts and ``config.json``, each known by its checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NotRequired, cast

import safetensors
from safetensors.torch import save_file
from torch import Tensor

from scdiffuse._core.errors import ModelFolderError
from scdiffuse._core.files import sha256
from scdiffuse._core.folders import current
from scdiffuse._core.slots import CARD_FILE, CONFIG_FILE, TRAINING_FILE
from scdiffuse.model._metadata import Json, ModelRecord

__all__ = [
    "COPY_AGAIN",
    "FORMAT",
    "ConfigFile",
    "card_checksum",
    "check_files",
    "read_config",
    "read_state",
    "write_config",
    "write_tensors",
    "write_texts",
]

FORMAT = 9  # 7: dispersions by mean and state; 8: expected expression is a Gaussian process; 9: fewer settings
"""Layout of the folder; a higher one was written by a newer version."""

COPY_AGAIN = " Copy the whole folder again from where it was saved."


class ConfigFile(ModelRecord):
    """What ``config.json`` holds."""

    format: int
    finished: bool
    files: dict[str, str]
    """Checksums of the other files by name."""
    card: NotRequired[str]
    """Checksum of the model card as it was written; whoever edits it harms nothing."""


def read_config(folder: Path) -> ConfigFile:
    """Read ``config.json`` and make sure that it is as it was written.

    Parameters
    ----------
    folder
        A model folder.

    Raises
    ------
    ModelFolderError
        There is no such file, it was altered, or another version wrote it.
    """
    if not folder.is_dir():
        msg = f"{str(folder)!r} is not a folder; expected a model saved with `save` or `fit`. Check the path."
        raise ModelFolderError(msg)
    _require(folder, CONFIG_FILE)
    try:
        tree: Json = json.loads(current(folder, CONFIG_FILE).read_text(encoding="utf-8"))
        version = int(tree["format"])
        checksum = tree.pop("checksum", "")
    except (ValueError, KeyError, TypeError) as error:
        msg = f"`{CONFIG_FILE}` in {str(folder)!r} is damaged ({error}); expected what `save` wrote.{COPY_AGAIN}"
        raise ModelFolderError(msg) from error
    if version < FORMAT:
        msg = f"The model in {str(folder)!r} was saved by an earlier version, {tree.get('version')}, of scdiffuse,"
        raise ModelFolderError(msg + " in another format; expected one of this version. Fit it again.")
    if version > FORMAT:
        msg = f"The model in {str(folder)!r} was saved by a newer version, {tree.get('version')}, of scdiffuse;"
        raise ModelFolderError(msg + " this one cannot read it. Update with `pip install -U scdiffuse`.")
    if checksum != _checksum(tree):
        raise _altered(folder, CONFIG_FILE)
    return cast(ConfigFile, tree)


def write_config(folder: Path, record: ModelRecord, *, finished: bool, files: tuple[str, ...]) -> None:
    """Write ``config.json`` last: it holds the checksums of the other files and its own.

    Parameters
    ----------
    folder
        Where the other files are.
    record
        What is known of the model.
    finished
        Whether the fit is done.
    files
        Names of the other files.
    """
    checksums = {name: sha256(folder / name) for name in files}
    tree: Json = {"format": FORMAT, **record, "finished": finished, "files": checksums}
    if (folder / CARD_FILE).is_file():
        tree["card"] = sha256(folder / CARD_FILE)
    tree["checksum"] = _checksum(tree)
    (folder / CONFIG_FILE).write_text(json.dumps(tree, indent=1), encoding="utf-8")


def card_checksum(folder: Path) -> str | None:
    """Return the checksum of the model card as it was written, if that is known.

    Parameters
    ----------
    folder
        A model folder, or any other.
    """
    try:
        return read_config(folder).get("card")
    except ModelFolderError:
        return None


def check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Make sure that files are there and as they were written.

    Parameters
    ----------
    folder
        A model folder.
    files
        Checksums by name.

    Raises
    ------
    ModelFolderError
        One is missing or altered.
    """
    for name, expected in files.items():
        _require(folder, name)
        if sha256(current(folder, name)) != expected:
            raise _altered(folder, name)


def read_state(folder: Path) -> tuple[dict[str, Tensor], Json]:
    """Read the state of a fit that has not ended: tensors by name, and what is written beside them.

    Parameters
    ----------
    folder
        The folder of the fit.

    Raises
    ------
    ModelFolderError
        There is no such state, or it is damaged.
    """
    _require(folder, TRAINING_FILE)
    try:
        with safetensors.safe_open(current(folder, TRAINING_FILE), "pt") as file:
            fit: Json = json.loads(file.metadata()["fit"])
            return {name: file.get_tensor(name) for name in file.keys()}, fit  # noqa: SIM118 - not a mapping
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        msg = f"`{TRAINING_FILE}` in {str(folder)!r} is damaged ({error}); expected the state of a fit."
        raise ModelFolderError(msg + " Fit the model again.") from error


def write_tensors(tensors: Mapping[str, Tensor], path: Path, beside: dict[str, str] | None = None) -> None:
    """Write tensors as safetensors, with the mode of other new files.

    Parameters
    ----------
    tensors
        Tensors by name.
    path
        The file.
    beside
        Texts to keep with them.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    path.touch()
    mode = path.stat().st_mode  # the mode of other new files; safetensors lets nobody else read
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, beside)
    except safetensors.SafetensorError as error:
        raise OSError(str(error)) from error
    path.chmod(mode)


def write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Write texts by the names of their files."""
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _altered(folder: Path, name: str) -> ModelFolderError:
    msg = f"`{name}` in {str(folder)!r} was altered after it was saved: its checksum is not the expected one."
    return ModelFolderError(msg + COPY_AGAIN)


def _require(folder: Path, name: str) -> None:
    if not current(folder, name).is_file():
        msg = f"{str(folder)!r} has no file `{name}`; expected a folder written by `save` or `fit`, with all its files."
        raise ModelFolderError(msg + COPY_AGAIN)


def _checksum(tree: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()

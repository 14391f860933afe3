"""A model on disk: weights as safetensors, the rest as JSON, each file known by its checksum."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import safetensors
from safetensors.torch import load_file, save_file
from torch import Tensor

from scdiffusion._core.errors import ModelFolderError
from scdiffusion._core.files import atomic_file, atomic_folder, sha256
from scdiffusion._core.slots import CARD_FILE, CONFIG_FILE, GENES_FILE, TRAINING_FILE, VOCABULARY_FILE, WEIGHTS_FILE
from scdiffusion.cells import Conditions
from scdiffusion.model._config import ModelConfig
from scdiffusion.model._parts import Parts
from scdiffusion.model._stages import Saved

__all__ = ["FORMAT", "Held", "read_folder", "read_training", "write_finished", "write_start", "write_training"]

FORMAT = 1
"""Layout of the folder; a higher one was written by a newer version."""


class Held(NamedTuple):
    """What a model folder holds."""

    parts: Parts
    config: ModelConfig
    conditions: Conditions
    var: pd.DataFrame
    facts: dict[str, Any]
    finished: bool


def write_finished(
    folder: Path, parts: Parts, *, described: Mapping[str, Any], texts: Mapping[str, str], overwrite: bool
) -> None:
    """Write a whole model, or nothing.

    Parameters
    ----------
    folder
        Where it shall be.
    parts
        All tensors.
    described
        What goes into ``config.json`` beside the checksums.
    texts
        Other files by name.
    overwrite
        Replace the model that is there.
    """
    with atomic_folder(folder, overwrite=overwrite) as partial:
        save_file(parts.copies(), partial / WEIGHTS_FILE)
        for name, text in texts.items():
            (partial / name).write_text(text, encoding="utf-8")
        files = {name: sha256(partial / name) for name in (WEIGHTS_FILE, GENES_FILE, VOCABULARY_FILE)}
        _write_json(partial / CONFIG_FILE, {"format": FORMAT, **described, "finished": True, "files": files})


def write_start(folder: Path, *, described: Mapping[str, Any], texts: Mapping[str, str]) -> None:
    """Begin the folder of a fit, to which `write_training` adds its state.

    Parameters
    ----------
    folder
        Where it shall be; must not exist, or be empty.
    described
        What goes into ``config.json`` beside the checksums.
    texts
        Other files by name.
    """
    with atomic_folder(folder, overwrite=folder.is_dir() and not any(folder.iterdir())) as partial:
        for name, text in texts.items():
            (partial / name).write_text(text, encoding="utf-8")
        files = {name: sha256(partial / name) for name in (GENES_FILE, VOCABULARY_FILE)}
        _write_json(partial / CONFIG_FILE, {"format": FORMAT, **described, "finished": False, "files": files})


def write_training(folder: Path, saved: Saved, parts: Mapping[str, Tensor]) -> None:
    """Replace the state of a running fit by a newer one, in one move.

    Parameters
    ----------
    folder
        The folder of the fit.
    saved
        Where the fit stands.
    parts
        A model that generates, as good as it is by now.
    """
    tensors = {f"state.{name}": tensor.contiguous().cpu() for name, tensor in saved.tensors.items()}
    tensors |= {f"model.{name}": tensor for name, tensor in parts.items()}
    facts = {"stage": saved.stage, "facts": dict(saved.facts), "history": dict(saved.history)}
    with atomic_file(folder / TRAINING_FILE, overwrite=True) as partial:
        save_file({name: tensor.clone() for name, tensor in tensors.items()}, partial, {"fit": json.dumps(facts)})


def read_training(folder: Path) -> Saved:
    """Read where an interrupted fit stands.

    Parameters
    ----------
    folder
        The folder of the fit.

    Raises
    ------
    ModelFolderError
        There is no such state, or it is damaged.
    """
    tensors, facts = _read_state(folder)
    state = {name.removeprefix("state."): tensor for name, tensor in tensors.items() if name.startswith("state.")}
    return Saved(stage=facts["stage"], facts=facts["facts"], tensors=state, history=facts["history"])


def read_folder(folder: Path) -> Held:
    """Read a model, finished or not.

    Parameters
    ----------
    folder
        Its folder.

    Raises
    ------
    ModelFolderError
        A file is missing, altered or damaged, or was written by a newer version.
    """
    described = _read_config(folder)
    _check_files(folder, described["files"])
    conditions = Conditions.from_json((folder / VOCABULARY_FILE).read_text(encoding="utf-8"))
    var = var_from_json((folder / GENES_FILE).read_text(encoding="utf-8"))
    try:
        config = ModelConfig.from_dict(described["settings"])
        if described["finished"]:
            tensors = load_file(folder / WEIGHTS_FILE)
        else:
            state, facts = _read_state(folder)
            described["history"] = {**facts["history"], facts["stage"]: facts["facts"]["history"]}
            tensors = {name.removeprefix("model."): tensor for name, tensor in state.items() if name.startswith("model.")}
        parts = Parts.from_tensors(tensors, config=config, conditions=conditions)
    except (KeyError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
        msg = f"The settings and weights in {str(folder)!r} do not belong together ({error}). Take the folder from"
        raise ModelFolderError(msg + " where it was saved once more.") from error
    return Held(parts, config, conditions, var, described, described["finished"])


def var_to_json(var: pd.DataFrame) -> str:
    """Write gene names and the columns of `var` that JSON can hold.

    Parameters
    ----------
    var
        One row a gene.
    """
    columns = {
        str(name): column.astype(object).where(column.notna(), None).tolist()
        for name, column in var.items()
        if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_string_dtype(column.astype(object))
    }
    return json.dumps({"names": [str(name) for name in var.index], "columns": columns}, default=str)


def var_from_json(text: str) -> pd.DataFrame:
    """Read what `var_to_json` wrote.

    Parameters
    ----------
    text
        JSON.
    """
    held = json.loads(text)
    return pd.DataFrame(held["columns"], index=pd.Index(held["names"], dtype=str))


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        msg = f"{str(folder)!r} is not a folder; expected a model saved with `save`. Check the path."
        raise ModelFolderError(msg)
    _require(folder, CONFIG_FILE)
    try:
        described: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        newer = int(described["format"]) > FORMAT
        _ = described["files"], described["finished"], described["settings"]
    except (ValueError, KeyError, TypeError) as error:
        msg = f"`{CONFIG_FILE}` in {str(folder)!r} is damaged ({error}); save the model again."
        raise ModelFolderError(msg) from error
    if newer:
        msg = f"The model in {str(folder)!r} was saved by a newer version, {described.get('version')}, of scdiffusion;"
        raise ModelFolderError(msg + " this one cannot read it. Update with `pip install -U scdiffusion`.")
    return described


def _check_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, expected in files.items():
        _require(folder, name)
        if sha256(folder / name) != expected:
            msg = f"`{name}` in {str(folder)!r} was altered after it was saved: its checksum is another. Copy the folder"
            raise ModelFolderError(msg + " again from where it was saved.")


def _read_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    _require(folder, TRAINING_FILE)
    try:
        with safetensors.safe_open(folder / TRAINING_FILE, "pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["fit"])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118 - not a mapping
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        msg = f"`{TRAINING_FILE}` in {str(folder)!r} is damaged ({error}); fit the model again."
        raise ModelFolderError(msg) from error


def _require(folder: Path, name: str) -> None:
    if not (folder / name).is_file():
        msg = f"{str(folder)!r} has no file `{name}`; expected a folder written by `save` or `fit`, with all its files."
        raise ModelFolderError(msg + f" Copy the whole folder, `{CARD_FILE}` and hidden files may be missing.")


def _write_json(path: Path, tree: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(tree, indent=1), encoding="utf-8")

"""A model on disk: weights as safetensors, the rest as JSON, each file known by its checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
from safetensors.torch import load_file, save_file
from torch import Tensor

from scdiffuse._core.errors import ModelFolderError
from scdiffuse._core.files import atomic_file, atomic_folder, sha256
from scdiffuse._core.slots import (
    CARD_FILE,
    CLASSIFIERS_FILE,
    CONFIG_FILE,
    DISTILLED_FILE,
    GENES_FILE,
    TRAINING_FILE,
    VOCABULARY_FILE,
    WEIGHTS_FILE,
)
from scdiffuse.cells import Conditions
from scdiffuse.model._card import write_card
from scdiffuse.model._checkpoint import Checkpoint, History
from scdiffuse.model._classifier import AttachedClassifier, join_tensors, split_tensors
from scdiffuse.model._config import ModelConfig
from scdiffuse.model._distilled import DistilledSampler
from scdiffuse.model._metadata import ModelMetadata, var_from_json
from scdiffuse.model._networks import Networks

__all__ = [
    "FORMAT",
    "SavedModel",
    "read_classifiers",
    "read_distilled",
    "read_folder",
    "read_training",
    "write_finished",
    "write_start",
    "write_training",
]

FORMAT = 5  # since 4, combinations of conditions have expected shares; since 5, library sizes are normal scores
"""Layout of the folder; a higher one was written by a newer version."""

_AGAIN = " Copy the whole folder again from where it was saved."


class SavedModel(NamedTuple):
    """What a model folder holds."""

    networks: Networks
    metadata: ModelMetadata
    facts: dict[str, Any]
    """What ``config.json`` says."""
    history: History
    finished: bool
    classifiers: dict[str, AttachedClassifier]
    distilled: DistilledSampler | None


def write_finished(
    folder: Path,
    networks: Networks,
    *,
    facts: Mapping[str, Any],
    texts: Mapping[str, str],
    classifiers: Mapping[str, AttachedClassifier],
    distilled: DistilledSampler | None,
    overwrite: bool,
) -> None:
    """Write a whole model, or nothing.

    Parameters
    ----------
    folder
        Where it shall be.
    networks
        All tensors.
    facts
        What goes into ``config.json`` beside the checksums.
    texts
        Genes and vocabulary, by the names of their files.
    classifiers
        Classifiers by name; their labels are among the facts.
    distilled
        The student, if any.
    overwrite
        Replace the model that is there.
    """
    with atomic_folder(folder, overwrite=overwrite) as partial:
        _write_tensors(networks.copies(), partial / WEIGHTS_FILE)
        _write_texts(partial, {**texts, CARD_FILE: write_card(facts)})
        files = (WEIGHTS_FILE, *texts)
        if classifiers:
            _write_tensors(join_tensors(classifiers), partial / CLASSIFIERS_FILE)
            files = (*files, CLASSIFIERS_FILE)
        if distilled is not None:
            _write_tensors(distilled.tensors(), partial / DISTILLED_FILE)
            files = (*files, DISTILLED_FILE)
        _write_config(partial, {**facts, "finished": True}, files=files)


def write_start(
    folder: Path,
    saved: Checkpoint,
    networks: Mapping[str, Tensor],
    *,
    facts: Mapping[str, Any],
    texts: Mapping[str, str],
) -> None:
    """Begin the folder of a fit, which loads from its first moment on.

    Parameters
    ----------
    folder
        Where it shall be; must not exist, or be empty.
    saved, networks
        As in `write_training`.
    facts, texts
        As in `write_finished`.
    """
    with atomic_folder(folder, overwrite=folder.is_dir() and not any(folder.iterdir())) as partial:
        _write_texts(partial, texts)
        _write_config(partial, {**facts, "finished": False}, files=tuple(texts))
        write_training(partial, saved, networks)


def write_training(folder: Path, saved: Checkpoint, networks: Mapping[str, Tensor]) -> None:
    """Replace the state of a running fit by a newer one, in one move.

    Parameters
    ----------
    folder
        The folder of the fit.
    saved
        Where the fit stands.
    networks
        A model that generates, as good as it is by now.
    """
    tensors = {f"state.{name}": tensor.detach().cpu().clone() for name, tensor in saved.tensors.items()}
    tensors |= {f"model.{name}": tensor for name, tensor in networks.items()}
    facts = {"stage": saved.stage, "facts": dict(saved.facts), "history": dict(saved.history)}
    with atomic_file(folder / TRAINING_FILE, overwrite=True) as partial:
        _write_tensors(tensors, partial, {"fit": json.dumps(facts)})


def read_training(folder: Path) -> Checkpoint:
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
    tensors, fit = _read_state(folder)
    history = _history(fit["history"])
    return Checkpoint(stage=fit["stage"], facts=fit["facts"], tensors=_under("state.", tensors), history=history)


def read_folder(folder: Path) -> SavedModel:
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
    facts = _read_config(folder)
    _check_files(folder, facts["files"])
    try:
        metadata = ModelMetadata(
            config=ModelConfig.from_dict(facts["settings"]),
            conditions=Conditions.from_json((folder / VOCABULARY_FILE).read_text(encoding="utf-8")),
            var=var_from_json((folder / GENES_FILE).read_text(encoding="utf-8")),
            data=facts["data"],
            started_from=facts.get("started_from"),
        )
        if facts["finished"]:
            tensors, curves = load_file(folder / WEIGHTS_FILE), facts["history"]
        else:
            state, fit = _read_state(folder)
            tensors, curves = _under("model.", state), {**fit["history"], fit["stage"]: fit["facts"]["history"]}
        networks = Networks.from_tensors(tensors, config=metadata.config, conditions=metadata.conditions)
        classifiers, distilled = _classifiers(folder, facts), _distilled(folder, facts, networks)
    except (KeyError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
        msg = f"The settings and weights in {str(folder)!r} do not belong together ({error}); expected one model's."
        raise ModelFolderError(msg + _AGAIN) from error
    return SavedModel(networks, metadata, facts, _history(curves), facts["finished"], classifiers, distilled)


def read_classifiers(folder: Path) -> dict[str, AttachedClassifier]:
    """Read the classifiers of a model that was saved whole.

    Parameters
    ----------
    folder
        Its folder; one of a fit that has not ended holds none.

    Raises
    ------
    ModelFolderError
        The folder is damaged.
    """
    return _classifiers(folder, _read_config(folder))


def read_distilled(folder: Path, networks: Networks) -> DistilledSampler | None:
    """Read the student of a model that was saved whole, if it has one.

    Parameters
    ----------
    folder
        Its folder.
    networks
        The model.

    Raises
    ------
    ModelFolderError
        The folder is damaged.
    """
    return _distilled(folder, _read_config(folder), networks)


def _distilled(folder: Path, facts: Mapping[str, Any], networks: Networks) -> DistilledSampler | None:
    told = facts.get("distilled")
    return DistilledSampler.restore(told, load_file(folder / DISTILLED_FILE), networks) if told else None


def _classifiers(folder: Path, facts: Mapping[str, Any]) -> dict[str, AttachedClassifier]:
    told = facts.get("classifiers", {})  # models saved by earlier versions have none
    return split_tensors(load_file(folder / CLASSIFIERS_FILE), told) if told else {}


def _history(curves: Mapping[str, Any]) -> History:
    return {stage: [(int(step), float(a), float(b)) for step, a, b in curve] for stage, curve in curves.items()}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        msg = f"{str(folder)!r} is not a folder; expected a model saved with `save` or `fit`. Check the path."
        raise ModelFolderError(msg)
    _require(folder, CONFIG_FILE)
    try:
        facts: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        version = int(facts["format"])
        checksum = facts.pop("checksum", "")
    except (ValueError, KeyError, TypeError) as error:
        msg = f"`{CONFIG_FILE}` in {str(folder)!r} is damaged ({error}); expected what `save` wrote.{_AGAIN}"
        raise ModelFolderError(msg) from error
    if version < FORMAT:
        msg = f"The model in {str(folder)!r} was saved by an earlier version, {facts.get('version')}, of scdiffuse,"
        raise ModelFolderError(msg + " which held something else; expected one of this version. Fit it again.")
    if version > FORMAT:
        msg = f"The model in {str(folder)!r} was saved by a newer version, {facts.get('version')}, of scdiffuse;"
        raise ModelFolderError(msg + " this one cannot read it. Update with `pip install -U scdiffuse`.")
    if checksum != _checksum(facts):
        raise _altered(folder, CONFIG_FILE)
    return facts


def _check_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, expected in files.items():
        _require(folder, name)
        if sha256(folder / name) != expected:
            raise _altered(folder, name)


def _altered(folder: Path, name: str) -> ModelFolderError:
    msg = f"`{name}` in {str(folder)!r} was altered after it was saved: its checksum is not the expected one."
    return ModelFolderError(msg + _AGAIN)


def _read_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    _require(folder, TRAINING_FILE)
    try:
        with safetensors.safe_open(folder / TRAINING_FILE, "pt") as file:
            fit: dict[str, Any] = json.loads(file.metadata()["fit"])
            return {name: file.get_tensor(name) for name in file.keys()}, fit  # noqa: SIM118 - not a mapping
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        msg = f"`{TRAINING_FILE}` in {str(folder)!r} is damaged ({error}); expected the state of a fit."
        raise ModelFolderError(msg + " Fit the model again.") from error


def _require(folder: Path, name: str) -> None:
    if not (folder / name).is_file():
        msg = f"{str(folder)!r} has no file `{name}`; expected a folder written by `save` or `fit`, with all its files."
        raise ModelFolderError(msg + _AGAIN)


def _write_tensors(tensors: Mapping[str, Tensor], path: Path, facts: dict[str, str] | None = None) -> None:
    path.touch()
    mode = path.stat().st_mode  # the mode of other new files; safetensors lets nobody else read
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, facts)
    except safetensors.SafetensorError as error:
        raise OSError(str(error)) from error
    path.chmod(mode)


def _write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _write_config(folder: Path, facts: Mapping[str, Any], *, files: tuple[str, ...]) -> None:
    """Write ``config.json`` last: it knows the checksums of the other files and its own."""
    tree = {"format": FORMAT, **facts, "files": {name: sha256(folder / name) for name in files}}
    tree["checksum"] = _checksum(tree)
    (folder / CONFIG_FILE).write_text(json.dumps(tree, indent=1), encoding="utf-8")


def _checksum(tree: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()

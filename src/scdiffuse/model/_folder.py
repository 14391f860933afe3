"""A model on disk: weights as safetensors, the rest as JSON."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import NamedTuple, cast

import safetensors
from safetensors.torch import load_file
from torch import Tensor

from scdiffuse._core.errors import ModelFolderError
from scdiffuse._core.files import replaced_file, sha256
from scdiffuse._core.folders import MODEL, current, finish_replacing
from scdiffuse._core.outputs import atomic_folder
from scdiffuse._core.slots import (
    CARD_FILE,
    CLASSIFIERS_FILE,
    DISTILLED_FILE,
    GENES_FILE,
    TRAINING_FILE,
    VOCABULARY_FILE,
    WEIGHTS_FILE,
)
from scdiffuse.cells import Conditions
from scdiffuse.model._card import write_card
from scdiffuse.model._checkpoint import Checkpoint, Stage
from scdiffuse.model._classifier import AttachedClassifier, join_tensors, split_tensors
from scdiffuse.model._config import ModelConfig
from scdiffuse.model._distilled import DistilledSampler
from scdiffuse.model._files import (
    COPY_AGAIN,
    ConfigFile,
    card_checksum,
    check_files,
    read_config,
    read_state,
    write_config,
    write_tensors,
    write_texts,
)
from scdiffuse.model._fitted import FittedModel
from scdiffuse.model._metadata import History, ModelMetadata, ModelRecord, var_from_json
from scdiffuse.model._networks import Networks

__all__ = [
    "SavedModel",
    "read_classifiers",
    "read_folder",
    "read_training",
    "write_finished",
    "write_start",
    "write_training",
]


class SavedModel(NamedTuple):
    """What a model folder holds."""

    model: FittedModel
    config: ConfigFile
    """Content of ``config.json``."""
    history: History


def write_finished(folder: Path, model: FittedModel, *, record: ModelRecord, overwrite: bool) -> None:
    """Write a whole model, or nothing.

    Parameters
    ----------
    folder
        Where to write it.
    model
        All that it has learnt.
    record
        What goes into ``config.json`` beside the checksums.
    overwrite
        Replace the model that is there.
    """
    texts = model.metadata.texts()
    with atomic_folder(folder, kind=MODEL, overwrite=overwrite) as partial:
        write_tensors(model.networks.copies(), partial / WEIGHTS_FILE)
        write_texts(partial, {**texts, CARD_FILE: write_card(record)})
        _keep_edited_card(folder, partial)
        files = (WEIGHTS_FILE, *texts)
        if model.classifiers:
            write_tensors(join_tensors(model.classifiers), partial / CLASSIFIERS_FILE)
            files = (*files, CLASSIFIERS_FILE)
        if model.distilled is not None:
            write_tensors(model.distilled.tensors(), partial / DISTILLED_FILE)
            files = (*files, DISTILLED_FILE)
        write_config(partial, record, finished=True, files=files)


def write_start(
    folder: Path,
    checkpoint: Checkpoint,
    weights: Mapping[str, Tensor],
    *,
    record: ModelRecord,
    metadata: ModelMetadata,
    overwrite: bool = False,
) -> None:
    """Begin the folder of a fit, which loads from its first moment on.

    Parameters
    ----------
    folder
        Where to write it.
    checkpoint, weights
        As in `write_training`.
    record
        What goes into ``config.json`` beside the checksums.
    metadata
        Genes and vocabulary.
    overwrite
        Replace the model that is there, finished or not.
    """
    texts = metadata.texts()
    with atomic_folder(folder, kind=MODEL, overwrite=overwrite) as partial:
        write_texts(partial, texts)
        write_config(partial, record, finished=False, files=tuple(texts))
        write_training(partial, checkpoint, weights)


def write_training(folder: Path, checkpoint: Checkpoint, weights: Mapping[str, Tensor]) -> None:
    """Replace the state of a running fit by a newer one, in one move.

    Parameters
    ----------
    folder
        The folder of the fit.
    checkpoint
        Where the fit stands.
    weights
        Tensors of a model that generates, as good as it is by now.
    """
    tensors = {f"state.{name}": tensor.detach().cpu().clone() for name, tensor in checkpoint.tensors.items()}
    tensors |= {f"model.{name}": tensor for name, tensor in weights.items()}
    fit = {"stage": checkpoint.stage, "progress": checkpoint.progress, "history": checkpoint.history}
    finish_replacing(folder, kind=MODEL, wait=True)
    with replaced_file(folder / TRAINING_FILE) as partial:
        write_tensors(tensors, partial, {"fit": json.dumps(fit)})


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
    tensors, fit = read_state(folder)
    return Checkpoint(
        stage=cast(Stage, fit["stage"]),
        progress=fit["progress"],
        tensors=_under("state.", tensors),
        history=_history(fit["history"]),
    )


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
    finish_replacing(folder, kind=MODEL)
    config = read_config(folder)
    check_files(folder, config["files"])
    try:
        metadata = ModelMetadata(
            config=ModelConfig.from_dict(config["settings"]),
            conditions=Conditions.from_json(current(folder, VOCABULARY_FILE).read_text(encoding="utf-8")),
            var=var_from_json(current(folder, GENES_FILE).read_text(encoding="utf-8")),
            data=config["data"],
            started_from=config["started_from"],
        )
        if config["finished"]:
            tensors, curves = load_file(current(folder, WEIGHTS_FILE)), config["history"]
        else:
            state, fit = read_state(folder)
            tensors, curves = _under("model.", state), {**fit["history"], fit["stage"]: fit["progress"]["history"]}
        networks = Networks.from_tensors(tensors, config=metadata.config, conditions=metadata.conditions)
        model = FittedModel(
            networks=networks,
            metadata=metadata,
            seed=config["seed"],
            classifiers=_classifiers(folder, config),
            distilled=_distilled(folder, config, networks),
        )
    except (KeyError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
        msg = f"The settings and weights in {str(folder)!r} do not belong together ({error}); expected one model's."
        raise ModelFolderError(msg + COPY_AGAIN) from error
    return SavedModel(model, config, _history(curves))


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
    return _classifiers(folder, read_config(folder))


def _classifiers(folder: Path, config: ConfigFile) -> dict[str, AttachedClassifier]:
    saved = config.get("classifiers", {})  # a fit that has not ended has none
    return split_tensors(load_file(current(folder, CLASSIFIERS_FILE)), saved) if saved else {}


def _distilled(folder: Path, config: ConfigFile, networks: Networks) -> DistilledSampler | None:
    record = config.get("distilled")
    return DistilledSampler.restore(record, load_file(current(folder, DISTILLED_FILE)), networks) if record else None


def _keep_edited_card(folder: Path, partial: Path) -> None:
    """Keep a model card that is not as it was written, under another name beside the new one."""
    card = current(folder, CARD_FILE)
    if not card.is_file() or sha256(card) in {card_checksum(folder), sha256(partial / CARD_FILE)}:
        return
    stem, suffix = Path(CARD_FILE).stem, Path(CARD_FILE).suffix
    names = (f"{stem}.kept{at or ''}{suffix}" for at in count())
    shutil.copyfile(card, partial / next(name for name in names if not (folder / name).exists()))


def _history(curves: History) -> History:
    return {stage: [(int(step), float(a), float(b)) for step, a, b in curve] for stage, curve in curves.items()}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

"""Write a model to its folder: weights as safetensors, the rest as JSON."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from torch import Tensor

from scdiffuse._core.files import remove_abandoned, replaced_file, sha256
from scdiffuse._core.folders import MODEL, current, finish_replacing
from scdiffuse._core.outputs import atomic_folder
from scdiffuse._core.slots import (
    CARD_FILE,
    CLASSIFIERS_FILE,
    DISTILLED_FILE,
    TRAINING_FILE,
    WEIGHTS_FILE,
)
from scdiffuse.model._card import write_card
from scdiffuse.model._checkpoint import Checkpoint
from scdiffuse.model._classifier import join_tensors
from scdiffuse.model._files import (
    card_checksum,
    write_config,
    write_tensors,
    write_texts,
)
from scdiffuse.model._fitted import FittedModel
from scdiffuse.model._metadata import ModelMetadata, ModelRecord

__all__ = [
    "write_finished",
    "write_start",
    "write_training",
]


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
    remove_abandoned(folder / TRAINING_FILE)  # a fit that has gone on writes no more states, and looks no more


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


def _keep_edited_card(folder: Path, partial: Path) -> None:
    """Keep a model card that is not as it was written, under another name beside the new one."""
    card = current(folder, CARD_FILE)
    if not card.is_file() or sha256(card) in {card_checksum(folder), sha256(partial / CARD_FILE)}:
        return
    stem, suffix = Path(CARD_FILE).stem, Path(CARD_FILE).suffix
    names = (f"{stem}.kept{at or ''}{suffix}" for at in count())
    shutil.copyfile(card, partial / next(name for name in names if not (folder / name).exists()))

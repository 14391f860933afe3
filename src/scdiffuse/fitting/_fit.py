"""From the user's data to fitted parts, with the folder of a run kept loadable on the way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from scdiffuse._core.errors import ModelFolderError, OutputExistsError, SettingError
from scdiffuse._core.processes import ALONE, Processes
from scdiffuse._core.random import generator
from scdiffuse.autoencoder import CountAutoencoder, shapes_of
from scdiffuse.calibration import Levels, PooledCounts, pool_counts
from scdiffuse.cells import (
    plan_blocks,
)
from scdiffuse.fitting._data import Data
from scdiffuse.fitting._stages import Fit
from scdiffuse.model import (
    Held,
    History,
    Known,
    Parts,
    Saved,
    Stage,
    read_folder,
    read_training,
    tilts_of,
    write_start,
    write_training,
)
from scdiffuse.train import TrainState

__all__ = ["Fitted", "fit_parts", "require_startable"]


class Fitted(NamedTuple):
    """What a fit leaves."""

    parts: Parts
    history: History
    was_stopped: bool
    scores: dict[str, Any] | None
    """Scores of a model that was finished before."""


def require_startable(folder: Path | None, *, resume: bool, max_epochs: int | None) -> None:
    """Refuse a fit that cannot begin, before anything costly.

    Parameters
    ----------
    folder, resume, max_epochs
        As in `CellGenerator.fit`.

    Raises
    ------
    SettingError
        `max_epochs` is below 1, or `resume` has no `folder`.
    OutputExistsError
        `folder` holds something and `resume` is false.
    """
    if max_epochs is not None and max_epochs < 1:
        msg = f"`max_epochs` must be at least 1, got {max_epochs}; leave it out to let the fit stop by itself."
        raise SettingError(msg)
    if resume and folder is None:
        msg = "`resume` needs the `folder` of the interrupted fit, got None. Pass the folder given to `fit` then."
        raise SettingError(msg)
    if folder is not None and not resume and folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        msg = f"{str(folder)!r} already exists; expected a new or empty folder. Choose another one, or pass"
        raise OutputExistsError(msg + " `resume=True` to go on with the fit that is in it.")


def fit_parts(  # noqa: PLR0913 - what `CellGenerator.fit` is given
    data: Data,
    known: Known,
    *,
    folder: Path | None,
    resume: bool,
    max_epochs: int | None,
    seed: int,
    device: str,
    progress: bool,
    processes: Processes = ALONE,
) -> Fitted:
    """Fit the networks, and keep the folder loadable on the way.

    Parameters
    ----------
    data, known
        What to fit, and how.
    folder
        Where to keep the state; `None` keeps none.
    resume
        Go on with what is in `folder`.
    max_epochs, seed, device, progress
        As in `CellGenerator.fit`.
    processes
        Who shares the fit; the first of them writes to the folder.

    Returns
    -------
    Parts, curves, and whether the user stopped it.

    Raises
    ------
    ModelFolderError
        There is nothing in `folder` to go on with, or it belongs to other data or settings.
    """
    facts = known.facts(seed=seed, max_epochs=max_epochs)
    held = _held(folder, known, facts) if resume and folder is not None else None
    if held is not None and held.finished:
        return Fitted(held.parts.to(device), held.history, was_stopped=False, scores=held.facts.get("scores"))
    saved = read_training(folder) if held is not None and folder is not None else None
    parts, pooled = _new_parts(data, known, seed)
    log = _Log(folder if processes.is_first else None, parts, known, facts, begun=saved is not None)
    blocks = plan_blocks(data.source, data.cells) if data.on_disk else None
    fit = Fit(
        parts=parts.to(device), source=data.source, cells=data.cells, table=data.table, config=known.config, seed=seed,
        blocks=blocks, max_epochs=max_epochs, progress=progress and processes.is_first, save=log.write,
        processes=processes, is_tuned=data.start is not None,
    )  # fmt: skip
    fit.measure_sizes()
    if held is not None and saved is not None and saved.stage != "autoencoder":
        parts.load_state_dict(held.parts.copies())
    was_stopped = fit.run(saved)
    tilts = tilts_of(parts)
    if tilts is not None:
        tilts.settle(pooled)
    if was_stopped:
        log.settle()
    return Fitted(parts, fit.history, was_stopped, None)


@dataclass
class _Log:
    """The folder of a fit."""

    folder: Path | None
    parts: Parts
    known: Known
    facts: Mapping[str, Any]
    begun: bool

    def write(self, stage: Stage, state: TrainState, history: History) -> None:
        """Keep where the fit stands, beside a model with the averaged weights."""
        if self.folder is None:
            return
        with state.average.swap():
            copies = self.parts.copies()
        saved = Saved(stage=stage, facts=state.facts(), tensors=state.tensors(), history=history)
        if self.begun:
            write_training(self.folder, saved, copies)
        else:
            write_start(self.folder, saved, copies, facts=self.facts, texts=self.known.texts())
            self.begun = True

    def settle(self) -> None:
        """Put the model that the user holds after stopping the fit in place of the averaged one."""
        if self.folder is not None:
            write_training(self.folder, read_training(self.folder), self.parts.copies())


def _new_parts(data: Data, known: Known, seed: int) -> tuple[Parts, PooledCounts]:
    """Build networks with random weights, without touching the global random state; and what they start from."""
    training = data.table.distinct()
    levels = Levels.of(known.conditions.n_labels, training)
    pooled = pool_counts(data.source, data.cells, data.table, levels=levels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator(seed, "weights").integers(2**62)))
        parts = Parts(
            known.config,
            conditions=known.conditions,
            shares=torch.from_numpy(pooled.shares.astype(np.float32)),
            training=training,
        )
    if parts.expected is not None:
        parts.expected.learn(pooled)
    if isinstance(parts.autoencoder, CountAutoencoder):
        parts.autoencoder.likelihood.start(shapes_of(pooled.clump))
    if data.latent is not None:
        data.latent.fill(parts.autoencoder, data.var)
    if data.start is not None:
        data.start(parts)
    return parts, pooled


def _held(folder: Path, known: Known, facts: Mapping[str, Any]) -> Held:
    """Read the fit in the folder, if it is this one."""
    held = read_folder(folder)
    if held.known.config != known.config:  # as read: settings that are newer than the folder have their defaults
        raise _other(folder, "settings")
    words = {"data": "data", "seed": "`seed`", "max_epochs": "`max_epochs`", "started_from": "`init_from`"}
    for name, word in words.items():
        if held.facts.get(name) != json.loads(json.dumps(facts[name])):
            raise _other(folder, word)
    if held.known.texts() != known.texts():
        raise _other(folder, "genes or labels")
    if held.finished and held.facts["stopped"]:
        msg = f"The fit in {str(folder)!r} was stopped and then saved without its state; expected one to go on with."
        raise ModelFolderError(msg + " Fit into another folder.")
    return held


def _other(folder: Path, name: str) -> ModelFolderError:
    msg = f"The fit in {str(folder)!r} was begun with other {name} than are given now; expected the same."
    return ModelFolderError(msg + " Give the data, settings and seed of then, or choose another folder.")

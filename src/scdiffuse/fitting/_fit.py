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
from scdiffuse.autoencoder import CountAutoencoder, dispersion_start
from scdiffuse.calibration import ConditionGrid, Pseudobulk, pool_pseudobulk
from scdiffuse.cells import (
    plan_blocks,
)
from scdiffuse.fitting._data import Data
from scdiffuse.fitting._stages import Fit
from scdiffuse.model import (
    Checkpoint,
    History,
    ModelMetadata,
    Networks,
    SavedModel,
    Stage,
    gene_factor_table,
    read_folder,
    read_training,
    write_start,
    write_training,
)
from scdiffuse.train import TrainState

__all__ = ["Fitted", "fit_networks", "require_startable"]


class Fitted(NamedTuple):
    """What a fit leaves."""

    networks: Networks
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


def fit_networks(  # noqa: PLR0913 - what `CellGenerator.fit` is given
    data: Data,
    metadata: ModelMetadata,
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
    data, metadata
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
    facts = metadata.facts(seed=seed, max_epochs=max_epochs)
    held = _held(folder, metadata, facts) if resume and folder is not None else None
    if held is not None and held.finished:
        return Fitted(held.networks.to(device), held.history, was_stopped=False, scores=held.facts.get("scores"))
    saved = read_training(folder) if held is not None and folder is not None else None
    networks, pooled = _new_networks(data, metadata, seed)
    log = _Log(folder if processes.is_first else None, networks, metadata, facts, begun=saved is not None)
    blocks = plan_blocks(data.source, data.cells) if data.on_disk else None
    fit = Fit(
        networks=networks.to(device),
        source=data.source,
        cells=data.cells,
        table=data.table,
        config=metadata.config,
        seed=seed,
        blocks=blocks,
        max_epochs=max_epochs,
        progress=progress and processes.is_first,
        save=log.write,
        processes=processes,
        is_tuned=data.start is not None,
    )
    fit.measure_sizes()
    if held is not None and saved is not None and saved.stage != "autoencoder":
        networks.load_state_dict(held.networks.copies())
    was_stopped = fit.run(saved)
    factor_table = gene_factor_table(networks)
    if factor_table is not None:
        factor_table.settle(pooled)
    if was_stopped:
        log.settle()
    return Fitted(networks, fit.history, was_stopped, None)


@dataclass
class _Log:
    """The folder of a fit."""

    folder: Path | None
    networks: Networks
    metadata: ModelMetadata
    facts: Mapping[str, Any]
    begun: bool

    def write(self, stage: Stage, state: TrainState, history: History) -> None:
        """Keep where the fit stands, beside a model with the averaged weights."""
        if self.folder is None:
            return
        with state.average.swap():
            copies = self.networks.copies()
        saved = Checkpoint(stage=stage, facts=state.facts(), tensors=state.tensors(), history=history)
        if self.begun:
            write_training(self.folder, saved, copies)
        else:
            write_start(self.folder, saved, copies, facts=self.facts, texts=self.metadata.texts())
            self.begun = True

    def settle(self) -> None:
        """Put the model that the user holds after stopping the fit in place of the averaged one."""
        if self.folder is not None:
            write_training(self.folder, read_training(self.folder), self.networks.copies())


def _new_networks(data: Data, metadata: ModelMetadata, seed: int) -> tuple[Networks, Pseudobulk]:
    """Build networks with random weights, without touching the global random state; and what they start from."""
    training = data.table.distinct()
    grid = ConditionGrid.of(metadata.conditions.n_labels, training)
    pooled = pool_pseudobulk(data.source, data.cells, data.table, grid=grid)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator(seed, "weights").integers(2**62)))
        networks = Networks(
            metadata.config,
            conditions=metadata.conditions,
            fractions=torch.from_numpy(pooled.fractions.astype(np.float32)),
            training=training,
        )
    if networks.expected is not None:
        networks.expected.learn(pooled)
    if isinstance(networks.autoencoder, CountAutoencoder):
        networks.autoencoder.likelihood.start(dispersion_start(pooled.counts_per_detection))
    if data.latent is not None:
        data.latent.fill(networks.autoencoder, data.var)
    if data.start is not None:
        data.start(networks)
    return networks, pooled


def _held(folder: Path, metadata: ModelMetadata, facts: Mapping[str, Any]) -> SavedModel:
    """Read the fit in the folder, if it is this one."""
    held = read_folder(folder)
    if held.metadata.config != metadata.config:  # as read: settings that are newer than the folder have their defaults
        raise _other(folder, "settings")
    words = {"data": "data", "seed": "`seed`", "max_epochs": "`max_epochs`", "started_from": "`init_from`"}
    for name, word in words.items():
        if held.facts.get(name) != json.loads(json.dumps(facts[name])):
            raise _other(folder, word)
    if held.metadata.texts() != metadata.texts():
        raise _other(folder, "genes or labels")
    if held.finished and held.facts["stopped"]:
        msg = f"The fit in {str(folder)!r} was stopped and then saved without its state; expected one to go on with."
        raise ModelFolderError(msg + " Fit into another folder.")
    return held


def _other(folder: Path, name: str) -> ModelFolderError:
    msg = f"The fit in {str(folder)!r} was begun with other {name} than are given now; expected the same."
    return ModelFolderError(msg + " Give the data, settings and seed of then, or choose another folder.")

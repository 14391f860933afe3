"""A fit from beginning to end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from scdiffuse._core.errors import ModelFolderError, SettingError
from scdiffuse._core.initial_weights import initial_weights
from scdiffuse._core.processes import ALONE, Processes
from scdiffuse._core.random import generator
from scdiffuse.autoencoder import CountAutoencoder
from scdiffuse.cells import plan_blocks
from scdiffuse.fitting._data import TrainingData
from scdiffuse.fitting._log import FitLog
from scdiffuse.fitting._place import find_place
from scdiffuse.fitting._stages import FitContext, encode_cells, fit_autoencoder, fit_diffusion, set_latent_scale
from scdiffuse.fitting._warm_start import Origin, inherit
from scdiffuse.model import (
    Checkpoint,
    FittedModel,
    History,
    Json,
    ModelMetadata,
    ModelRecord,
    Networks,
    SavedModel,
    gene_factor_table,
    read_training,
)

__all__ = ["FitOptions", "FitResult", "fit_model"]


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """The arguments of `CellGenerator.fit`."""

    folder: Path | None = None
    resume: bool = False
    overwrite: bool = False
    origin: Origin | None = None
    """The model to begin with."""
    max_epochs: int | None = None
    seed: int = 0
    device: str = "cpu"
    progress: bool = True
    processes: Processes = ALONE
    """The processes that share the fit; the first of them writes to the folder."""


class FitResult(NamedTuple):
    """What a fit leaves."""

    model: FittedModel
    history: History
    was_stopped: bool
    scores: Json | None
    """Scores of a model that was finished before."""


def fit_model(data: TrainingData, metadata: ModelMetadata, options: FitOptions) -> FitResult:
    """Fit a model to cells, and keep its folder loadable on the way.

    Parameters
    ----------
    data, metadata
        What to fit, and how.
    options
        Where to keep the state, whether to resume, the seed and more.

    Raises
    ------
    ModelFolderError
        There is nothing in the folder to go on with, or it belongs to other data or settings.
    SettingError
        Of several processes, not all have the same cells, settings and seed.
    """
    record = metadata.record(seed=options.seed, max_epochs=options.max_epochs)
    place, saved = find_place(options.folder, metadata, record, resume=options.resume, overwrite=options.overwrite)
    is_finished = saved is not None and saved.config["finished"]
    checkpoint = None if saved is None or place is None or is_finished else read_training(place)
    _require_same(data, record, options, saved=saved, checkpoint=checkpoint)  # and all have read before one writes
    if saved is not None and is_finished:
        scores = saved.config.get("scores")
        return FitResult(saved.model.to(options.device), saved.history, was_stopped=False, scores=scores)

    networks = _new_networks(data, metadata, options)
    folder = place if options.processes.is_first else None
    fit = FitContext(
        networks=networks.to(options.device),
        data=data,
        config=metadata.config,
        seed=options.seed,
        log=FitLog(folder, networks, metadata, record, begun=checkpoint is not None),
        blocks=plan_blocks(data.source, data.cells) if data.on_disk else None,
        max_epochs=options.max_epochs,
        is_tuned=options.origin is not None,
        progress=options.progress and options.processes.is_first,
        processes=options.processes,
        history=dict(checkpoint.history) if checkpoint else {},
    )
    networks.library_size_score.learn(data.library_sizes)
    if saved is not None and checkpoint is not None and checkpoint.stage == "diffusion":
        networks.load_state_dict(saved.model.networks.copies())
        was_stopped, cells = False, encode_cells(fit)
    else:
        was_stopped, cells = fit_autoencoder(fit, checkpoint), encode_cells(fit)
        set_latent_scale(networks, cells)
        checkpoint = None
    if not was_stopped:
        was_stopped = fit_diffusion(fit, cells, checkpoint)
    factors = gene_factor_table(networks, seed=options.seed)
    if factors is not None:
        factors.fit_rare(data.pseudobulk, progress=fit.progress)
    if was_stopped:
        fit.log.keep_stopped()
    model = FittedModel(networks=networks, metadata=metadata, seed=options.seed)
    return FitResult(model, fit.history, was_stopped=was_stopped, scores=None)


def _require_same(
    data: TrainingData,
    record: ModelRecord,
    options: FitOptions,
    *,
    saved: SavedModel | None,
    checkpoint: Checkpoint | None,
) -> None:
    """Make sure that all processes fit the same cells, and go on from the same state."""
    processes = options.processes
    if processes.size == 1:
        return
    given = json.dumps([record, data.var.index.astype(str).tolist()]).encode()
    if not processes.is_same(given + data.cells.tobytes() + data.library_sizes.tobytes() + data.table.codes.tobytes()):
        msg = f"The {processes.size} processes of this fit have different cells, settings or seeds; expected the same."
        raise SettingError(msg + " Give all of them the same arguments and all cells: a fit divides them by itself.")
    step = checkpoint and (checkpoint.stage, checkpoint.progress["step"])
    if not processes.is_same(repr((saved is None, step)).encode()):
        msg = f"The {processes.size} processes of this fit find different states in {str(options.folder)!r}; expected"
        raise ModelFolderError(msg + " the same. Use a folder that the machines of all of them share.")


def _new_networks(data: TrainingData, metadata: ModelMetadata, options: FitOptions) -> Networks:
    """Build networks with random weights, and start them from what the pass over the counts found."""
    with initial_weights(int(generator(options.seed, "weights").integers(2**62))):
        networks = Networks(
            metadata.config,
            conditions=metadata.conditions,
            fractions=torch.from_numpy(data.pseudobulk.fractions.astype(np.float32)),
            training=data.table.distinct(),
        )
    if networks.expected is not None:
        networks.expected.learn(data.pseudobulk)
    if isinstance(networks.autoencoder, CountAutoencoder):
        networks.autoencoder.likelihood.initialise(data.pseudobulk.counts_per_detection)
    if data.latent is not None:
        data.latent.fill(networks.autoencoder, data.var)
    if options.origin is not None:
        inherit(networks, options.origin, metadata)
    return networks

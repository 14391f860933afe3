"""From a column of `obs` to a trained classifier of noisy latents."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse._core.errors import ConditionError, ScdiffuseWarning
from scdiffuse._core.initial_weights import initial_weights
from scdiffuse._core.progress import Progress
from scdiffuse._core.random import generator
from scdiffuse.autoencoder import Posterior
from scdiffuse.cells import Conditions, ConditionTable, Source
from scdiffuse.guidance import NOISE_LEVELS, ClassifierTask, NoisyCells
from scdiffuse.model import (
    ENCODED_AT_ONCE,
    AttachedClassifier,
    ClassifierRecord,
    ModelConfig,
    Networks,
    encode,
    new_network,
)
from scdiffuse.train import Run, TrainState, train

__all__ = ["Kind", "LabelledCells", "learn_classifier", "read_labelled"]

Kind = Literal["categorical", "continuous"]
"""Whether a column holds labels or numbers."""

_FEWEST_CELLS = 20
_MOST_MEASURED = 16_384  # cells that accuracy is measured on, at each level of noise


class LabelledCells(NamedTuple):
    """Cells with a label or number each."""

    source: Source
    """Counts of the model's genes."""
    rows: NDArray[np.int64]
    """Rows of the source with a label and at least one count."""
    conditions: Conditions
    """Labels or range of the column alone, under the name of the classifier."""
    table: ConditionTable
    """Labels or numbers of the rows."""


def read_labelled(source: Source, key: str, *, name: str, kind: Kind | None) -> LabelledCells:
    """Find the cells to learn a column from.

    Parameters
    ----------
    source
        Counts of the model's genes.
    key
        Column of `obs`.
    name
        Name of the classifier.
    kind
        Whether the column has labels or numbers; decided by its type if not given.

    Returns
    -------
    The cells that have a label and counts; those without counts are left out with a warning that counts them.

    Raises
    ------
    UnknownNameError
        There is no such column.
    ConditionError
        The column has one label or number only, too few cells, or a label with a single cell.
    """
    if kind is None:
        dtype = getattr(source.obs.get(key), "dtype", None)
        kind = "continuous" if isinstance(dtype, np.dtype) and dtype.kind == "f" else "categorical"
    columns: tuple[Sequence[str], Sequence[str]] = ([key], []) if kind == "categorical" else ([], [key])
    known = Conditions.from_obs(source.obs, *columns)
    has_label = ~np.isnan(known.encode(source.obs).numbers[:, 0])
    rows = np.flatnonzero(has_label & _has_counts(source, has_label)).astype(np.int64)
    if len(rows) < has_label.sum():
        known = Conditions.from_obs(source.obs.iloc[rows], *columns)
    _require_enough(known, key, n_cells=len(rows))
    table = known.encode(source.obs.iloc[rows])
    if kind == "categorical":
        named = Conditions(categorical={name: known.categorical[key]}, continuous={})
    else:
        named = Conditions(categorical={}, continuous={name: known.continuous[key]})
    return LabelledCells(source, rows, named, table)


def learn_classifier(
    networks: Networks,
    cells: LabelledCells,
    config: ModelConfig,
    *,
    obs_key: str,
    library_size: bool,
    max_epochs: int | None,
    seed: int,
    progress: bool,
) -> AttachedClassifier:
    """Train a classifier, or a regressor, on the noisy latents of cells.

    Parameters
    ----------
    networks
        The fitted model; it is not changed.
    cells
        What to learn from.
    config
        Settings of the network and its training.
    obs_key, library_size, max_epochs, seed, progress
        As in `CellGenerator.add_classifier`.

    Returns
    -------
    The classifier, on the device of the model.
    """
    name = cells.conditions.names[0]
    is_categorical = bool(cells.conditions.categorical)
    values = cells.table.codes[:, 0] if is_categorical else cells.table.values[:, 0]
    means, stds = _latents(networks, cells, progress=progress)
    train_on, stop_by, measure_by = _divide(values, config.validation_fraction, seed=seed)
    if len(measure_by) > _MOST_MEASURED:
        measure_by = np.sort(generator(seed, "cells of accuracy").permutation(measure_by)[:_MOST_MEASURED])
    with initial_weights(int(generator(seed, "weights of a classifier").integers(2**62))):
        network = new_network(cells.conditions, means.shape[1] - (not library_size), config.classifier)
    noisy = NoisyCells(means, stds, torch.from_numpy(values.astype(np.float32)))
    network.to(networks.latent_mean.device)
    task = ClassifierTask(network, noisy, train=train_on, validation=stop_by, seed=seed)
    training = config.classifier_training
    state = TrainState.start(task, training)
    n_steps = training.n_steps(task.n_cells, max_epochs)
    run = Run(stage=f"classifier {name}", config=training, n_steps=n_steps, seed=seed, progress=progress)
    stopped = train(state, run)
    network.requires_grad_(requires_grad=False)
    record: ClassifierRecord = {
        "kind": "categorical" if is_categorical else "continuous",
        "obs_key": obs_key,
        "n_cells": len(values),
        "accuracy": dict(zip(map(str, NOISE_LEVELS), task.accuracy(measure_by), strict=True)),
        "chance": _chance(cells.table.codes[:, 0], measure_by) if is_categorical else 0.0,
        "n_held_out": len(measure_by),
        "library_size": library_size,
        "n_steps": state.step,
        "seed": seed,
        "stopped": stopped,
    }
    for labels in cells.conditions.categorical.values():
        counts = np.bincount(cells.table.codes[:, 0], minlength=len(labels))
        record["labels"] = {str(label): int(n) for label, n in zip(labels, counts, strict=True)}
    for seen in cells.conditions.continuous.values():
        record["range"] = [seen.min, seen.max]
    return AttachedClassifier(conditions=cells.conditions, network=network, metadata=record)


def _chance(codes: NDArray[np.int64], held_out: NDArray[np.int64]) -> float:
    """Return the fraction of held-out cells that have the most frequent label."""
    return float(np.mean(codes[held_out] == np.bincount(codes).argmax()))


def _divide(
    values: NDArray[np.generic], validation_fraction: float, *, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Divide cells to learn from, to stop by and to measure by, so that every part has its share of each label."""
    every = max(3, min(round(1 / validation_fraction), len(values) // 2))  # a cell at least to measure by
    order = np.lexsort((generator(seed, "parts of a classifier").random(len(values)), values)).astype(np.int64)
    turn = np.arange(len(order)) % every
    stop_by, measure_by = turn == every // 2 - 1, turn == every - 1
    return np.sort(order[~(stop_by | measure_by)]), np.sort(order[stop_by]), np.sort(order[measure_by])


def _latents(networks: Networks, cells: LabelledCells, *, progress: bool) -> tuple[Tensor, Tensor]:
    """Infer the latents of the rows, library size last, standardised; in main memory."""
    n_cells = len(cells.rows)
    starts = range(0, n_cells, ENCODED_AT_ONCE)
    rows = [slice(begin, begin + ENCODED_AT_ONCE) for begin in starts]
    with Progress("encode", n_cells, enabled=progress) as bar:
        blocks = ((where, cells.source.rows(cells.rows[where])) for where in rows)
        found = encode(networks, blocks, n_cells=n_cells, advance=bar.advance)
    device = networks.latent_mean.device
    posterior = Posterior(found.means.to(device), found.stds.to(device))
    means, stds = networks.standardise(posterior, found.library_sizes.numpy())
    return means.cpu(), stds.cpu()


def _has_counts(source: Source, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    filled = np.zeros(source.n_cells, dtype=bool)
    for where, block in source.blocks():
        filled[where] = np.asarray(block.sum(axis=1)).ravel() > 0
    n_empty = int((wanted & ~filled).sum())
    if n_empty:
        msg = f"{n_empty} of {int(wanted.sum())} labelled cells have no count in the model's genes and are left out."
        warnings.warn(msg, ScdiffuseWarning, stacklevel=4)
    return filled


def _require_enough(known: Conditions, key: str, *, n_cells: int) -> None:
    """Refuse a column that there is nothing to learn from."""
    if n_cells < _FEWEST_CELLS:
        msg = f"{n_cells} cells have counts and a value in {key!r}; expected at least {_FEWEST_CELLS} to learn from."
        raise ConditionError(msg + " Add cells, or fill in missing values.")
    for labels in known.categorical.values():
        if len(labels) < 2:
            msg = f"All cells have the label {labels[0]!r} in {key!r}; expected at least two labels."
            raise ConditionError(msg + " Add cells with other labels.")
    for seen in known.continuous.values():
        if seen.min == seen.max:
            msg = f"All cells have the number {seen.min:g} in {key!r}; expected different ones."
            raise ConditionError(msg + " Add cells with other numbers.")

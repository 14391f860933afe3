"""Whether a buffer mixes cells from disk well enough.

The fit cells of `pbmc3k` are sorted by type. An autoencoder is trained on them from memory, where every batch is drawn
from all cells; from shards of them; and from the sorted file itself, in blocks as long as those of shards and in the
shorter ones that a fit takes from files. So that few cells stand for many, a buffer has 256 cells, a sixth of them all,
in 4 or in 32 blocks. What counts is the ELBO of cells that no autoencoder saw.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.data import DATA_SETS, load
from benchmarks.layout import grid, only
from benchmarks.records import rows_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse.cells import Blocks, CellData

name = "shuffling"
title = "Mixing cells from disk"
summary = "Whether batches from shards and sorted files train as well as those from memory."
unit = ("seed",)

WAYS = {
    "memory": None,
    "shards": (64, 4),
    "sorted file, long blocks": (64, 4),
    "sorted file, short blocks": (8, 32),
}
"""Where cells come from: cells of a block, blocks of a buffer."""
_N_GENES = 2000
_BY = "cell_type"
_VALIDATION = 10  # every tenth cell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the length of the training."""
    parser.add_argument("--epochs", type=int, default=20)
    parser.set_defaults(seeds=[0, 1, 2])


def run(context: Context) -> Iterator[Record]:
    """Measure each seed."""
    epochs = context.options.epochs
    for seed in context.seeds:
        yield from context.measure(
            {"seed": seed, "epochs": epochs}, partial(measure, context, epochs=epochs, seed=seed)
        )


def measure(context: Context, *, epochs: int, seed: int) -> list[dict[str, Any]]:
    """Train on cells from each place; one row each."""
    cells = load(DATA_SETS["pbmc3k"], context.data)
    most = np.sort(np.argsort(-np.asarray(cells.X.sum(axis=0)).ravel())[:_N_GENES])
    return compare(cells[:, most].copy(), epochs=epochs, seed=seed)


def compare(cells: AnnData, *, epochs: int, seed: int) -> list[dict[str, Any]]:
    """Train on some of the cells from each place, and compute the ELBO of the others."""
    import scdiffuse
    from scdiffuse.cells import Blocks

    fit, _, held_out = scdiffuse.split(cells, by=_BY, fractions=(0.7, 0.0, 0.3))
    ordered = fit[np.argsort(fit.obs[_BY].astype(str), kind="stable")].copy()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        file, shards = Path(folder) / "sorted.h5ad", Path(folder) / "shards"
        ordered.write_h5ad(file)
        scdiffuse.shard(file, shards, progress=False)
        places: dict[str, CellData] = {"memory": ordered, "shards": shards}
        for way, lengths in WAYS.items():
            blocks = None if lengths is None else Blocks(*lengths)
            nats = trained_nats(places.get(way, file), held_out, blocks=blocks, epochs=epochs, seed=seed)
            found.append({"way": way, "nats": nats, "cells": fit.n_obs})
    return found


def trained_nats(cells: CellData, held_out: AnnData, *, blocks: Blocks | None, epochs: int, seed: int) -> float:
    """Train an autoencoder and return minus the ELBO of held-out cells, in nats a cell."""
    import torch

    from scdiffuse.autoencoder import AutoencoderTask, CountAutoencoder
    from scdiffuse.cells import open_source
    from scdiffuse.model import ModelConfig
    from scdiffuse.train import Run, TrainState, train

    config, source = ModelConfig(), open_source(cells)
    counts = source.rows(np.arange(source.n_cells))
    fractions = np.asarray(counts.sum(axis=0)).ravel() + 0.5
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = CountAutoencoder(
            torch.from_numpy((fractions / fractions.sum()).astype(np.float32)), config.autoencoder
        )
    rows = np.arange(source.n_cells)
    is_validation = rows % _VALIDATION == 0
    task = AutoencoderTask(network, source, training=rows[~is_validation], validation=rows[is_validation])
    settings = config.autoencoder_training
    n_steps = settings.n_steps(task.n_cells, epochs)
    stage = Run(stage="autoencoder", config=settings, n_steps=n_steps, seed=seed, blocks=blocks, progress=False)
    train(TrainState.start(task, settings), stage)
    unseen = open_source(held_out)
    every = np.arange(unseen.n_cells)
    return AutoencoderTask(network, unseen, training=every, validation=every).validate()


def lines(records: Sequence[Record]) -> list[str]:
    """Write minus the ELBO by place."""
    found = rows_of(records)
    rows = []
    for way in WAYS:
        nats = np.array([one["nats"] for one in only(found, way=way)])
        deviation = f" ± {nats.std(ddof=1):.2f}" if nats.size > 1 else ""
        rows.append([way, f"{nats.mean():.2f}{deviation}", len(nats)])
    about = (
        f"{found[0]['cells']:,} cells of `pbmc3k` sorted by type, {_N_GENES:,} genes, {found[0]['epochs']} epochs; "
        "buffers of 256 cells, in 4 blocks, short ones in 32. Minus the ELBO of held-out cells (lower is better), mean "
        "± standard deviation over seeds."
    )
    return [about, grid(["cells come from", "nats a cell", "seeds"], rows)]

"""From the user's data to fitted parts, with the folder of a run kept loadable on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from scdiffusion._core.errors import CountsError, ModelFolderError
from scdiffusion._core.random import generator
from scdiffusion._core.slots import CONFIG_FILE, TRAINING_FILE
from scdiffusion.cells import Conditions, ConditionTable, Source, check_counts, open_source, select_genes
from scdiffusion.model._config import ModelConfig
from scdiffusion.model._folder import read_folder, read_training, write_start, write_training
from scdiffusion.model._parts import Parts
from scdiffusion.model._stages import Fit, Saved, gene_shares
from scdiffusion.train import TrainState

__all__ = ["Data", "Fitted", "fit_parts", "read_data"]

_FEWEST_CELLS = 30


class Fitted(NamedTuple):
    """What a fit leaves."""

    parts: Parts
    history: dict[str, list[tuple[int, float, float]]]
    was_stopped: bool


@dataclass(frozen=True, kw_only=True)
class Data:
    """Cells that were found fit to learn from."""

    source: Source
    """Counts of the kept genes."""
    cells: NDArray[np.int64]
    """Rows with at least one count."""
    conditions: Conditions
    table: ConditionTable
    """Conditions of those rows."""
    var: pd.DataFrame
    """The kept genes."""
    genes_report: str
    on_disk: bool

    def summary(self) -> dict[str, Any]:
        """Describe the data for the model card."""
        totals = np.concatenate([np.asarray(rows.sum(axis=1)).ravel() for _, rows in self.source.blocks()])
        labels = {
            name: {
                str(label): int(n)
                for label, n in zip(known, np.bincount(codes[codes >= 0], minlength=len(known)), strict=True)
            }
            for (name, known), codes in zip(self.conditions.categorical.items(), self.table.codes.T, strict=True)
        }
        return {
            "n_cells": len(self.cells),
            "n_genes": self.source.n_genes,
            "median_counts": int(np.median(totals[self.cells])),
            "genes": self.genes_report,
            "labels": labels,
            "ranges": {name: (seen.min, seen.max) for name, seen in self.conditions.continuous.items()},
        }


def read_data(
    adata: ad.AnnData | str | Path,
    *,
    conditions: Sequence[str],
    continuous: Sequence[str],
    layer: str | None,
    min_cells: int,
) -> Data:
    """Check cells and choose genes.

    Parameters
    ----------
    adata
        Cells with raw counts, in memory or backed, or a path.
    conditions, continuous
        Columns of `obs`.
    layer
        Layer with raw counts.
    min_cells
        Cells that a gene must be found in.

    Raises
    ------
    CountsError
        The values are not raw counts, or there are too few cells.
    SettingError
        Columns are given as one text instead of a list.
    """
    names = [_listed(conditions), _listed(continuous)]
    whole = check_counts(adata, layer=layer)
    known = Conditions.from_obs(whole.obs, *names)
    if whole.n_cells < _FEWEST_CELLS:
        msg = f"There are {whole.n_cells} cells; expected at least {_FEWEST_CELLS} to fit a model to, and some hundreds"
        raise CountsError(msg + " to fit a good one. Add cells, or pool conditions.")
    selection = select_genes(whole, min_cells=min_cells)
    source = open_source(adata, layer=layer, genes=list(whole.genes[selection.keep]))
    cells = np.flatnonzero(selection.cells_keep).astype(np.int64)
    return Data(
        source=source,
        cells=cells,
        conditions=known,
        table=known.encode(source.obs).take(cells),
        var=whole.var[selection.keep].copy(),
        genes_report=selection.report(),
        on_disk=not isinstance(adata, ad.AnnData) or adata.isbacked,
    )


def fit_parts(  # noqa: PLR0913 - what `fit` was asked, passed on whole
    data: Data,
    config: ModelConfig,
    *,
    folder: Path | None,
    described: Mapping[str, Any],
    resume: bool,
    max_epochs: int | None,
    seed: int,
    device: str,
    progress: bool,
) -> Fitted:
    """Fit the networks, and keep the folder loadable on the way.

    Parameters
    ----------
    data, config
        What to fit, and how.
    folder
        Where to keep the state; `None` keeps none.
    described
        What ``config.json`` says of the model from the beginning.
    resume
        Go on with what is in `folder`.
    max_epochs, seed, device, progress
        As in `CellGenerator.fit`.

    Returns
    -------
    Parts, curves, and whether the user stopped it.
    """
    if resume and folder is not None and (folder / CONFIG_FILE).is_file() and not (folder / TRAINING_FILE).is_file():
        held = read_folder(folder)
        return Fitted(held.parts.to(device), held.facts["history"], was_stopped=False)
    saved = _resumed(folder, described) if resume and folder is not None else None
    torch_seed = int(generator(seed, "weights").integers(2**62))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed)
        parts = Parts(
            config,
            conditions=data.conditions,
            shares=gene_shares(data.source, data.cells),
            training=data.table.distinct(),
        )
    if folder is not None and saved is None:
        write_start(folder, described={k: v for k, v in described.items() if k != "texts"}, texts=described["texts"])

    def save(stage: str, state: TrainState, history: dict[str, Any]) -> None:
        if folder is not None:
            with state.average.swap():
                copies = parts.copies()
            write_training(folder, Saved(stage=stage, facts=state.facts(), tensors=state.tensors(), history=history), copies)

    fit = Fit(
        parts=parts.to(device), source=data.source, cells=data.cells, table=data.table, config=config, seed=seed,
        on_disk=data.on_disk, max_epochs=max_epochs, progress=progress, save=save,
    )  # fmt: skip
    fit.measure_sizes()
    if saved is not None and saved.stage != "autoencoder":
        parts.load_state_dict(_model_tensors(folder))
    was_stopped = fit.run(saved)
    return Fitted(parts, fit.history, was_stopped)


def _resumed(folder: Path, described: Mapping[str, Any]) -> Saved:
    """Read where the fit in the folder stands, if it is this one."""
    held = read_folder(folder)
    for name in ("settings", "data", "seed"):
        if _plain(held.facts[name]) != _plain(described[name]):
            msg = f"The fit in {str(folder)!r} was begun with other {name} than are given now; expected the same."
            raise ModelFolderError(msg + " Give the data, settings and seed of then, or choose another folder.")
    return read_training(folder)


def _model_tensors(folder: Path | None) -> dict[str, torch.Tensor]:
    if folder is None:
        return {}
    return read_folder(folder).parts.copies()


def _plain(tree: object) -> object:
    """Bring a tree to what JSON makes of it."""
    import json

    return json.loads(json.dumps(tree))


def _listed(names: Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)

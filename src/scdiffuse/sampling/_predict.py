"""The same cells under other conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch

from scdiffuse._core.progress import Progress
from scdiffuse._core.random import noise_ids_of
from scdiffuse.cells import ConditionPlan, ConditionTable
from scdiffuse.diffusion import Heun
from scdiffuse.model import GivenCells
from scdiffuse.sampling._checks import require_none_avoided
from scdiffuse.sampling._coverage import with_unseen
from scdiffuse.sampling._library_size import Sizes
from scdiffuse.sampling._transport import Transport

__all__ = ["override", "predict_cells"]


def override(table: ConditionTable, wanted: ConditionPlan) -> ConditionTable:
    """Put what is asked for in the place of the cells' own conditions.

    Parameters
    ----------
    table
        Conditions of ``N`` cells.
    wanted
        A plan of one cell; what it leaves open stays the cells' own.

    Returns
    -------
    Conditions of the ``N`` cells.
    """
    return ConditionTable(
        np.where(wanted.drawn_codes, table.codes, wanted.requests.codes),
        np.where(wanted.drawn_values, table.values, wanted.requests.values),
    )


def predict_cells(
    transport: Transport,
    given: GivenCells,
    wanted: ConditionPlan,
    *,
    sizes: Sizes,
    settings: Mapping[str, Any],
    chunk: int,
    progress: bool,
) -> ad.AnnData:
    """Carry cells to their noise under their own conditions, and back under others.

    Parameters
    ----------
    transport
        Model, seed and guidance.
    given
        The cells.
    wanted
        The conditions to change.
    sizes
        Library sizes.
    settings
        What to tell in `uns`.
    chunk
        Cells at once.
    progress
        Show a bar.

    Returns
    -------
    One cell for each, in their order.

    Raises
    ------
    UnknownNameError
        A name or label that guides is unknown.
    SettingError
        A number is out of range, cells shall be what they avoid, or no step lies in the interval of guidance.
    """
    others, solver = override(given.table, wanted), Heun()
    transport = transport.aimed(given.obs)
    resting, arriving, factor_table = transport.resting, transport.arriving, transport.factor_table
    transport.require_steps(solver)
    conditions = transport.metadata.conditions
    require_none_avoided(others, transport.steering.avoided(conditions, transport.classifiers), conditions)
    counts, latents = [], []
    with Progress("transfer", len(given), enabled=progress) as bar:
        for begin in range(0, len(given), chunk):
            cells = np.arange(begin, min(begin + chunk, len(given)), dtype=np.int64)
            some = given.take(cells)
            here = transport.tensors(some.table, cells, targets=transport.own)
            asked = others.take(cells)
            there = transport.tensors(asked, cells, targets=transport.wanted)
            noise_ids = noise_ids_of(cells, some.table.numbers)  # cells of other conditions share no noise
            start = some.draw(transport.noise("posterior", noise_ids))
            noise = transport.invert(resting, start, here)
            made = transport.integrate(arriving, noise, there, solver=solver)
            own = sizes.of(cells)
            gene_factors = factor_table.of(asked) if factor_table else None
            counts.append(transport.draw_counts(made, noise_ids, sizes=own, stream="counts", gene_factors=gene_factors))
            latents.append(made)
            bar.advance(len(cells))
    obs = _obs(transport, given, others, wanted=wanted)
    return transport.finish(sp.vstack(counts, format="csr"), obs, torch.cat(latents), settings=settings)


def _obs(transport: Transport, given: GivenCells, others: ConditionTable, *, wanted: ConditionPlan) -> pd.DataFrame:
    """Keep the cells' own columns, but for the conditions that were changed."""
    conditions = transport.metadata.conditions
    changed = np.concatenate([~wanted.drawn_codes, ~wanted.drawn_values])
    names = [name for name, is_changed in zip(conditions.names, changed, strict=True) if is_changed]
    new = conditions.decode(others)[names].set_axis(given.obs.index)
    obs = given.obs.drop(columns=names, errors="ignore").join(new)
    obs = obs[[*given.obs.columns, *(name for name in names if name not in given.obs)]]
    return with_unseen(obs, others, conditions=conditions, training=transport.networks.trained_on)

"""Counterfactual prediction: given cells under other conditions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from torch import Tensor

from scdiffuse._core.compiled import COMPILES
from scdiffuse._core.errors import ScdiffuseWarning
from scdiffuse._core.progress import Progress
from scdiffuse._core.random import noise_ids_of
from scdiffuse._core.slots import OBS_SOURCE, OBS_SUPPORT, OBS_UNSEEN
from scdiffuse.cells import ConditionPlan, ConditionTable
from scdiffuse.diffusion import Heun
from scdiffuse.model import GivenCells
from scdiffuse.sampling._checks import require_not_away
from scdiffuse.sampling._count_columns import refresh_counts
from scdiffuse.sampling._coverage import with_unseen
from scdiffuse.sampling._library_size import CellLibrarySizes
from scdiffuse.sampling._transport import Transport
from scdiffuse.sampling._verdicts import Verdicts

__all__ = ["override", "predict_cells"]


def override(table: ConditionTable, asked: ConditionPlan) -> ConditionTable:
    """Put the conditions asked for in the place of the cells' own.

    Parameters
    ----------
    table
        Conditions of ``N`` cells.
    asked
        A plan of one cell; what it leaves open stays the cells' own.

    Returns
    -------
    Conditions of the ``N`` cells.
    """
    return ConditionTable(
        np.where(asked.drawn_codes, table.codes, asked.requests.codes),
        np.where(asked.drawn_values, table.values, asked.requests.values),
    )


def predict_cells(
    transport: Transport,
    given: GivenCells,
    asked: Mapping[tuple[str, ...], ConditionPlan],
    *,
    library_sizes: CellLibrarySizes,
    settings: Mapping[str, object],
    batch_size: int,
    progress: bool,
) -> ad.AnnData:
    """Invert cells to their noise under their own conditions, and integrate that noise back under others.

    Parameters
    ----------
    transport
        Model, seed and guidance.
    given
        The cells.
    asked
        The conditions to change, once or several times, by what the names of the cells end in.
    library_sizes
        Library sizes.
    settings
        What to keep in `uns`.
    batch_size
        Cells at once.
    progress
        Show a bar.

    Returns
    -------
    One cell for each, in their order, for the first conditions, then for the next.

    Raises
    ------
    UnknownNameError
        A name or label that guides is unknown.
    SettingError
        A number is out of range, cells are asked to be what they keep away from, or no step lies in the interval.

    Warns
    -----
    ScdiffuseWarning
        Guidance has driven cells further than any training cell lies, or the cells have columns of the names that
        mark generated ones.
    """
    targets, solver = {name: override(given.table, one) for name, one in asked.items()}, Heun()
    transport = transport.for_cells(given.obs)
    unguided, at_target = transport.unguided, transport.at_target
    transport.require_steps(solver)
    for target in targets.values():
        require_not_away(target, transport.guidance.away(), transport.model.conditions)
    counts: dict[tuple[str, ...], list[sp.csr_matrix]] = {name: [] for name in targets}
    latents: dict[tuple[str, ...], list[Tensor]] = {name: [] for name in targets}
    with Progress("predict", len(given) * len(targets), enabled=progress, waiting=COMPILES) as bar:
        for begin in range(0, len(given), batch_size):
            cells = np.arange(begin, min(begin + batch_size, len(given)), dtype=np.int64)
            some = given.take(cells)
            own = transport.tensors(some.table, cells, targets=transport.own)
            noise_ids = noise_ids_of(cells, some.table.numbers)  # cells of other conditions share no noise
            start = some.draw(transport.noise("posterior", noise_ids))
            noise = transport.invert(unguided, start, own)
            for name, target in targets.items():
                there = target.take(cells)
                conditions = transport.tensors(there, cells, targets=transport.target)
                made = transport.integrate(at_target, noise, conditions, solver=solver)
                counts[name].append(
                    transport.draw_counts(
                        made,
                        noise_ids,
                        library_sizes=library_sizes.of(cells),
                        stream="counts",
                        gene_factors=transport.gene_factors(there, given=some.table),
                    )
                )
                latents[name].append(made)
                bar.advance(len(cells))
    stacked = sp.vstack([block for blocks in counts.values() for block in blocks], format="csr")
    obs = pd.concat([_obs(transport, given, target, asked=asked[name], ends=name) for name, target in targets.items()])
    obs = refresh_counts(obs, stacked, like=given.obs, but=transport.model.conditions.names)
    found = torch.cat([block for blocks in latents.values() for block in blocks])
    transport.warn_far(found)
    made = transport.to_anndata(stacked, obs, found, settings=settings)
    _warn_of_replaced(given.obs, made.obs)
    return made


def _warn_of_replaced(given: pd.DataFrame, made: pd.DataFrame) -> None:
    """Warn of columns of the user that give way to those that mark generated cells."""
    is_ours = OBS_SOURCE in given and given[OBS_SOURCE].astype(str).isin(["real", "generated"]).all()
    replaced = (
        [] if is_ours else [name for name in (OBS_SOURCE, OBS_SUPPORT, OBS_UNSEEN) if name in given and name in made]
    )
    if replaced:
        msg = f"Columns of `obs` are replaced, as they mark generated cells: {', '.join(map(repr, replaced))}."
        warnings.warn(msg + " Rename them in the cells to keep them.", ScdiffuseWarning, stacklevel=4)


def _obs(
    transport: Transport, given: GivenCells, target: ConditionTable, *, asked: ConditionPlan, ends: tuple[str, ...]
) -> pd.DataFrame:
    """Keep the cells' own columns, but for the conditions that were changed and the labels that guided."""
    conditions = transport.model.conditions
    changed = np.concatenate([~asked.drawn_codes, ~asked.drawn_values])
    names = [name for name, is_changed in zip(conditions.names, changed, strict=True) if is_changed]
    guided = transport.guidance.labels(transport.target, np.arange(len(given)))
    new = pd.concat([conditions.decode(target)[names], guided], axis=1)
    obs = given.obs.assign(**{str(name): column.array for name, column in new.items()})
    obs = with_unseen(obs, target, conditions=conditions, training=transport.model.trained_on)
    obs = Verdicts(transport.model).mark(obs, target)
    return obs.rename(index=lambda cell: "-".join([cell, *ends])) if ends else obs

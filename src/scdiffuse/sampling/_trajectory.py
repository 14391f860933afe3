"""Cells on their way from one state to others: Gradient Interpolation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse._core.progress import Progress
from scdiffuse.cells import ConditionPlan, ConditionTable
from scdiffuse.diffusion import add_noise, scales
from scdiffuse.guidance import Blend, beside
from scdiffuse.model import GivenCells
from scdiffuse.sampling._checks import require_none_avoided
from scdiffuse.sampling._coverage import with_unseen
from scdiffuse.sampling._library_size import Sizes
from scdiffuse.sampling._predict import override
from scdiffuse.sampling._transport import Transport

__all__ = ["Blending", "Branch", "TrajectoryPlan", "Via", "follow", "generate_start"]

Pair = tuple[ConditionTable, ConditionTable]
Blending = Literal["conditions", "estimates"]
"""What is blended along the way: numbers of continuous conditions where there are some, or always the estimates."""
Via = Literal["noising", "inversion"]
"""What of the start cell is kept: the cell itself, or the noise that it comes from."""


class Branch(NamedTuple):
    """The way to one target."""

    plan: ConditionPlan
    """Conditions to change."""
    transport: Transport
    """Model, seed, guidance, and where classifiers guide."""

    @property
    def is_none(self) -> bool:
        """Whether it changes nothing."""
        return bool(self.plan.drawn_codes.all() and self.plan.drawn_values.all()) and self.transport.wanted is None


@dataclass(frozen=True, kw_only=True)
class TrajectoryPlan:
    """The way from the start to each target."""

    branches: Mapping[str, Branch]
    """Where to go, by branch."""
    n_steps: int
    """States along the way, start and target among them."""
    keep: float
    """Share of the start cell in the noisy latent that the way begins from."""
    blend: Blending
    via: Via

    def __post_init__(self) -> None:
        if self.n_steps < 2:
            msg = f"`n_steps` must be at least 2, a beginning and an end, got {self.n_steps}; 10 suits most ways."
            raise SettingError(msg)
        if not 0.0 <= self.keep <= 1.0:
            msg = f"`keep` must lie between 0 (forget the start cell) and 1 (stay there), got {self.keep}; 0.5 is half."
            raise SettingError(msg)
        if self.blend not in {"conditions", "estimates"}:
            msg = f"`blend` must be 'conditions' or 'estimates', got {self.blend!r}."
            raise SettingError(msg + " The first interpolates numbers such as times, the second never does.")
        if self.via not in {"noising", "inversion"}:
            msg = f"`via` must be 'noising' or 'inversion', got {self.via!r}."
            raise SettingError(msg + " The first keeps the state the more, the second moves it in full.")
        if not self.branches or any(branch.is_none for branch in self.branches.values()):
            msg = "`to` names no condition and `guide` no label; expected one to change, such as {'cell_type': 'B'}."
            raise SettingError(msg + " Name what the cells shall become.")

    @property
    def weights(self) -> NDArray[np.float32]:
        """Share of the target at each step, from 0 to 1."""
        return np.linspace(0.0, 1.0, self.n_steps, dtype=np.float32)

    @property
    def level(self) -> float:
        """Time at which the way begins; 0 where nothing moves."""
        return 1.0 if self.via == "inversion" else 1.0 - self.keep


def generate_start(transport: Transport, plan: ConditionPlan) -> GivenCells:
    """Generate the start cells of a trajectory, as `CellGenerator.generate` would.

    Parameters
    ----------
    transport
        Model, seed and guidance.
    plan
        Their conditions.

    Returns
    -------
    Start cells that never had counts.
    """
    cells = np.arange(plan.n, dtype=np.int64)
    table = plan.table(cells)
    latents = transport.integrate(transport.free, transport.noise("latent", cells), transport.tensors(table, cells))
    names = pd.Index([f"start-{at}" for at in cells])
    _, sizes = transport.networks.to_latent(latents)
    return GivenCells(
        obs=pd.DataFrame(index=names), table=table, means=latents, stds=torch.zeros_like(latents), sizes=sizes
    )


def follow(
    start: GivenCells,
    trajectory: TrajectoryPlan,
    *,
    sizes: Sizes,
    settings: Mapping[str, Any],
    chunk: int,
    progress: bool,
) -> ad.AnnData:
    """Follow start cells to every target.

    Parameters
    ----------
    start
        The start cells.
    trajectory
        The ways.
    sizes
        Library sizes of the start cells, kept along the way.
    settings
        What to tell in `uns`.
    chunk
        Start cells at once.
    progress
        Show a bar.

    Returns
    -------
    One cell for each branch, step and start cell, in this order.

    Raises
    ------
    UnknownNameError
        A name or label that guides is unknown.
    SettingError
        A number is out of range, cells shall be what they avoid, or no step lies in the interval of guidance.
    """
    for branch in trajectory.branches.values():
        _require_possible(branch, start, trajectory)
    n_states, tables = trajectory.n_steps * len(trajectory.branches), []
    counts: list[list[sp.csr_matrix]] = [[] for _ in range(n_states)]
    latents: list[list[Tensor]] = [[] for _ in range(n_states)]
    with Progress("trajectory", len(start) * n_states, enabled=progress) as bar:
        for begin in range(0, len(start), chunk):
            cells = np.arange(begin, min(begin + chunk, len(start)), dtype=np.int64)
            for state, (z, made) in enumerate(_states(start.take(cells), trajectory, cells=cells, sizes=sizes)):
                latents[state].append(z)
                counts[state].append(made)
                bar.advance(len(cells))
    path = [torch.cat(networks) for networks in latents]
    for at, (name, branch) in enumerate(trajectory.branches.items()):
        rows = [_defined(pair, float(weight)) for weight, pair in _pairs(start.table, branch.plan, trajectory)]
        own = path[at * trajectory.n_steps : (at + 1) * trajectory.n_steps]
        tables.append(_obs(branch.transport, start, trajectory, name=name, rows=rows, path=own))
    obs = pd.concat(tables)
    obs["branch"] = pd.Categorical(obs["branch"], categories=list(trajectory.branches))
    told = {"keep": trajectory.keep, "blend": trajectory.blend, "via": trajectory.via, "n_steps": trajectory.n_steps}
    stacked = sp.vstack([part for networks in counts for part in networks], format="csr")
    return branch.transport.finish(stacked, obs, torch.cat(path), settings={**settings, **told})


def _require_possible(branch: Branch, start: GivenCells, trajectory: TrajectoryPlan) -> None:
    """Refuse what contradicts itself, before anything costly."""
    plan, transport = branch
    conditions, target = transport.metadata.conditions, override(start.table, plan)
    require_none_avoided(target, transport.steering.avoided(conditions, transport.classifiers), conditions)
    if trajectory.level > 0.0:
        transport.require_steps(start=trajectory.level)


def _states(
    start: GivenCells, trajectory: TrajectoryPlan, *, cells: NDArray[np.int64], sizes: Sizes
) -> Iterator[tuple[Tensor, sp.csr_matrix]]:
    """Make latents and counts of some start cells at each branch and step."""
    clean = start.means  # of one cell, what its counts say; a draw would be harder to find again
    for plan, transport in trajectory.branches.values():
        noisy = _begin(transport, start, cells, trajectory=trajectory)
        leaving, factor_table = transport.leaving, transport.factor_table
        blend = Blend(leaving, transport.arriving if transport.steering.avoid else leaving)
        for step, (weight, (here, there)) in enumerate(_pairs(start.table, plan, trajectory)):
            z = clean
            if trajectory.level > 0.0:
                weights = torch.full((len(cells),), float(weight), device=clean.device)
                own = transport.tensors(here, cells, targets=transport.own)
                wanted = transport.tensors(there, cells, targets=transport.wanted)
                z = transport.integrate(blend, noisy, beside(own, wanted, weights), start=trajectory.level)
            between = _defined((here, there), 0.5)  # without labels that change: no step shall jump to those of the end
            gene_factors = factor_table.of(between) if factor_table and trajectory.via == "inversion" else None
            own_sizes = sizes.of(cells)
            yield (
                z,
                transport.draw_counts(
                    z, cells, sizes=own_sizes, stream=f"counts of step {step}", gene_factors=gene_factors
                ),
            )


def _pairs(own: ConditionTable, plan: ConditionPlan, trajectory: TrajectoryPlan) -> Iterator[tuple[np.float32, Pair]]:
    """Give the conditions of start and target at each step; numbers that both have are interpolated if asked for."""
    target = override(own, plan)
    for weight in trajectory.weights:
        if trajectory.blend == "estimates":
            yield weight, (own, target)
            continue
        between = (1.0 - weight) * own.values + weight * target.values
        both = ~np.isnan(between)
        yield (
            weight,
            (
                ConditionTable(own.codes, np.where(both, between, own.values)),
                ConditionTable(target.codes, np.where(both, between, target.values)),
            ),
        )


def _begin(transport: Transport, start: GivenCells, cells: NDArray[np.int64], *, trajectory: TrajectoryPlan) -> Tensor:
    """Find the latents that a way begins from, at its level; the same for every step."""
    clean, fresh = start.means, transport.noise("trajectory", cells)
    share = torch.tensor(1.0 - trajectory.keep, dtype=torch.float64)
    if trajectory.via == "noising":
        return add_noise(clean, fresh, share.to(clean))
    own = transport.tensors(start.table, cells, targets=transport.own)
    noise = transport.invert(transport.resting, clean, own)
    return add_noise(noise, fresh, share.to(clean)) / float(scales(share).norm)


def _defined(pair: Pair, weight: float) -> ConditionTable:
    """Tell the conditions of one step; between two labels there is none."""
    if weight in {0.0, 1.0}:
        return pair[int(weight)]
    start, target = pair
    codes = np.where(start.codes == target.codes, start.codes, -1)
    return ConditionTable(codes, np.where(start.values == target.values, start.values, np.float32(np.nan)))


def _obs(
    transport: Transport,
    start: GivenCells,
    trajectory: TrajectoryPlan,
    *,
    name: str,
    rows: list[ConditionTable],
    path: list[Tensor],
) -> pd.DataFrame:
    """Describe the cells of one branch."""
    conditions, names = transport.metadata.conditions, start.obs.index.astype(str)
    table = ConditionTable(np.concatenate([one.codes for one in rows]), np.concatenate([one.values for one in rows]))
    obs = with_unseen(conditions.decode(table), table, conditions=conditions, training=transport.networks.trained_on)
    steps = np.repeat(np.arange(trajectory.n_steps), len(names))
    of_branch = f"-{name}" if len(trajectory.branches) > 1 else ""
    told: dict[str, Any] = {
        "step": steps,
        "weight": trajectory.weights.astype(np.float64).round(6)[steps],
        "branch": name,
        "start_cell": pd.Categorical(np.tile(names, trajectory.n_steps), categories=names),
        "pseudotime": _pseudotime(torch.stack(path)[..., :-1].cpu().numpy(), trajectory.weights),
    }
    taken = {column: f"trajectory_{column}" if column in conditions.names else column for column in told}
    for column, values in told.items():
        obs[taken[column]] = values
    return obs.set_axis([f"{cell}{of_branch}-{at}" for at in range(trajectory.n_steps) for cell in names])


def _pseudotime(path: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Measure how much of its own way each cell has gone, shape ``(steps * N,)``; where it stays, take the weight."""
    legs = np.linalg.norm(np.diff(path.astype(np.float64), axis=0), axis=2)
    gone = np.concatenate([np.zeros((1, path.shape[1])), np.cumsum(legs, axis=0)])
    moves = gone[-1] > 0.0
    fractions = np.where(moves, gone / np.where(moves, gone[-1], 1.0), weights[:, None])
    return fractions.ravel()

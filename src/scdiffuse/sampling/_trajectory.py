"""Cells on their way from one state to others: Gradient Interpolation."""

from __future__ import annotations

import warnings
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

from scdiffuse._core.compiled import COMPILES
from scdiffuse._core.errors import ScdiffuseWarning, SettingError
from scdiffuse._core.progress import Progress
from scdiffuse.autoencoder import GeneFactors
from scdiffuse.cells import ConditionPlan, ConditionTable
from scdiffuse.diffusion import add_noise, scales
from scdiffuse.guidance import GradientInterpolation, pair_conditions
from scdiffuse.model import GivenCells
from scdiffuse.sampling._checks import require_not_away
from scdiffuse.sampling._coverage import with_unseen
from scdiffuse.sampling._library_size import CellLibrarySizes
from scdiffuse.sampling._predict import override
from scdiffuse.sampling._states import State, states_along, states_between
from scdiffuse.sampling._transport import Transport

__all__ = ["Branch", "TrajectoryMethod", "TrajectoryPlan", "follow", "generate_start"]

TrajectoryMethod = Literal["inversion", "partial_noising"]
"""What of the start cell is kept: the noise that it comes from (DDIM inversion), or the cell itself (SDEdit)."""

_ARRIVED = 0.75  # of the change between the conditional means of start and target


class Branch(NamedTuple):
    """A branch of a trajectory: the target, and how cells are guided there."""

    plan: ConditionPlan
    """Conditions to change."""
    transport: Transport
    """Model, seed, guidance, and where classifiers guide."""

    @property
    def changes_nothing(self) -> bool:
        """Whether the target is the start."""
        return bool(self.plan.drawn_codes.all() and self.plan.drawn_values.all()) and self.transport.target is None


@dataclass(frozen=True, kw_only=True)
class TrajectoryPlan:
    """What to follow from the start to each target."""

    branches: Mapping[str, Branch]
    """The branches by name."""
    n_states: int
    """States of a branch, start and target among them."""
    keep: float
    """Weight of the start cell, or of its noise, in the noisy latent that each state is denoised from."""
    method: TrajectoryMethod
    along: str | None = None
    """Number along which labels change as in the training cells; evenly without one."""

    def __post_init__(self) -> None:
        if not isinstance(self.n_states, int | np.integer) or self.n_states < 2:
            msg = f"`n_states` must be a whole number of at least 2, a beginning and an end, got {self.n_states};"
            raise SettingError(msg + " 10 suits most targets.")
        if not 0.0 <= self.keep <= 1.0:
            msg = f"`keep` must lie between 0 (forget the start cell) and 1 (stay there), got {self.keep}; 0.5 is half."
            raise SettingError(msg)
        if self.method not in {"inversion", "partial_noising"}:
            msg = f"`method` must be 'inversion' or 'partial_noising', got {self.method!r}."
            raise SettingError(msg + " The first arrives at the target, the second keeps more of the start cell.")
        if not self.branches or any(branch.changes_nothing for branch in self.branches.values()):
            msg = "`to` names no condition and `guidance` no label to go toward; expected one to change, such as"
            raise SettingError(msg + " {'cell_type': 'B'}. Name what the cells become.")

    @property
    def weights(self) -> NDArray[np.float32]:
        """Weight of the target at each state, from 0 to 1."""
        return np.linspace(0.0, 1.0, self.n_states, dtype=np.float32)

    def describe_guidance(self) -> dict[str, Any]:
        """Describe the guidance in plain dictionaries, by branch where these differ."""
        bound = {name: branch.transport.guidance for name, branch in self.branches.items()}
        described = {name: one.to_uns() for name, one in bound.items()}
        is_shared = len({id(one.guidance) for one in bound.values()}) == 1
        return next(iter(described.values())) if is_shared else described

    @property
    def start_time(self) -> float:
        """Time from which each state is denoised; 0 where nothing moves."""
        return 1.0 if self.method == "inversion" else 1.0 - self.keep


def generate_start(transport: Transport, plan: ConditionPlan) -> GivenCells:
    """Generate the start cells of a trajectory, as `CellGenerator.generate` does.

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
    cells = np.arange(plan.n_cells, dtype=np.int64)
    table = plan.table(cells)
    latents = transport.integrate(
        transport.classifier_free, transport.noise("latent", cells), transport.tensors(table, cells)
    )
    names = pd.Index([f"start-{at}" for at in cells])
    _, library_sizes = transport.model.networks.split(latents)
    return GivenCells(
        obs=pd.DataFrame(index=names),
        table=table,
        means=latents,
        stds=torch.zeros_like(latents),
        library_sizes=library_sizes,
    )


def follow(
    start: GivenCells,
    plan: TrajectoryPlan,
    *,
    library_sizes: CellLibrarySizes,
    settings: Mapping[str, object],
    batch_size: int,
    progress: bool,
) -> ad.AnnData:
    """Follow start cells to every target.

    Parameters
    ----------
    start
        The start cells.
    plan
        What to follow.
    library_sizes
        Library sizes of the start cells, kept at every state.
    settings
        What to keep in `uns`.
    batch_size
        Start cells at once.
    progress
        Show a bar.

    Returns
    -------
    One cell for each branch, state and start cell, in this order.

    Raises
    ------
    UnknownNameError
        A name or label that guides is unknown.
    SettingError
        A number is out of range, cells are asked to be what they keep away from, or no step lies in the interval.

    Warns
    -----
    UserWarning
        The paths of a branch cover less than three quarters of the change between the conditional means of start and
        target, or guidance has driven cells further than any training cell lies.
    """
    for branch in plan.branches.values():
        _require_possible(branch, start, plan)
    n_states, tables = plan.n_states * len(plan.branches), []
    counts: list[list[sp.csr_matrix]] = [[] for _ in range(n_states)]
    latents: list[list[Tensor]] = [[] for _ in range(n_states)]
    with Progress("trajectory", len(start) * n_states, enabled=progress, waiting=COMPILES) as bar:
        for begin in range(0, len(start), batch_size):
            cells = np.arange(begin, min(begin + batch_size, len(start)), dtype=np.int64)
            states = _states(start.take(cells), plan, cells=cells, library_sizes=library_sizes)
            for state, (z, made) in enumerate(states):
                latents[state].append(z)
                counts[state].append(made)
                bar.advance(len(cells))
    path = [torch.cat(batches) for batches in latents]
    for at, (name, branch) in enumerate(plan.branches.items()):
        own = path[at * plan.n_states : (at + 1) * plan.n_states]
        branch.transport.warn_far(torch.cat(own))
        _warn_unless_arrived(name, branch, start=start, path=own)
        states_of_branch = list(_states_of(branch, start.table, plan))
        tables.append(_obs(branch.transport, start, plan, name=name, states=states_of_branch, path=own))
    obs = _stack(tables)
    asked = {**settings, "guidance": plan.describe_guidance()}
    asked |= {"keep": plan.keep, "method": plan.method, "n_states": plan.n_states}
    asked |= {} if plan.along is None else {"along": plan.along}
    stacked = sp.vstack([batch for state in counts for batch in state], format="csr")
    return branch.transport.to_anndata(stacked, obs, torch.cat(path), settings=asked)


def _require_possible(branch: Branch, start: GivenCells, plan: TrajectoryPlan) -> None:
    """Refuse what contradicts itself, before anything costly."""
    transport, target = branch.transport, override(start.table, branch.plan)
    require_not_away(target, transport.guidance.away(), transport.model.conditions)
    if plan.start_time > 0.0:
        transport.require_steps(start=plan.start_time)
    _states_of(branch, start.table, plan)


def _states(
    start: GivenCells, plan: TrajectoryPlan, *, cells: NDArray[np.int64], library_sizes: CellLibrarySizes
) -> Iterator[tuple[Tensor, sp.csr_matrix]]:
    """Make latents and counts of some start cells at each branch and state."""
    clean = start.means  # the posterior mean of a cell; a draw would be harder to find again
    for branch in plan.branches.values():
        transport = branch.transport
        noisy = _begin(transport, start, cells, plan=plan)
        at_start = transport.at_start
        blend = GradientInterpolation(at_start, transport.at_target if transport.guidance.guidance.away else at_start)
        for at, state in enumerate(_states_of(branch, start.table, plan)):
            z = clean
            if plan.start_time > 0.0:
                weights = torch.from_numpy(state.weight).to(clean.device)
                own = transport.tensors(state.start, cells, targets=transport.own)
                target = transport.tensors(state.target, cells, targets=transport.target)
                z = transport.integrate(blend, noisy, pair_conditions(own, target, weights), start=plan.start_time)
            counts = transport.draw_counts(
                z,
                cells,
                library_sizes=library_sizes.of(cells),
                stream=f"counts of step {at}",
                gene_factors=_gene_factors(transport, state, start.table) if plan.method == "inversion" else None,
            )
            yield z, counts


def _gene_factors(transport: Transport, state: State, given: ConditionTable) -> GeneFactors | None:
    """Find the gene factors of cells on their way: those of `predict` at both ends, and between them in between."""
    here, there = (transport.gene_factors(end, given=given) for end in (state.start, state.target))
    return GeneFactors.between(here, there, state.weight)


def _states_of(branch: Branch, own: ConditionTable, plan: TrajectoryPlan) -> Iterator[State]:
    """Give the states of a branch."""
    target = override(own, branch.plan)
    if plan.along is None:
        return states_between(own, target, plan.weights)
    model = branch.transport.model
    return states_along(
        own, target, plan.weights, name=plan.along, conditions=model.conditions, training=model.trained_on
    )


def _begin(transport: Transport, start: GivenCells, cells: NDArray[np.int64], *, plan: TrajectoryPlan) -> Tensor:
    """Find the noisy latents that every state is denoised from."""
    clean, fresh = start.means, transport.noise("trajectory", cells)
    share = torch.tensor(1.0 - plan.keep, dtype=torch.float64)
    if plan.method == "partial_noising":
        return add_noise(clean, fresh, share.to(clean))
    own = transport.tensors(start.table, cells, targets=transport.own)
    noise = transport.invert(transport.unguided, clean, own)
    return add_noise(noise, fresh, share.to(clean)) / float(scales(share).norm)


def _warn_unless_arrived(name: str, branch: Branch, *, start: GivenCells, path: list[Tensor]) -> None:
    """Warn where paths end far from the target, measured along the change of the conditional mean."""
    transport = branch.transport
    mean = transport.model.networks.denoiser.conditional_mean
    cells = np.arange(len(start), dtype=np.int64)
    target = override(start.table, branch.plan)
    change = mean(transport.tensors(target, cells)) - mean(transport.tensors(start.table, cells))
    length = float(change.square().sum())
    if length == 0.0:
        return
    covered = float(((path[-1] - path[0]) * change).sum()) / length
    if covered < _ARRIVED:
        msg = f"The paths of branch {name!r} cover {covered:.0%} of the change between the mean cells of start and"
        msg += " target, so they do not arrive; expected at least 75 %. Take `method='inversion'`, or lower `keep`."
        warnings.warn(msg, ScdiffuseWarning, stacklevel=4)


def _obs(
    transport: Transport,
    start: GivenCells,
    plan: TrajectoryPlan,
    *,
    name: str,
    states: list[State],
    path: list[Tensor],
) -> pd.DataFrame:
    """Describe the cells of one branch."""
    conditions, names = transport.model.conditions, start.obs.index.astype(str)
    rows = [state.defined for state in states]
    table = ConditionTable(np.concatenate([one.codes for one in rows]), np.concatenate([one.values for one in rows]))
    obs = pd.concat([conditions.decode(table), _guided_labels(transport, len(names), plan)], axis=1)
    obs = with_unseen(obs, table, conditions=conditions, training=transport.model.trained_on)
    of_branch = f"-{name}" if len(plan.branches) > 1 else ""
    columns: dict[str, Any] = {
        "state": np.repeat(np.arange(plan.n_states), len(names)),
        "weight": np.concatenate([state.weight for state in states]).astype(np.float64).round(6),
        "branch": pd.Categorical([name] * len(table), categories=list(plan.branches)),
        "start_cell": pd.Categorical(np.tile(names, plan.n_states), categories=names),
        "pseudotime": _pseudotime(torch.stack(path)[..., :-1].cpu().numpy(), plan.weights),
    }
    taken = {column: f"trajectory_{column}" if column in conditions.names else column for column in columns}
    for column, values in columns.items():
        obs[taken[column]] = values
    return obs.set_axis([f"{cell}{of_branch}-{at}" for at in range(plan.n_states) for cell in names])


def _guided_labels(transport: Transport, n_cells: int, plan: TrajectoryPlan) -> pd.DataFrame:
    """Write what classifiers guide toward: the cells' own labels at the start, the targets at the end."""
    cells = np.arange(n_cells, dtype=np.int64)
    start, end = (transport.guidance.labels(one, cells) for one in (transport.own, transport.target))
    nowhere = end.iloc[:0].reindex(np.arange(n_cells * (plan.n_states - 2)))
    start = start.reindex(columns=end.columns).astype(end.dtypes)  # without what the start does not know
    return pd.concat([start, nowhere.astype(end.dtypes), end], ignore_index=True)


def _stack(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Put the cells of all branches together; labels that guide in some branches alone are missing in the others."""
    columns = dict.fromkeys(name for table in tables for name in table)
    dtypes = {name: one[name].dtype for name in columns for one in tables if name in one}
    stacked = [table.reindex(columns=list(columns)).astype(dtypes) for table in tables]
    return pd.concat(stacked)


def _pseudotime(path: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Measure how much of its own path each cell has gone, shape ``(n_states * N,)``; the weight where it stays."""
    steps = np.linalg.norm(np.diff(path.astype(np.float64), axis=0), axis=2)
    gone = np.concatenate([np.zeros((1, path.shape[1])), np.cumsum(steps, axis=0)])
    moves = gone[-1] > 0.0
    shares = np.where(moves, gone / np.where(moves, gone[-1], 1.0), weights[:, None])
    return shares.ravel()

"""Weight updates: one process updates all weights, each of several processes its shard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from scdiffuse._core.exchange import Exchange, open_exchange
from scdiffuse._core.processes import Part, Processes
from scdiffuse.nn import WeightAverage
from scdiffuse.train._state import TrainState

__all__ = ["ReducedStep", "WeightUpdater", "open_updater"]

_MOMENTS = ("exp_avg", "exp_avg_sq")


class ReducedStep(NamedTuple):
    """Loss and requests of a step, reduced over all processes."""

    loss: float
    """Mean loss of all cells of the step."""
    is_stopped: bool
    """Whether any process was asked to stop."""
    is_due: bool
    """Whether any process requests to save the state."""


class WeightUpdater:
    """Update all weights of a stage, in one process.

    Parameters
    ----------
    state
        State of the stage.
    """

    def __init__(self, state: TrainState) -> None:
        self.state = state
        self.optimiser = state.optimiser

    def reduce(self, loss: float, *, stop: bool, save: bool) -> ReducedStep:
        """Reduce gradients, losses and requests over all processes.

        Parameters
        ----------
        loss
            Summand of this process, whose gradients the weights have.
        stop, save
            Whether this process was asked to stop, or requests to save the state.

        Returns
        -------
        The same in all processes.
        """
        return ReducedStep(loss, stop, save)

    def update(self) -> None:
        """Take one step with the reduced gradients."""
        self.optimiser.step()
        self.state.average.update()

    def gather_state(self) -> None:
        """Gather averages and optimiser state from all processes, which may each hold a shard."""


class _Shard(NamedTuple):
    """Elements of one weight that one process updates."""

    at: int
    """Position of the weight."""
    begin: int
    end: int

    def view(self, tensor: Tensor) -> Tensor:
        return tensor.detach().view(-1)[self.begin : self.end]


class _ShardedUpdater(WeightUpdater):
    """Update an equal shard of all weights, and all-gather the updated shards.

    Adam and the weight average work on shards. Both are elementwise, so the weights are those of one process but for
    the order in which gradients are summed. Shards are views of averages and moments of the state; the shards of other
    processes are out of date there until `gather_state`.
    """

    def __init__(
        self, state: TrainState, processes: Processes, *, shards: list[list[_Shard]], exchange: Exchange
    ) -> None:
        super().__init__(state)
        self._processes, self._exchange, weights = processes, exchange, state.parameters
        self._shards, self._mine = shards, shards[processes.part.rank]
        self._parameters = [nn.Parameter(shard.view(weights[shard.at]), requires_grad=False) for shard in self._mine]
        self._moments = [_moments(state, weight) for weight in weights]
        self.optimiser = self._shard_optimiser()
        self._average = WeightAverage(self._parameters, state.average.decay)
        self._average.values = [shard.view(state.average.values[shard.at]) for shard in self._mine]
        self._average.n_updates = state.average.n_updates
        given = [place for row, own in zip(self._exchange.outgoing, shards, strict=True) for place in _split(row, own)]
        self._outgoing = list(zip([shard for own in shards for shard in own], given, strict=True))
        self._gathered = [_split(row, own) for row, own in zip(self._exchange.gathered, shards, strict=True)]
        self._reduced = _split(self._exchange.reduced, self._mine)
        self._weights = self._views(weights)  # views are made once, as making them takes as long as copying

    def reduce(self, loss: float, *, stop: bool, save: bool) -> ReducedStep:
        gradients = [weight.grad if weight.grad is None else weight.grad.view(-1) for weight in self.state.parameters]
        found, places = [], []
        for shard, place in self._outgoing:
            gradient = gradients[shard.at]
            if gradient is None:
                place.zero_()
            else:
                found.append(gradient if len(gradient) == len(place) else gradient[shard.begin : shard.end])
                places.append(place)
        torch._foreach_copy_(places, found)
        requests = ReducedStep(loss, stop, save)
        self._exchange.outgoing[:, -len(requests) :] = torch.tensor([float(number) for number in requests])
        self._exchange.reduce_scatter()
        for weight, shard, gradient in zip(self._parameters, self._mine, self._reduced, strict=True):
            weight.grad = None if gradients[shard.at] is None else gradient
        loss, n_stopped, n_due = self._exchange.reduced[-len(requests) :].tolist()
        return ReducedStep(loss, n_stopped > 0, n_due > 0)

    def update(self) -> None:
        self.optimiser.step()
        self._average.update()
        self.state.average.n_updates = self._average.n_updates
        self._all_gather(self._weights)

    def gather_state(self) -> None:
        for tensors in (self.state.average.values, *([held[name] for held in self._moments] for name in _MOMENTS)):
            self._processes.barrier()  # other processes may still read the rows gathered last
            self._all_gather(self._views(tensors))
        steps = torch.zeros(len(self._moments))
        for weight, shard in zip(self._parameters, self._mine, strict=True):
            if shard.begin == 0:
                steps[shard.at] = self.optimiser.state[weight]["step"]
        self._processes.all_reduce(steps)
        for weight, moments, step in zip(self.state.parameters, self._moments, steps, strict=True):
            if step > 0:  # as in one process, a weight without gradients has no state
                self.state.optimiser.state[weight] = moments | {"step": step.to(weight.device).clone()}

    @torch.no_grad()
    def _all_gather(self, views: list[list[Tensor]]) -> None:
        """Gather the shards of all processes, given views of the shards of each."""
        rank = self._processes.part.rank
        torch._foreach_copy_(self._gathered[rank], views[rank])
        self._exchange.all_gather()
        for at, theirs in enumerate(views):
            if at != rank and theirs:
                torch._foreach_copy_(theirs, self._gathered[at])

    def _views(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """Make views of the shards of each process in tensors that are shaped like the weights."""
        return [[shard.view(tensors[shard.at]) for shard in shards] for shards in self._shards]

    def _shard_optimiser(self) -> torch.optim.Adam:
        """Make an optimiser like that of the state for the shards of this process."""
        owner = {weight: at for at, weight in enumerate(self.state.parameters)}
        groups = []
        for group in self.state.optimiser.param_groups:
            held = {owner[weight] for weight in group["params"]}
            mine = [own for own, shard in zip(self._parameters, self._mine, strict=True) if shard.at in held]
            groups.append(group | {"params": mine})
        optimiser = torch.optim.Adam(groups, fused=True)
        for own, shard in zip(self._parameters, self._mine, strict=True):
            moments = self._moments[shard.at]
            optimiser.state[own] = {name: shard.view(moments[name]) for name in _MOMENTS}
            optimiser.state[own]["step"] = moments["step"].clone()
        return optimiser


def open_updater(state: TrainState, processes: Processes) -> WeightUpdater:
    """Choose how weights are updated, by the number of processes.

    Parameters
    ----------
    state
        Complete state, the same in all processes.
    processes
        The processes that share the stage.
    """
    if processes.size == 1:
        return WeightUpdater(state)
    shards = _divide([weight.numel() for weight in state.parameters], processes.size)
    width = max(sum(shard.end - shard.begin for shard in own) for own in shards) + len(ReducedStep._fields)
    exchange = open_exchange(processes, width, state.parameters[0].device)
    return _ShardedUpdater(state, processes, shards=shards, exchange=exchange)


def _divide(sizes: Sequence[int], n: int) -> list[list[_Shard]]:
    """Divide all elements of the weights among `n` processes; shards are contiguous, so that few weights are split."""
    total = sum(sizes)
    parts: list[list[_Shard]] = []
    for rank in range(n):
        mine, begin = Part(rank, n).of(total), 0
        parts.append([])
        for at, size in enumerate(sizes):
            first, last = max(mine.start - begin, 0), min(mine.stop - begin, size)
            if first < last:
                parts[-1].append(_Shard(at, first, last))
            begin += size
    return parts


def _split(row: Tensor, shards: Sequence[_Shard]) -> list[Tensor]:
    """Find the views of shards in a row of the exchange."""
    sizes = [shard.end - shard.begin for shard in shards]
    return list(torch.split(row[: sum(sizes)], sizes))


def _moments(state: TrainState, weight: nn.Parameter) -> dict[str, Tensor]:
    """Return the moments of a weight, zeros before the first step."""
    moments = {name: torch.zeros_like(weight, requires_grad=False) for name in _MOMENTS}
    moments["step"] = torch.zeros((), device=weight.device)
    moments.update(state.optimiser.state.get(weight, {}))
    return moments

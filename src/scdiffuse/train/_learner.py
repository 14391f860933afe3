"""Who changes the weights: one process all of them, several each its part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from scdiffuse._core.exchange import Exchange, open_exchange
from scdiffuse._core.processes import Part, Processes
from scdiffuse.nn import WeightAverage
from scdiffuse.train._state import TrainState

__all__ = ["Learner", "Summed", "learning"]

_MOMENTS = ("exp_avg", "exp_avg_sq")


class Summed(NamedTuple):
    """What all processes together have found in a step."""

    loss: float
    """Mean loss of all cells."""
    is_stopped: bool
    """Whether one of them was asked to stop."""
    is_due: bool
    """Whether one of them wants the state to be saved."""


class Learner:
    """Changes all weights of a stage, in one process.

    Parameters
    ----------
    state
        The stage.
    """

    def __init__(self, state: TrainState) -> None:
        self.state = state
        self.optimiser = state.optimiser

    def add_up(self, loss: float, *, stop: bool, save: bool) -> Summed:
        """Add up gradients, losses and wishes over all processes.

        Parameters
        ----------
        loss
            The summand of this process, whose gradients the weights have.
        stop, save
            Whether this process was asked to stop, or wants the state to be saved.

        Returns
        -------
        The same everywhere.
        """
        return Summed(loss, stop, save)

    def update(self) -> None:
        """Take one step with the gradients that were added up."""
        self.optimiser.step()
        self.state.average.update()

    def collect(self) -> None:
        """Complete the averages and the optimiser of the state, of which this process may hold a part."""


class _Piece(NamedTuple):
    """Numbers of one weight that belong to one process."""

    at: int
    """Which weight."""
    begin: int
    end: int

    def of(self, tensor: Tensor) -> Tensor:
        return tensor.detach().view(-1)[self.begin : self.end]


class _SharingLearner(Learner):
    """Changes an equal part of all numbers of the weights, and hands it round.

    Pieces of weights are what Adam and the average know here. Both treat every number alone, so the weights are those
    of one process but for the order in which gradients are summed. The averages and moments of the state are the memory
    that the pieces work in; those of the other processes are out of date there until `collect`.
    """

    def __init__(
        self, state: TrainState, processes: Processes, *, pieces: list[list[_Piece]], exchange: Exchange
    ) -> None:
        super().__init__(state)
        self._processes, self._exchange, weights = processes, exchange, state.parameters
        self._pieces, self._mine = pieces, pieces[processes.part.rank]
        self._own = [nn.Parameter(piece.of(weights[piece.at]), requires_grad=False) for piece in self._mine]
        self._moments = [_moments(state, weight) for weight in weights]
        self.optimiser = self._pieces_optimiser()
        self._average = WeightAverage(self._own, state.average.decay)
        self._average.values = [piece.of(state.average.values[piece.at]) for piece in self._mine]
        self._average.n_updates = state.average.n_updates
        given = [place for row, own in zip(self._exchange.given, pieces, strict=True) for place in _cut(row, own)]
        self._given = list(zip([piece for own in pieces for piece in own], given, strict=True))
        self._known = [_cut(row, own) for row, own in zip(self._exchange.known, pieces, strict=True)]
        self._summed = _cut(self._exchange.summed, self._mine)
        self._weights = self._views(weights)  # made once: it takes as long as copying

    def add_up(self, loss: float, *, stop: bool, save: bool) -> Summed:
        gradients = [weight.grad if weight.grad is None else weight.grad.view(-1) for weight in self.state.parameters]
        found, places = [], []
        for piece, place in self._given:
            gradient = gradients[piece.at]
            if gradient is None:
                place.zero_()
            else:
                found.append(gradient if len(gradient) == len(place) else gradient[piece.begin : piece.end])
                places.append(place)
        torch._foreach_copy_(places, found)
        told = Summed(loss, stop, save)
        self._exchange.given[:, -len(told) :] = torch.tensor([float(word) for word in told])
        self._exchange.add_up()
        for weight, piece, gradient in zip(self._own, self._mine, self._summed, strict=True):
            weight.grad = None if gradients[piece.at] is None else gradient
        loss, n_stopped, n_due = self._exchange.summed[-len(told) :].tolist()
        return Summed(loss, n_stopped > 0, n_due > 0)

    def update(self) -> None:
        self.optimiser.step()
        self._average.update()
        self.state.average.n_updates = self._average.n_updates
        self._complete(self._weights)

    def collect(self) -> None:
        for tensors in (self.state.average.values, *([held[name] for held in self._moments] for name in _MOMENTS)):
            self._processes.wait()  # the others may still read what was handed round last
            self._complete(self._views(tensors))
        steps = torch.zeros(len(self._moments))
        for weight, piece in zip(self._own, self._mine, strict=True):
            if piece.begin == 0:
                steps[piece.at] = self.optimiser.state[weight]["step"]
        self._processes.sum_(steps)
        for weight, moments, step in zip(self.state.parameters, self._moments, steps, strict=True):
            if step > 0:  # a weight without a gradient so far has no state in one process either
                self.state.optimiser.state[weight] = moments | {"step": step.to(weight.device).clone()}

    @torch.no_grad()
    def _complete(self, views: list[list[Tensor]]) -> None:
        """Fill in the numbers that other processes hold, given those of each."""
        rank = self._processes.part.rank
        torch._foreach_copy_(self._known[rank], views[rank])
        self._exchange.all_gather()
        for at, theirs in enumerate(views):
            if at != rank and theirs:
                torch._foreach_copy_(theirs, self._known[at])

    def _views(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """Find the numbers of each process in tensors that are shaped like the weights."""
        return [[piece.of(tensors[piece.at]) for piece in pieces] for pieces in self._pieces]

    def _pieces_optimiser(self) -> torch.optim.Adam:
        """Make an optimiser like that of the state, which goes on with the pieces of this process."""
        owner = {weight: at for at, weight in enumerate(self.state.parameters)}
        groups = []
        for group in self.state.optimiser.param_groups:
            held = {owner[weight] for weight in group["params"]}
            mine = [own for own, piece in zip(self._own, self._mine, strict=True) if piece.at in held]
            groups.append(group | {"params": mine})
        optimiser = torch.optim.Adam(groups, fused=True)
        for own, piece in zip(self._own, self._mine, strict=True):
            moments = self._moments[piece.at]
            optimiser.state[own] = {name: piece.of(moments[name]) for name in _MOMENTS}
            optimiser.state[own]["step"] = moments["step"].clone()
        return optimiser


def learning(state: TrainState, processes: Processes) -> Learner:
    """Choose who changes the weights.

    Parameters
    ----------
    state
        A stage, whole and the same in all processes.
    processes
        Who shares it.
    """
    if processes.size == 1:
        return Learner(state)
    pieces = _divide([weight.numel() for weight in state.parameters], processes.size)
    width = max(sum(piece.end - piece.begin for piece in own) for own in pieces) + len(Summed._fields)
    exchange = open_exchange(processes, width, state.parameters[0].device)
    return _SharingLearner(state, processes, pieces=pieces, exchange=exchange)


def _divide(sizes: Sequence[int], n: int) -> list[list[_Piece]]:
    """Give each of `n` processes an equal part of all numbers; neighbours, so that few weights are cut."""
    total = sum(sizes)
    parts: list[list[_Piece]] = []
    for rank in range(n):
        mine, begin = Part(rank, n).of(total), 0
        parts.append([])
        for at, size in enumerate(sizes):
            first, last = max(mine.start - begin, 0), min(mine.stop - begin, size)
            if first < last:
                parts[-1].append(_Piece(at, first, last))
            begin += size
    return parts


def _cut(row: Tensor, pieces: Sequence[_Piece]) -> list[Tensor]:
    """Find the places of pieces in a row of the exchange."""
    sizes = [piece.end - piece.begin for piece in pieces]
    return list(torch.split(row[: sum(sizes)], sizes))


def _moments(state: TrainState, weight: nn.Parameter) -> dict[str, Tensor]:
    """Take what the optimiser knows of a weight, or where it begins."""
    moments = {name: torch.zeros_like(weight, requires_grad=False) for name in _MOMENTS}
    moments["step"] = torch.zeros((), device=weight.device)
    moments.update(state.optimiser.state.get(weight, {}))
    return moments

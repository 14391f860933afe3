"""Exponential average of weights, which generates better cells than the last weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from scdiffuse._core.errors import SettingError

__all__ = ["WeightAverage"]


class WeightAverage:
    r"""Exponential average of parameters, short at first and longer as training goes on.

    .. math:: \bar w \leftarrow d_n \bar w + (1 - d_n) w, \quad d_n = \min\left(d, \frac{1 + n}{10 + n}\right)

    after update :math:`n = 0, 1, \dots`

    Parameters
    ----------
    parameters
        Parameters to follow; the average starts at their values.
    decay
        The largest :math:`d`, at least 0 and below 1.

    Raises
    ------
    SettingError
        `decay` is out of range.

    Examples
    --------
    >>> weight = Parameter(torch.zeros(1))
    >>> average = WeightAverage([weight], decay=0.5)
    >>> _ = weight.data.fill_(1.0)
    >>> average.update()
    >>> average.values[0]
    tensor([0.9000])
    """

    def __init__(self, parameters: Iterable[Parameter], decay: float = 0.999) -> None:
        if not 0.0 <= decay < 1.0:
            msg = f"`decay` must be at least 0 and below 1, got {decay}; 0.999 suits most runs."
            raise SettingError(msg)
        self.parameters = list(parameters)
        self.decay = decay
        self.n_updates = 0
        self.values: list[Tensor] = [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Add the present weights to the average; call this after each optimiser step."""
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        torch._foreach_lerp_(self.values, [p.detach() for p in self.parameters], 1.0 - decay)
        self.n_updates += 1

    @contextmanager
    def swap(self) -> Iterator[None]:
        """Replace the weights by their average within a context."""
        present = [parameter.detach().clone() for parameter in self.parameters]
        self._write(self.values)
        try:
            yield
        finally:
            self._write(present)

    def state_dict(self) -> dict[str, Any]:
        """Return the state that `load_state_dict` resumes from."""
        return {"n_updates": self.n_updates, "values": [value.clone() for value in self.values]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the state of another average over parameters of the same shapes.

        Parameters
        ----------
        state
            State that `state_dict` returned.

        Raises
        ------
        SettingError
            The state belongs to parameters of other shapes.
        """
        own, saved_shapes = [tuple(v.shape) for v in self.values], [tuple(v.shape) for v in state["values"]]
        if own != saved_shapes:
            msg = (
                f"The saved average has parameters of shapes {saved_shapes}, expected {own}. Load the state into the "
                "network that it was saved from."
            )
            raise SettingError(msg)
        self.n_updates = int(state["n_updates"])
        for value, saved in zip(self.values, state["values"], strict=True):
            value.copy_(saved)

    @torch.no_grad()
    def _write(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)

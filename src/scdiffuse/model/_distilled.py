"""A distilled sampler: its network, and how close it comes to the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from scdiffuse.diffusion import LatentDenoiser, new_distilled
from scdiffuse.model._networks import Networks

__all__ = ["DistilledSampler"]


@dataclass(frozen=True, kw_only=True)
class DistilledSampler:
    """A denoiser that walks from noise to data in a set number of steps."""

    network: LatentDenoiser
    facts: Mapping[str, Any]
    """How it was taught, and how close it comes."""

    @property
    def n_steps(self) -> int:
        """Steps that it takes."""
        return int(self.facts["n_steps"])

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name, copied to main memory."""
        return {name: one.detach().cpu().clone().contiguous() for name, one in self.network.state_dict().items()}

    @classmethod
    def restore(cls, facts: Mapping[str, Any], tensors: Mapping[str, Tensor], networks: Networks) -> DistilledSampler:
        """Build a student from what was saved.

        Parameters
        ----------
        facts, tensors
            What was saved of it.
        networks
            The model of its teacher.
        """
        network = new_distilled(networks.denoiser)
        network.load_state_dict(dict(tensors))
        return cls(network=network.requires_grad_(requires_grad=False), facts=dict(facts))

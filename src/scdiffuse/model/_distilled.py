"""A distilled sampler: a network that takes few steps from noise to data, and how close it comes to the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from scdiffuse.diffusion import LatentDenoiser, new_distilled
from scdiffuse.model._metadata import DistillationRecord
from scdiffuse.model._networks import Networks

__all__ = ["DistilledSampler"]


@dataclass(frozen=True, kw_only=True)
class DistilledSampler:
    """A denoiser that goes from noise to data in a set number of steps."""

    network: LatentDenoiser
    record: DistillationRecord

    @property
    def solver_steps(self) -> int:
        """Steps that the sampler takes."""
        return self.record["solver_steps"]

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name, copied to main memory."""
        return {name: one.detach().cpu().clone().contiguous() for name, one in self.network.state_dict().items()}

    @classmethod
    def restore(cls, record: DistillationRecord, tensors: Mapping[str, Tensor], networks: Networks) -> DistilledSampler:
        """Build a sampler from what was saved.

        Parameters
        ----------
        record, tensors
            What was saved of it.
        networks
            The model that it was distilled from.
        """
        network = new_distilled(networks.denoiser)
        network.load_state_dict(dict(tensors))
        return cls(network=network.requires_grad_(requires_grad=False), record=record)

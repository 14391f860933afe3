"""A fitted model as sampling sees it: networks, metadata, classifiers and a distilled sampler in one object."""

from __future__ import annotations

from dataclasses import dataclass, field

from scdiffuse.cells import Conditions, ConditionTable
from scdiffuse.model._classifier import AttachedClassifier
from scdiffuse.model._distilled import DistilledSampler
from scdiffuse.model._metadata import ModelMetadata
from scdiffuse.model._networks import Networks

__all__ = ["FittedModel"]


@dataclass(kw_only=True)
class FittedModel:
    """All that a model has learnt."""

    networks: Networks
    metadata: ModelMetadata
    seed: int = 0
    """Seed of the fit."""
    classifiers: dict[str, AttachedClassifier] = field(default_factory=dict)
    """Classifiers of noisy latents by name."""
    distilled: DistilledSampler | None = None
    """A sampler of few steps that takes the place of the denoiser in `generate`."""

    @property
    def conditions(self) -> Conditions:
        """Names, labels and ranges of the conditions."""
        return self.metadata.conditions

    @property
    def trained_on(self) -> ConditionTable:
        """Distinct condition rows of the training cells, with their numbers."""
        return self.networks.trained_on

    def to(self, device: str) -> FittedModel:
        """Move all networks to a device, and return the model."""
        self.networks.to(device)
        for one in self.classifiers.values():
            one.network.to(device)
        if self.distilled is not None:
            self.distilled.network.to(device)
        return self

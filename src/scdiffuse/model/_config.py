"""The settings of a model, as one tree that is saved with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from typing import Any, Self, TypeVar

from scdiffuse._core.errors import SettingError
from scdiffuse._core.schema import require_types
from scdiffuse.autoencoder import AutoencoderConfig
from scdiffuse.calibration import CalibrationConfig
from scdiffuse.diffusion import DiffusionConfig
from scdiffuse.guidance import ClassifierConfig
from scdiffuse.train import TrainConfig

__all__ = ["ModelConfig"]

Config = TypeVar("Config")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Settings of the networks, their training, and the calibration; saved in ``config.json``."""

    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    autoencoder_training: TrainConfig = field(default_factory=lambda: TrainConfig(largest_batch_fraction=1 / 3))
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    diffusion_training: TrainConfig = field(
        default_factory=lambda: TrainConfig(batch_size=512, min_steps=1_000, learning_rate=2e-3, decay=0.995)
    )
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    """Networks that `CellGenerator.add_classifier` trains."""
    classifier_training: TrainConfig = field(
        default_factory=lambda: TrainConfig(
            batch_size=256,
            min_steps=600,
            max_steps=4_000,
            learning_rate=2e-3,
            n_validations=20,
            patience=5,
            decay=0.99,
        )
    )
    distillation_training: TrainConfig = field(
        default_factory=lambda: TrainConfig(
            batch_size=256,
            min_steps=1_500,
            max_steps=1_500,
            learning_rate=1e-3,
            n_validations=20,
            patience=6,
            decay=0.995,
        )
    )
    library_size_scores: bool = True
    """Off-switch: the diffusion sees library sizes as normal scores of their quantiles, not as standardised logs."""
    library_size_knots: int = 129
    """Quantiles of the training cells' library sizes that are kept."""
    validation_fraction: float = 0.1
    """Fraction of the cells that stops a training instead of being learnt from."""
    latent: Mapping[str, Any] | None = None
    """Description of a pretrained latent space; `CellGenerator` sets it from its argument of that name."""

    def __post_init__(self) -> None:
        require_types(self)
        if not 0.0 < self.validation_fraction < 0.5:
            msg = f"`validation_fraction` must lie between 0 and 0.5, got {self.validation_fraction};"
            raise SettingError(msg + " 0.1 suits most data.")
        if self.library_size_knots < 2:
            msg = f"`library_size_knots` must be at least 2, got {self.library_size_knots}; 129 suits most data."
            raise SettingError(msg)

    @property
    def obsm_key(self) -> str | None:
        """Entry of `obsm` that the latents are, if they are one."""
        return None if self.latent is None else self.latent.get("obsm_key")

    def with_latent(self, description: Mapping[str, Any]) -> Self:
        """Return the same settings for a pretrained latent space.

        Parameters
        ----------
        description
            What ``Foundation.describe`` returned.
        """
        return replace(
            self, latent=dict(description), autoencoder=replace(self.autoencoder, n_latent=description["width"])
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as plain dictionaries."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """Build the tree from plain dictionaries.

        Parameters
        ----------
        tree
            What `to_dict` returned.
        """
        return _build(cls(), tree)


def _build(default: Config, tree: Mapping[str, Any]) -> Config:
    """Build a tree of settings like a default one."""
    values: dict[str, Any] = {}
    for name, value in tree.items():
        own = getattr(default, name, None)
        if is_dataclass(own) and not isinstance(own, type):
            values[name] = _build(own, value)
        else:
            values[name] = tuple(value) if isinstance(own, tuple) else value  # JSON has lists alone
    return type(default)(**values)

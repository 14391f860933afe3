"""Settings of the autoencoder."""

from __future__ import annotations

from dataclasses import dataclass, field

from scdiffuse._core.errors import SettingError, did_you_mean
from scdiffuse._core.schema import require_types
from scdiffuse.autoencoder.likelihoods import LIKELIHOODS, DispersionConfig

__all__ = ["AutoencoderConfig", "NetworkConfig"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkConfig:
    """How encoder and decoder scale their inputs and start, beside their widths."""

    target_sum: float = 1e4
    """Library size that the encoder scales every cell to, before ``log1p``."""
    lowest_log_variance: float = -12.0
    """Lower bound of the log variance of a latent given its cell."""
    highest_log_variance: float = 4.0
    """Upper bound of the same."""
    initial_weight_std: float = 0.02
    """Standard deviation of the initial weights of genes in encoder and decoder."""
    initial_output_scale: float = 0.1
    """Factor of the initial weights of the encoder's output layer."""
    initial_log_variance: float = -1.0
    """Initial log variance of latents given their cell."""

    def __post_init__(self) -> None:
        require_types(self)
        for name in ("target_sum", "initial_weight_std", "initial_output_scale"):
            if not getattr(self, name) > 0:
                msg = f"`{name}` must be positive, got {getattr(self, name)}."
                raise SettingError(msg)
        if not self.lowest_log_variance < self.highest_log_variance:
            bounds = (self.lowest_log_variance, self.highest_log_variance)
            msg = f"`lowest_log_variance` must be below `highest_log_variance`, got {bounds}."
            raise SettingError(msg)


@dataclass(frozen=True, kw_only=True, slots=True)
class AutoencoderConfig:
    """How counts are encoded and decoded, and what keeps the autoencoder from fitting noise."""

    n_latent: int = 40
    """Width of the latent code."""
    n_hidden: int = 128
    """Width of the hidden layers."""
    n_nonlinear: int = 32
    """Width of the nonlinear path of the decoder, beside its linear path."""
    likelihood: str = "negative_binomial_with_outliers"
    """Distribution of counts given the latent code; ``"negative_binomial"`` turns the outlier component off."""
    kl_weight: float = 0.5
    """Weight of the KL divergence from the prior. With 1, the evidence lower bound, latents leave out what many genes
    share weakly; the diffusion knows how latents are distributed, so that they may say more."""
    shrinkage: float = 20.0
    """Half of the precision of the Gaussian prior on linear loadings: a loading costs its square so often, in nats."""
    nonlinear_shrinkage: float = 60.0
    """The same of the nonlinear loadings; the larger, the better do condition effects add up."""
    conditional_prior: bool = True
    """Off-switch: the prior mean of latents follows the conditions of a cell in training."""
    prior_shrinkage: float = 2.0
    """The same of what each condition adds to the prior mean of latents."""
    thinning: float = 0.6
    """Largest fraction of counts that binomial thinning hides from the encoder in training; 0 turns thinning off."""
    largest_library_size: float = 10.0
    """Library size, in multiples of the median, from which on a cell weighs less in proportion."""
    late_start: float = 0.2
    """Fraction of the steps after which nonlinear path, dispersions and outlier component join the training."""
    linear_rate: float = 4.0
    """Factor of the learning rate of the linear path and of the prior means, which have to learn ahead of the rest."""
    dispersion_rate: float = 20.0
    """Factor of the learning rate of dispersion parameters, which move on a log scale of many units."""
    n_validation_cells: int = 2_000
    """Validation cells that the validation loss looks at, at most."""
    mean_fit: bool = True
    """Off-switch: after the training, each gene is decoded with the mean that it has in the training cells."""
    mean_prior: float = 100.0
    """Counts of a gene that its mean needs to move half of the way to that of the training cells."""
    n_mean_cells: int = 16_384
    """Training cells that the fit of means looks at, at most."""
    dispersion_fit: bool = True
    """Off-switch: after the training, dispersion parameters are fitted to their optimum at the learnt latents."""
    dispersion: DispersionConfig = field(default_factory=DispersionConfig)
    """Starts and priors of dispersion parameters, and settings of their final fit."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """Scaling and initial values of the networks."""

    def __post_init__(self) -> None:
        require_types(self)
        for name in ("n_latent", "n_hidden", "n_nonlinear", "n_validation_cells", "n_mean_cells"):
            if getattr(self, name) < 1:
                msg = f"`{name}` must be at least 1, got {getattr(self, name)}."
                raise SettingError(msg)
        if not 0 <= self.thinning < 1:
            msg = f"`thinning` must be at least 0 and below 1, got {self.thinning}; 0.6 suits most data."
            raise SettingError(msg)
        if not 0 <= self.late_start <= 1:
            msg = f"`late_start` must lie between 0 and 1, got {self.late_start}; 0.2 suits most data."
            raise SettingError(msg)
        for name in ("kl_weight", "shrinkage", "nonlinear_shrinkage", "prior_shrinkage", "mean_prior"):
            if not getattr(self, name) >= 0:
                msg = f"`{name}` must not be negative, got {getattr(self, name)}."
                raise SettingError(msg)
        for name in ("largest_library_size", "linear_rate", "dispersion_rate"):
            if not getattr(self, name) > 0:
                msg = f"`{name}` must be positive, got {getattr(self, name)}."
                raise SettingError(msg)
        if self.likelihood not in LIKELIHOODS:
            names = " or ".join(repr(name) for name in LIKELIHOODS)
            msg = f"`likelihood` must be {names}, got {self.likelihood!r}."
            raise SettingError(msg + did_you_mean(self.likelihood, LIKELIHOODS))

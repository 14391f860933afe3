"""Settings of the dispersion parameters: where they start, their prior, and their final fit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from scdiffuse._core.errors import SettingError
from scdiffuse._core.schema import require_types

__all__ = ["DispersionConfig", "DispersionStart"]


class DispersionStart(NamedTuple):
    """Where the dispersion parameters of all genes start, by the names of the parameters."""

    log_inverse_dispersion: float
    """Log of the inverse dispersion."""
    log_outlier_rate: float
    """Log of the outliers per expected count."""
    log_outlier_size: float
    """Log of the mean counts of an outlier beyond the first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DispersionConfig:
    """How the dispersion of each gene starts, what prior outliers have, and how the final fit of dispersions runs."""

    umi_log_inverse_dispersion: float = 5.0
    """Start on UMI counts: nearly Poisson, so that latents explain first and the dispersion takes what they leave."""
    umi_log_outlier_rate: float = -6.5
    """Start on UMI counts, and mean of the prior: log of the outliers per expected count."""
    umi_log_outlier_size: float = 2.5
    """Start on UMI counts, and mean of the prior: log of the mean counts of an outlier beyond the first."""
    read_log_inverse_dispersion: float = -1.5
    """Start on read counts: a start near Poisson has no gradient towards their strong dispersion."""
    read_log_outlier_rate: float = -3.0
    """Start on read counts, and mean of the prior; the size of outliers starts at the counts per detection."""
    read_counts_per_detection: float = 4.0
    """Median counts per detection of a gene from which on counts are taken for reads instead of UMIs."""
    shared_prior: bool = True
    """Off-switch: in the final fit, the prior of each gene is centred on what explains all genes together best."""
    precision: float = 1.0
    """Precision of that prior for the log inverse dispersion of each gene."""
    outlier_precision: float = 1.0
    """Precision of the Gaussian priors on log rate and log size of the outliers of each gene."""
    mean_dependence: bool = True
    """Off-switch: the inverse dispersions of all genes have a power of the mean as a factor, fitted at the end."""
    state_dependence: bool = True
    """Off-switch: inverse dispersions depend on the latent of a cell, by a factor that all genes share."""
    state_precision: float = 100.0
    """Precision of the Gaussian prior on the effect of each latent on the log of that factor."""
    duplicates: bool = True
    """Off-switch: a molecule may be counted more than once, where generated cells have too few twos otherwise."""
    missing_twos: float = 1.05
    """Twos for each one in the cells, divided by those in cells drawn at their latents, from which on duplicates are
    looked for; at most 1.047 in eleven data sets without them."""
    least_duplication_rate: float = 0.02
    """Duplication rate, how many more times than once a molecule is counted on average, below which it is 0."""
    first_duplication_rate: float = 0.3
    """Where the fit of the duplication rate starts."""
    n_cells: int = 2_048
    """Training cells that the final fit of dispersions looks at, at most."""
    n_logits: int = 1 << 25
    """Logits (cells times genes) that the final fit keeps in memory, at most; many genes mean fewer cells."""
    n_duplicates_cells: int = 1_024
    """Those of these cells that the fit of the duplication rate looks at, at most, since each takes longer."""
    n_duplicates_logits: int = 10_000_000
    """The same of their logits."""
    n_steps: int = 48
    """Steps of the final fit, each over all of its cells."""
    n_shared_steps: int = 16
    """Steps at the beginning of the final fit in which only what all genes share is fitted."""
    first_step: float = 0.3
    """First step of the final fit on the log scale."""
    step_decrease: float = 0.5
    """Factor of the step of a parameter whose gradient has changed its sign."""
    step_increase: float = 1.3
    """Factor of the step of a parameter whose gradient has kept its sign."""
    smallest_step: float = 1e-3
    """Smallest step of the final fit."""
    largest_step: float = 1.0
    """Largest step of the final fit."""
    first_rate_step: float = 0.02
    """First step of the final fit for the duplication rate."""
    first_state_step: float = 0.02
    """First step of the final fit for the effects of latents, which move together."""

    def __post_init__(self) -> None:
        require_types(self)
        for name in ("n_cells", "n_logits", "n_duplicates_cells", "n_duplicates_logits", "n_steps", "n_shared_steps"):
            if getattr(self, name) < 1:
                msg = f"`{name}` of the dispersions must be at least 1, got {getattr(self, name)}."
                raise SettingError(msg)
        for name in ("precision", "outlier_precision", "state_precision"):
            if not getattr(self, name) >= 0:
                msg = f"`{name}` must not be negative, got {getattr(self, name)}."
                raise SettingError(msg)
        for name in ("first_step", "first_rate_step", "first_state_step"):
            if not 0 < self.smallest_step <= getattr(self, name) <= self.largest_step:
                steps = (self.smallest_step, getattr(self, name), self.largest_step)
                msg = f"`smallest_step`, `{name}` and `largest_step` must be positive and rise, got {steps}."
                raise SettingError(msg)
        if not 0 < self.step_decrease < 1 < self.step_increase:
            factors = (self.step_decrease, self.step_increase)
            msg = f"`step_decrease` must lie between 0 and 1 and `step_increase` above 1, got {factors}."
            raise SettingError(msg)
        if not self.missing_twos > 0:
            msg = f"`missing_twos` must be positive, got {self.missing_twos}."
            raise SettingError(msg)
        rates = (self.least_duplication_rate, self.first_duplication_rate)
        if not 0 < rates[0] <= rates[1]:
            msg = "`least_duplication_rate` and `first_duplication_rate` must be positive and not fall, got"
            raise SettingError(msg + f" {rates}.")
        if not self.read_counts_per_detection > 0:
            msg = f"`read_counts_per_detection` must be positive, got {self.read_counts_per_detection}."
            raise SettingError(msg)

    def start(self, counts_per_detection: float = 1.0) -> DispersionStart:
        """Choose where dispersion parameters start, by whether the counts are UMIs or reads.

        UMIs are counted one by one. The reads of one molecule come together, so that a gene is either missed or has
        many.

        Parameters
        ----------
        counts_per_detection
            Counts of a typical gene in the cells that it is detected in: little more than 1 for UMIs, dozens for reads.

        Returns
        -------
        The start, the same for all genes.
        """
        if counts_per_detection < self.read_counts_per_detection:
            return DispersionStart(
                self.umi_log_inverse_dispersion, self.umi_log_outlier_rate, self.umi_log_outlier_size
            )
        size = math.log(counts_per_detection)
        return DispersionStart(self.read_log_inverse_dispersion, self.read_log_outlier_rate, size)

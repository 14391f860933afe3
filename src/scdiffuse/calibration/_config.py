"""Settings of the calibration of gene expression."""

from __future__ import annotations

from dataclasses import dataclass

from scdiffuse._core.errors import SettingError

__all__ = ["CalibrationConfig"]


@dataclass(frozen=True, kw_only=True)
class CalibrationConfig:
    """How the expression of genes is corrected in combinations of conditions never or hardly seen in training."""

    expected_expression: bool = True
    """Off-switch: bring out-of-distribution combinations towards the expression that their labels lead to expect."""
    rare_combinations: bool = True
    """Off-switch: bring combinations of few training cells towards the expression of these cells."""
    pairwise_interactions: bool = True
    """Off-switch: expected expression knows what pairs of labels do beyond the sum of both."""
    expected_weight: float = 0.6
    """Weight of the expected log expression of a gene that was counted often, beside what the model decodes."""
    expected_variance: float = 0.3
    """Variance of the log expression of a gene that an expectation has where counts leave no doubt."""
    rare_cells: int = 100
    """Training cells of a combination from which on it needs no correction."""
    most_rare: int = 256
    """Rare combinations that are corrected at most, those of the fewest cells first."""
    gene_prior: float = 3.0
    """Counts of a gene that rare cells need to move its expression half of the way to theirs."""
    gene_variance: float = 0.5
    """Variance of the expression of a gene among the cells of a combination, over its square."""
    most_grid_values: int = 32
    """Distinct values of a continuous condition up to which they are grid values; with more, nothing is calibrated."""
    most_combinations: int = 1_024
    """Combinations whose counts are held, the most frequent ones."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.expected_weight <= 1.0:
            msg = f"`expected_weight` must lie between 0 and 1, got {self.expected_weight}; 0.6 suits most data."
            raise SettingError(msg)
        for name in ("expected_variance", "gene_prior"):
            if not getattr(self, name) > 0.0:
                msg = f"`{name}` must be positive, got {getattr(self, name)}."
                raise SettingError(msg)
        if self.gene_variance < 0.0:
            msg = f"`gene_variance` must not be negative, got {self.gene_variance}."
            raise SettingError(msg)
        for name in ("rare_cells", "most_grid_values", "most_combinations"):
            if getattr(self, name) < 1:
                msg = f"`{name}` must be at least 1, got {getattr(self, name)}."
                raise SettingError(msg)
        if self.most_rare < 0:
            msg = f"`most_rare` must not be negative, got {self.most_rare}."
            raise SettingError(msg)

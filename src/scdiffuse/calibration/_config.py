"""Settings of the calibration of gene expression."""

from __future__ import annotations

from dataclasses import dataclass

from scdiffuse._core.errors import SettingError
from scdiffuse._core.schema import require_types

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
    alike_labels: bool = True
    """Off-switch: expected expression takes labels that are alike to have effects that are alike, of three or more."""
    expected_weight: float = 0.6
    """Weight of the expected expression of a gene, beside what the model decodes."""
    expected_scale: float = 1e4
    """Counts a cell at which expression is compared: its log after 1 is added."""
    label_variances: tuple[float, ...] = (0.003, 0.03, 0.3, 3.0)
    """Variances that the effects of labels may have, on that scale."""
    shared_variances: tuple[float, ...] = (0.003, 0.03, 0.3, 3.0)
    """Variances that what alike combinations share may have."""
    own_variances: tuple[float, ...] = (0.001, 0.01, 0.1)
    """Variances that what a combination shares with no other may have."""
    mean_variance: float = 1.0
    """Variance of the mean over combinations."""
    length_scale: float = 1.0
    """Distance at which two labels are alike, in root mean square distances of labels."""
    label_rank: int = 16
    """Principal components of the effects of labels that tell which are alike."""
    effect_ridge: float = 2.0
    """Ridge of these effects, in cells."""
    feature_length_scale: float = 1.0
    """Distance at which two labels are alike by their features, in root mean square distances of labels."""
    feature_ridges: tuple[float, float, float, float] = (0.1, 0.3, 1.0, 3.0)
    """Ridges of the regression of effects on features, in units of the variance that features explain."""
    n_noise_bins: int = 8
    """Bins of genes that have the same sampling variance."""
    n_evidence_genes: int = 1_000
    """Genes that tell how frequent each covariance is."""
    n_evidence_combinations: int = 128
    """Combinations that choose the covariance of a gene, those of the most cells."""
    rare_cells: int = 100
    """Training cells of a combination from which on it needs no correction."""
    most_rare: int = 256
    """Rare combinations that are corrected at most, those of the fewest cells first."""
    gene_prior: float = 3.0
    """Counts of a gene that rare cells need to move its expression half of the way to theirs."""
    gene_variance: float = 0.5
    """Variance of the expression of a gene among the cells of a combination, over its square."""
    mapped_variances: tuple[float, float] = (0.001, 2.0)
    """Least and largest variance that the gene factors of a mapped label may have over genes."""
    most_grid_values: int = 32
    """Distinct values of a continuous condition up to which they are grid values; with more, nothing is calibrated."""
    most_combinations: int = 512
    """Combinations whose counts are held, the most frequent ones."""

    def __post_init__(self) -> None:
        require_types(self)
        if not 0.0 <= self.expected_weight <= 1.0:
            msg = f"`expected_weight` must lie between 0 and 1, got {self.expected_weight}; 0.6 suits most data."
            raise SettingError(msg)
        for name in (
            "expected_scale",
            "mean_variance",
            "length_scale",
            "feature_length_scale",
            "effect_ridge",
            "gene_prior",
        ):
            if not getattr(self, name) > 0.0:
                msg = f"`{name}` must be positive, got {getattr(self, name)}."
                raise SettingError(msg)
        for name in ("label_variances", "shared_variances", "own_variances", "feature_ridges", "mapped_variances"):
            if not getattr(self, name) or not all(one > 0.0 for one in getattr(self, name)):
                msg = f"`{name}` must be positive numbers, one at least, got {getattr(self, name)}."
                raise SettingError(msg)
        if not self.gene_variance >= 0.0:
            msg = f"`gene_variance` must not be negative, got {self.gene_variance}."
            raise SettingError(msg)
        counts = ("label_rank", "n_noise_bins", "n_evidence_genes", "n_evidence_combinations")
        for name in ("rare_cells", "most_grid_values", "most_combinations", *counts):
            if getattr(self, name) < 1:
                msg = f"`{name}` must be at least 1, got {getattr(self, name)}."
                raise SettingError(msg)
        if self.most_rare < 0:
            msg = f"`most_rare` must not be negative, got {self.most_rare}."
            raise SettingError(msg)

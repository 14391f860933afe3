"""Metrics of generated single cells against real ones: arrays in, numbers out.

1. Functions such as `energy_distance`, `two_sample_auc` or `membership_inference` compare arrays of two samples.
2. `CellFeatures` holds a sample in every feature space; a `SamplePair` holds real and generated cells.
3. A `Metric` declares a number of a pair: its name, direction, target, source and cost.
4. `METRICS` registers all of them by group, and is the one line to change for a new metric (see ``_registry.py``).
5. A value means nothing alone: `scdiffuse.evaluation` puts it beside the real-vs-real reference and trivial baselines.
"""

from __future__ import annotations

from scdiffuse.metrics._classifiers import ClassifierKind
from scdiffuse.metrics._depth import DEPTH_NAMES, depth_features
from scdiffuse.metrics._distances import (
    energy_distance,
    frechet_distance,
    mmd,
    wasserstein,
    wasserstein_by_label,
)
from scdiffuse.metrics._genes import (
    GeneProfile,
    gene_correlation,
    gene_profile,
    invalid_values,
    log_normalise,
    mean_error,
    mean_variance_trend,
    qc_features,
    variance_error,
    zero_error,
)
from scdiffuse.metrics._grouped_folds import count_hashes
from scdiffuse.metrics._labelled_cells import LabelledCells, LabelScores
from scdiffuse.metrics._labels import (
    FoldChanges,
    cluster_recovery_ari,
    composition_distance,
    log_fold_changes,
    marker_recovery,
)
from scdiffuse.metrics._learning_curve import CurvePoint, cells_needed, learning_curve
from scdiffuse.metrics._line_fit import LineFit, fit_line
from scdiffuse.metrics._luo2024 import (
    centroid_cosine,
    centroid_distance,
    forest_auc_depth5,
    ilisi,
    knn_auc,
    label_accuracy,
    mmd5,
    pcc,
    scc,
)
from scdiffuse.metrics._membership import membership_inference
from scdiffuse.metrics._metric import Metric, Score
from scdiffuse.metrics._neighbours import (
    PRDC,
    lisi,
    one_nn_accuracy,
    precision_recall_by_label,
    precision_recall_density_coverage,
)
from scdiffuse.metrics._perturbation_effects import (
    discrimination_score,
    gene_weights,
    mean_absolute_error,
    mean_squared_error,
    overestimated_t,
    pearson_delta,
    weighted_delta_r2,
    weighted_mse,
)
from scdiffuse.metrics._perturbation_genes import (
    GeneTests,
    de_overlap,
    de_precision,
    de_recovery,
    direction_match,
    fold_change_spearman,
    rank_sum_tests,
    shared_top_genes,
)
from scdiffuse.metrics._privacy import (
    MemorisationScore,
    distance_to_closest_record,
    memorised_cells,
    nearest_neighbour_ratio,
)
from scdiffuse.metrics._registry import METRICS, get_metric, select_metrics
from scdiffuse.metrics._sample_pair import CellFeatures, SamplePair
from scdiffuse.metrics._two_sample import (
    AucInterval,
    TwoSampleScore,
    delong_interval,
    two_sample_auc,
)
from scdiffuse.metrics._utility import UtilityScore, label_accuracy_by_label, rare_gain, train_on_generated

__all__ = [
    "DEPTH_NAMES",
    "METRICS",
    "PRDC",
    "AucInterval",
    "CellFeatures",
    "ClassifierKind",
    "CurvePoint",
    "FoldChanges",
    "GeneProfile",
    "GeneTests",
    "LabelScores",
    "LabelledCells",
    "LineFit",
    "MemorisationScore",
    "Metric",
    "SamplePair",
    "Score",
    "TwoSampleScore",
    "UtilityScore",
    "cells_needed",
    "centroid_cosine",
    "centroid_distance",
    "cluster_recovery_ari",
    "composition_distance",
    "count_hashes",
    "de_overlap",
    "de_precision",
    "de_recovery",
    "delong_interval",
    "depth_features",
    "direction_match",
    "discrimination_score",
    "distance_to_closest_record",
    "energy_distance",
    "fit_line",
    "fold_change_spearman",
    "forest_auc_depth5",
    "frechet_distance",
    "gene_correlation",
    "gene_profile",
    "gene_weights",
    "get_metric",
    "ilisi",
    "invalid_values",
    "knn_auc",
    "label_accuracy",
    "label_accuracy_by_label",
    "learning_curve",
    "lisi",
    "log_fold_changes",
    "log_normalise",
    "marker_recovery",
    "mean_absolute_error",
    "mean_error",
    "mean_squared_error",
    "mean_variance_trend",
    "membership_inference",
    "memorised_cells",
    "mmd",
    "mmd5",
    "nearest_neighbour_ratio",
    "one_nn_accuracy",
    "overestimated_t",
    "pcc",
    "pearson_delta",
    "precision_recall_by_label",
    "precision_recall_density_coverage",
    "qc_features",
    "rank_sum_tests",
    "rare_gain",
    "scc",
    "select_metrics",
    "shared_top_genes",
    "train_on_generated",
    "two_sample_auc",
    "variance_error",
    "wasserstein",
    "wasserstein_by_label",
    "weighted_delta_r2",
    "weighted_mse",
    "zero_error",
]

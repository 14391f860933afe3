"""Measures of generated cells: arrays in, floats out.

Every measure says nothing alone: read it beside the same number for real cells (its floor) and for trivial generators.
"""

from __future__ import annotations

from scdiffuse.metrics._arrays import Labelled, LabelScores, LineFit, fit_line
from scdiffuse.metrics._discriminators import (
    AucInterval,
    DiscriminatorScore,
    delong_interval,
    discriminator_auc,
)
from scdiffuse.metrics._distances import (
    energy_distance,
    frechet_distance,
    mmd,
    wasserstein,
    wasserstein_by_label,
)
from scdiffuse.metrics._genes import (
    GeneProfile,
    depth_features,
    gene_correlation,
    gene_profile,
    invalid_values,
    log_normalise,
    mean_error,
    mean_variance_trend,
    variance_error,
    zero_error,
)
from scdiffuse.metrics._labels import (
    FoldChanges,
    cluster_recovery_ari,
    composition_distance,
    log_fold_changes,
    marker_recovery,
)
from scdiffuse.metrics._metric import Metric, Score
from scdiffuse.metrics._neighbours import (
    PRDC,
    lisi,
    one_nn_accuracy,
    precision_recall_by_label,
    precision_recall_density_coverage,
)
from scdiffuse.metrics._pair import Pair, View
from scdiffuse.metrics._paper import (
    centroid_cosine,
    centroid_distance,
    forest_auc_depth5,
    ilisi,
    knn_auc,
    label_recognition,
    mmd5,
    pcc,
    scc,
)
from scdiffuse.metrics._privacy import (
    CopyScore,
    distance_to_closest_record,
    exact_copies,
    membership_inference,
    nearest_neighbour_ratio,
)
from scdiffuse.metrics._registry import METRICS, get_metric, select_metrics
from scdiffuse.metrics._utility import UtilityScore, rare_gain, recognition, train_on_generated

__all__ = [
    "METRICS",
    "PRDC",
    "AucInterval",
    "CopyScore",
    "DiscriminatorScore",
    "FoldChanges",
    "GeneProfile",
    "LabelScores",
    "Labelled",
    "LineFit",
    "Metric",
    "Pair",
    "Score",
    "UtilityScore",
    "View",
    "centroid_cosine",
    "centroid_distance",
    "cluster_recovery_ari",
    "composition_distance",
    "delong_interval",
    "depth_features",
    "discriminator_auc",
    "distance_to_closest_record",
    "energy_distance",
    "exact_copies",
    "fit_line",
    "forest_auc_depth5",
    "frechet_distance",
    "gene_correlation",
    "gene_profile",
    "get_metric",
    "ilisi",
    "invalid_values",
    "knn_auc",
    "label_recognition",
    "lisi",
    "log_fold_changes",
    "log_normalise",
    "marker_recovery",
    "mean_error",
    "mean_variance_trend",
    "membership_inference",
    "mmd",
    "mmd5",
    "nearest_neighbour_ratio",
    "one_nn_accuracy",
    "pcc",
    "precision_recall_by_label",
    "precision_recall_density_coverage",
    "rare_gain",
    "recognition",
    "scc",
    "select_metrics",
    "train_on_generated",
    "variance_error",
    "wasserstein",
    "wasserstein_by_label",
    "zero_error",
]

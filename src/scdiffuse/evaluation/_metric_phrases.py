"""Sentences about a metric that is worse than its real-vs-real reference."""

from __future__ import annotations

from scdiffuse.evaluation._formatting import format_number, join_words
from scdiffuse.evaluation._report_types import MetricRecord

__all__ = ["describe_metric"]

_N_FEATURES = 3

_PHRASES: dict[str, tuple[str, str]] = {
    "invalid_values": ("some values cannot be counts", "fraction"),
    "wasserstein2": ("the distributions are apart", "W2"),
    "wasserstein1": ("the distributions are apart", "W1"),
    "wasserstein2_by_label": ("within types, the distributions are apart", "W2"),
    "energy": ("the distributions are apart", "energy distance"),
    "mmd": ("the density of cells differs", "MMD"),
    "frechet": ("means and covariances of the components differ", "Frechet distance"),
    "precision": ("some cells lie outside the real manifold", "precision"),
    "recall": ("some real cells lie outside the generated manifold", "recall"),
    "coverage": ("some real cells have no generated neighbour", "coverage"),
    "worst_label_coverage": ("some real cells of a type have no generated neighbour", "coverage"),
    "one_nn_accuracy": ("nearest neighbours are of the same origin too often", "accuracy"),
    "lisi": ("generated and real cells do not mix", "LISI"),
    "mean_error": ("gene means are off", "error"),
    "variance_error": ("gene variances are off", "error"),
    "zero_error": ("zero fractions of genes are off", "error"),
    "mean_variance_trend": ("the mean-variance trend is off", "error"),
    "library_size_distance": ("library sizes are off", "distance"),
    "genes_detected_distance": ("numbers of genes detected are off", "distance"),
    "gene_correlation_r": ("gene-gene correlations differ", "r"),
    "within_label_correlation_r": ("within types, gene-gene correlations differ", "r"),
    "fold_change_r": ("log-fold changes between types differ", "r"),
    "fold_change_overlap": ("the most raised genes of types differ", "overlap"),
    "marker_recovery": ("marker genes are lost", "recovered"),
    "composition": ("cell type proportions differ", "distance"),
    "cluster_recovery": ("clusters do not follow the types", "ARI"),
    "train_on_generated_f1": ("a classifier trained on them fails on real cells", "macro-F1"),
    "rare_gain": ("they augment few real cells less than real cells do", "gain"),
    "label_accuracy": ("cells are not assigned the right cell type", "fraction"),
    "memorised_cells": ("cells equal training cells, count for count", "fraction"),
    "near_copies": ("cells are near copies of single training cells", "fraction"),
    "nearest_neighbour_ratio": ("cells lie close to single training cells", "ratio"),
    "closest_record": ("cells are closer to training than to held-out cells", "fraction"),
    "worst_label_closest_record": ("in a type, cells are closer to training than to held-out cells", "fraction"),
    "membership_distance": ("distances reveal which cells were trained on", "AUC"),
    "membership_density": ("densities reveal which cells were trained on", "AUC"),
    "membership_classifier": ("a classifier reveals which cells were trained on", "AUC"),
    "membership_copula": ("correlations of genes reveal which cells were trained on", "AUC"),
    "membership_tpr_1": ("an attack is sure of some training cells", "true positives at 1 % false positives"),
    "membership_tpr_01": ("an attack is sure of some training cells", "true positives at .1 % false positives"),
    "donor_membership_distance": ("distances reveal which donors were trained on", "AUC"),
    "donor_membership_density": ("densities reveal which donors were trained on", "AUC"),
    "donor_membership_copula": ("correlations of genes reveal which donors were trained on", "AUC"),
    "donor_membership_1": ("a single cell reveals whether its donor was trained on", "AUC"),
    "donor_membership_10": ("10 cells reveal whether their donor was trained on", "AUC"),
    "donor_membership_100": ("100 cells reveal whether their donor was trained on", "AUC"),
}
"""What a metric worse than its reference means, and the short name of its number; others say "... is off"."""

_DIRECTIONS: dict[str, tuple[str, str]] = {
    "gene_correlation_slope": ("gene-gene correlations are too strong", "gene-gene correlations are too weak"),
    "within_label_correlation_slope": (
        "within types, gene-gene correlations are too strong",
        "within types, gene-gene correlations are too weak",
    ),
    "fold_change_slope": ("types differ too much", "types differ too little"),
    "density": ("cells crowd into dense regions", "cells scatter out of dense regions"),
}
"""The same for metrics with two directions: above and below the reference."""


def describe_metric(name: str, record: MetricRecord) -> str:
    """Describe what a flagged metric means, with its value, its reference and the features that differ most.

    Parameters
    ----------
    name
        Name of the metric.
    record
        A metric worse than its reference, as in the JSON of a report.

    Returns
    -------
    Part of a sentence, beginning in lower case.
    """
    features = [str(feature) for feature, _ in record["features"][:_N_FEATURES]]
    value, reference = record["value"], record["reference"]
    numbers = f"{format_number(value)}, reference {format_number(reference)}"
    if record["group"] == "two_sample":
        because = f", mainly by {join_words(features)}" if features else ""
        return f"{_article(record['title'])} distinguishes them from real cells (AUC {numbers}){because}"
    if name in _DIRECTIONS:
        meaning, symbol = _DIRECTIONS[name][0 if value > reference else 1], "value"
    else:
        meaning, symbol = _PHRASES.get(name, (f"{record['title']} is off", "value"))
    because = f", above all {join_words(features)}" if features else ""
    return f"{meaning} ({symbol} {numbers}){because}"


def _article(title: str) -> str:
    """Begin the name of a classifier as English does; "gradient boosting" takes no article."""
    return title if title.startswith(("gradient", "logistic")) else f"a {title}"

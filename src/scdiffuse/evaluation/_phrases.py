"""The words for one metric that is off its floor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scdiffuse.evaluation._words import join, number

__all__ = ["phrase"]

_N_FEATURES = 3

_PHRASES: dict[str, tuple[str, str]] = {
    "invalid_values": ("values are no counts", "share"),
    "wasserstein2": ("the samples lie apart", "W2"),
    "wasserstein1": ("the samples lie apart", "W1"),
    "wasserstein2_by_label": ("within types, the samples lie apart", "W2"),
    "energy": ("the samples lie apart", "energy distance"),
    "mmd": ("cells lie in other numbers in other places", "MMD"),
    "frechet": ("means and covariances of the components differ", "Frechet distance"),
    "precision": ("some cells lie where no real ones do", "precision"),
    "recall": ("some real cells lie where no generated ones do", "recall"),
    "coverage": ("some kinds of real cells do not come", "coverage"),
    "worst_label_coverage": ("some kinds of cells of a type do not come", "coverage"),
    "one_nn_accuracy": ("the nearest neighbour gives a cell's origin away", "accuracy"),
    "lisi": ("generated and real cells do not mix", "LISI"),
    "mean_error": ("gene means are off", "error"),
    "variance_error": ("gene variances are off", "error"),
    "zero_error": ("genes hold other shares of zeros", "error"),
    "mean_variance_trend": ("genes of the same mean vary otherwise", "error"),
    "depth_distance": ("library sizes are off", "distance"),
    "genes_detected_distance": ("numbers of genes detected are off", "distance"),
    "gene_correlation_r": ("other genes go together", "r"),
    "within_label_correlation_r": ("within types, other genes go together", "r"),
    "fold_change_r": ("types differ by other genes", "r"),
    "fold_change_overlap": ("the genes that types raise most are others", "overlap"),
    "marker_recovery": ("marker genes are lost", "recovered"),
    "composition": ("types come in other shares", "distance"),
    "cluster_recovery": ("clusters do not follow the types", "ARI"),
    "train_on_generated_f1": ("a classifier learnt from them errs on real cells", "macro-F1"),
    "rare_gain": ("they add less to few real cells than real ones do", "gain"),
    "label_recognition": ("cells are not recognised as the type asked for", "share"),
    "exact_copies": ("cells are copies of training cells, count for count", "share"),
    "nearest_neighbour_ratio": ("cells keep close to single training cells", "ratio"),
    "closest_record": ("cells keep closer to training than to held-out cells", "share"),
    "worst_label_closest_record": ("in a type, cells keep closer to training than to held-out cells", "share"),
    "membership_distance": ("distances tell which cells were trained on", "AUC"),
    "membership_density": ("densities tell which cells were trained on", "AUC"),
    "membership_classifier": ("a classifier tells which cells were trained on", "AUC"),
    "donor_membership_distance": ("distances tell whose cells were trained on", "AUC"),
    "donor_membership_density": ("densities tell whose cells were trained on", "AUC"),
}
"""What it means when a metric is off its floor, and the short name of its number."""

_DIRECTIONS: dict[str, tuple[str, str]] = {
    "gene_correlation_slope": ("genes go together too strongly", "genes go together too weakly"),
    "within_label_correlation_slope": (
        "within types, genes go together too strongly",
        "within types, genes go together too weakly",
    ),
    "fold_change_slope": ("types differ too much", "types differ too little"),
    "density": ("cells crowd into the dense places", "cells scatter out of the dense places"),
}
"""The same for metrics that can be off on either side: above and below the floor."""


def phrase(name: str, one: Mapping[str, Any]) -> str:
    """Say what a flagged score means, with its value, its floor and what gives the cells away.

    Parameters
    ----------
    name
        Name of the metric.
    one
        A score off its floor, as in the JSON of a report.

    Returns
    -------
    Part of a sentence, beginning in lower case.
    """
    named = [str(feature) for feature, _ in one["features"][:_N_FEATURES]]
    numbers = f"{number(one['value'])}, floor {number(one['floor'])}"
    if one["group"] == "discriminators":
        because = f", mainly by {join(named)}" if named else ""
        return f"{_article(one['title'])} tells them apart (AUC {numbers}){because}"
    if name in _DIRECTIONS:
        means, symbol = _DIRECTIONS[name][0 if one["value"] > one["floor"] else 1], "value"
    else:
        means, symbol = _PHRASES.get(name, (f"{one['title']} is off", "value"))
    because = f", above all {join(named)}" if named else ""
    return f"{means} ({symbol} {numbers}){because}"


def _article(title: str) -> str:
    """Begin a judge's name as English does; "gradient boosting" takes no article."""
    return title if title.startswith(("gradient", "logistic")) else f"a {title}"

"""The measures that the page and the figures show; the table has them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

REALISM: dict[str, str] = {
    "forest_genes_auc": "forest AUC, genes",
    "forest_counts_auc": "forest AUC, counts + depth",
    "boosting_genes_auc": "boosting AUC, genes",
    "boosting_counts_auc": "boosting AUC, counts + depth",
    "energy": "energy",
    "mmd": "MMD",
    "wasserstein2": "W2",
    "one_nn_accuracy": "1-NN",
}
"""Metric name -> column title: whether the cells can be told from real ones."""

BIOLOGY: dict[str, str] = {
    "zero_error": "zeros, error",
    "gene_correlation_slope": "gene-gene slope",
    "gene_correlation_r": "gene-gene r",
    "fold_change_slope": "fold-change slope",
    "fold_change_r": "fold-change r",
    "train_on_generated_f1": "F1, trained on generated",
    "nearest_neighbour_ratio": "neighbour ratio",
    "closest_record": "closer to training",
    "membership_distance": "membership AUC",
}
"""The same: what the cells are good for, and what they give away."""

PAPER: dict[str, str] = {
    "scc": "SCC",
    "pcc": "PCC",
    "mmd5": "MMD, 5 kernels",
    "ilisi": "LISI",
    "forest_auc_depth5": "forest AUC, depth 5",
    "knn_auc": "KNN AUC",
    "label_recognition": "type recognised",
}
"""The same: the columns of the scDiffusion paper."""

HEADLINE = REALISM | BIOLOGY | PAPER
"""All columns of the page."""

MAIN = "forest_genes_auc"
"""The measure of the figures."""


def present(table: pd.DataFrame, columns: dict[str, str]) -> dict[str, str]:
    """Return those of the metrics that the table holds."""
    held = set(table["metric"])
    return {metric: title for metric, title in columns.items() if metric in held}

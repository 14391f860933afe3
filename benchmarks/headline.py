"""The few measures that the page and the figures show; the table has them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

HEADLINE: dict[str, str] = {
    "forest_genes_auc": "forest AUC, genes",
    "forest_pcs_auc": "forest AUC, PCs",
    "boosting_counts_auc": "boosting AUC, counts + depth",
    "logistic_genes_auc": "logistic AUC, genes",
    "wasserstein2": "W2",
    "mmd": "MMD",
    "one_nn_accuracy": "1-NN",
    "lisi": "LISI",
    "zero_error": "zeros, error",
    "gene_correlation_slope": "gene-gene slope",
    "fold_change_slope": "fold-change slope",
    "train_on_generated_f1": "F1, trained on generated",
    "closest_record": "closer to training cells",
}
"""Metric name -> column title."""

MAIN = "forest_genes_auc"
"""The measure of the figures."""


def present(table: pd.DataFrame) -> dict[str, str]:
    """Return the headline metrics that the table holds."""
    held = set(table["metric"])
    return {metric: title for metric, title in HEADLINE.items() if metric in held}

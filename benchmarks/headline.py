"""The few measures that the page and the figures show; the table has them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

HEADLINE: dict[str, str] = {
    "forest_auc_genes": "forest AUC, genes",
    "boosting_auc_genes": "boosting AUC, genes",
    "forest_auc_pcs": "forest AUC, PCs",
    "mmd": "MMD",
    "wasserstein2": "W2",
    "lisi": "LISI",
    "gene_correlation": "gene-gene r",
    "zero_error": "zeros",
}
"""Metric name -> column title."""

MAIN = "forest_auc_genes"
"""The measure of the figures."""


def present(table: pd.DataFrame) -> dict[str, str]:
    """Return the headline metrics that the table holds."""
    held = set(table["metric"])
    return {metric: title for metric, title in HEADLINE.items() if metric in held}

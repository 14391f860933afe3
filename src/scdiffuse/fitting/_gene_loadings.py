"""Features of labels that are genes or combinations of genes: loadings of co-expression, and sums."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp

from scdiffuse._core.errors import SettingError, UnknownNameError, did_you_mean
from scdiffuse._core.random import generator
from scdiffuse.cells import CellData, find_counts, open_source, require_counts
from scdiffuse.metrics import log_normalise

__all__ = ["gene_loadings", "sum_features"]


def gene_loadings(
    adata: CellData,
    genes: Sequence[str] | None = None,
    *,
    layer: str | None = None,
    n_components: int = 20,
    max_cells: int = 20_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Describe genes by what they are expressed with: their loadings on principal components of the cells.

    The table serves as `condition_features` of perturbations that are named by their target genes. Give the training
    cells alone: loadings that have seen the cells of an unseen perturbation know its effect.

    Parameters
    ----------
    adata
        Cells with raw counts, as `CellGenerator` takes them.
    genes
        Genes to describe, all of the cells' if not given; those that the cells lack are left out.
    layer
        Layer with raw counts; ``X``, or the one place that holds counts, if not given.
    n_components
        Principal components of log-normalised expression, every gene of variance 1.
    max_cells
        Cells to learn components from, drawn at random.
    seed
        Seed of this draw.

    Returns
    -------
    A row for each gene, with a column for each component.

    Raises
    ------
    SettingError
        There are too few cells or genes for the components.
    UnknownNameError
        None of `genes` is a gene of the cells.
    """
    from sklearn.decomposition import PCA

    adata, layer, _ = find_counts(adata, layer=layer)
    source = open_source(adata, layer=layer)
    rows = generator(seed, "gene loadings").permutation(source.n_cells)[:max_cells].astype(np.int64)
    most = min(len(rows), source.n_genes) - 1
    if not 1 <= n_components <= most:
        msg = f"`n_components` is {n_components}; expected 1 to {most} for {len(rows):,} cells with"
        raise SettingError(msg + f" {source.n_genes:,} genes.")
    names = pd.Index(source.genes.astype(str))
    asked = [] if genes is None else [str(gene) for gene in genes]
    wanted = np.ones(len(names), dtype=bool) if genes is None else names.isin(asked)
    if not wanted.any():
        first = next(iter(asked), "")
        msg = f"None of the {len(asked)} names in `genes`, such as {first!r}, is a gene of the cells; expected"
        raise UnknownNameError(msg + f" names such as {names[0]!r}." + did_you_mean(first, list(names)))
    counts = source.rows(np.sort(rows))
    require_counts(counts, "`X`" if layer is None else f"layer {layer!r}", adata)
    logs = log_normalise(counts)
    mean_square = np.asarray(logs.multiply(logs).mean(axis=0)).ravel()
    std = np.sqrt((mean_square - np.square(np.asarray(logs.mean(axis=0)).ravel())).clip(min=0.0))
    scaled = sp.csr_matrix(logs @ sp.diags(1.0 / np.where(std > 0, std, 1.0)))
    pca = PCA(n_components, svd_solver="arpack", random_state=seed % (1 << 32)).fit(scaled)
    loadings = pca.components_.T * np.sqrt(pca.explained_variance_)
    columns = [f"component {at + 1}" for at in range(n_components)]
    return pd.DataFrame(loadings[wanted], index=names[wanted], columns=columns)


def sum_features(table: pd.DataFrame, labels: Sequence[str], *, separator: str = "+") -> pd.DataFrame:
    """Describe combinations by the sum of the features of their parts.

    Parameters
    ----------
    table
        Features of single labels, a row for each.
    labels
        Labels, and combinations of them such as ``"FOXA1+KLF1"``. Those with a part that is not in the table, such as a
        control, are left out: they have no features.
    separator
        What stands between the parts.

    Returns
    -------
    A row for each label that has features.

    Raises
    ------
    UnknownNameError
        No label has features.

    Examples
    --------
    >>> table = pd.DataFrame({"pathway": [1.0, 2.0]}, index=["A", "B"])
    >>> sum_features(table, ["A", "A+B", "control"])["pathway"].to_dict()
    {'A': 1.0, 'A+B': 3.0}
    """
    rows = {str(name): row for name, row in zip(table.index, table.to_numpy(dtype=np.float64), strict=True)}
    parts = {str(label): str(label).split(separator) for label in labels}
    found = {label: np.sum([rows[part] for part in own], axis=0) for label, own in parts.items() if set(own) <= {*rows}}
    if not found:
        msg = f"None of the {len(labels)} `labels` has features; expected names of rows such as {next(iter(rows))!r},"
        raise UnknownNameError(msg + f" or combinations of them with {separator!r} between.")
    return pd.DataFrame.from_dict(found, orient="index", columns=table.columns)

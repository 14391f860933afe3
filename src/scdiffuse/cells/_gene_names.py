"""Match the genes of the data to those of a pretrained model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import GenesError, UnknownNameError, did_you_mean

__all__ = ["find_gene", "match_genes", "require_shared"]

_VERSIONED = re.compile(r"^(ENS[A-Z]*\d+)\.\d+$")


def match_genes(var: pd.DataFrame, genes: Sequence[str]) -> NDArray[np.int64]:
    """Match each gene of the data to a list of genes.

    Genes are matched by their names first, then by each column of text in turn, such as ``gene_ids`` or
    ``feature_name``; Ensembl ids match whatever their version. The first gene that matches a listed gene gets it.

    Parameters
    ----------
    var
        Genes of the data, ``G`` rows.
    genes
        Names of the listed genes, each once.

    Returns
    -------
    Position of each gene in the list, shape ``(G,)``; -1 for genes that are not listed.

    Examples
    --------
    >>> var = pd.DataFrame({"gene_ids": ["ENSG01", "ENSG02.3"]}, index=["CD4", "renamed"])
    >>> match_genes(var, ["x", "CD4", "ENSG02"]).tolist()
    [1, 2]
    """
    index = pd.Index(genes)
    found = np.full(len(var), -1, dtype=np.int64)
    for names in _columns(var):
        at = index.get_indexer(names)
        free = np.flatnonzero((found < 0) & (at >= 0) & ~np.isin(at, found))
        _, first = np.unique(at[free], return_index=True)
        found[free[first]] = at[free[first]]
    return found


def find_gene(var: pd.DataFrame, gene: str) -> int:
    """Find a gene by its name, or by a symbol or identifier in a column of `var`.

    Parameters
    ----------
    var
        Genes, ``G`` rows.
    gene
        What the user calls it.

    Returns
    -------
    Its row.

    Raises
    ------
    UnknownNameError
        There is no such gene.

    Examples
    --------
    >>> find_gene(pd.DataFrame({"symbol": ["CD4", "CD8A"]}, index=["ENSG01", "ENSG02"]), "CD8A")
    1
    """
    found = np.flatnonzero(match_genes(var, [gene]) == 0)
    if found.size:
        return int(found[0])
    known = [str(name) for names in _columns(var) for name in names]
    msg = f"{gene!r} is not a gene of these cells; expected the name, symbol or identifier of one of {len(var):,}."
    raise UnknownNameError(msg + did_you_mean(gene, dict.fromkeys(known)))


def require_shared(
    found: NDArray[np.int64], *, var: pd.DataFrame, genes: Sequence[str], name: str, least: float
) -> None:
    """Check that the data share enough genes with a model.

    Parameters
    ----------
    found
        Positions as `match_genes` returns them.
    var, genes
        Genes of the data and of the model.
    name
        Name of the model, for the message.
    least
        Smallest fraction of the shorter list that both must have.

    Raises
    ------
    GenesError
        Fewer genes are shared.
    """
    n_shared, shorter = int((found >= 0).sum()), min(len(found), len(genes))
    if n_shared >= least * shorter and n_shared:
        return
    ours, theirs = (", ".join(repr(str(gene)) for gene in names[:3]) for names in (var.index, genes))
    msg = (
        f"{n_shared:,} of the {len(found):,} genes of the data are among the {len(genes):,} of {name}; "
        f"expected at least {least:.0%} of the shorter list. The data have genes such as {ours}, the model {theirs}. "
        "Give names of the same organism and kind in `var_names` or in a column of `var`."
    )
    raise GenesError(msg)


def _columns(var: pd.DataFrame) -> Iterator[pd.Index]:
    """Iterate over the names of the genes and all columns of text, as they are and without versions."""
    texts = [column for _, column in var.items() if not pd.api.types.is_numeric_dtype(column)]
    for column in (var.index, *texts):
        names = pd.Index([str(name) for name in column])
        yield names
        bare = [_VERSIONED.sub(r"\1", name) for name in names]
        if bare != list(names):
            yield pd.Index(bare)

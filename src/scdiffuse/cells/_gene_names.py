"""The genes of the data among those that a model of elsewhere knows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import GenesError

__all__ = ["match_genes", "require_shared"]

_VERSIONED = re.compile(r"^(ENS[A-Z]*\d+)\.\d+$")


def match_genes(var: pd.DataFrame, known: Sequence[str]) -> NDArray[np.int64]:
    """Find each gene of the data among known ones.

    Genes are looked up by their names first, then by each column of text in turn, such as ``gene_ids`` or
    ``feature_name``; Ensembl ids match whatever their version. A known gene is given to the first that asks for it.

    Parameters
    ----------
    var
        Genes of the data, ``G`` rows.
    known
        Names of the known genes, each once.

    Returns
    -------
    Position of each gene among the known ones, shape ``(G,)``; -1 where it is not known.

    Examples
    --------
    >>> var = pd.DataFrame({"gene_ids": ["ENSG01", "ENSG02.3"]}, index=["CD4", "renamed"])
    >>> match_genes(var, ["x", "CD4", "ENSG02"]).tolist()
    [1, 2]
    """
    index = pd.Index(known)
    found = np.full(len(var), -1, dtype=np.int64)
    for names in _columns(var):
        at = index.get_indexer(names)
        free = np.flatnonzero((found < 0) & (at >= 0) & ~np.isin(at, found))
        _, first = np.unique(at[free], return_index=True)
        found[free[first]] = at[free[first]]
    return found


def require_shared(
    found: NDArray[np.int64], *, var: pd.DataFrame, known: Sequence[str], name: str, least: float
) -> None:
    """Refuse genes that hardly meet.

    Parameters
    ----------
    found
        What `match_genes` returned.
    var, known
        The two lists.
    name
        What knows the genes, for the message.
    least
        Smallest share of the shorter list that must be shared.

    Raises
    ------
    GenesError
        Fewer genes are shared.
    """
    n_shared, shorter = int((found >= 0).sum()), min(len(found), len(known))
    if n_shared >= least * shorter and n_shared:
        return
    ours, theirs = (", ".join(repr(str(gene)) for gene in genes[:3]) for genes in (var.index, known))
    msg = (
        f"{n_shared:,} of the {len(found):,} genes of the data are among the {len(known):,} that {name} knows; "
        f"expected at least {least:.0%} of the shorter list. The data have genes such as {ours}, it knows {theirs}. "
        "Give names of the same organism and kind in `var_names` or in a column of `var`."
    )
    raise GenesError(msg)


def _columns(var: pd.DataFrame) -> Iterator[pd.Index]:
    """Visit the names of the genes and all text that stands beside them, as it is and without versions."""
    texts = [column for _, column in var.items() if not pd.api.types.is_numeric_dtype(column)]
    for column in (var.index, *texts):
        names = pd.Index([str(name) for name in column])
        yield names
        bare = [_VERSIONED.sub(r"\1", name) for name in names]
        if bare != list(names):
            yield pd.Index(bare)

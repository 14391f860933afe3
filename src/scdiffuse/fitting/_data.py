"""Cells that a model is fitted to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import CountsError
from scdiffuse.cells import (
    Cells,
    Conditions,
    ConditionTable,
    JoinedSource,
    Source,
    check_counts,
    open_source,
    select_genes,
)
from scdiffuse.foundation import Foundation
from scdiffuse.model import Networks

__all__ = ["Data", "read_data"]

_FEWEST_CELLS = 30


@dataclass(frozen=True, kw_only=True)
class Data:
    """Cells that were found fit to learn from."""

    source: Source
    """Counts of the kept genes."""
    cells: NDArray[np.int64]
    """Rows with at least one count."""
    conditions: Conditions
    table: ConditionTable
    """Conditions of those rows."""
    var: pd.DataFrame
    """The kept genes."""
    genes_report: str
    on_disk: bool
    latent: Foundation | None = None
    """Latents that were learnt elsewhere."""
    start: Callable[[Networks], None] | None = None
    """Puts what another model has learnt into new networks."""

    def summary(self) -> dict[str, Any]:
        """Describe the data for the model card."""
        totals = np.concatenate([np.asarray(rows.sum(axis=1)).ravel() for _, rows in self.source.blocks()])
        labels = {
            name: {
                str(label): int(n)
                for label, n in zip(known, np.bincount(codes[codes >= 0], minlength=len(known)), strict=True)
            }
            for (name, known), codes in zip(self.conditions.categorical.items(), self.table.codes.T, strict=True)
        }
        return {
            "n_cells": len(self.cells),
            "n_genes": self.source.n_genes,
            "n_counts": int(totals[self.cells].sum(dtype=np.float64)),
            "median_counts": int(np.median(totals[self.cells])),
            "genes": self.genes_report,
            "labels": labels,
            "ranges": {name: (seen.min, seen.max) for name, seen in self.conditions.continuous.items()},
        }


def read_data(
    adata: Cells,
    *,
    conditions: Sequence[str],
    continuous: Sequence[str],
    layer: str | None,
    min_cells: int,
    latent: Foundation | None = None,
) -> Data:
    """Check cells and choose genes.

    Parameters
    ----------
    adata
        Cells with raw counts, as for `CellGenerator`.
    conditions, continuous
        Columns of `obs`; a single one may be given as text.
    layer
        Layer with raw counts.
    min_cells
        Cells that a gene must be found in.
    latent
        Latents that were learnt elsewhere; they may choose the genes themselves.

    Raises
    ------
    CountsError
        The values are not raw counts, or there are too few cells.
    GenesError
        Too few genes are known to `latent`.
    """
    names = [_listed(conditions), _listed(continuous)]
    whole = check_counts(adata, layer=layer)
    known = Conditions.from_obs(whole.obs, *names)
    _require_cells(whole.n_cells)
    selection = select_genes(whole, min_cells=min_cells, genes=latent.choose_genes(whole.var) if latent else None)
    cells = np.flatnonzero(selection.cells_keep).astype(np.int64)
    if len(cells) < whole.n_cells:
        _require_cells(len(cells))
        known = Conditions.from_obs(whole.obs.iloc[cells], *names)
    genes = list(whole.genes[selection.keep])
    source = open_source(adata, layer=layer, genes=genes, obsm_key=latent.obsm_key if latent else None)
    return Data(
        source=source,
        cells=cells,
        conditions=known,
        table=known.encode(source.obs.iloc[cells]),
        var=whole.var[selection.keep].copy(),
        genes_report=" ".join([*([whole.report] if isinstance(whole, JoinedSource) else []), selection.report()]),
        on_disk=not isinstance(adata, ad.AnnData) or adata.isbacked,
        latent=latent,
    )


def _require_cells(n: int) -> None:
    if n < _FEWEST_CELLS:
        msg = f"There are {n} cells with counts; expected at least {_FEWEST_CELLS} to fit a model to, and some hundreds"
        raise CountsError(msg + " to fit a good one. Add cells, or pool conditions.")


def _listed(names: Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)

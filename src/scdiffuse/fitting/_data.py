"""Cells that a model is fitted to."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import CountsError, ScdiffuseWarning
from scdiffuse.calibration import CalibrationConfig, ConditionGrid, Pseudobulk
from scdiffuse.cells import (
    CellData,
    Conditions,
    ConditionTable,
    CountStatistics,
    JoinedSource,
    Source,
    SourceWithEmbedding,
    collect_statistics,
    find_counts,
    mask_labels,
    open_source,
)
from scdiffuse.fitting._label_features import align_features, check_features
from scdiffuse.foundation import Foundation
from scdiffuse.model import DataSummary

__all__ = ["TrainingData", "read_data"]

_FEWEST_CELLS = 30


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Cells that were found fit to learn from, and what one pass over their counts found."""

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
    library_sizes: NDArray[np.float64]
    """Counts of those rows in the kept genes."""
    pseudobulk: Pseudobulk
    on_disk: bool
    latent: Foundation | None = None
    """A pretrained latent space."""
    label_features: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """Features of the labels of conditions that have unseen ones, each ``(n_labels, F)``; NaN where there are none."""
    round_counts: bool = False
    """Whether counts with decimals were rounded."""

    def summary(self) -> DataSummary:
        """Describe the data for the model card."""
        labels = {
            name: {
                str(label): int(n)
                for label, n in zip(known, np.bincount(codes[codes >= 0], minlength=len(known)), strict=True)
            }
            for name, codes in zip(self.conditions.categorical, self.table.codes.T, strict=True)
            for known in [self.conditions.trained(name)]
        }
        found: DataSummary = {
            "n_cells": len(self.cells),
            "n_genes": self.source.n_genes,
            "n_counts": int(self.library_sizes.sum()),
            "median_counts": int(np.median(self.library_sizes)),
            "genes": self.genes_report,
            "labels": labels,
            "ranges": {name: (seen.min, seen.max) for name, seen in self.conditions.continuous.items()},
        }
        if self.round_counts:
            found["round_counts"] = True
        if isinstance(self.source, SourceWithEmbedding):
            found["embedding"] = _digest(self.source.embedding)
        if self.label_features:
            found["features"] = {
                name: {"n_unseen": len(self.conditions.unseen[name]), "sha256": _digest(table)}
                for name, table in self.label_features.items()
            }
        return found


def read_data(  # noqa: PLR0913 - everything that decides what is learnt from
    adata: CellData,
    *,
    conditions: Sequence[str],
    continuous: Sequence[str],
    layer: str | None,
    min_cells: int,
    calibration: CalibrationConfig,
    latent: Foundation | None = None,
    condition_features: Mapping[str, pd.DataFrame] | None = None,
    round_counts: bool = False,
    progress: bool = False,
) -> TrainingData:
    """Check cells, choose genes and add counts up, in one pass over the counts.

    A second pass follows only where cells are left out whose labels nobody else has.

    Parameters
    ----------
    adata
        Cells with raw counts, as for `CellGenerator`.
    conditions, continuous
        Columns of `obs`; a single one may be given as text.
    layer
        Layer with raw counts; `X`, or the one place that holds counts, if not given.
    min_cells
        Cells that a gene must be detected in.
    calibration
        Settings of the grid of conditions.
    latent
        A pretrained latent space, which may choose the genes itself.
    condition_features
        Features of labels, by condition; those that no cell has become unseen labels.
    round_counts
        Round values with decimals to whole counts.
    progress
        Show a bar.

    Raises
    ------
    CountsError
        The values are not raw counts, or there are too few cells.
    GenesError
        Too few genes are known to `latent`.
    """
    names = [_listed(conditions), _listed(continuous)]
    features = check_features(condition_features, names[0])
    described = {name: list(table.index) for name, table in features.items()}
    adata, layer, found = find_counts(adata, layer=layer, round_counts=round_counts)
    whole = open_source(adata, layer=layer, round_counts=round_counts)
    if isinstance(whole, JoinedSource):
        whole.require_columns([*names[0], *names[1]])
    genes = latent.choose_genes(whole.var) if latent else None
    obs, messages = mask_labels(whole.obs, names[0])
    for message in (found, *messages) if found else messages:
        warnings.warn(message, ScdiffuseWarning, stacklevel=4)
    _require_cells(whole.n_cells)
    known = Conditions.from_obs(obs, *names, described=described)

    def read(groups: tuple[NDArray[np.int64], int] | None) -> CountStatistics:
        return collect_statistics(
            whole, data=adata, layer=layer, min_cells=min_cells, genes=genes, groups=groups, progress=progress
        )

    grid, table = _grid(known, obs, calibration)
    statistics = read(grid.groups(table) if grid else None)
    selection = statistics.selection
    cells = np.flatnonzero(selection.cells_keep).astype(np.int64)
    if len(cells) < whole.n_cells:
        _require_cells(len(cells))
        before = grid
        obs, messages = mask_labels(obs.iloc[cells], names[0])
        for message in messages:
            warnings.warn(message, ScdiffuseWarning, stacklevel=4)
        known = Conditions.from_obs(obs, *names, described=described)
        grid, kept = _grid(known, obs, calibration)
        if grid is not None and not _have_same_groups(grid, before):
            groups = np.full(whole.n_cells, len(grid.pooled), dtype=np.int64)
            groups[cells], n_groups = grid.groups(kept)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ScdiffuseWarning)  # the first pass has told
                statistics = read((groups, n_groups))
    source = open_source(
        adata,
        layer=layer,
        genes=list(whole.genes[selection.keep]),
        obsm_key=latent.obsm_key if latent else None,
        round_counts=round_counts,
    )
    n_pooled = len(grid.pooled) if grid else 0
    return TrainingData(
        source=source,
        cells=cells,
        conditions=known,
        table=known.encode(obs),
        var=whole.var[selection.keep].copy(),
        genes_report=" ".join([*([whole.report] if isinstance(whole, JoinedSource) else []), selection.report()]),
        library_sizes=statistics.library_sizes[cells],
        pseudobulk=Pseudobulk(
            counts=statistics.group_counts[:n_pooled],
            others=statistics.group_counts[n_pooled:].sum(axis=0),
            detected=statistics.n_cells_by_gene / len(cells),
            n_cells=len(cells),
        ),
        on_disk=not isinstance(adata, ad.AnnData) or adata.isbacked,
        latent=latent,
        label_features=align_features(features, known),
        round_counts=round_counts,
    )


def _digest(table: NDArray[np.floating]) -> str:
    """Return what tells a table of numbers from another."""
    return hashlib.sha256(np.ascontiguousarray(table).tobytes()).hexdigest()[:16]


def _grid(
    known: Conditions, obs: pd.DataFrame, config: CalibrationConfig
) -> tuple[ConditionGrid | None, ConditionTable]:
    table = known.encode(obs)
    return ConditionGrid.of(known.n_labels, table.distinct(), config), table


def _have_same_groups(grid: ConditionGrid, before: ConditionGrid | None) -> bool:
    """Tell whether two grids put cells into the same groups."""
    return (
        before is not None
        and grid.n_labels == before.n_labels
        and np.array_equal(grid.seen[grid.pooled], before.seen[before.pooled])
    )


def _require_cells(n: int) -> None:
    if n < _FEWEST_CELLS:
        msg = f"There are {n} cells with counts; expected at least {_FEWEST_CELLS} to fit a model to, and some hundreds"
        raise CountsError(msg + " to fit a good one. Add cells, or pool conditions.")


def _listed(names: Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)

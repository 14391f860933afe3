"""Power curves: how well a classifier tells generated from real cells, against the cells that it learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError
from scdiffuse._core.random import generator
from scdiffuse.evaluation._feature_space import FeatureSpace, fit_space
from scdiffuse.evaluation._opening import CellsOrPath, open_cells
from scdiffuse.evaluation._reading import ReadSettings, Sample, read_sample, shared_genes
from scdiffuse.evaluation._report_types import CurveRow
from scdiffuse.evaluation._stratified import stratified_order
from scdiffuse.metrics import (
    CellFeatures,
    ClassifierKind,
    CurvePoint,
    cells_needed,
    count_hashes,
    depth_features,
    learning_curve,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CurveSpace", "curve_rows", "power_curve", "power_summary"]

CurveSpace: TypeAlias = Literal["genes", "counts", "depth"]
_N_TREES = 100
_MOST_CELLS = 20_000
_TARGETS = (0.55, 0.60)


def power_curve(  # noqa: PLR0913, PLR0917 - one flat call is what users write
    real: CellsOrPath,
    generated: CellsOrPath,
    sizes: Sequence[int] = (250, 500, 1000, 2000, 4000),
    classifiers: Sequence[ClassifierKind] = ("forest", "logistic", "boosting", "network"),
    spaces: Sequence[CurveSpace] = ("genes", "depth"),
    seeds: Sequence[int] = (0, 1, 2),
    *,
    fit: CellsOrPath | None = None,
    by: str | None = None,
    layer: str | None = None,
    n_genes: int = 2000,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Measure the AUC of classifiers between real and generated cells against the number of cells they learn from.

    An AUC says little without the number of cells behind it: it grows with them. A classifier learns from ``sizes``
    cells a side and is scored on others, a quarter of the cells. Two halves of the real cells, compared in this way,
    are the real-vs-real reference. Draws are stratified by label and repeated once for each seed.

    Parameters
    ----------
    real
        Held-out real cells, as many as there are: the largest size is three quarters of them, and three eighths for the
        reference.
    generated
        Cells to evaluate, best as many as real ones or more.
    sizes
        Cells a side to learn from; sizes that the cells do not allow are left out, and the largest possible is added.
    classifiers
        Classifiers.
    spaces
        ``"genes"``: log-normalised genes; ``"counts"``: raw counts; ``"depth"``: six features of the shape of a cell's
        counts (see `scdiffuse.metrics.depth_features`).
    seeds
        One draw of cells each.
    fit
        Cells that the generator was fitted to; genes are chosen on them, and their number is noted. Without them genes
        are chosen on the real cells.
    by
        Column of ``obs`` with the cell type, by which draws are stratified.
    layer
        Layer with the raw counts; ``X``, or the one place that holds counts, when not given.
    n_genes
        Most genes that classifiers read; depth features read all genes.
    n_jobs
        Threads of a forest.

    Returns
    -------
    One row for each of sample (``"generated"``, ``"real"`` for the reference), space, classifier, seed and size:
    ``n_cells`` learnt from and ``n_tested`` scored, both a side, ``auc``, ``low``, ``high``, and ``n_fitted``.
    `power_summary` turns it into the number of cells that a classifier needs.

    Raises
    ------
    CountsError
        Real cells hold other values than raw counts, or too few cells are given.
    GenesError
        The samples share too few genes.
    UnknownNameError
        The column or layer is unknown.
    SettingError
        A classifier or space is unknown, or there are too few cells to learn from.
    DataFileError
        A path does not lead to readable cells.
    """
    import pandas as pd

    for space in spaces:
        if space not in get_args(CurveSpace):
            msg = f"`spaces` holds {space!r}, expected any of {', '.join(get_args(CurveSpace))}."
            raise SettingError(msg)
    tables = {"real": open_cells(real, "real", layer=layer), "generated": open_cells(generated, "generated")}
    if fit is not None:
        tables["train"] = open_cells(fit, "train", layer=layer)
    samples, space_of_genes = _read(tables, by=by, layer=layer, n_genes=n_genes)
    tests = [(classifier, space) for space in spaces for classifier in classifiers]
    rows: list[CurveRow] = []
    for seed in seeds:
        drawn = {role: _draw(cells, seed=seed, role=role) for role, cells in samples.items()}
        halves = [drawn["real"].take(slice(k, None, 2)) for k in (0, 1)]
        pairs = {"generated": (drawn["real"], drawn["generated"]), "real": (halves[0], halves[1])}
        rows += curve_rows(
            pairs, tests, sizes=sizes, chosen=space_of_genes.chosen, n_trees=_N_TREES, seed=seed, n_jobs=n_jobs
        )
    table = pd.DataFrame(rows)
    table["n_fitted"] = 0 if fit is None else tables["train"].n_obs
    return table


def curve_rows(
    pairs: Mapping[str, tuple[CellFeatures, CellFeatures]],
    tests: Sequence[tuple[ClassifierKind, CurveSpace]],
    *,
    sizes: Sequence[int],
    chosen: NDArray[np.int64],
    n_trees: int,
    seed: int,
    n_jobs: int,
) -> list[CurveRow]:
    """Measure the points of one draw.

    Parameters
    ----------
    pairs
        Two samples in random order, by name: ``"generated"``, and ``"real"`` for the reference.
    tests
        Classifiers, and the features that each reads.
    sizes
        Cells a side to learn from.
    chosen
        Columns of the counts that classifiers read.
    n_trees
        Trees of a forest.
    seed
        Seed of the draw.
    n_jobs
        Threads of a forest.

    Returns
    -------
    One row for each pair, test and size.
    """
    rows: list[CurveRow] = []
    for sample, (one, other) in pairs.items():
        copies = (count_hashes(one.counts), count_hashes(other.counts))
        for classifier, space in tests:
            x, y = (_features(cells, space, chosen) for cells in (one, other))
            points = learning_curve(
                x, y, sizes=sizes, kind=classifier, copies=copies, n_trees=n_trees, seed=seed, n_jobs=n_jobs
            )
            rows += [_row(point, sample=sample, space=space, classifier=classifier, seed=seed) for point in points]
    return rows


def power_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Sum up a power curve: the AUC at each size, and the cells that a classifier needs to reach .55 and .60.

    Parameters
    ----------
    table
        From `power_curve`.

    Returns
    -------
    One row for each sample, space and classifier, with the mean AUC over seeds at each size (columns ``250``, ``500``,
    ...; the largest size as ``all``), ``n_all`` cells at that size, and ``cells_to_55`` and ``cells_to_60``: infinity
    where the AUC does not get there within eight times the cells measured.
    """
    import pandas as pd

    found = []
    for (sample, space, classifier), own in table.groupby(["sample", "space", "classifier"], sort=False):
        is_most = own["n_cells"] == own.groupby("seed")["n_cells"].transform("max")  # fewer where copies are left out
        means = own[~is_most].groupby("n_cells")["auc"].mean()
        row: dict[str, Any] = {"sample": sample, "space": space, "classifier": classifier}
        row |= {str(size): float(mean) for size, mean in means.items()}
        row |= {"all": float(own.loc[is_most, "auc"].mean()), "n_all": int(own["n_cells"].max())}
        for target in _TARGETS:
            row[f"cells_to_{100 * target:.0f}"] = cells_needed(list(own["n_cells"]), list(own["auc"]), target=target)
        found.append(row)
    sizes = sorted({int(size) for row in found for size in row if size.isdigit()})
    order = ["sample", "space", "classifier", *map(str, sizes), "all", "n_all"]
    return pd.DataFrame(found, columns=[*order, *(f"cells_to_{100 * target:.0f}" for target in _TARGETS)])


def _row(point: CurvePoint, *, sample: str, space: str, classifier: str, seed: int) -> CurveRow:
    return {
        "sample": sample,
        "space": space,
        "classifier": classifier,
        "seed": seed,
        "n_cells": point.n_cells,
        "n_tested": point.n_tested,
        "auc": point.auc,
        "low": point.low,
        "high": point.high,
    }


def _draw(cells: CellFeatures, *, seed: int, role: str) -> CellFeatures:
    return cells.take(stratified_order(cells.labels, cells.n_cells, generator(seed, "power", role)))


def _features(cells: CellFeatures, space: CurveSpace, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """Compute the features of a space, shape ``(N, F)``."""
    if space == "genes":
        return cells.genes
    if space == "depth":
        return depth_features(cells.counts)
    return np.asarray(cells.counts[:, chosen].toarray(), dtype=np.float32)


def _read(
    tables: dict[str, ad.AnnData], *, by: str | None, layer: str | None, n_genes: int
) -> tuple[dict[str, CellFeatures], FeatureSpace]:
    """Read real and generated cells, with genes chosen on the cells of the fit."""
    genes = shared_genes(tables)
    settings = ReadSettings(limits=dict.fromkeys(tables, _MOST_CELLS), layer=layer, by=by, donor=None, seed=0)
    samples: dict[str, Sample] = {
        role: read_sample(table, role=role, genes=genes, settings=settings) for role, table in tables.items()
    }
    space = fit_space(samples.pop("train", samples["real"]), genes, n_genes=n_genes, n_pcs=2)
    return {role: space.features(sample) for role, sample in samples.items()}, space

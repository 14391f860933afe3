"""What the measurements of cells on disk say on the page, and the cells that they are made of."""

from __future__ import annotations

import argparse
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from benchmarks.records import Store
from benchmarks.studies import on_disk, shuffling
from benchmarks.study import Context
from tests.benchmarks.conftest import record

import scdiffuse


def test_genes_are_the_most_counted_and_repeated_where_too_few() -> None:
    cells = scdiffuse.datasets.pbmc68k()[:20].copy()
    few, many = on_disk.widen(cells, 5), on_disk.widen(cells, 2 * cells.n_vars + 3)
    totals = np.asarray(cells.X.sum(axis=0)).ravel()
    assert np.asarray(few.X.sum(axis=0)).ravel().tolist() == sorted(totals)[:-6:-1]
    assert many.var_names.is_unique
    assert many.X[:, :3].sum() * 3 == many.X[:, [0, 1, 2, *(cells.n_vars + at for at in range(3)), -3, -2, -1]].sum()


def test_an_epoch_is_read_beside_rows_in_order(tmp_path: Path) -> None:
    cells = scdiffuse.datasets.pbmc68k()[:300].copy()
    (tmp_path / "300x20").mkdir()
    ad.AnnData(cells.X, var=cells.var[[]]).write_h5ad(tmp_path / "cells.h5ad")
    scdiffuse.shard(tmp_path / "cells.h5ad", tmp_path / "300x20" / "shards", progress=False)
    options = argparse.Namespace(cells=300, genes=20)
    found = on_disk.read(Context(options=options, store=Store(tmp_path, "on_disk", ()), work=tmp_path))
    assert found["values_a_cell"] == cells.X.nnz / 300
    fraction = found["epoch_warm_rows_per_second"] / found["sequential_warm_rows_per_second"]
    assert found["fraction_of_sequential_warm"] == fraction


def test_a_fit_begins_with_the_same_numbers_whether_statistics_were_kept_or_not(tmp_path: Path) -> None:
    cells = scdiffuse.datasets.pbmc68k()[:300].copy()
    (tmp_path / "300x20").mkdir()
    ad.AnnData(cells.X, obs=cells.obs[["cell_type"]], var=cells.var[[]]).write_h5ad(tmp_path / "cells.h5ad")
    scdiffuse.shard(tmp_path / "cells.h5ad", tmp_path / "300x20" / "shards", progress=False)
    options = argparse.Namespace(cells=300, genes=20)
    found = on_disk.begin(Context(options=options, store=Store(tmp_path, "on_disk", ()), work=tmp_path))
    assert found["largest_difference"] == 0.0
    assert {"kept_cold_seconds", "pass_cold_seconds"} <= found.keys()


def test_measures_stand_beside_their_goals_by_size() -> None:
    found = [
        record("on_disk", {"peak_mib": value}, phase="fit", cells=cells, genes=5)
        for cells, value in ((20, 3.0), (10, 2.0))
    ]
    table = on_disk.lines(found)[-1].splitlines()[2:]
    assert [line.split(" | ")[0] for line in table] == ["| 10", "| 20"]
    assert "| 5 | fit | peak_mib | 2 | 2048 |" in table[0]


def test_the_page_of_mixing_states_means_over_seeds() -> None:
    found = [
        record(
            "shuffling",
            [{"way": way, "nats": 100.0 + seed, "cells": 7} for way in shuffling.WAYS],
            seed=seed,
            epochs=2,
        )
        for seed in (0, 1, 2)
    ]
    assert "| shards | 101.00 \u00b1 1.00 | 3 |" in shuffling.lines(found)[-1]


def test_every_place_of_cells_is_trained_on(toy: ad.AnnData) -> None:
    kept = toy[toy.obs["cell_type"].isin(["a", "b"])].copy()
    found = shuffling.compare(ad.concat([kept] * 4, index_unique="-"), epochs=1, seed=0)
    assert [one["way"] for one in found] == list(shuffling.WAYS)
    assert found[0]["nats"] == pytest.approx(found[1]["nats"], rel=0.2)

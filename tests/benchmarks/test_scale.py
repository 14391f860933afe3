"""What the measurements of cells on disk say on the page, and the cells that they are made of."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import anndata as ad
import numpy as np

import scdiffuse
from benchmarks import scale, shuffle


def test_genes_are_the_most_counted_and_repeated_where_too_few() -> None:
    cells = scdiffuse.datasets.pbmc68k()[:20].copy()
    few, many = scale.widen(cells, 5), scale.widen(cells, 2 * cells.n_vars + 3)
    totals = np.asarray(cells.X.sum(axis=0)).ravel()
    assert np.asarray(few.X.sum(axis=0)).ravel().tolist() == sorted(totals)[:-6:-1]
    assert many.var_names.is_unique
    assert many.X[:, :3].sum() * 3 == many.X[:, [0, 1, 2, *(cells.n_vars + at for at in range(3)), -3, -2, -1]].sum()


def test_an_epoch_is_read_beside_rows_in_order(tmp_path: Path) -> None:
    cells = scdiffuse.datasets.pbmc68k()[:300].copy()
    ad.AnnData(cells.X, var=cells.var[[]]).write_h5ad(tmp_path / "cells.h5ad")
    scdiffuse.shard(tmp_path / "cells.h5ad", tmp_path / "shards", progress=False)
    found = scale.read(tmp_path, argparse.Namespace(cells=300))
    assert found["values_a_cell"] == cells.X.nnz / 300
    share = found["epoch_warm_rows_per_second"] / found["sequential_warm_rows_per_second"]
    assert found["share_of_sequential_warm"] == share


def test_records_of_one_size_replace_each_other(tmp_path: Path) -> None:
    for cells, value in ((10, 1.0), (10, 2.0), (20, 3.0)):
        scale._write({"fit": {"peak_mib": value}}, argparse.Namespace(cells=cells, genes=5, out=tmp_path))
    page = scale.section(tmp_path)
    assert "| 10 | 5 | fit | peak_mib | 2 | 2048 |" in page
    assert "| 20 | 5 | fit | peak_mib | 3 | 2048 |" in page
    assert "| 1 | 2048" not in page
    assert scale.section(tmp_path / "nothing") == ""


def test_the_page_of_mixing_states_means_over_seeds(tmp_path: Path) -> None:
    records = [
        {"way": way, "seed": seed, "nats": 100.0 + seed, "cells": 7, "epochs": 2}
        for way in shuffle.WAYS
        for seed in (0, 1, 2)
    ]
    held = {"records": records, "machine": "a machine", "date": "today"}
    (tmp_path / shuffle.SHUFFLE_FILE).write_text(json.dumps(held), encoding="utf-8")
    assert "| shards | 101.00 ± 1.00 | 3 |" in shuffle.section(tmp_path)
    assert shuffle.section(tmp_path / "nothing") == ""

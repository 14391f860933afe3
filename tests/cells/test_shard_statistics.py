"""What is kept with shards is what a pass over their counts finds, value for value."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from scdiffuse._core.errors import CountsError, DataFileError, GenesError
from scdiffuse._core.folders import SHARDS
from scdiffuse.calibration import CalibrationConfig
from scdiffuse.cells import (
    MIN_CELLS,
    CountStatistics,
    Prefetch,
    collect_statistics,
    damaged_shards,
    open_source,
    shard,
)
from scdiffuse.cells import _shard_statistics as kept
from scdiffuse.cells._shards import ShardSource
from scdiffuse.cells._totals import Groups
from scdiffuse.fitting import read_data

N_CELLS, N_GENES = 400, 60
FILE = "shard-statistics.safetensors"
pytestmark = pytest.mark.filterwarnings("ignore:.* cells have no count:UserWarning")


def _cells(seed: int, genes: range) -> ad.AnnData:
    """Draw cells with genes detected nowhere to nearly everywhere; some cells are empty or have a rare gene alone."""
    draw, at = np.random.default_rng(seed), np.arange(N_CELLS)
    chance = np.concatenate([np.zeros(2), np.geomspace(0.002, 0.9, N_GENES - 2)])
    counts = (draw.random((N_CELLS, N_GENES)) < chance) * draw.integers(1, 400, (N_CELLS, N_GENES))
    counts[:5] = 0
    counts[3, 2] = 4
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical(np.array([None, "T", "B", "NK", "absent"], dtype=object)[at % 5]),
            "donor": at // 7 % 2 + 10,
            "treated": np.where(at % 11 == 0, None, at % 2 == 0),
            "day": np.where(at % 10 == 7, np.nan, at % 3).astype(float),
            "depth": draw.random(N_CELLS),
        },
        index=[f"cell-{seed}-{one}" for one in at],
    )
    obs["treated"] = obs["treated"].astype("boolean")
    var = pd.DataFrame(index=[f"gene-{one}" for one in genes])
    return ad.AnnData(sp.csr_matrix(counts, dtype=np.float32), obs=obs, var=var)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Shards of one file, and of two files with the genes of both or of any; there is no room for groups by depth."""
    root = tmp_path_factory.mktemp("shards")
    paths = [root / "one.h5ad", root / "two.h5ad"]
    for seed, path in enumerate(paths):
        _cells(seed, range(20 * seed, 20 * seed + N_GENES)).write_h5ad(path)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kept, "_MOST_ENTRIES", 150 * 80)
        shard(paths[0], root / "one", cells_per_shard=250, progress=False)
        shard(paths, root / "union", genes="union", cells_per_shard=450, progress=False)
        shard(paths, root / "intersection", cells_per_shard=450, progress=False)
    return {name: root / name for name in ("one", "union", "intersection")}


@pytest.fixture(scope="module")
def sources(folders: dict[str, Path]) -> dict[str, ShardSource]:
    """Those shards, open."""
    found = {name: open_source(folder) for name, folder in folders.items()}
    return {name: source for name, source in found.items() if isinstance(source, ShardSource)}


@pytest.fixture
def folder(folders: dict[str, Path], tmp_path: Path) -> Path:
    """Shards that a test may harm."""
    return shutil.copytree(folders["one"], tmp_path / "shards")


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[ShardSource]:
    """List the sources that are read from the first cell to the last."""
    read: list[ShardSource] = []
    blocks = ShardSource.blocks

    def counted(self: ShardSource, n_rows: int = 4096) -> Iterator[tuple[slice, sp.csr_matrix]]:
        read.append(self)
        return blocks(self, n_rows)

    monkeypatch.setattr(ShardSource, "blocks", counted)
    return read


def _by(*names: str) -> Callable[[pd.DataFrame], Groups | None]:
    def group(obs: pd.DataFrame) -> Groups:
        codes = obs.groupby(list(names), dropna=False, observed=True, sort=True).ngroup().to_numpy()
        return codes.astype(np.int64), int(codes.max()) + 3  # groups may be empty

    return group if names else lambda _: None


def _both(
    source: ShardSource, monkeypatch: pytest.MonkeyPatch, **asked: object
) -> tuple[CountStatistics, CountStatistics]:
    """Collect statistics from what is kept, and from a pass."""
    found = collect_statistics(source, **asked)  # type: ignore[arg-type]
    with monkeypatch.context() as patched:
        patched.setattr(ShardSource, "read_statistics", lambda _: None)
        return found, collect_statistics(source, **asked)  # type: ignore[arg-type]


def _require_same(found: CountStatistics, expected: CountStatistics) -> None:
    pairs = [(getattr(found, name), getattr(expected, name)) for name in ("library_sizes", "group_counts")]
    names = ("keep", "n_cells_by_gene", "min_cells", "fraction_of_counts_dropped", "cells_keep")
    pairs += [(getattr(found.selection, name), getattr(expected.selection, name)) for name in names]
    for one, other in pairs:
        np.testing.assert_array_equal(one, other, strict=True)


@pytest.mark.parametrize("min_cells", [0, 1, 5, MIN_CELLS])
@pytest.mark.parametrize("name", ["one", "union", "intersection"])
@pytest.mark.parametrize("by", [(), ("cell_type",), ("treated", "donor"), ("day", "cell_type", "donor", "treated")])
def test_no_count_is_read_and_nothing_differs(
    sources: dict[str, ShardSource],
    passes: list[ShardSource],
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str,
    by: tuple[str, ...],
    min_cells: int,
) -> None:
    groups = _by(*by)(sources[name].obs)
    found, expected = _both(sources[name], monkeypatch, min_cells=min_cells, groups=groups)
    assert len(passes) == 1
    _require_same(found, expected)
    assert 0 < found.selection.cells_keep.sum() < found.library_sizes.size


@pytest.mark.parametrize(
    "asked",
    [
        {"min_cells": MIN_CELLS + 30},
        {"genes": ["gene-59", "gene-3", "gene-50"]},
        {"groups": (np.arange(N_CELLS) % 7, 7)},
    ],
    ids=["more cells", "genes", "groups"],
)
def test_what_is_not_kept_is_read(
    sources: dict[str, ShardSource],
    passes: list[ShardSource],
    monkeypatch: pytest.MonkeyPatch,
    asked: dict[str, object],
) -> None:
    _require_same(*_both(sources["one"], monkeypatch, **asked))
    assert len(passes) == 2


def test_genes_named_beside_rare_ones_are_found(
    sources: dict[str, ShardSource], passes: list[ShardSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = sources["one"]
    n_cells = collect_statistics(source).selection.n_cells_by_gene
    names = [name for name, n in zip(source.genes, n_cells, strict=True) if n >= MIN_CELLS or n in {3, 4, 5}]
    assert (n_cells >= MIN_CELLS).sum() < len(names) < N_GENES
    found, expected = _both(source, monkeypatch, genes=names[::-1])
    assert len(passes) == 1
    _require_same(found, expected)


def test_a_fit_is_given_the_same_data(folders: dict[str, Path], passes: list[ShardSource]) -> None:
    shards = open_source(folders["one"])
    held = ad.AnnData(shards.rows(np.arange(N_CELLS)), obs=shards.obs, var=shards.var)
    asked = {"conditions": ["cell_type", "treated"], "continuous": ["day"], "layer": None, "min_cells": 10}
    calibration = CalibrationConfig(most_combinations=7)
    found, expected = (read_data(one, calibration=calibration, **asked) for one in (folders["one"], held))  # type: ignore[arg-type]
    assert not passes
    assert len(found.cells) == N_CELLS - 5
    assert found.summary() == expected.summary()
    for one, other in zip(found.pseudobulk, expected.pseudobulk, strict=True):
        np.testing.assert_array_equal(one, other)


def test_columns_join_the_groups_as_long_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    obs = _cells(0, range(N_GENES)).obs
    for most, names in (
        (1, []),
        (2, ["donor"]),
        (5, ["donor"]),
        (6, ["donor", "treated"]),
        (24, ["donor", "treated", "day"]),
        (N_CELLS - 1, ["donor", "treated", "day", "cell_type"]),
        (N_CELLS, list(obs)),
    ):
        monkeypatch.setattr(kept, "_MOST_ENTRIES", most * N_GENES + N_GENES - 1)
        group_of, n_groups = kept.group_labels(obs, N_GENES)
        pairs = pd.DataFrame({"group": group_of, "label": _by(*names)(obs)[0] if names else 0})  # type: ignore[index]
        assert n_groups == pairs["group"].nunique() == pairs["label"].nunique() == len(pairs.drop_duplicates())


def test_counts_of_a_rare_gene_are_held_for_few_cells(sources: dict[str, ShardSource]) -> None:
    source = sources["one"]
    held = source.read_statistics()
    assert held is not None
    dense = source.rows(np.arange(N_CELLS)).toarray()
    few = (dense > 0).sum(axis=0) < MIN_CELLS
    rare = sp.csr_matrix((held.rare.counts, (held.rare.rows, held.rare.genes)), shape=dense.shape)
    np.testing.assert_array_equal(rare.toarray(), dense * few)
    assert few.sum() > 10


def _without_statistics(folder: Path) -> None:
    """Leave a folder as earlier versions made it."""
    index = json.loads((folder / "shards.json").read_text())
    del index["statistics"]
    (folder / "shards.json").write_text(json.dumps(index))
    (folder / FILE).unlink()


def test_a_folder_of_an_earlier_version_is_read(
    folder: Path, folders: dict[str, Path], passes: list[ShardSource]
) -> None:
    groups = _by("cell_type")(open_source(folder).obs)
    expected = collect_statistics(open_source(folder), groups=groups)
    assert not passes
    _without_statistics(folder)
    _require_same(collect_statistics(open_source(folder), groups=groups), expected)
    assert len(passes) == 1
    assert not damaged_shards(folder)
    shard(folders["union"], folder, overwrite=True, progress=False)
    assert (folder / FILE).is_file()


def test_the_statistics_belong_to_the_folder(folder: Path) -> None:
    assert FILE in (SHARDS.files(folder) or ())
    _without_statistics(folder)
    assert FILE not in (SHARDS.files(folder) or ())


def test_a_damaged_file_is_reported(folder: Path) -> None:
    raw = bytearray((folder / FILE).read_bytes())
    raw[-1] ^= 1
    (folder / FILE).write_bytes(raw)
    with pytest.raises(DataFileError, match=rf"{FILE}' has another checksum; expected the one that `scdiffuse shard`"):
        collect_statistics(open_source(folder))
    assert len(damaged_shards(folder)) == 1


def test_statistics_of_other_cells_are_reported(folder: Path, folders: dict[str, Path]) -> None:
    other = json.loads((folders["union"] / "shards.json").read_text())
    index = json.loads((folder / "shards.json").read_text()) | {"statistics": other["statistics"]}
    (folder / "shards.json").write_text(json.dumps(index))
    (folder / FILE).write_bytes((folders["union"] / FILE).read_bytes())
    with pytest.raises(DataFileError, match="is of 800 cells x 80 genes"):
        collect_statistics(open_source(folder))


def test_messages_are_those_of_a_pass(tmp_path: Path) -> None:
    cells = _cells(0, range(N_GENES))
    cells = cells[:, np.asarray((cells.X > 0).sum(axis=0)).ravel() < MIN_CELLS].copy()
    for name, counts in (("rare", cells.X), ("empty", sp.csr_matrix(cells.shape, dtype=np.float32))):
        ad.AnnData(counts, obs=cells.obs, var=cells.var).write_h5ad(tmp_path / f"{name}.h5ad")
        shard(tmp_path / f"{name}.h5ad", tmp_path / name, progress=False)
    with pytest.raises(GenesError, match="No gene is detected in at least 10 of the 400 cells"):
        collect_statistics(open_source(tmp_path / "rare"))
    with pytest.raises(CountsError, match="All 400 cells are empty"):
        collect_statistics(open_source(tmp_path / "empty"))


@pytest.mark.parametrize("column", [-1, N_GENES, 2**30])
def test_columns_are_checked_where_no_pass_did(folder: Path, column: int) -> None:
    """Compiled code that takes rows apart checks nothing."""
    with h5py.File(folder / "shard-00000.h5ad", "r+") as file:
        file["X"]["indices"][40] = column
    source = open_source(folder)
    with (
        pytest.raises(DataFileError, match=f"has a value in column {column} of 60"),
        Prefetch(source, iter([np.arange(64)])) as prefetch,
    ):
        prefetch.rows(np.arange(32))


def test_starts_of_rows_are_checked(folder: Path) -> None:
    with h5py.File(folder / "shard-00001.h5ad", "r+") as file:
        file["X"]["indptr"][40] = -5
    with pytest.raises(DataFileError, match=r"shard-00001.h5ad' has starts of rows"):
        open_source(folder)

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from scdiffuse._core.errors import (
    CountsError,
    DataFileError,
    GenesError,
    OutputExistsError,
    ScdiffuseWarning,
    SettingError,
    UnknownNameError,
)
from scdiffuse._core.files import sha256
from scdiffuse.cells import check_counts, open_source, shard


@pytest.fixture
def file(adata: ad.AnnData, tmp_path: Path) -> Path:
    """Sixty cells, sorted by type."""
    adata = adata[np.argsort(adata.obs["cell_type"].cat.codes, kind="stable")].copy()
    adata.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


@pytest.fixture
def other(adata: ad.AnnData, tmp_path: Path) -> Path:
    """Twenty of the cells under the same names, with 20 of the genes in another order and 5 more."""
    part = adata[:20, [*range(29, 9, -1)]]
    more = sp.csr_matrix(np.full((20, 5), 300.0, dtype=np.float32))
    var = pd.DataFrame(index=[*part.var_names, *(f"new-{at}" for at in range(5))])
    obs = part.obs.drop(columns="day").assign(extra=1)
    obs["cell_type"] = pd.Categorical(["T", "Mono"] * 10, categories=["T", "Mono"])
    ad.AnnData(X=sp.hstack([part.X, more], format="csr"), obs=obs, var=var).write_h5ad(tmp_path / "other.h5ad")
    return tmp_path / "other.h5ad"


def _shards(folder: Path) -> ad.AnnData:
    """Read all shards with plain anndata."""
    return ad.concat([ad.read_h5ad(path) for path in sorted(folder.glob("*.h5ad"))], merge="same")


def test_shards_hold_the_same_cells(file: Path, adata: ad.AnnData, tmp_path: Path) -> None:
    made = shard(file, tmp_path / "shards", cells_per_shard=16, progress=False)
    assert (made.n_cells, made.n_genes, made.n_shards) == (60, 30, 4)
    assert made.report == "60 cells x 30 genes in 4 shards."
    held = _shards(tmp_path / "shards")
    assert sorted(held.obs_names) == sorted(adata.obs_names)
    again = held[adata.obs_names]
    assert np.array_equal(again.X.toarray(), adata.X.toarray())
    pd.testing.assert_frame_equal(again.obs, ad.read_h5ad(file).obs.loc[adata.obs_names])
    assert list(again.var_names) == list(adata.var_names)


def test_a_source_of_shards_reads_what_anndata_reads(file: Path, tmp_path: Path) -> None:
    shard(file, tmp_path / "shards", cells_per_shard=16, progress=False)
    held, source = _shards(tmp_path / "shards"), check_counts(tmp_path / "shards")
    assert list(source.obs.index) == list(held.obs_names)
    assert source.obs["cell_type"].cat.categories.tolist() == ["T", "NK", "B"]
    for wanted in (np.array([41, 3, 3, 59, 0, 15, 16]), np.arange(60), np.array([47, 48]), np.arange(10, 40, 2)):
        rows = source.rows(wanted)
        assert rows.dtype == np.float32
        assert np.array_equal(rows.toarray(), held.X[wanted].toarray())
    blocks = sp.vstack([block for _, block in source.blocks(7)])
    assert np.array_equal(blocks.toarray(), held.X.toarray())
    some = open_source(tmp_path / "shards", genes=["gene-7", "gene-2"])
    assert np.array_equal(some.rows(np.array([20, 5])).toarray(), held.X[[20, 5]][:, [7, 2]].toarray())


def test_the_order_is_random_and_belongs_to_the_seed(file: Path, tmp_path: Path) -> None:
    orders = []
    for at, seed in enumerate((0, 0, 1)):
        shard(file, tmp_path / str(at), seed=seed, progress=False)
        orders.append(list(open_source(tmp_path / str(at)).obs.index))
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    place = pd.Series(np.arange(60), index=open_source(file).obs.index)[orders[0]]
    assert abs(np.corrcoef(place, np.arange(60))[0, 1]) < 0.35


@pytest.mark.parametrize(("largest", "dtype"), [(3, "uint8"), (300, "uint16"), (70_000, "uint32")])
def test_counts_take_the_smallest_type_that_holds_them(
    adata: ad.AnnData, tmp_path: Path, *, largest: int, dtype: str
) -> None:
    adata.X = adata.X.minimum(2)
    adata.X[7, 0] = largest
    adata.write_h5ad(tmp_path / "cells.h5ad")
    shard(tmp_path / "cells.h5ad", tmp_path / "shards", progress=False)
    held = ad.read_h5ad(tmp_path / "shards" / "shard-00000.h5ad")
    assert held.X.dtype == dtype
    assert held.X.indices.dtype == np.int32
    assert held.X.max() == largest


@pytest.mark.parametrize("genes", ["intersection", "union"])
def test_files_with_different_genes_are_matched_by_name(file: Path, other: Path, tmp_path: Path, *, genes: str) -> None:
    made = shard([file, other], tmp_path / "shards", genes=genes, cells_per_shard=32, progress=False)  # type: ignore[arg-type]
    held = _shards(tmp_path / "shards")
    assert held.shape == (80, 20 if genes == "intersection" else 35)
    for path, n in ((file, 60), (other, 20)):
        single = ad.read_h5ad(path)
        mine = held[[f"{path.stem}:{name}" for name in single.obs_names]]
        assert mine.n_obs == n
        shared = [name for name in single.var_names if name in held.var_names]
        assert np.array_equal(mine[:, shared].X.toarray(), single[:, shared].X.toarray())
        absent = [name for name in held.var_names if name not in single.var_names]
        assert mine[:, absent].X.nnz == 0
        assert mine.obs["cell_type"].astype(str).tolist() == single.obs["cell_type"].astype(str).tolist()
    assert list(held.obs.columns) == ["cell_type", "donor", "treated", "note"]
    assert "20 genes are in all 2 files" in made.report
    left = 10 if genes == "intersection" else 0
    lines = made.report.splitlines()[-2:]
    assert lines[0] == f"cells: 60 cells, 30 genes, {left} left out; columns of obs that others lack: day."
    assert lines[1].endswith("columns of obs that others lack: extra.")


def test_cells_with_names_of_their_own_keep_them(file: Path, adata: ad.AnnData, tmp_path: Path) -> None:
    adata.obs_names = [f"more-{at}" for at in range(60)]
    adata.write_h5ad(tmp_path / "more.h5ad")
    shard([file, tmp_path / "more.h5ad"], tmp_path / "shards", progress=False)
    assert {"cell-3", "more-3"} <= set(open_source(tmp_path / "shards").obs.index)


def test_shards_hold_columns_that_are_text_in_one_file_and_something_else_in_another(
    file: Path, adata: ad.AnnData, tmp_path: Path
) -> None:
    adata.obs["donor"] = [f"d{at % 4}" for at in range(60)]
    adata.obs["note"] = np.nan
    adata.obs_names = [f"more-{at}" for at in range(60)]
    adata.write_h5ad(tmp_path / "more.h5ad")
    mixed = pd.DataFrame({"mixed": [1, "u", None] * 20}, index=adata.obs_names)
    with pytest.warns(ScdiffuseWarning, match="60 of 120 cells have no row"):
        shard([file, tmp_path / "more.h5ad"], tmp_path / "shards", labels=mixed, cells_per_shard=50, progress=False)
    obs = open_source(tmp_path / "shards").obs
    assert set(obs["donor"]) == {"10", "11", "12", "13", "d0", "d1", "d2", "d3"}
    assert obs.loc[["cell-1", "more-1"], "note"].isna().tolist() == [False, True]
    assert obs.loc[["more-0", "more-1"], "mixed"].tolist() == ["1", "u"]
    assert obs["mixed"].isna().sum() == 80


def test_categories_of_single_cells_are_held_once_and_keep_their_order(adata: ad.AnnData, tmp_path: Path) -> None:
    names = [f"barcode-{at}" for at in range(30)]
    adata.obs["barcode"] = pd.Categorical([names[at // 2] for at in range(60)], categories=names[::-1])
    adata.write_h5ad(tmp_path / "cells.h5ad")
    shard(tmp_path / "cells.h5ad", tmp_path / "shards", cells_per_shard=6, progress=False)
    held = [ad.read_h5ad(path).obs for path in sorted((tmp_path / "shards").glob("*.h5ad"))]
    assert [len(obs["barcode"].cat.categories) for obs in held[1:]] == [obs["barcode"].nunique() for obs in held[1:]]
    assert {len(obs["cell_type"].cat.categories) for obs in held} == {4}
    whole, found = open_source(tmp_path / "cells.h5ad").obs, open_source(tmp_path / "shards").obs
    pd.testing.assert_frame_equal(found.loc[whole.index], whole)


def test_shards_can_be_made_of_shards(file: Path, adata: ad.AnnData, tmp_path: Path) -> None:
    shard(file, tmp_path / "one", progress=False)
    shard(tmp_path / "one", tmp_path / "two", seed=3, cells_per_shard=20, progress=False)
    held = _shards(tmp_path / "two")
    assert np.array_equal(held[adata.obs_names].X.toarray(), adata.X.toarray())


def test_the_index_tells_each_shard(file: Path, tmp_path: Path) -> None:
    shard(file, tmp_path / "shards", cells_per_shard=40, progress=False)
    index = json.loads((tmp_path / "shards" / "shards.json").read_text())
    assert [held["n_cells"] for held in index["shards"]] == [40, 20]
    for held in [*index["shards"], index["statistics"]]:
        assert sha256(tmp_path / "shards" / held["file"]) == held["sha256"]
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == [
        "shard-00000.h5ad",
        "shard-00001.h5ad",
        "shard-statistics.safetensors",
        "shards.json",
    ]


def test_counts_elsewhere_are_found(adata: ad.AnnData, tmp_path: Path) -> None:
    adata.layers["counts"] = adata.X.copy()
    adata.X = adata.X * 0.5
    adata.write_h5ad(tmp_path / "cells.h5ad")
    made = shard(tmp_path / "cells.h5ad", tmp_path / "shards", progress=False)
    assert "cells: Counts are read from layer 'counts', the one place that holds them" in made.report
    assert open_source(tmp_path / "shards").rows(np.arange(60)).sum() == adata.layers["counts"].sum()
    with pytest.raises(CountsError, match=r"Layer 'half' of .* looks log-normalised"):
        shard(_with_layer(adata, tmp_path), tmp_path / "again", layer="half", progress=False)
    assert not (tmp_path / "again").exists()
    with pytest.raises(UnknownNameError, match=r"hold one matrix; expected none. Leave `layer` out"):
        open_source(tmp_path / "shards", layer="counts")


def _with_layer(adata: ad.AnnData, folder: Path) -> Path:
    adata.layers["half"] = adata.X.copy()
    adata.write_h5ad(folder / "half.h5ad")
    return folder / "half.h5ad"


def test_only_shards_are_overwritten_and_only_on_request(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    shard(file, out, progress=False)
    with pytest.raises(OutputExistsError, match="already exists"):
        shard(file, out, progress=False)
    shard(file, out, cells_per_shard=30, overwrite=True, progress=False)
    assert len(list(out.glob("*.h5ad"))) == 2
    (out / "shards.json").rename(out / "config.json")
    with pytest.raises(OutputExistsError, match="holds something other than shards"):
        shard(file, out, overwrite=True, progress=False)


def test_ctrl_c_leaves_nothing(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scdiffuse.cells._sharding._describe", interrupt)
    with pytest.raises(KeyboardInterrupt):
        shard(file, tmp_path / "shards", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["cells.h5ad"]


def test_mistakes_are_reported(file: Path, adata: ad.AnnData, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    with pytest.raises(SettingError, match="No file is given; expected at least one"):
        shard([], out)
    with pytest.raises(SettingError, match="`genes` is 'all'; expected 'intersection'"):
        shard(file, out, genes="all")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="`cells_per_shard` must be at least 1, got 0"):
        shard(file, out, cells_per_shard=0)
    with pytest.raises(DataFileError, match=r"is not a file; expected a `.h5ad`"):
        shard(tmp_path / "cell.h5ad", out)
    adata.var_names = [f"other-{at}" for at in range(30)]
    adata.write_h5ad(tmp_path / "foreign.h5ad")
    with pytest.raises(GenesError, match=r"have no gene in common .they begin with 'gene-0' and 'other-0'"):
        shard([file, tmp_path / "foreign.h5ad"], out, progress=False)
    assert not out.exists()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda folder: (folder / "shard-00000.h5ad").unlink(), "shard-00000.h5ad' is missing"),
        (lambda folder: (folder / "shard-00000.h5ad").write_bytes(b"x"), "has 1 bytes instead of"),
        (lambda folder: (folder / "shard-statistics.safetensors").unlink(), "shard-statistics.safetensors' is missing"),
        (lambda folder: (folder / "shard-statistics.safetensors").write_bytes(b"x"), "has 1 bytes instead of"),
        (lambda folder: (folder / "shards.json").write_text("{"), "cannot be read; expected the list of shards"),
        (lambda folder: (folder / "shards.json").write_text('{"format": 1, "shards": []}'), "cannot be read"),
        (lambda folder: (folder / "shards.json").write_text('{"format": 1, "shards": [{}]}'), "cannot be read"),
        (lambda folder: (folder / "shards.json").write_text('{"format": 9, "shards": [1]}'), "are of format 9"),
    ],
)
def test_damaged_shards_are_reported(file: Path, tmp_path: Path, *, harm: object, words: str) -> None:
    shard(file, tmp_path / "shards", progress=False)
    assert callable(harm)
    harm(tmp_path / "shards")
    with pytest.raises(DataFileError, match=words):
        open_source(tmp_path / "shards")


def test_a_shard_that_was_compressed_later_is_reported(file: Path, tmp_path: Path) -> None:
    shard(file, tmp_path / "shards", progress=False)
    path = tmp_path / "shards" / "shard-00000.h5ad"
    ad.read_h5ad(path).write_h5ad(path, compression="gzip")
    index = json.loads((tmp_path / "shards" / "shards.json").read_text())
    index["shards"][0]["bytes"] = path.stat().st_size
    (tmp_path / "shards" / "shards.json").write_text(json.dumps(index))
    with pytest.raises(DataFileError, match="was written again by another program"):
        open_source(tmp_path / "shards")


def test_shards_that_were_made_again_are_refused_where_others_were_opened(file: Path, tmp_path: Path) -> None:
    shard(file, tmp_path / "shards", progress=False)
    source = open_source(tmp_path / "shards")
    shard(file, tmp_path / "shards", overwrite=True, progress=False)
    assert source.rows(np.arange(60)).shape == (60, 30)
    shard(file, tmp_path / "shards", seed=1, overwrite=True, progress=False)
    with pytest.raises(DataFileError, match=r"changed since they were opened; .* Make the CellGenerator again"):
        source.rows(np.arange(3))
    with pytest.raises(DataFileError, match="changed since they were opened"):
        next(source.blocks())

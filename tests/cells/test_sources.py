from __future__ import annotations

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from scdiffuse._core.errors import CountsError, DataFileError, GenesError, SettingError, UnknownNameError
from scdiffuse.cells import RAW, Source, find_counts, open_source

HOLDERS = ["csr", "csc", "dense", "integers", "view", "backed csr", "path csr", "path csc", "path dense", "path layer"]


@pytest.fixture(params=HOLDERS)
def source(request: pytest.FixtureRequest, adata: ad.AnnData, tmp_path: Path) -> Source:
    place, _, kind = request.param.rpartition(" ")
    if kind in {"csc", "dense"}:
        adata.X = adata.X.tocsc() if kind == "csc" else adata.X.toarray()
    if kind == "integers":
        adata.X = adata.X.astype(np.int64)
    if kind == "view":
        return open_source(ad.concat([adata, adata], merge="same", index_unique="-")[: adata.n_obs])
    if kind == "layer":
        adata.layers["counts"] = adata.X.copy()
        adata.X = adata.X * 0.5
    if not place:
        return open_source(adata)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    if place == "backed":
        return open_source(ad.read_h5ad(tmp_path / "cells.h5ad", backed="r"))
    return open_source(tmp_path / "cells.h5ad", layer="counts" if kind == "layer" else None)


def test_rows_come_in_the_order_given(source: Source, counts: sp.csr_matrix) -> None:
    wanted = np.array([41, 3, 3, 59, 0])
    rows = source.rows(wanted)
    assert rows.dtype == np.float32
    assert np.array_equal(rows.toarray(), counts.toarray()[wanted])


def test_blocks_cover_all_cells_once(source: Source, counts: sp.csr_matrix) -> None:
    blocks = list(source.blocks(n_rows=25))
    assert [(where.start, where.stop) for where, _ in blocks] == [(0, 25), (25, 50), (50, 60)]
    assert np.array_equal(sp.vstack([block for _, block in blocks]).toarray(), counts.toarray())


def test_names_come_along(source: Source) -> None:
    assert (source.n_cells, source.n_genes) == (60, 30)
    assert source.genes[:2].tolist() == ["gene-0", "gene-1"]
    assert source.obs["donor"].iloc[5] == 11


def test_no_rows_are_an_empty_matrix(source: Source) -> None:
    assert source.rows(np.array([], dtype=np.int64)).shape == (0, 30)


@pytest.mark.parametrize("columns", [[7, 2], [2, 7], list(range(30)), [29]])
@pytest.mark.parametrize("on_disk", [False, True])
def test_genes_are_chosen_and_put_in_order(
    adata: ad.AnnData, tmp_path: Path, *, on_disk: bool, columns: list[int]
) -> None:
    adata.write_h5ad(tmp_path / "cells.h5ad")
    genes = [f"gene-{at}" for at in columns]
    source = open_source(tmp_path / "cells.h5ad" if on_disk else adata, genes=genes)
    assert source.genes.tolist() == genes
    assert source.var.index.tolist() == genes
    rows = source.rows(np.array([5, 1]))
    assert np.array_equal(rows.toarray(), adata.X.toarray()[[5, 1]][:, columns])
    assert rows.has_canonical_format
    assert np.array_equal(next(iter(source.blocks()))[1].toarray(), adata.X.toarray()[:, columns])


def test_rows_far_apart_on_disk_are_read_in_runs(tmp_path: Path) -> None:
    dense = np.random.default_rng(0).poisson(1.0, (400, 300)).astype(np.float32)
    ad.AnnData(X=sp.csr_matrix(dense)).write_h5ad(tmp_path / "cells.h5ad")
    wanted = np.array([399, 0, 200, 1])
    assert np.array_equal(open_source(tmp_path / "cells.h5ad").rows(wanted).toarray(), dense[wanted])


def test_one_cell_is_enough(adata: ad.AnnData) -> None:
    source = open_source(adata[:1].copy())
    assert np.array_equal(source.rows(np.array([0])).toarray(), adata.X[:1].toarray())


def test_the_users_matrix_is_left_as_it_was() -> None:
    entries = sp.csr_matrix((np.ones(3, np.float32), np.array([2, 0, 0]), np.array([0, 3])), shape=(1, 3))
    adata = ad.AnnData(X=entries)
    assert open_source(adata).rows(np.array([0])).toarray().tolist() == [[2, 0, 1]]
    assert adata.X.indices.tolist() == [2, 0, 0]


@pytest.mark.filterwarnings("ignore:.*written with")
def test_files_before_anndata_0_7_are_read(adata: ad.AnnData, tmp_path: Path) -> None:
    obs = np.array([(name.encode(),) for name in adata.obs_names], dtype=[("index", "S20")])
    var = np.array([(name.encode(),) for name in adata.var_names], dtype=[("index", "S20")])
    with h5py.File(tmp_path / "old.h5ad", "w") as file:
        file["obs"], file["var"], file["X"] = obs, var, adata.X.toarray()
    source = open_source(tmp_path / "old.h5ad")
    assert np.array_equal(source.rows(np.array([4])).toarray(), adata.X[4].toarray())


@pytest.mark.parametrize("on_disk", [False, True])
def test_an_unknown_layer_is_refused_with_the_known_ones(adata: ad.AnnData, tmp_path: Path, *, on_disk: bool) -> None:
    adata.layers["counts"] = adata.X.copy()
    adata.write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(UnknownNameError, match=r"`layer` 'count' .* one of \['counts'\].*Did you mean 'counts'"):
        open_source(tmp_path / "cells.h5ad" if on_disk else adata, layer="count")


@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.parametrize("layer", [None, "counts"])
def test_sparse_matrices_of_an_open_file_are_loaded(
    adata: ad.AnnData, tmp_path: Path, kind: str, layer: str | None
) -> None:
    with h5py.File(tmp_path / "counts.h5", "w") as file:
        ad.io.write_elem(file, "X", adata.X.tocsc() if kind == "csc" else adata.X)
        stored = ad.io.sparse_dataset(file["X"])
        held = ad.AnnData(None if layer else stored, adata.obs, adata.var, layers={layer: stored} if layer else None)
        rows = open_source(held, layer=layer).rows(np.array([7, 2]))
    assert np.array_equal(rows.toarray(), adata.X.toarray()[[7, 2]])


def test_an_empty_x_is_refused(adata: ad.AnnData, tmp_path: Path) -> None:
    empty = ad.AnnData(obs=adata.obs, var=adata.var, layers={"counts": adata.X})
    with pytest.raises(CountsError, match=r"`adata.X` is empty; .* layers \['counts'\]"):
        open_source(empty)
    empty.write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(CountsError, match=r"has no `X`; .* layers \['counts'\]"):
        open_source(tmp_path / "cells.h5ad")
    bare = ad.AnnData(obs=adata.obs, var=adata.var)
    with pytest.raises(CountsError, match=r"`adata.X` is empty; expected raw counts. Put them into `adata.X`"):
        open_source(bare)
    bare.write_h5ad(tmp_path / "bare.h5ad")
    with pytest.raises(CountsError, match=r"has no `X`; expected raw counts. Write the cells with their counts"):
        open_source(tmp_path / "bare.h5ad")


def test_raw_that_is_not_there_is_refused(adata: ad.AnnData, tmp_path: Path) -> None:
    adata.write_h5ad(tmp_path / "cells.h5ad")
    for data in (adata, tmp_path / "cells.h5ad"):
        with pytest.raises(UnknownNameError, match=r"counts of `raw` are asked for, and the data have no `raw`"):
            open_source(data, layer=RAW)


def test_a_matrix_of_text_is_refused(adata: ad.AnnData) -> None:
    adata.layers["words"] = np.full(adata.shape, "x", dtype=object)
    with pytest.raises(CountsError, match=r"holds object values, not numbers"):
        open_source(adata, layer="words")


def test_missing_genes_are_counted_and_named(adata: ad.AnnData) -> None:
    with pytest.raises(GenesError, match=r"lack 2 of the 3 expected genes, such as 'CD3E', 'CD19', and have 30 genes"):
        open_source(adata, genes=["gene-1", "CD3E", "CD19"])


def test_an_expected_gene_that_is_not_unique_is_refused(adata: ad.AnnData) -> None:
    adata.var_names = ["gene-1", *adata.var_names[1:]]
    with pytest.raises(GenesError, match=r"1 of the expected genes are more than once .* 'gene-1'"):
        open_source(adata, genes=["gene-1"])
    assert open_source(adata, genes=["gene-9"]).rows(np.array([0])).toarray()[0, 0] == adata.X[0, 9]


def test_a_missing_file_is_reported_with_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "pbmc.h5ad").write_bytes(b"")
    with pytest.raises(DataFileError, match=r"pbmcs.h5ad' is not a file; .* Did you mean 'pbmc.h5ad'"):
        open_source(tmp_path / "pbmcs.h5ad")


def test_a_file_of_another_kind_is_reported(tmp_path: Path) -> None:
    (tmp_path / "cells.h5ad").write_text("gene,cell\n")
    with pytest.raises(DataFileError, match=r"is not a `.h5ad` file. Read it with the tool that wrote it"):
        open_source(tmp_path / "cells.h5ad")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("cells.h5ad", b"", r"is empty; expected a whole `.h5ad`. Copy or download it again"),
        ("cells.h5ad.gz", b"\x1f\x8b\x08", r"is compressed; expected a `.h5ad` file. Unpack it with `gunzip`"),
    ],
)
def test_an_empty_and_a_compressed_file_are_reported(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataFileError, match=words):
        open_source(tmp_path / name)


def test_a_truncated_file_is_reported(adata: ad.AnnData, tmp_path: Path) -> None:
    adata.write_h5ad(tmp_path / "cells.h5ad")
    whole = (tmp_path / "cells.h5ad").read_bytes()
    (tmp_path / "cells.h5ad").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataFileError, match=r"is truncated: its end is missing. Copy or download it again"):
        open_source(tmp_path / "cells.h5ad")


def test_hdf5_without_cells_is_reported(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["matrix"] = np.ones(3)
    with pytest.raises(DataFileError, match=r"is an HDF5 file without `obs` and `var`; expected a `.h5ad` file"):
        open_source(tmp_path / "other.h5")


def test_a_damaged_table_is_reported(adata: ad.AnnData, tmp_path: Path) -> None:
    adata.write_h5ad(tmp_path / "cells.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "a") as file:
        del file["obs/donor"]
    with pytest.raises(DataFileError, match=r"`obs` of .* cannot be read \(KeyError.*; expected a whole"):
        open_source(tmp_path / "cells.h5ad")


def test_a_table_that_is_none_is_reported(adata: ad.AnnData, tmp_path: Path) -> None:
    adata.write_h5ad(tmp_path / "cells.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "a") as file:
        del file["var"]
        ad.io.write_elem(file, "var", {"a": 1})
    with pytest.raises(DataFileError, match=r"`var` of .* is not a table"):
        open_source(tmp_path / "cells.h5ad")


def test_a_file_that_may_not_be_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cells.h5ad").write_bytes(b"")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(h5py, "File", refuse)
    with pytest.raises(DataFileError, match=r"may not be read by this user. Ask for permission"):
        open_source(tmp_path / "cells.h5ad")


@pytest.mark.parametrize("odd", ["pairs", "empty"])
def test_columns_of_neither_text_nor_numbers_are_named(odd: str, adata: ad.AnnData, tmp_path: Path) -> None:
    adata.write_h5ad(tmp_path / "cells.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "r+") as file:
        del file["obs/note"]
        pairs = np.zeros(adata.n_obs, dtype=[("a", "i4"), ("b", "f4")])
        file["obs/note"] = pairs if odd == "pairs" else h5py.Empty("f4")
    with pytest.raises(DataFileError, match=r"`obs` of '.*cells\.h5ad'"):
        open_source(tmp_path / "cells.h5ad")


def test_layers_that_cannot_be_opened_are_named(adata: ad.AnnData, tmp_path: Path) -> None:
    adata.write_h5ad(tmp_path / "cells.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "r+") as file:
        del file["layers"]
        file["layers"] = h5py.SoftLink("/layers")
    with pytest.raises(DataFileError, match=r"`layers` of '.*cells\.h5ad'"):
        open_source(tmp_path / "cells.h5ad", layer="counts")


@pytest.mark.parametrize("on_disk", [False, True])
def test_genes_are_found_by_symbols_where_names_are_identifiers(
    adata: ad.AnnData, tmp_path: Path, *, on_disk: bool
) -> None:
    adata.var["symbol"] = [f"S{at}" for at in range(30)]
    adata.write_h5ad(tmp_path / "cells.h5ad")
    source = open_source(tmp_path / "cells.h5ad" if on_disk else adata, genes=["S7", "S2", "gene-4"])
    assert source.genes.tolist() == ["S7", "S2", "gene-4"]
    assert source.var["symbol"].tolist() == ["S7", "S2", "S4"]
    assert np.array_equal(source.rows(np.array([5])).toarray()[0], adata.X.toarray()[5, [7, 2, 4]])
    with pytest.raises(GenesError, match=r"lack 2 of the 2 expected genes, such as 'S1', 'S99'"):
        open_source(adata, genes=["S1", "S99"])


@pytest.mark.parametrize("kind", ["None", "matrix", "table", "array", "mapping", "list of arrays"])
def test_what_is_no_cells_is_refused(adata: ad.AnnData, kind: str) -> None:
    counts = adata.to_df()
    given = {"matrix": adata.X, "table": counts, "array": counts.to_numpy(), "mapping": {"cell_type": "B"}}
    given["list of arrays"] = [counts.to_numpy()]
    for read in (open_source, find_counts):
        with pytest.raises(SettingError, match=r"The cells are of type \w+; expected an AnnData, .* Put a matrix"):
            read(given.get(kind))

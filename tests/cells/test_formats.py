"""Cells in the formats of other tools."""

from __future__ import annotations

import gzip
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp

from scdiffuse._core.errors import DataFileError
from scdiffuse.cells import check_counts, open_source, read_labels

BARCODES = [f"AAACCTGAGC{'ACGT'[at % 4]}{at}-1" for at in range(60)]
SYMBOLS = ["ACTB", "GAPDH", "B2M", "MALAT1", *[f"GENE{at}" for at in range(25)], "ACTB"]
UNIQUE = [*SYMBOLS[:29], "ACTB-1"]
IDS = [f"ENSG{at:011d}" for at in range(30)]


@pytest.fixture
def dense(counts: sp.csr_matrix) -> np.ndarray:
    return np.asarray(counts.toarray(), dtype=int)


def _folder(path: Path, dense: np.ndarray, *, prefix: str = "", packed: bool = False, v2: bool = False) -> Path:
    path.mkdir()
    genes = pd.DataFrame({0: IDS, 1: SYMBOLS, 2: "Gene Expression"}).iloc[:, : 2 if v2 else 3]
    ending = ".gz" if packed else ""
    genes.to_csv(path / f"{prefix}{'genes' if v2 else 'features'}.tsv{ending}", sep="\t", header=False, index=False)
    pd.Series(BARCODES).to_csv(path / f"{prefix}barcodes.tsv{ending}", header=False, index=False)
    scipy.io.mmwrite(path / f"{prefix}matrix.mtx", sp.coo_matrix(dense.T))
    if packed:
        plain = path / f"{prefix}matrix.mtx"
        (path / f"{prefix}matrix.mtx.gz").write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    return path


def _10x_h5(path: Path, dense: np.ndarray) -> Path:
    columns = sp.csc_matrix(dense.T)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["barcodes"] = np.array(BARCODES, dtype="S")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(columns, name)
        group["shape"] = np.array(columns.shape)
        features = {"id": IDS, "name": SYMBOLS, "feature_type": ["Gene Expression"] * 30, "genome": ["GRCh38"] * 30}
        for name, values in features.items():
            group[f"features/{name}"] = np.array(values, dtype="S")
    return path


def _loom(path: Path, dense: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        file["matrix"] = dense.T.astype(np.float32)
        file["row_attrs/Gene"] = np.array(SYMBOLS, dtype="S")
        file["col_attrs/CellID"] = np.array(BARCODES, dtype="S")
        file["col_attrs/cluster"] = np.arange(60) % 3
    return path


@pytest.mark.parametrize("kind", ["v3", "v2", "packed", "prefix", "file", "h5", "loom"])
def test_files_of_other_tools_are_read(dense: np.ndarray, tmp_path: Path, kind: str) -> None:
    if kind == "h5":
        path = _10x_h5(tmp_path / "filtered_feature_bc_matrix.h5", dense)
    elif kind == "loom":
        path = _loom(tmp_path / "cells.loom", dense)
    else:
        prefix = "GSM1_" if kind in {"prefix", "file"} else ""
        path = _folder(tmp_path / "sample", dense, prefix=prefix, packed=kind == "packed", v2=kind == "v2")
        path = path / f"{prefix}matrix.mtx" if kind == "file" else path
    source = check_counts(path)
    assert source.obs.index.tolist() == BARCODES
    assert source.genes.tolist() == UNIQUE
    assert np.array_equal(source.rows(np.arange(60)).toarray(), dense)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.gz", ".txt"])
@pytest.mark.parametrize("genes_in_rows", [True, False])
def test_tables_are_read_whichever_way_round(
    dense: np.ndarray, tmp_path: Path, ending: str, *, genes_in_rows: bool
) -> None:
    frame = pd.DataFrame(dense, index=BARCODES, columns=UNIQUE)
    path = tmp_path / f"counts{ending}"
    (frame.T if genes_in_rows else frame).to_csv(path, sep="," if ".csv" in ending else "\t")
    source = check_counts(path)
    assert source.obs.index.tolist() == BARCODES
    assert source.genes.tolist() == UNIQUE
    assert np.array_equal(source.rows(np.arange(60)).toarray(), dense)


def test_columns_of_text_become_labels(dense: np.ndarray, tmp_path: Path) -> None:
    frame = pd.DataFrame(dense, index=BARCODES, columns=UNIQUE).assign(cell_type=["B", "T"] * 30)
    frame.to_csv(tmp_path / "counts.csv")
    source = open_source(tmp_path / "counts.csv")
    assert source.obs["cell_type"].tolist() == ["B", "T"] * 30
    assert source.n_genes == 30


def test_a_table_written_by_r_has_no_name_over_its_first_column(dense: np.ndarray, tmp_path: Path) -> None:
    lines = "\n".join(" ".join(map(str, [gene, *row])) for gene, row in zip(UNIQUE, dense.T, strict=True))
    (tmp_path / "counts.txt").write_text(" ".join(BARCODES) + "\n" + lines + "\n")
    source = open_source(tmp_path / "counts.txt")
    assert source.obs.index.tolist() == BARCODES
    assert np.array_equal(source.rows(np.arange(60)).toarray(), dense)


@pytest.mark.parametrize(("corner", "genes_in_rows"), [("gene", True), ("cell", False)])
def test_the_first_field_says_what_names_do_not(
    dense: np.ndarray, tmp_path: Path, corner: str, *, genes_in_rows: bool
) -> None:
    frame = pd.DataFrame(dense, index=[f"a{at}" for at in range(60)], columns=[f"b{at}" for at in range(30)])
    path = tmp_path / "counts.csv"
    (frame.T if genes_in_rows else frame).to_csv(path, index_label=corner)
    assert open_source(path).genes[0] == "b0"
    frame.to_csv(path)
    with pytest.raises(DataFileError, match=r"has names such as 'a0', 'a1', 'b0', 'b1'; .* Write `gene` or `cell`"):
        open_source(path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "x.rds",
            r"is a `.rds` file; .* In R, run `sceasy::convertFormat\(readRDS\('.*x.rds'\).*, then pass '.*x.h5ad'",
        ),
        ("x.h5mu", r"mudata.read\('.*x.h5mu'\)\['rna'\].write_h5ad\('.*x.h5ad'\)"),
        ("x.h5Seurat", r"SeuratDisk::Convert\('.*x.h5Seurat', dest='h5ad'\)"),
        ("x.tar.gz", r"is a `.tar` file; .* Unpack it"),
    ],
)
def test_formats_that_python_does_not_read_have_their_command(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataFileError, match=words):
        open_source(tmp_path / name)


def test_a_matrix_without_its_lists_is_explained(dense: np.ndarray, tmp_path: Path) -> None:
    path = _folder(tmp_path / "sample", dense)
    (path / "barcodes.tsv").unlink()
    with pytest.raises(DataFileError, match=r"has no `barcodes.tsv` beside it; expected the three files"):
        open_source(path)
    (path / "barcodes.tsv").write_text("one\ntwo\n")
    with pytest.raises(DataFileError, match=r"lists beside it 30 genes and 2 cells; expected genes x cells"):
        open_source(path)


def test_labels_are_read_by_the_names_of_cells(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("barcode,cell_type\n1,B\n2,T\n")
    labels = read_labels(tmp_path / "labels.csv")
    assert labels.loc["2", "cell_type"] == "T"
    with pytest.raises(DataFileError, match=r"cannot be read .* names of cells, or of labels, in its first column"):
        read_labels(tmp_path / "absent.csv")


@pytest.mark.parametrize("text", ["cell,donor\n005,a\nNA,b\n", ",donor\n005,a\nNA,b\n", "donor\n005,a\nNA,b\n"])
def test_labels_keep_the_names_of_cells_as_they_were_written(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    labels = read_labels(tmp_path / "labels.csv")
    assert labels.index.tolist() == ["005", "NA"]
    assert labels["donor"].tolist() == ["a", "b"]


@pytest.mark.parametrize("corner", ["cell,", ",", ""])
def test_labels_with_zeros_before_them_are_text(tmp_path: Path, corner: str) -> None:
    (tmp_path / "labels.csv").write_text(f"{corner}donor,plate,day,dose\n005,01,1,0,0.5\n6,,2,10,0\n7,10,3,20,\n")
    labels = read_labels(tmp_path / "labels.csv")
    assert labels["donor"].fillna("none").tolist() == ["01", "none", "10"]
    assert [str(labels[name].dtype) for name in ("plate", "day", "dose")] == ["int64", "int64", "float64"]


@pytest.mark.parametrize("corner", ["cell", "gene"])
def test_names_in_tables_of_counts_are_kept_as_they_were_written(tmp_path: Path, corner: str) -> None:
    rows = [f"{at:03d},{at},1" for at in range(600)]
    (tmp_path / "counts.csv").write_text("\n".join([f"{corner},one,two", *rows, "NA,3,4", "NaN,5,6"]))
    source = open_source(tmp_path / "counts.csv")
    names = source.obs.index if corner == "cell" else source.var.index
    assert names.tolist() == [*(f"{at:03d}" for at in range(600)), "NA", "NaN"]
    assert source.rows(np.arange(source.n_cells)).sum() == 600 * 599 / 2 + 600 + 18


def test_several_files_of_other_tools_are_joined(dense: np.ndarray, tmp_path: Path) -> None:
    places = [_folder(tmp_path / name, dense) for name in ("a", "b")]
    source = open_source(places)
    assert (source.n_cells, source.n_genes) == (120, 30)
    assert isinstance(ad.AnnData(source.rows(np.arange(3))), ad.AnnData)

"""Files as users have them, each fitted by one command or told the exact command.

Cells of known counts are disguised as what other tools write: counts in a layer or in ``raw``, 10x Genomics, loom,
tables of text, names that repeat, labels that are missing, rare or numbers. ``scdiffuse fit`` is called once for each
with no more than the file and the name of a condition. It fits, or its message holds the words that lead on.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse as sp

from benchmarks.layout import grid
from benchmarks.records import rows_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "user_files"
title = "Files as users have them"
summary = "Whether files of every kind are fitted by one command, or told the exact command."
unit = ("file",)

_N_CELLS, _N_GENES = 240, 60
_QUICK = ["--set", "autoencoder.n_hidden=8", "--set", "diffusion.width=8", "--set", "diffusion.depth=1"]
Maker = Callable[[ad.AnnData, Path], Path]


@dataclass(frozen=True, kw_only=True)
class UserFile:
    """One kind of file."""

    make: Maker
    """Writes the cells into a folder and returns the path that the user types."""
    options: tuple[str, ...] = ("-c", "cell_type")
    """What the user types beside the file."""
    says: str = ""
    """Words of the warning, or of the message where it is not fitted."""
    fits: bool = True
    """Whether one command fits it."""


def cells() -> ad.AnnData:
    """Simulate cells of three types and four donors, with genes of two kinds of names."""
    draw = np.random.default_rng(0)
    types = np.arange(_N_CELLS) % 3
    counts = draw.poisson((draw.gamma(1.0, 3.0, (3, _N_GENES)) + 0.3)[types] * draw.gamma(5.0, 0.2, (_N_CELLS, 1)))
    counts[:, 0] += 1
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical(np.array(["T", "B", "NK"])[types]),
            "donor": [f"d{at % 4}" for at in range(_N_CELLS)],
            "day": np.arange(_N_CELLS) % 5 * 1.0,
        },
        index=[f"AAACCTGAGC{'ACGT'[at % 4]}{at}-1" for at in range(_N_CELLS)],
    )
    symbols = ["ACTB", "GAPDH", "B2M", "MALAT1", *[f"GENE{at}" for at in range(_N_GENES - 4)]]
    var = pd.DataFrame({"gene_ids": [f"ENSG{at:011d}" for at in range(_N_GENES)]}, index=symbols)
    return ad.AnnData(sp.csr_matrix(counts, dtype=np.float32), obs=obs, var=var)


def _h5ad(change: Callable[[ad.AnnData], ad.AnnData | None]) -> Maker:
    """Change cells and write them as `.h5ad`."""

    def make(adata: ad.AnnData, folder: Path) -> Path:
        changed = change(adata)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (adata if changed is None else changed).write_h5ad(folder / "cells.h5ad")
        return folder / "cells.h5ad"

    return make


def _log(adata: ad.AnnData) -> None:
    sums = np.asarray(adata.X.sum(axis=1))
    adata.X = sp.csr_matrix(np.log1p(adata.X.toarray() / sums * 1e4).astype(np.float32))


def _layer(adata: ad.AnnData) -> None:
    adata.layers["counts"] = adata.X.copy()
    _log(adata)


def _raw(adata: ad.AnnData) -> ad.AnnData:
    adata.raw = adata.copy()
    _log(adata)
    return adata[:, :20].copy()


def _seurat(adata: ad.AnnData) -> ad.AnnData:
    """Convert as SeuratDisk does: scaled values in `X`, counts in `raw`, factors as whole numbers."""
    adata.raw = adata.copy()
    dense = adata.X.toarray()
    adata.X = ((dense - dense.mean(axis=0)) / (dense.std(axis=0) + 1e-6)).astype(np.float32)
    adata.obs["cell_type"] = adata.obs["cell_type"].cat.codes.astype(np.int32)
    return adata


def _velocity(adata: ad.AnnData) -> None:
    adata.layers["spliced"] = adata.X.copy()
    adata.layers["unspliced"] = adata.X * 2
    _log(adata)


def _decimals(adata: ad.AnnData) -> None:
    adata.X = sp.csr_matrix(np.maximum(adata.X.toarray() * 0.93 - 0.02, 0).astype(np.float32))


def _twice(slot: str) -> Callable[[ad.AnnData], ad.AnnData | None]:
    def change(adata: ad.AnnData) -> None:
        names = getattr(adata, f"{slot}_names").tolist()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            setattr(adata, f"{slot}_names", [names[1], *names[1:]])

    return change


def _labels(change: Callable[[pd.Series[Any]], pd.Series[Any]]) -> Maker:
    """Change the labels of cells."""

    def apply(adata: ad.AnnData) -> None:
        adata.obs["cell_type"] = change(adata.obs["cell_type"].astype(object)).to_numpy()

    return _h5ad(apply)


def _named(values: dict[int, Any]) -> Callable[[pd.Series[Any]], pd.Series[Any]]:
    def change(labels: pd.Series[Any]) -> pd.Series[Any]:
        labels = labels.copy()
        for at, value in values.items():
            labels.iloc[at] = value
        return labels

    return change


def _ensembl(adata: ad.AnnData) -> None:
    adata.var = adata.var.assign(symbol=adata.var_names).set_index("gene_ids")


def _days_as_text(adata: ad.AnnData) -> None:
    adata.obs = adata.obs.assign(day=adata.obs["day"].astype(str))


def _10x_h5(adata: ad.AnnData, folder: Path) -> Path:
    columns = sp.csc_matrix(adata.X.T.astype(np.int32))
    with h5py.File(folder / "filtered_feature_bc_matrix.h5", "w") as file:
        group = file.create_group("matrix")
        group["barcodes"] = adata.obs_names.to_numpy(dtype="S")
        for part in ("data", "indices", "indptr"):
            group[part] = getattr(columns, part)
        group["shape"] = np.array(columns.shape)
        kinds = {"feature_type": ["Gene Expression"] * adata.n_vars, "genome": ["GRCh38"] * adata.n_vars}
        features = {"id": adata.var["gene_ids"], "name": adata.var_names, **kinds}
        for key, values in features.items():
            group[f"features/{key}"] = np.array(list(values), dtype="S")
    return folder / "filtered_feature_bc_matrix.h5"


def _10x_folder(adata: ad.AnnData, folder: Path) -> Path:
    place = folder / "filtered_feature_bc_matrix"
    place.mkdir()
    features = pd.DataFrame({0: adata.var["gene_ids"], 1: adata.var_names, 2: "Gene Expression"})
    features.to_csv(place / "features.tsv.gz", sep="\t", header=False, index=False)
    pd.Series(adata.obs_names).to_csv(place / "barcodes.tsv.gz", header=False, index=False)
    scipy.io.mmwrite(place / "matrix.mtx", sp.coo_matrix(adata.X.T.astype(int)))
    (place / "matrix.mtx.gz").write_bytes(gzip.compress((place / "matrix.mtx").read_bytes()))
    (place / "matrix.mtx").unlink()
    return place


def _loom(adata: ad.AnnData, folder: Path) -> Path:
    with h5py.File(folder / "cells.loom", "w") as file:
        file["matrix"] = adata.X.toarray().T
        file["row_attrs/Gene"] = adata.var_names.to_numpy(dtype="S")
        file["col_attrs/CellID"] = adata.obs_names.to_numpy(dtype="S")
        file["col_attrs/cell_type"] = adata.obs["cell_type"].to_numpy(dtype="S")
    return folder / "cells.loom"


def _table(ending: str, *, genes_in_rows: bool, labels: bool = False) -> Maker:
    """Write a table of counts, with the labels in a column or in a table of their own."""

    def make(adata: ad.AnnData, folder: Path) -> Path:
        path, frame = folder / f"counts{ending}", adata.to_df().astype(int)
        if labels:
            frame = frame.assign(cell_type=adata.obs["cell_type"])
        (frame.T if genes_in_rows else frame).to_csv(path, sep="," if ".csv" in ending else "\t")
        adata.obs.to_csv(folder / "labels.csv")
        return path

    return make


def _with_labels(make: Maker) -> Maker:
    def both(adata: ad.AnnData, folder: Path) -> Path:
        adata.obs.to_csv(folder / "labels.csv")
        return make(adata, folder)

    return both


def _other(ending: str) -> Maker:
    def make(adata: ad.AnnData, folder: Path) -> Path:
        del adata
        (folder / f"cells{ending}").write_bytes(b"not read")
        return folder / f"cells{ending}"

    return make


_TABLE = ("-c", "cell_type", "--obs", "labels.csv")
FILES: dict[str, UserFile] = {
    "counts in `X`": UserFile(make=_h5ad(lambda adata: None)),
    "counts in `X`, dense": UserFile(make=_h5ad(lambda adata: setattr(adata, "X", adata.X.toarray()))),
    "counts in `X`, by columns": UserFile(make=_h5ad(lambda adata: setattr(adata, "X", adata.X.tocsc()))),
    "counts in a layer": UserFile(make=_h5ad(_layer), says="Counts are read from layer 'counts'"),
    "counts in `raw`, fewer genes in `X`": UserFile(make=_h5ad(_raw), says="Counts are read from `raw`"),
    "converted from Seurat": UserFile(make=_h5ad(_seurat), says="Counts are read from `raw`"),
    "spliced and unspliced counts": UserFile(make=_h5ad(_velocity), fits=False, says="pass `--layer spliced` or"),
    "log-normalised only": UserFile(make=_h5ad(_log), fits=False, says="load the matrix as it was measured"),
    "decimals of SoupX": UserFile(make=_h5ad(_decimals), fits=False, says="pass `--round`"),
    "decimals of SoupX, rounded": UserFile(make=_h5ad(_decimals), options=("-c", "cell_type", "--round")),
    "10x `.h5`": UserFile(make=_10x_h5, options=()),
    "10x `.h5` and a table of labels": UserFile(make=_with_labels(_10x_h5), options=_TABLE),
    "10x folder": UserFile(make=_with_labels(_10x_folder), options=_TABLE),
    "loom": UserFile(make=_loom),
    "`.csv`, cells in rows, with labels": UserFile(make=_table(".csv", genes_in_rows=False, labels=True)),
    "`.csv.gz`, genes in rows": UserFile(make=_table(".csv.gz", genes_in_rows=True), options=_TABLE),
    "`.tsv`, genes in rows": UserFile(make=_table(".tsv", genes_in_rows=True), options=_TABLE),
    "Ensembl ids, with symbols": UserFile(make=_h5ad(_ensembl)),
    "genes of one name": UserFile(make=_h5ad(_twice("var")), fits=False, says="adata.var_names_make_unique()"),
    "cells of one name": UserFile(make=_h5ad(_twice("obs")), fits=False, says="adata.obs_names_make_unique()"),
    "labels that are NaN": UserFile(make=_labels(_named(dict.fromkeys(range(20), np.nan)))),
    "labels that are empty": UserFile(make=_labels(_named(dict.fromkeys(range(20), ""))), says="20 cells have no text"),
    "labels of one cell": UserFile(make=_labels(_named({3: "pDC", 7: "ASDC"})), says="2 cells have a label"),
    "labels that are numbers": UserFile(make=_labels(lambda labels: labels.map({"T": 0, "B": 1, "NK": 2}))),
    "numbers as text, for `--continuous`": UserFile(
        make=_h5ad(_days_as_text),
        options=("--continuous", "day"),
    ),
    "a label for each cell": UserFile(
        make=_labels(lambda labels: pd.Series(range(len(labels))).astype(str)),
        fits=False,
        says="Merge labels, or leave",
    ),
    "a mistyped column": UserFile(
        make=_h5ad(lambda adata: None), options=("-c", "celltype"), fits=False, says="Did you mean 'cell_type'"
    ),
    "Seurat `.rds`": UserFile(make=_other(".rds"), fits=False, says="sceasy::convertFormat"),
    "MuData `.h5mu`": UserFile(make=_other(".h5mu"), fits=False, says="mudata.read"),
}
"""Files by what they are."""


def words_of(file: UserFile, path: Path, output: Path) -> list[str]:
    """Write the words that a user types after ``scdiffuse``."""
    options = [str(path.parent / one) if one.endswith("labels.csv") else one for one in file.options]
    return ["fit", str(path), "-o", str(output), *options]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fit once."""
    parser.set_defaults(seeds=[0])


def run(context: Context) -> Iterator[Record]:
    """Fit each file, a record each."""
    for what, file in FILES.items():
        yield from context.measure({"file": what}, partial(_fit, file))


def _fit(file: UserFile) -> dict[str, Any]:
    """Type the one command in a process of its own, with small networks and one epoch."""
    with tempfile.TemporaryDirectory() as folder:
        path = file.make(cells(), Path(folder))
        words = [*words_of(file, path, Path(folder) / "model"), *_QUICK, "--max-epochs", "1", "--no-progress"]
        done = subprocess.run([sys.executable, "-m", "scdiffuse", *words], capture_output=True, text=True, check=False)
    return {"code": done.returncode, "as_expected": is_as_expected(file, done.returncode, done.stderr)}


def is_as_expected(file: UserFile, code: int, printed: str) -> bool:
    """Tell whether a file is fitted, or refused, with the words that it should have."""
    return code == (0 if file.fits else 2) and file.says in printed


def lines(records: Sequence[Record]) -> list[str]:
    """List what became of each file."""
    rows = {row["file"]: row for row in rows_of(records)}
    body = []
    for what, file in FILES.items():
        if what in rows:
            became = "fitted" if rows[what]["code"] == 0 else "told the command"
            said = f"`{file.says.replace('`', '')}`" if file.says else ""
            options = f"`{' '.join(file.options)}`" if file.options else "none"
            body.append([what, options, became, said, "yes" if rows[what]["as_expected"] else "no"])
    return [
        f"{len(body)} kinds of files, each given to `scdiffuse fit` once. One command fits it, or the message says the "
        "exact command.",
        grid(["file", "options", "outcome", "words", "as expected"], body),
    ]

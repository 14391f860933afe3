"""Read counts from tables of text, whichever way round they are."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from scdiffuse._core.errors import DataFileError

__all__ = ["read_labels", "read_table"]

_ROWS_AT_ONCE = 512
_SAMPLE = 5_000
_GENE = re.compile(
    r"^(ENS[A-Z]*G?\d{6,}(\.\d+)?|MT-\w+|RP[LS]\d+\w*|LINC\d+|IL\d+R?\w?|CD\d+\w{0,2}|HLA-\w+)$", re.IGNORECASE
)
_KNOWN = frozenset({"ACTB", "GAPDH", "B2M", "MALAT1", "TMSB4X", "EEF1A1", "FTL", "FTH1", "VIM", "PTPRC", "LYZ", "NKG7"})
_PADDED = r"-?0[0-9]+"  # a number with zeros before it is a name, such as that of a patient
_CELL = re.compile(r"([ACGT]{10,}|cell|barcode)", re.IGNORECASE)
_GENE_WORDS, _CELL_WORDS = ("gene", "symbol", "ensembl", "feature", "geneid"), ("cell", "barcode", "sample")


def read_table(path: Path) -> ad.AnnData:
    """Read a table of counts with names in its first row and column.

    Genes are told from cells by their names. Columns of text become columns of `obs`, or of `var` where rows are genes.

    Parameters
    ----------
    path
        A ``.csv``, ``.tsv`` or ``.txt``, compressed or not.

    Returns
    -------
    The cells.

    Raises
    ------
    DataFileError
        It is no table of numbers, or neither rows nor columns have names of genes.
    """
    read = pd.read_csv(path, sep=_separator(path), converters={0: str}, chunksize=_ROWS_AT_ONCE, low_memory=False)
    parts = [_named(part) for part in read]
    if not parts or not parts[0].shape[1]:
        msg = f"{str(path)!r} holds no table; expected names in the first row and column, and counts."
        raise DataFileError(msg + " Check the file.")
    text = [name for name in parts[0] if not all(pd.api.types.is_numeric_dtype(part[name].dtype) for part in parts)]
    numbers = [name for name in parts[0] if name not in text]
    matrix = sp.vstack(
        [sp.csr_matrix(part[numbers].to_numpy(dtype=np.float32, na_value=np.nan)) for part in parts], format="csr"
    )
    beside = pd.concat([part[text] for part in parts])
    across = pd.DataFrame(index=pd.Index([str(name) for name in numbers]))
    if _rows_are_genes(list(beside.index), list(across.index), corner=str(parts[0].index.name or ""), path=path):
        return ad.AnnData(sp.csr_matrix(matrix.T), obs=across, var=beside)
    return ad.AnnData(matrix, obs=beside, var=across)


def read_labels(path: str | Path) -> pd.DataFrame:
    """Read a table of labels: one row a cell, with the names of the cells in the first column.

    A column whose numbers have zeros before them, such as ``007``, is read as text.

    Parameters
    ----------
    path
        A ``.csv``, ``.tsv`` or ``.txt``, compressed or not.

    Raises
    ------
    DataFileError
        It does not exist or is no table.
    """
    path = Path(path)
    try:
        table = pd.read_csv(path, sep=_separator(path), converters={0: str})
        written = pd.read_csv(path, sep=_separator(path), dtype=str)
        for name in table.columns:
            if table[name].dtype.kind in "if" and written[name].str.fullmatch(_PADDED).any():
                table[name] = written[name].to_numpy()
        return _named(table)
    except (OSError, ValueError) as error:
        msg = f"{str(path)!r} cannot be read ({error}); expected a table with the names of cells, or of labels, in its"
        raise DataFileError(msg + " first column. Check the path and the file.") from error


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """Index a table by its first column, which is text as it was written: `005` and `NA` are names too."""
    if isinstance(table.index, pd.RangeIndex):  # otherwise the first column has no header, as R writes it
        first = str(table.columns[0])
        table = table.set_index(table.columns[0]).rename_axis(None if first.startswith("Unnamed: 0") else first)
    return table.set_axis(table.index.astype(str))


def _separator(path: Path) -> str:
    """Find what separates the columns: the most frequent candidate in the first line."""
    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    opened = openers.get(path.suffix.lower(), open)
    with opened(path, "rt", encoding="utf-8-sig") as file:
        first = str(file.readline())
    return max(",", "\t", ";", " ", key=lambda one: (first.count(one), one == ","))


def _rows_are_genes(rows: Sequence[str], columns: Sequence[str], *, corner: str, path: Path) -> bool:
    """Tell by their names whether rows or columns are genes."""
    word = corner.lower()
    balance = 2 * (_has(word, _GENE_WORDS) - _has(word, _CELL_WORDS))
    balance += np.sign(_fraction_genes(rows) - _fraction_genes(columns))
    balance += np.sign(_fraction_cells(columns) - _fraction_cells(rows))
    if balance:
        return bool(balance > 0)
    shown = ", ".join(repr(str(name)) for name in (*rows[:2], *columns[:2]))
    msg = f"{str(path)!r} has names such as {shown}; expected genes that can be told from cells. Write `gene` or `cell`"
    raise DataFileError(msg + " into its first field, for what the rows are.")


def _has(word: str, words: Iterable[str]) -> bool:
    return any(one in word for one in words)


def _fraction_genes(names: Sequence[str]) -> float:
    sample = names[:_SAMPLE]
    return sum(bool(_GENE.match(name)) or name.upper() in _KNOWN for name in sample) / max(len(sample), 1)


def _fraction_cells(names: Sequence[str]) -> float:
    sample = names[:_SAMPLE]
    return sum(bool(_CELL.search(name)) for name in sample) / max(len(sample), 1)

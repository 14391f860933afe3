"""Check that stored matrices are whole before a value is read, and report what cannot be read in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse._core.errors import CountsError, DataFileError, UserError

__all__ = [
    "damaged",
    "is_array",
    "reading",
    "require_columns",
    "require_matrix",
    "require_whole",
    "value_type",
    "where_of",
]

_FORMATS = ("csr_matrix", "csc_matrix")


def damaged(name: str, why: str) -> DataFileError:
    """Build the error for a part of a file that is not what it should be.

    Parameters
    ----------
    name
        The part, such as ``"`X`"``.
    why
        What is wrong, such as ``"has 3 dimensions"``.
    """
    return DataFileError(f"{name} {why}; expected a whole `.h5ad` file of cells x genes. Copy or write it again.")


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Report that a part of a file cannot be read.

    Parameters
    ----------
    name
        The part, such as ``"`obs` of 'cells.h5ad'"``.

    Raises
    ------
    DataFileError
        Any error of the readers; want of memory and messages for users pass unchanged.
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:  # readers of damaged files fail in every way there is
        msg = f"{name} cannot be read ({_first_line(error)}); expected a whole file of cells. Copy or write it again."
        raise DataFileError(msg) from error


def is_array(element: object) -> bool:
    """Return whether something is an array of an open file: neither a group, nor a matrix in memory."""
    return hasattr(element, "shape") and hasattr(element, "attrs")


def value_type(dtype: np.dtype[np.generic], name: str = "The count matrix") -> np.dtype[np.generic]:
    """Return the type in which stored counts are read: ``float32`` for numbers that scipy has no matrices of.

    Parameters
    ----------
    dtype
        Type in the file.
    name
        Name of the matrix, for the message.

    Raises
    ------
    CountsError
        The values are not numbers.
    """
    if dtype.kind not in "biuf":
        msg = f"{name} holds {dtype} values, not numbers; expected raw counts. Convert it to a numeric dtype first."
        raise CountsError(msg)
    if dtype.kind == "f" and dtype.itemsize not in {4, 8}:
        return np.dtype(np.float32)
    return dtype.newbyteorder("=")


def require_matrix(element: Any, shape: tuple[int, int], *, name: str) -> None:  # noqa: ANN401 - of h5py or zarr
    """Check a stored matrix; values are not read.

    Parameters
    ----------
    element
        An array, or a group of arrays of an open file.
    shape
        Numbers of cells and genes.
    name
        Name of the matrix, for messages.

    Raises
    ------
    DataFileError
        The matrix is not of that shape, or its parts contradict each other.
    CountsError
        The values are not numbers.
    """
    if is_array(element):
        found = element.shape and tuple(element.shape)  # an array of nothing has none
        if found != shape:
            raise damaged(name, f"has shape {found}, and `obs` and `var` have {shape}")
        value_type(element.dtype, name)
        return
    kind = element.attrs.get("encoding-type")
    if kind not in _FORMATS:
        raise damaged(name, f"is of the unknown encoding {kind!r}")
    parts = [element.get(part) for part in ("data", "indices", "indptr")]
    if any(part is None or not is_array(part) or len(part.shape or ()) != 1 for part in parts):
        raise damaged(name, "lacks one of the arrays `data`, `indices` and `indptr`")
    data, indices, indptr = parts
    value_type(data.dtype, name)
    if indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu":
        raise damaged(name, f"has positions of type {indices.dtype} and {indptr.dtype}, not whole numbers")
    if tuple(map(int, element.attrs.get("shape", ()))) != shape:
        given = tuple(map(int, element.attrs.get("shape", ())))
        raise damaged(name, f"has shape {given}, and `obs` and `var` have {shape}")
    require_sparse(indptr[:], data.shape[0], indices.shape[0], n=shape[kind == "csc_matrix"], name=name)


def require_sparse(starts: NDArray[np.integer], n_data: int, n_indices: int, *, n: int, name: str) -> None:
    """Check that the starts of rows divide the stored values.

    Parameters
    ----------
    starts
        Start of each row and the end of the last one (`indptr`).
    n_data, n_indices
        Numbers of stored values and of their columns.
    n
        Number of rows; of columns for a matrix stored by columns.
    name
        Name of the matrix, for the message.

    Raises
    ------
    DataFileError
        They do not.
    """
    if n_data != n_indices:
        raise damaged(name, f"has {n_data:,} values and {n_indices:,} positions")
    if starts.size != n + 1:
        raise damaged(name, f"has {starts.size:,} starts of rows (`indptr`) and not {n + 1:,}")
    if starts[0] != 0 or starts[-1] != n_data or (starts[1:] < starts[:-1]).any():
        raise damaged(name, f"has starts of rows (`indptr`) that do not ascend from 0 to its {n_data:,} values")


def require_columns(columns: NDArray[np.generic], width: int, *, name: str) -> None:
    """Check that the columns of stored values exist.

    Parameters
    ----------
    columns
        Columns (`indices`).
    width
        Number of columns.
    name
        Name of the matrix, for the message.

    Raises
    ------
    DataFileError
        A column is negative or beyond the last one.
    """
    if columns.size and (columns.min() < 0 or columns.max() >= width):
        wrong = columns.min() if columns.min() < 0 else columns.max()
        raise damaged(name, f"has a value in column {wrong} of {width:,}")


def require_whole(matrix: sp.spmatrix, *, name: str) -> None:
    """Check a sparse matrix in memory: compiled code that takes it apart checks nothing.

    Parameters
    ----------
    matrix
        CSR or CSC; others are checked by scipy when they are converted.
    name
        Name of the matrix, for messages.

    Raises
    ------
    DataFileError
        Its parts contradict each other.
    """
    if matrix.format in {"csr", "csc"}:
        n, width = matrix.shape if matrix.format == "csr" else matrix.shape[::-1]
        n_used = int(matrix.indptr[-1]) if matrix.indptr.size else 0
        n_data, n_indices = (
            min(part.size, n_used) for part in (matrix.data, matrix.indices)
        )  # there may be spare room
        require_sparse(matrix.indptr, n_data, n_indices, n=n, name=name)
        require_columns(matrix.indices, width, name=name)


def where_of(element: Any) -> str:  # noqa: ANN401 - of h5py or zarr
    """Return the path of the file or store that an element is in."""
    file = getattr(element, "file", element)
    return str(getattr(file, "filename", getattr(file, "store", file)))


def _first_line(error: Exception) -> str:
    text = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

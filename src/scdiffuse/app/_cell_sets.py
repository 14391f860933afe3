"""Sets of cells that a page shows: where each comes from, and the bounded memory that holds them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from scdiffuse.app._errors import RefusedError
from scdiffuse.app._lines import Lines
from scdiffuse.app._saved import known_fields

__all__ = ["CellSet", "CellStore", "Kind", "describe_columns", "gene_values", "read_column"]

Kind = Literal["real", "generated", "predicted", "trajectory", "augmented"]
_MOST_LABELS = 100
_TARGET = 1e4


@dataclass(kw_only=True)
class CellSet:
    """What is known of a set of cells; the cells themselves are in a `CellStore`."""

    id: str
    kind: Kind
    name: str
    path: Path
    """The file they are read from."""
    file: str | None = None
    """How requests name it, where it is one of the user's."""
    layer: str | None = None
    round_counts: bool = False
    renamed: dict[str, dict[str, str | None]] = field(default_factory=dict)
    state: Literal["reading", "ready", "failed"] = "reading"
    error: str | None = None
    n_cells: int = 0
    n_genes: int = 0
    n_shown: int = 0
    obs: list[dict[str, Any]] = field(default_factory=list)
    origin: dict[str, Any] | None = None
    lines: Lines = field(default_factory=Lines)
    inspect: dict[str, Any] | None = None

    @property
    def source(self) -> dict[str, Any]:
        """What is read, and how: sets of the same source hold the same cells."""
        names = ("layer", "round_counts", "renamed")
        return {"path": str(self.path)} | {name: getattr(self, name) for name in names}

    def to_json(self) -> dict[str, Any]:
        """Return what the page sees."""
        n, shown = self.n_cells, self.n_shown
        return {
            "id": self.id,
            "kind": self.kind,
            "name": self.name,
            "file": self.file,
            "options": {
                "layer": self.layer,
                "round": self.round_counts,
                "labels": {name: {"rename": new} for name, new in self.renamed.items()},
            },
            "state": self.state,
            "error": self.error,
            "n_cells": n,
            "n_genes": self.n_genes,
            "n_shown": shown,
            "note": f"{shown:,} of {n:,} cells are shown, drawn at random." if shown < n else None,
            "obs": self.obs,
            "origin": self.origin,
            "inspected": self.inspect is not None,
            "inspect": self.inspect,
            **self.lines.to_json(),
        }

    def to_saved(self) -> dict[str, Any]:
        """Return what is needed to open them again."""
        names = ("id", "kind", "name", "file", "layer", "round_counts", "renamed", "origin")
        return {name: getattr(self, name) for name in names} | {"path": str(self.path), "lines": self.lines.to_json()}

    @classmethod
    def from_saved(cls, saved: Mapping[str, Any]) -> CellSet:
        """Read what `to_saved` wrote."""
        plain = known_fields(cls, saved)
        return cls(path=Path(plain.pop("path")), lines=Lines.from_json(plain.pop("lines")), **plain)


class CellStore:
    """Holds cells in memory up to a number of bytes; those looked at last stay, others are read again when needed.

    Parameters
    ----------
    max_bytes
        Most bytes of all sets together; one set is held whatever its size.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self._held: OrderedDict[str, ad.AnnData] = OrderedDict()

    def get(self, name: str, read: Callable[[], ad.AnnData]) -> ad.AnnData:
        """Return cells, from memory if they are there.

        Parameters
        ----------
        name
            Their id.
        read
            Reads them.
        """
        with self._lock:
            if name not in self._held:
                self._held[name] = read()
            self._held.move_to_end(name)
            while len(self._held) > 1 and sum(map(_bytes, self._held.values())) > self._max_bytes:
                self._held.popitem(last=False)
            return self._held[name]

    def put(self, name: str, adata: ad.AnnData) -> None:
        """Hold cells that were just made."""
        self.get(name, lambda: adata)

    def forget(self, name: str) -> None:
        """Let go of cells."""
        with self._lock:
            self._held.pop(name, None)


def _bytes(adata: ad.AnnData) -> int:
    matrix = adata.X
    parts = (matrix.data, matrix.indices, matrix.indptr) if sparse.issparse(matrix) else (np.asarray(matrix),)
    return int(sum(part.nbytes for part in parts) + 200 * adata.n_obs)


def describe_columns(obs: pd.DataFrame) -> list[dict[str, Any]]:
    """List the columns that can be shown: labels, at most 100 of them, and numbers.

    Parameters
    ----------
    obs
        Labels of the cells shown.
    """
    return [found for name in map(str, obs.columns) if (found := _describe(obs[name], name)) is not None]


def _describe(column: pd.Series[Any], name: str) -> dict[str, Any] | None:
    missing = int(column.isna().sum())
    if pd.api.types.is_float_dtype(column) and column.nunique() > 0:
        return {
            "name": name,
            "kind": "numbers",
            "low": float(column.min()),
            "high": float(column.max()),
            "missing": missing,
        }
    labels = _labels(column)
    if 0 < len(labels) <= _MOST_LABELS:
        codes = _codes(column, labels)
        n = np.bincount(codes[codes >= 0], minlength=len(labels))
        return {"name": name, "kind": "labels", "labels": labels, "n": n.tolist(), "missing": missing}
    if labels and pd.api.types.is_numeric_dtype(column):
        return {
            "name": name,
            "kind": "numbers",
            "low": float(column.min()),
            "high": float(column.max()),
            "missing": missing,
        }
    return None


def _labels(column: pd.Series[Any]) -> list[str]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        present = set(column.dropna().astype(str))
        return [str(label) for label in column.cat.categories if str(label) in present]
    found = column.dropna().unique()[: 10 * _MOST_LABELS]
    return [str(one) for one in (np.sort(found) if pd.api.types.is_numeric_dtype(column) else sorted(found, key=str))]


def _codes(column: pd.Series[Any], labels: list[str]) -> NDArray[np.int32]:
    text = column.astype(object).where(column.notna(), None)
    where = {label: at for at, label in enumerate(labels)}
    return np.array([-1 if one is None else where.get(str(one), -1) for one in text], dtype=np.int32)


def read_column(obs: pd.DataFrame, name: str) -> NDArray[np.int32] | NDArray[np.float32]:
    """Read a column as `describe_columns` describes it.

    Parameters
    ----------
    obs
        Labels of the cells shown.
    name
        The column.

    Returns
    -------
    Codes of labels, -1 where missing; or numbers.

    Raises
    ------
    RefusedError
        There is no such column.
    """
    if name not in obs or (found := _describe(obs[name], name)) is None:
        raise RefusedError(404, f"{name!r} is not a column that can be shown.")
    if found["kind"] == "labels":
        return _codes(obs[name], found["labels"])
    return obs[name].to_numpy(dtype=np.float32, na_value=np.nan)


def gene_values(adata: ad.AnnData, gene: str, *, scale: str) -> NDArray[np.float32]:
    """Read the expression of a gene.

    Parameters
    ----------
    adata
        Cells with counts in `X`.
    gene
        Its name.
    scale
        ``"counts"``, or ``"log1p"`` of counts in 10,000.

    Raises
    ------
    RefusedError
        There is no such gene or scale.
    """
    if scale not in {"counts", "log1p"}:
        raise RefusedError(422, f"`scale` is {scale!r}; expected 'counts' or 'log1p'.")
    at = np.flatnonzero(adata.var_names == gene)
    if not len(at):
        raise RefusedError(404, f"{gene!r} is not a gene of these cells. Search for it by name or symbol.")
    matrix = sparse.csr_matrix(adata.X)
    counts: NDArray[np.float32] = matrix[:, [int(at[0])]].toarray().ravel().astype(np.float32)
    if scale == "counts":
        return counts
    sizes = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1.0)
    logs: NDArray[np.float32] = np.log1p(counts / sizes * _TARGET).astype(np.float32)
    return logs

"""Selections of cells, and tables that compare them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from scdiffuse.app._bodies import Body, numbers, optional_text, texts
from scdiffuse.app._cell_sets import CellSet
from scdiffuse.app._errors import RefusedError
from scdiffuse.app._lines import Code, Lines, call, shown_path
from scdiffuse.app._session import Session

if TYPE_CHECKING:
    from scdiffuse.evaluation import Differential

__all__ = ["Selected", "code_of", "differential", "dot_plot", "is_file", "search_genes", "select", "table_json"]

_MOST_PARTS = 20
_MOST_GENES = 60
_MOST_FOUND = 20
_TARGET = 1e4
_SYMBOLS = ("symbol", "gene_symbol", "gene_symbols", "gene_name", "gene_names", "feature_name", "gene_short_name")


class Selected(NamedTuple):
    """Cells of one set."""

    cells: str
    rows: NDArray[np.int64]
    adata: ad.AnnData
    """These cells."""
    is_real: bool
    python: str
    """The selection in Python."""
    is_file: bool
    """Whether it is all cells of the file, as a command reads them."""


def select(session: Session, asked: object) -> Selected:
    """Read a selection.

    Parameters
    ----------
    session
        Holds the cells.
    asked
        ``cells``, with ``indices`` or with labels by column in ``where``.

    Raises
    ------
    RefusedError
        It cannot be read, or no cell is in it.
    """
    if not isinstance(asked, Mapping):
        raise RefusedError(422, f"A selection is {type(asked).__name__}; expected an object with `cells`.")
    held = session.get_cells(asked.get("cells"))
    adata = session.adata(held.id)
    name = code_of(session, held)
    python, rows = name, np.arange(adata.n_obs)
    if asked.get("indices") is not None:
        rows = np.array(numbers(asked, "indices", below=adata.n_obs), dtype=np.int64)
        python = f"{name}[{_short(rows)}]"
    elif asked.get("where"):
        mask, python = _where(adata, asked["where"], name)
        rows = np.flatnonzero(mask)
    if not len(rows):
        raise RefusedError(422, f"No cell of {held.id} is selected. Select some on the map, or by another label.")
    chosen = adata if len(rows) == adata.n_obs and (np.diff(rows) > 0).all() else adata[rows]
    return Selected(held.id, rows, chosen, held.kind == "real", python, chosen is adata and is_file(held))


def is_file(held: CellSet) -> bool:
    """Return whether the cells of a set are those of its file, as a command reads them."""
    return held.n_shown >= held.n_cells and not held.renamed and not held.round_counts


def code_of(session: Session, held: CellSet) -> str:
    """Name the cells of a set that are shown in Python; a line that draws them is recorded where they are not all.

    Parameters
    ----------
    session
        Holds the cells.
    held
        The set, which has been read.
    """
    if held.n_shown >= held.n_cells:
        return held.id
    name = f"{held.id}_shown"
    python = "from scdiffuse.generator import sample_cells\n" + call(
        name, "sample_cells", shown_path(held.path), n_cells=held.n_shown, layer=held.layer,
        round_counts=held.round_counts or None, renamed=held.renamed or None,
    ) + ".adata"  # fmt: skip
    if not any(action.lines.python == python for action in session.actions):
        session.record(f"Draw the cells of {held.name} that are shown", Lines(python))
    return name


def _where(adata: ad.AnnData, where: object, name: str) -> tuple[NDArray[np.bool_], str]:
    if not isinstance(where, Mapping):
        raise RefusedError(422, f"`where` is {where!r}; expected columns with a list of labels each.")
    mask = np.ones(adata.n_obs, dtype=bool)
    python = []
    for column, labels in where.items():
        if column not in adata.obs:
            raise RefusedError(422, f"{column!r} is not a column of {name}.")
        wanted = [str(one) for one in (labels if isinstance(labels, list) else [labels])]
        mask &= adata.obs[column].astype(str).isin(wanted).to_numpy()
        python.append(f"{name}.obs[{column!r}].astype(str).isin({wanted!r})")
    return mask, f"{name}[{' & '.join(f'({one})' for one in python) if len(python) > 1 else python[0]}]"


def _short(rows: NDArray[np.int64]) -> str:
    """Write rows as Python; a list of them all, as nothing shorter makes the same cells."""
    if len(rows) > 1 and (np.diff(rows) == 1).all():
        return f"{rows[0]}:{rows[-1] + 1}"
    return repr(rows.tolist())


def _pool(session: Session, asked: object) -> list[Selected]:
    parts = asked if isinstance(asked, list) else [asked]
    if not 0 < len(parts) <= _MOST_PARTS:
        raise RefusedError(422, f"A side has {len(parts)} selections; expected 1 to {_MOST_PARTS}.")
    return [select(session, part) for part in parts]


def _joined(parts: Sequence[Selected]) -> ad.AnnData:
    """Put selections together on the genes that all have."""
    if len(parts) == 1:
        return parts[0].adata
    genes = parts[0].adata.var_names
    for part in parts[1:]:
        genes = genes[genes.isin(part.adata.var_names)]
    blocks = [sparse.csr_matrix(part.adata[:, genes].X) for part in parts]
    return ad.AnnData(sparse.vstack(blocks, format="csr"), var=pd.DataFrame(index=genes))


def _joined_code(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"ad.concat([{', '.join(parts)}])"


def differential(session: Session, body: Body) -> dict[str, Any]:
    """Compare two selections gene by gene, beside two halves of real cells.

    Parameters
    ----------
    session
        Holds the cells.
    body
        ``a`` and ``b``.
    """
    from scdiffuse.evaluation import compare_groups, split_in_halves

    sides = [_pool(session, body.get(name)) for name in ("a", "b")]
    a, b = (_joined(side) for side in sides)
    found = compare_groups(a, b)
    reference, what = None, ""
    real = max((_joined(side) for side in sides if all(part.is_real for part in side)), key=len, default=None)
    if real is not None and real.n_obs >= 6:
        halves = [real[rows] for rows in split_in_halves(real.n_obs)]
        reference = compare_groups(*halves)
        what = "two random halves of the real cells that are selected"
    texts = [_joined_code([part.python for part in side]) for side in sides]
    python = "from scdiffuse.evaluation import compare_groups\n" + call(
        "d", "compare_groups", *(Code(one) for one in texts)
    )
    table = found.table.copy()
    table.insert(0, "symbol", _symbols(sides[0][0].adata, table.index))
    name = session.add_table(table)
    lines = Lines(python.replace("d = ", f"{name} = ", 1) + f"\n{name}.table")
    session.record("Genes that differ between two selections", lines)
    return {
        "table": name,
        "n_a": found.n_a,
        "n_b": found.n_b,
        **table_json(table),
        "n_significant": found.n_significant,
        "reference": _reference(reference, what),
        "verdict": {"level": found.level, "text": _verdict(found, reference, what), "detectable": found.detectable},
        **lines.to_json(),
    }


def _verdict(found: Differential, reference: Differential | None, what: str) -> str:
    if reference is None:
        return f"{found} No real-vs-real reference: none of the two selections is of real cells alone."
    return (
        f"{found} Between {what}, {reference.n_significant:,} do ({reference.n_a:,} against {reference.n_b:,} cells)."
    )


def _reference(reference: Differential | None, what: str) -> dict[str, Any] | None:
    if reference is None:
        return None
    rows = reference.table[["log2_fold_change", "q"]].reset_index()
    return {
        "what": what,
        "n_a": reference.n_a,
        "n_b": reference.n_b,
        "n_significant": reference.n_significant,
        "detectable": reference.detectable,
        "rows": _plain_rows(rows),
    }


def table_json(table: pd.DataFrame) -> dict[str, Any]:
    """Write a table of genes as columns and rows.

    Parameters
    ----------
    table
        Indexed by gene.
    """
    whole = table.reset_index()
    return {"columns": [str(name) for name in whole.columns], "rows": _plain_rows(whole)}


def _plain_rows(table: pd.DataFrame) -> list[list[Any]]:
    rows = table.astype(object).to_numpy().tolist()
    return [[None if isinstance(one, float) and not math.isfinite(one) else one for one in row] for row in rows]


def dot_plot(session: Session, body: Body) -> dict[str, Any]:
    """Sum up several genes in groups of cells: mean ``log1p`` of counts in 10,000, and the share of cells with counts.

    Parameters
    ----------
    session
        Holds the cells.
    body
        ``groups``, each ``cells`` and a column ``by``, and ``genes``.
    """
    genes, groups = texts(body, "genes"), body.get("groups")
    if not 0 < len(genes) <= _MOST_GENES or not isinstance(groups, list) or not 0 < len(groups) <= _MOST_PARTS:
        raise RefusedError(422, f"Expected 1 to {_MOST_GENES} `genes` and 1 to {_MOST_PARTS} `groups`.")
    rows: list[dict[str, Any]] = []
    for group in groups:
        held = session.get_cells(group.get("cells") if isinstance(group, Mapping) else None)
        adata, by = session.adata(held.id), optional_text(group, "by")
        values, is_known = _log_values(adata, genes)
        labels = adata.obs[by].astype(str) if by in adata.obs else pd.Series("all", index=adata.obs_names)
        for label in next(
            (one["labels"] for one in held.obs if one["name"] == by and one["kind"] == "labels"), ["all"]
        ):
            mine = values[(labels == label).to_numpy()]
            mean = mine.mean(axis=0) if len(mine) else np.zeros(len(genes))
            share = (mine > 0).mean(axis=0) if len(mine) else np.zeros(len(genes))
            rows.append(
                {
                    "cells": held.id,
                    "label": label,
                    "n": len(mine),
                    "mean": [float(one) if known else None for one, known in zip(mean, is_known, strict=True)],
                    "fraction": [float(one) if known else None for one, known in zip(share, is_known, strict=True)],
                }
            )
    flat = pd.DataFrame(
        [
            {"gene": gene, "cells": row["cells"], "label": row["label"], "n": row["n"], "mean": mean, "fraction": share}
            for row in rows
            for gene, mean, share in zip(genes, row["mean"], row["fraction"], strict=True)
        ]
    ).set_index("gene")
    first = groups[0]
    shown = [code_of(session, session.get_cells(one["cells"])) for one in groups]
    python = "import scanpy as sc\n" + "\n".join(
        f"sc.pl.dotplot(sc.pp.log1p(sc.pp.normalize_total({name}, target_sum=1e4, copy=True), copy=True), "
        f"{genes!r}, groupby={one.get('by', first.get('by'))!r})"
        for name, one in zip(shown, groups, strict=True)
    )
    return {"table": session.add_table(flat), "genes": genes, "rows": rows, "python": python, "command": ""}


def _log_values(adata: ad.AnnData, genes: list[str]) -> tuple[NDArray[np.float64], list[bool]]:
    """Compute log-normalised values of some genes, dense; zeros for those that the cells lack."""
    matrix = sparse.csr_matrix(adata.X)
    sizes = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1.0)
    at = adata.var_names.get_indexer_for(pd.Index(genes))
    values = np.zeros((adata.n_obs, len(genes)))
    known = np.flatnonzero(at >= 0)
    values[:, known] = matrix[:, at[known]].toarray()
    return np.log1p(values / sizes[:, None] * _TARGET), (at >= 0).tolist()


def search_genes(session: Session, cells: str, text: str) -> list[dict[str, str]]:
    """Find genes by the beginning of name or symbol, then by any part of it.

    Parameters
    ----------
    session
        Holds the cells.
    cells
        The set.
    text
        What the user types.
    """
    adata = session.adata(cells)
    names = adata.var_names.astype(str)
    symbols = pd.Index(_symbols(adata, names))
    wanted = text.strip().upper()
    first, later = [], []
    for name, symbol in zip(names, symbols, strict=True):
        upper = (name.upper(), symbol.upper())
        if any(one.startswith(wanted) for one in upper):
            first.append({"name": name, "symbol": symbol})
        elif any(wanted in one for one in upper):
            later.append({"name": name, "symbol": symbol})
    first.sort(key=lambda one: min(len(one["name"]), len(one["symbol"])))
    return (first + later)[:_MOST_FOUND]


def _symbols(adata: ad.AnnData, names: pd.Index[str]) -> list[str]:
    """Read the symbols of genes, or their names where `var` holds no symbols."""
    column = next((one for one in adata.var.columns if str(one).lower() in _SYMBOLS), None)
    if column is None:
        return [str(name) for name in names]
    held = dict(zip(adata.var_names.astype(str), adata.var[column].astype(str), strict=True))
    return [held.get(str(name), str(name)) for name in names]

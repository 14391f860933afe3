"""What can be said of cells before a fit: where counts are, what can be a condition, and how to fit them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pandas as pd

from scdiffuse._core.errors import DataFileError, UserError
from scdiffuse._core.folders import current
from scdiffuse._core.slots import CONFIG_FILE
from scdiffuse.cells import (
    Conditions,
    CountsPlace,
    Source,
    collect_statistics,
    damaged_shards,
    find_counts,
    is_shards,
    label_obs,
    list_counts,
    mask_labels,
    open_source,
    read_labels,
)
from scdiffuse.generator._sample_cells import Renamed, rename_labels
from scdiffuse.model import ModelConfig

__all__ = ["holds_cells", "inspect_cells", "list_places"]

_MOST_LABELS = 100
_FEWEST_CELLS = 30
_START_SECONDS, _STEP_SECONDS, _GENE_SECONDS = 10.0, 0.003, 2e-6
"""CPU seconds of a fit: at its start, for each step, and for each gene of a step; measured from 3,000 cells to 10^6."""


def holds_cells(path: Path) -> bool:
    """Return whether a path holds cells, and not a model.

    Parameters
    ----------
    path
        An existing file or folder.
    """
    if not path.is_dir() or is_shards(path) or any(path.glob("*matrix.mtx*")):
        return True
    return path.suffix == ".zarr" and not current(path, CONFIG_FILE).is_file()


def list_places(path: Path) -> list[str | None]:
    """List the places of a file whose first rows are counts.

    Parameters
    ----------
    path
        Cells of any format.

    Returns
    -------
    Layers as `CellGenerator` takes them: `None` for ``X``, names of layers, and ``"raw.X"``.
    """
    data = find_counts(path).data
    return list_counts(data) if not isinstance(data, list) else []


def inspect_cells(
    path: Path,
    *,
    labels: Path | None = None,
    layer: str | None = None,
    round_counts: bool = False,
    renamed: Renamed | None = None,
) -> dict[str, Any]:
    """Look for raw counts, for columns that can be conditions, and for problems.

    Parameters
    ----------
    path
        Cells of any format that `scdiffuse.cells.open_source` reads; their counts are read block by block.
    labels
        A table with more columns of `obs`, as `scdiffuse.cells.read_labels` reads it.
    layer, round_counts
        As for `CellGenerator`.
    renamed
        Labels to rename first, as for `rename_labels`.

    Returns
    -------
    ``n_cells``, ``n_genes``, ``counts`` (layers with raw counts, `None` for ``X``), ``genes`` (result of the gene
    filter), ``conditions`` (cells by label), ``continuous`` (ranges), ``missing`` (cells without a value), ``notes``,
    ``problems``, and, where a model can be fitted, ``fit_seconds`` and the ``command``.

    Raises
    ------
    DataFileError
        The path holds no readable cells, or the table no row of any of them.
    """
    table = None if labels is None else read_labels(labels)
    place = find_counts(path, layer=layer, round_counts=round_counts)
    data = place.data if not isinstance(place.data, list) else path
    found: dict[str, Any] = {"kind": "data", "n_cells": 0, "n_genes": 0, "counts": []}
    problems: list[str] = []
    source = _read_counts(place, found, problems, round_counts=round_counts)
    if found["counts"]:
        found["counts"] = found["counts"] + [one for one in list_counts(data) if one not in found["counts"]]
    columns: dict[str, Any] = {"conditions": {}, "continuous": {}, "missing": {}}
    if source is not None:
        obs = source.obs if table is None else label_obs(source.obs, table)
        columns = _columns(rename_labels(obs, renamed or {}))
    notes = [place.message] if place.message else []
    problems += columns.pop("problems", [])
    notes += columns.pop("notes", [])
    problems += damaged_shards(path) if is_shards(path) else []
    found |= columns | {"notes": notes, "problems": problems}
    if found["counts"]:
        found["fit_seconds"] = round(_fit_seconds(found["n_cells"], found["n_kept"]))
        found["command"] = _command(path, found, labels=labels)
    return found


def _read_counts(
    place: CountsPlace, found: dict[str, Any], problems: list[str], *, round_counts: bool
) -> Source | None:
    """Read all counts once, and note what is wrong with them."""
    source: Source | None = None
    try:
        source = open_source(place.data, layer=place.layer, round_counts=round_counts)
        found |= {"n_cells": source.n_cells, "n_genes": source.n_genes}
        selection = collect_statistics(source, data=place.data, layer=place.layer).selection
        found |= {"counts": [place.layer], "genes": selection.report(), "n_kept": selection.n_kept}
        if source.n_cells < _FEWEST_CELLS:
            problems.append(f"There are {source.n_cells} cells; a fit needs {_FEWEST_CELLS}, a good one some hundreds.")
            found["counts"] = []
    except DataFileError:
        raise
    except UserError as error:
        problems.append(str(error))
    return source


def _fit_seconds(n_cells: int, n_genes: int) -> float:
    """Estimate the CPU seconds of a fit with the default settings."""
    steps = ModelConfig().autoencoder_training.n_steps(n_cells)
    return _START_SECONDS + steps * (_STEP_SECONDS + _GENE_SECONDS * n_genes)


def _command(path: Path, found: dict[str, Any], *, labels: Path | None) -> str:
    """Write the command that fits these cells, with the labels that fit best."""
    words = ["scdiffuse", "fit", str(path), "-o", f"{path.name.split('.')[0]}.scd"]
    sizes = {name: min(labels.values(), default=0) for name, labels in found["conditions"].items()}
    names = [name for name in sizes if name.lower().replace("_", "").replace(".", "") in _TYPE_NAMES] or list(sizes)[:1]
    words += [word for name in names[:1] for word in ("--condition", name)]
    words += [] if labels is None else ["--obs", str(labels)]
    return shlex.join(words)


_MISSING_WORDS = {"nan", "na", "n/a", "none", "null", "<na>", "unknown", ""}
_TYPE_NAMES = {"celltype", "celltypes", "cellannotation", "annotation", "celllabel", "labels", "cluster", "leiden"}


def _columns(obs: pd.DataFrame) -> dict[str, Any]:
    """Sort the columns into labels and numbers, and say what is odd about them."""
    labels: dict[str, dict[str, int]] = {}
    numbers: dict[str, tuple[float, float]] = {}
    missing: dict[str, int] = {}
    notes: list[str] = []
    problems: list[str] = []
    for name in map(str, obs.columns):
        try:
            _sort_column(obs, name, labels=labels, numbers=numbers, notes=notes)
        except UserError as error:
            problems.append(f"Column {name!r}: {error}")
        except TypeError as error:  # values that cannot be compared or counted
            problems.append(f"Column {name!r} holds values that are neither labels nor numbers ({error}).")
        else:
            n_missing = int(obs[name].isna().sum())
            if n_missing and (name in labels or name in numbers):
                missing[name] = n_missing
    return {"conditions": labels, "continuous": numbers, "missing": missing, "notes": notes, "problems": problems}


def _sort_column(
    obs: pd.DataFrame,
    name: str,
    *,
    labels: dict[str, dict[str, int]],
    numbers: dict[str, tuple[float, float]],
    notes: list[str],
) -> None:

    column = obs[name]
    n_labels = column.nunique()
    is_whole = pd.api.types.is_integer_dtype(column)
    if pd.api.types.is_float_dtype(column) or (is_whole and n_labels > _MOST_LABELS):
        seen = Conditions.from_obs(obs, (), [name]).continuous[name]
        numbers[name] = (seen.min, seen.max)
        return
    if n_labels <= 1 or n_labels > max(_MOST_LABELS, len(obs) // 2):
        return  # one label for all cells, or a name for each cell
    if n_labels > max(_MOST_LABELS, len(obs) // 10):
        notes.append(f"Column {name!r} holds {n_labels:,} labels and is not listed; --condition takes it nonetheless.")
        return
    masked = mask_labels(obs, [name])
    notes += [f"Column {name!r}: {message}" for message in masked.messages]
    if masked.obs[name].nunique() == 1:
        return
    Conditions.from_obs(masked.obs, [name], ())
    labels[name] = {str(label): int(n) for label, n in masked.obs[name].value_counts().items() if n}
    text = pd.Series(labels[name].keys(), dtype=str)
    plain = text.str.strip().str.lower()
    alike = text[plain.duplicated(keep=False)]
    if len(alike):
        shown = ", ".join(map(repr, alike[:4]))
        notes.append(f"Column {name!r} holds labels that differ in spaces or capitals alone, such as {shown}.")
    unknown = text[plain.isin(_MISSING_WORDS)]
    if len(unknown):
        notes.append(f"Column {name!r} holds the label {unknown.iloc[0]!r}; if it stands for missing, leave it empty.")
    if (is_whole or pd.to_numeric(text, errors="coerce").notna().all()) and n_labels > 2:
        notes.append(f"Column {name!r} holds numbers as labels; if they are amounts, such as days, use --continuous.")

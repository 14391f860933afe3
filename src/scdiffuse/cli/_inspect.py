"""``scdiffuse inspect``: what a model was fitted to, or whether cells can be fitted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scdiffuse._core.errors import DataFileError, SettingError, UserError
from scdiffuse._core.text import one_line
from scdiffuse.cli._messages import show_json, show_result
from scdiffuse.cli._options import AsJson
from scdiffuse.cli._where import read_where

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["inspect", "inspect_data", "inspect_model", "inspect_support"]

_MOST_LABELS = 100


def inspect(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="Folder of a model, or cells: a .h5ad file, a .zarr store or a folder of shards.",
            show_default=False,
        ),
    ],
    *,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="name=value of a condition: count the training cells that have it; repeat for a combination."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a model was fitted to, or whether cells can be fitted and what to correct."""
    if not path.exists():
        msg = f"{str(path)!r} does not exist; expected the folder of a model or a `.h5ad` file. Check the path."
        raise DataFileError(msg)
    is_data = _is_data(path)
    if where and is_data:
        msg = f"`--where` is given, but {str(path)!r} holds cells; expected the folder of a model."
        raise SettingError(msg + " Leave `--where` out, or fit a model first.")
    if not is_data:
        found = inspect_model(path) if not where else inspect_support(path, where)
        text = found.pop("text")
    else:
        found = inspect_data(path)
        text = _describe(found)
    if as_json:
        show_json(found)
    else:
        show_result(text)


def inspect_model(path: Path) -> dict[str, Any]:
    """Collect genes, conditions, settings, losses and scores of a saved model.

    Parameters
    ----------
    path
        Its folder.

    Returns
    -------
    ``n_genes``, ``genes``, ``history`` (losses of the fit), and the content of ``config.json``: labels and their
    numbers of cells, settings, scores. ``text`` is a summary for a person.

    Raises
    ------
    ModelFolderError
        A file is missing, altered, or of a newer version.
    """
    import json

    from scdiffuse._core.folders import current
    from scdiffuse._core.slots import CARD_FILE, CONFIG_FILE
    from scdiffuse.generator import load

    model = load(path)
    metadata: dict[str, Any] = json.loads(current(path, CONFIG_FILE).read_text(encoding="utf-8"))
    lines = [model.summary(), f"Genes: {', '.join(map(one_line, model.genes[:5]))}, ..."]
    for stage, points in model.history.items():
        if points:
            lines.append(f"Fit of the {stage}: {points[-1][0]:,} steps, validation loss {points[-1][2]:.4g}")
    scores = (metadata.get("scores") or {}).get("metrics", {})
    lines += [
        f"Score {name}: {_short(score['value'])}, real-vs-real reference {_short(score['reference'])}"
        for name, score in scores.items()
    ]
    if (path / CARD_FILE).is_file():
        lines.append(f"Model card: {path / CARD_FILE}")
    found = {"kind": "model", "n_genes": len(model.genes), "genes": model.genes.tolist(), "history": model.history}
    return metadata | found | {"text": "\n".join(lines)}


def inspect_support(path: Path, where: Sequence[str]) -> dict[str, Any]:
    """Show how well the training cells of a saved model cover a combination of conditions.

    Parameters
    ----------
    path
        Its folder.
    where
        Words such as ``cell_type=B``.

    Returns
    -------
    ``where``, ``is_unseen``, ``n_cells`` with all labels, ``marginals``, ``nearest`` trained combinations, and the
    measured ``numbers`` around each continuous condition. ``text`` is the same for a person.

    Raises
    ------
    UnknownNameError
        The model has no such condition or label.
    SettingError
        A word has no ``=``, or text stands for a number.
    """
    from dataclasses import asdict

    from scdiffuse.generator import load

    model = load(path)
    support = model.support(read_where("--where", where, model.conditions))
    lines = [str(support)]
    if len(support.nearest):
        lines += ["Nearest combinations among the training cells:", support.nearest.to_string(index=False)]
    return {
        "kind": "support",
        "where": dict(support.where),
        "is_unseen": support.is_unseen,
        "n_cells": support.n_cells,
        "marginals": dict(support.marginals),
        "nearest": support.nearest.astype(object).to_dict(orient="records"),
        "numbers": {name: asdict(number) for name, number in support.numbers.items()},
        "text": "\n".join(lines),
    }


def _short(number: float | None) -> str:
    return "unknown" if number is None else f"{number:.3g}"


def inspect_data(path: Path) -> dict[str, Any]:
    """Look for raw counts, for columns that can be conditions, and for problems.

    Parameters
    ----------
    path
        A ``.h5ad`` file, a ``.zarr`` store or a folder of shards; its counts are read block by block.

    Returns
    -------
    ``n_cells``, ``n_genes``, ``counts`` (layers with raw counts, `None` for ``X``), ``genes`` (result of the gene
    filter), ``conditions`` and ``continuous`` (columns that can serve) and ``problems``.

    Raises
    ------
    DataFileError
        The path holds no readable cells.
    """
    from scdiffuse.cells import check_counts, collect_statistics, damaged_shards, is_shards, open_source

    layers = _layers(path)
    source = open_source(path, layer=layers[0])
    found: dict[str, Any] = {"kind": "data", "n_cells": source.n_cells, "n_genes": source.n_genes}
    counts, problems = [], []
    for layer in layers:
        try:
            check_counts(path, layer=layer)
        except UserError as error:
            problems.append(str(error))
        else:
            counts.append(layer)
    found["counts"] = counts
    if counts:
        problems = []
        found["genes"] = collect_statistics(open_source(path, layer=counts[0])).selection.report()
    candidates, more = _candidates(source.obs)
    more += damaged_shards(path) if is_shards(path) else []
    return found | candidates | {"problems": problems + more}


def _is_data(path: Path) -> bool:
    """Whether a path holds cells, and not a model."""
    from scdiffuse._core.folders import current
    from scdiffuse._core.slots import CONFIG_FILE
    from scdiffuse.cells import is_shards

    if path.is_dir():
        return is_shards(path) or (path.suffix == ".zarr" and not current(path, CONFIG_FILE).is_file())
    return True


def _layers(path: Path) -> list[str | None]:
    """List the matrices of a file: `None` for ``X``, and the names of the layers."""
    import h5py

    from scdiffuse.cells import open_source

    try:
        open_source(path)
    except DataFileError:
        raise
    except UserError:  # without X, a layer can hold the counts
        pass
    if path.is_dir():
        return [None]
    with h5py.File(path, "r") as file:
        layers: list[str | None] = sorted(file.get("layers", ()))
        return [None, *layers] if "X" in file or not layers else layers


def _candidates(obs: pd.DataFrame) -> tuple[dict[str, Any], list[str]]:
    """Sort the columns into labels, numbers and columns with problems."""
    import pandas as pd

    from scdiffuse.cells import Conditions

    labels: dict[str, dict[str, int]] = {}
    numbers: dict[str, tuple[float, float]] = {}
    problems = []
    for name in map(str, obs.columns):
        column = obs[name]
        is_number = pd.api.types.is_float_dtype(column) or (
            pd.api.types.is_integer_dtype(column) and column.nunique() > _MOST_LABELS
        )
        n_labels = column.nunique()
        if n_labels == 1 or (not is_number and n_labels > max(_MOST_LABELS, len(obs) // 10)):
            continue  # one label for all cells, or a name for each cell
        try:
            if is_number:
                seen = Conditions.from_obs(obs, (), [name]).continuous[name]
                numbers[name] = (seen.min, seen.max)
            else:
                Conditions.from_obs(obs, [name], ())
                labels[name] = {str(label): int(n) for label, n in column.value_counts().items() if n}
        except UserError as error:
            problems.append(f"Column {name!r}: {error}")
    return {"conditions": labels, "continuous": numbers}, problems


def _describe(found: dict[str, Any]) -> str:
    """Describe the result of `inspect_data` for a person."""
    lines = [f"{found['n_cells']:,} cells x {found['n_genes']:,} genes"]
    if found["counts"]:
        names = ["X" if layer is None else f"layer {layer!r} (pass --layer {layer})" for layer in found["counts"]]
        lines += [f"Raw counts: {', '.join(names)}", found["genes"]]
    else:
        lines.append("Raw counts: none found, so no model can be fitted")
    if found["conditions"]:
        lines.append("Columns that can be conditions (--condition):")
    for name, labels in found["conditions"].items():
        lines.append(f"  {one_line(name)}: {', '.join(f'{one_line(label)} ({n:,})' for label, n in labels.items())}")
    if found["continuous"]:
        lines.append("Columns with numbers (--continuous):")
    lines += [f"  {one_line(name)}: {low:g} to {high:g}" for name, (low, high) in found["continuous"].items()]
    if found["problems"]:
        lines.append("Problems:")
        lines += [f"  - {problem}" for problem in found["problems"]]
    return "\n".join(lines)

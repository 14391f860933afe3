"""``scdiffuse inspect``: what a model was fitted to, or whether cells can be fitted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from scdiffuse._core.errors import DataFileError, SettingError
from scdiffuse._core.text import one_line
from scdiffuse.cli._errors import MISTAKE
from scdiffuse.cli._inspect_data import describe_data
from scdiffuse.cli._messages import show_json, show_result
from scdiffuse.cli._options import AsJson, LabelTable
from scdiffuse.cli._where import read_where

__all__ = ["inspect", "inspect_model", "inspect_support"]


def inspect(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="Folder of a model, or cells: .h5ad, .zarr, .h5 or folder of 10x, .mtx, .loom, .csv, .tsv, or shards.",
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
    labels: LabelTable = None,
    as_json: AsJson = False,
) -> None:
    """Show what a model was fitted to, or whether cells can be fitted, how, and what to correct.

    The exit code is 2 for cells that cannot be fitted.
    """
    if not path.exists():
        msg = f"{str(path)!r} does not exist; expected the folder of a model or a `.h5ad` file. Check the path."
        raise DataFileError(msg)
    from scdiffuse.generator import holds_cells, inspect_cells

    is_cells = holds_cells(path)
    if where and is_cells:
        msg = f"`--where` is given, but {str(path)!r} holds cells; expected the folder of a model."
        raise SettingError(msg + " Leave `--where` out, or fit a model first.")
    if labels is not None and not is_cells:
        msg = f"`--obs` is given, but {str(path)!r} is the folder of a model; expected cells. Leave `--obs` out."
        raise SettingError(msg)
    if not is_cells:
        found = inspect_model(path) if not where else inspect_support(path, where)
        text = found.pop("text")
    else:
        found = inspect_cells(path, labels=labels)
        text = describe_data(found)
    if as_json:
        show_json(found)
    else:
        show_result(text)
    if is_cells and not found["counts"]:
        raise typer.Exit(MISTAKE)


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
    ``where``, ``is_unseen``, ``verdict``, ``expected_error``, ``n_cells`` with all labels, ``marginals``, ``nearest``
    trained combinations, and the measured ``numbers`` around each continuous condition. ``text`` is the same for a
    person.

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
        "verdict": support.verdict,
        "expected_error": support.expected_error,
        "n_cells": support.n_cells,
        "marginals": dict(support.marginals),
        "nearest": support.nearest.astype(object).to_dict(orient="records"),
        "numbers": {name: asdict(number) for name, number in support.numbers.items()},
        "text": "\n".join(lines),
    }


def _short(number: float | None) -> str:
    return "unknown" if number is None else f"{number:.3g}"

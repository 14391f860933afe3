"""``scdiffuse augment``: real cells and generated cells of rare labels in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scdiffuse._core.errors import SettingError
from scdiffuse.cli._guidance import read_scale
from scdiffuse.cli._messages import show
from scdiffuse.cli._options import CellsPath, Guidance, Layer, Model, NoProgress, Overwrite, Seed

if TYPE_CHECKING:
    from scdiffuse.cells import Label

__all__ = ["augment"]


def augment(
    model: Model,
    cells: Annotated[
        Path, typer.Argument(metavar="CELLS", help="The real cells, of any format that fit reads.", show_default=False)
    ],
    *,
    by: Annotated[str, typer.Option(help="Condition whose rare labels get generated cells.", show_default=False)],
    path: CellsPath,
    n_per_label: Annotated[
        list[str] | None,
        typer.Option(
            help="Cells that each label has at least: max (as many as the largest label), median, a number, or "
            "label=number; repeat for more. Without it, max."
        ),
    ] = None,
    guidance: Guidance = None,
    layer: Layer = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Add generated cells to real ones until each label has enough (rare cell type augmentation)."""
    from scdiffuse._core.outputs import atomic_file, require_output
    from scdiffuse.generator import load

    require_output(path, overwrite=overwrite, inputs=[model, cells])
    fitted = load(model)
    augmented = fitted.augment(
        cells,
        by=by,
        n_per_label=_read_numbers(n_per_label or ["max"]),
        guidance=read_scale(guidance or [], fitted.conditions),
        seed=seed,
        layer=layer,
        progress=not no_progress,
    )
    with atomic_file(path, overwrite=overwrite) as partial:
        augmented.write_h5ad(partial)
    n_generated = int((augmented.obs["source"] == "generated").sum())
    show(f"Cells: {path} ({augmented.n_obs - n_generated:,} real, {n_generated:,} generated)")


def _read_numbers(words: Sequence[str]) -> Literal["max", "median"] | int | dict[Label, int]:
    """Read ``max``, ``median``, a number, or numbers by label."""
    if len(words) == 1 and words[0] == "max":
        return "max"
    if len(words) == 1 and words[0] == "median":
        return "median"
    if len(words) == 1 and words[0].isdecimal():
        return int(words[0])
    numbers: dict[Label, int] = {}
    for word in words:
        label, equals, text = word.rpartition("=")
        if not equals or not text.isdecimal():
            msg = (
                f"`--n-per-label` {word!r} is not a number of cells; expected `max`, `median`, a number such as `200`,"
            )
            raise SettingError(msg + " or `label=number`, repeated for more labels.")
        numbers[label] = int(text)
    return numbers

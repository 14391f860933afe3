"""``scdiffuse augment``: real cells in, real and generated cells out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scdiffuse._core.errors import SettingError
from scdiffuse.cli._options import Layer, NoProgress, Overwrite, Seed
from scdiffuse.cli._say import say

if TYPE_CHECKING:
    from scdiffuse.cells import Label
    from scdiffuse.sampling import Wanted

__all__ = ["augment"]


def augment(
    model: Annotated[Path, typer.Argument(help="Folder of a fitted model.", show_default=False)],
    cells: Annotated[Path, typer.Argument(help="The .h5ad with the real cells.", show_default=False)],
    *,
    by: Annotated[str, typer.Option(help="Condition whose labels are to have enough cells.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .h5ad file to write.", show_default=False)],
    to: Annotated[
        list[str] | None,
        typer.Option(help="Cells of each label at least: max, median, a number, or label=number; repeat for more."),
    ] = None,
    guidance: Annotated[float, typer.Option(help="How strongly conditions steer.")] = 1.0,
    layer: Layer = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Add generated cells to real ones until each label has enough; by default as many as the largest."""
    from scdiffuse._core.files import atomic_file, refuse_existing
    from scdiffuse.generator import load

    refuse_existing(output, overwrite=overwrite)
    both = load(model).augment(
        cells,
        by=by,
        to=_read_numbers(to or ["max"]),
        guidance=guidance,
        seed=seed,
        layer=layer,
        progress=not no_progress,
    )
    with atomic_file(output, overwrite=overwrite) as partial:
        both.write_h5ad(partial)
    made = int((both.obs["source"] == "generated").sum())
    say(f"Cells: {output} ({both.n_obs - made:,} real, {made:,} generated)")


def _read_numbers(words: Sequence[str]) -> Wanted:
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
            msg = f"`--to` {word!r} is no number of cells; expected `max`, `median`, a number such as `200`, or"
            raise SettingError(msg + " `label=number`, repeated for more labels.")
        numbers[label] = int(text)
    return numbers

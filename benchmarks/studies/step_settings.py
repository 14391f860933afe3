"""Compiled networks and bfloat16 against plain steps.

Fits run one after the other, all with the same seed, so that losses differ by rounding alone. The compiler begins
without what it has kept from before. With ``--device cuda`` all is measured on a GPU.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.cost import by_stage, clocked
from benchmarks.layout import distinct, grid, only
from benchmarks.records import rows_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "step_settings"
title = "Compiled networks and bfloat16"
summary = "What compiled networks and bfloat16 gain a training step."
unit = ("data_set", "threads", "device")

PLAIN = "as it is"
WAYS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "bfloat16": {"precision": "bf16"},
    "compiled": {"compiled": True},
    "compiled, bfloat16": {"precision": "bf16", "compiled": True},
}
STAGES = ("autoencoder", "diffusion")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files."""
    parser.add_argument("files", type=Path, nargs="+", help=".h5ad files with `cell_type` in `obs`")


def run(context: Context) -> Iterator[Record]:
    """Measure each file."""
    options = context.options
    missing = [str(file) for file in options.files if not file.is_file()]
    if missing:
        msg = f"There is no file {', '.join(missing)}. Expected `.h5ad` files with `cell_type` in `obs`."
        raise SystemExit(msg)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        for file in options.files:
            about = {"data_set": file.stem, "threads": options.threads, "device": options.device}
            yield from context.measure(about, partial(measure, file, device=options.device))


def measure(file: Path, *, device: str) -> list[dict[str, Any]]:
    """Fit with each setting; one row each and stage."""
    import anndata

    from scdiffuse import CellGenerator
    from scdiffuse.model import ModelConfig

    cells, plain, rows = anndata.read_h5ad(file), ModelConfig(), []
    stages = {f"{stage}_training": getattr(plain, f"{stage}_training") for stage in STAGES}
    for way, changed in WAYS.items():
        config = replace(plain, **{key: replace(one, **changed) for key, one in stages.items()})
        model = CellGenerator(cells, conditions=["cell_type"], config=config)
        with clocked() as taken:
            model.fit(progress=False, device=device)
        for stage, seconds in by_stage(taken).items():
            about = {"way": way, "stage": stage, "steps": len(seconds), "first": seconds[0]}
            loss = min(held for _, _, held in model.history[stage])
            rows.append(about | {"step": median(seconds[1:]), "loss": loss})
    return rows


def lines(records: Sequence[Record]) -> list[str]:
    """Write times of steps beside the plain ones, and after how many steps compiling pays."""
    found, rows = rows_of(records), []
    keys = ("data_set", "stage", "device", "threads")
    for plain in only(found, way=PLAIN):
        same = {key: plain[key] for key in keys}
        for way in distinct(found, "way"):
            for other in only(found, way=way, **same):
                gained = plain["step"] - other["step"]
                pays = f"{(other['first'] - plain['first']) / gained:,.0f}" if gained > 0 else "never"
                took = (1e3 * other["step"], plain["step"] / other["step"], other["first"])
                said = "" if other is plain else pays
                rows.append((*same.values(), way, *took, said, other["steps"], f"{other['loss']:.4f}"))
    about = (
        "Fits with `compiled` or `precision` in the settings of both stages, same seed. The first step waits for the "
        "compiler."
    )
    header = ("cells", "stage", "device", "threads", "steps", "ms a step", "times plain", "first step, s")
    return [about, grid((*header, "pays after steps", "steps of the fit", "validation loss"), rows)]

"""Compiled networks and bfloat16 against plain steps: ``python -m benchmarks.step_settings DATA.h5ad``.

Fits run one after the other, all with the same seed, so that losses differ by rounding alone. The compiler begins
without what it has kept from before. With ``--device cuda`` all is measured on a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.clock import clocked
from benchmarks.control.tables import grid
from benchmarks.cost import machine, today

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

SETTINGS_FILE = "step_settings.json"
PLAIN = "as it is"
WAYS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "bfloat16": {"precision": "bf16"},
    "compiled": {"compiled": True},
    "compiled, bfloat16": {"precision": "bf16", "compiled": True},
}
STAGES = ("autoencoder", "diffusion")
_HERE = Path(__file__).resolve().parent


def measure(cells: AnnData, name: str, *, threads: int, device: str) -> list[dict[str, Any]]:
    """Fit in each way; one record each and stage."""
    import torch

    from scdiffusion import CellGenerator
    from scdiffusion.model import ModelConfig

    plain = ModelConfig()
    settings = {f"{stage}_training": getattr(plain, f"{stage}_training") for stage in STAGES}
    torch.set_num_threads(threads)
    records = []
    for way, changed in WAYS.items():
        config = replace(plain, **{key: replace(one, **changed) for key, one in settings.items()})
        model = CellGenerator(cells, conditions=["cell_type"], config=config)
        with clocked() as taken:
            model.fit(progress=False, device=device)
        told = {"data_set": name, "way": way, "threads": threads, "device": device}
        told |= {"machine": machine(), "date": today()}
        for stage in STAGES:
            seconds = taken[stage].seconds
            found = {
                "stage": stage,
                "steps": len(seconds),
                "first": seconds[0],
                "step": median(seconds[1:]),
                "loss": min(held for _, _, held in model.history[stage]),
            }
            records.append(found | told)
            sys.stdout.write(f"{records[-1]}\n")
            sys.stdout.flush()
    return records


def section(results: Path) -> str:
    """Write the section of the results page; nothing before the first measurement."""
    path = results / SETTINGS_FILE
    if not path.exists():
        return ""
    records = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for plain in (one for one in records if one["way"] == PLAIN):
        same = {key: plain[key] for key in ("data_set", "stage", "device", "threads")}
        for other in (one for one in records if same.items() <= one.items()):
            gained = plain["step"] - other["step"]
            pays = f"{(other['first'] - plain['first']) / gained:,.0f}" if gained > 0 else "never"
            took = (1e3 * other["step"], plain["step"] / other["step"], other["first"])
            told = "" if other is plain else pays
            rows.append((*same.values(), other["way"], *took, told, other["steps"], f"{other['loss']:.4f}"))
    header = ("cells", "stage", "device", "threads", "steps", "ms a step", "times plain", "first step, s")
    about = (
        f"`python -m benchmarks.step_settings`, on {records[0]['machine']}, {records[0]['date']}: fits with "
        "`compiled` or `precision` in the settings of both stages, same seed. The first step waits for the compiler."
    )
    return "\n\n".join(
        [
            "## Compiled networks and bfloat16",
            about,
            grid((*header, "pays after steps", "steps of the fit", "validation loss"), rows),
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write the records."""
    import anndata

    parser = argparse.ArgumentParser(prog="python -m benchmarks.step_settings", description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", help=".h5ad files with `cell_type` in `obs`")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=_HERE / "results")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        records = [
            record
            for path in options.data
            for record in measure(anndata.read_h5ad(path), path.stem, threads=options.threads, device=options.device)
        ]
    (options.out / SETTINGS_FILE).write_text(json.dumps(records, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

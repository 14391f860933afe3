"""Compiled networks against plain ones: ``python -m benchmarks.compiled DATA.h5ad``, one after the other.

Both fits have the same seed, so that their losses differ by rounding alone. The compiler begins without what it has
kept from before.
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

COMPILED_FILE = "compiled.json"
STAGES = ("autoencoder", "diffusion")
_HERE = Path(__file__).resolve().parent


def measure(cells: AnnData, name: str, *, threads: int) -> list[dict[str, Any]]:
    """Fit plainly and compiled; one record each and stage."""
    import torch

    from scdiffusion import CellGenerator
    from scdiffusion.model import ModelConfig

    plain = ModelConfig()
    settings = {f"{stage}_training": getattr(plain, f"{stage}_training") for stage in STAGES}
    torch.set_num_threads(threads)
    records = []
    for is_compiled in (False, True):
        config = replace(plain, **{key: replace(one, compiled=is_compiled) for key, one in settings.items()})
        model = CellGenerator(cells, conditions=["cell_type"], config=config)
        with clocked() as taken:
            model.fit(progress=False)
        told = {"data_set": name, "compiled": is_compiled, "threads": threads, "machine": machine(), "date": today()}
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
    path = results / COMPILED_FILE
    if not path.exists():
        return ""
    records = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for plain in (one for one in records if not one["compiled"]):
        same = {key: plain[key] for key in ("data_set", "stage", "threads")}
        other = next(one for one in records if one["compiled"] and same.items() <= one.items())
        gained = plain["step"] - other["step"]
        pays = f"{(other['first'] - plain['first']) / gained:,.0f}" if gained > 0 else "never"
        steps = (1e3 * plain["step"], 1e3 * other["step"], plain["step"] / other["step"])
        rows.append((*same.values(), *steps, other["first"], pays, plain["steps"], plain["loss"], other["loss"]))
    header = ("cells", "stage", "threads", "ms a step", "compiled", "ratio", "first step, s", "pays after steps")
    about = (
        f"`python -m benchmarks.compiled`, on {records[0]['machine']}, {records[0]['date']}: fits with and without "
        "`compiled` in the settings of both stages, same seed. The first step waits for the compiler."
    )
    return "\n\n".join(
        ["## Compiled networks", about, grid((*header, "steps of the fit", "validation loss", "compiled"), rows)]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write the records."""
    import anndata

    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiled", description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", help=".h5ad files with `cell_type` in `obs`")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=_HERE / "results")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        records = [
            record
            for path in options.data
            for record in measure(anndata.read_h5ad(path), path.stem, threads=options.threads)
        ]
    (options.out / COMPILED_FILE).write_text(json.dumps(records, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

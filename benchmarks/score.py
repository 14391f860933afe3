"""Score all runs of one data set and seed: ``python -m benchmarks.score job.json``.

Floor and baselines are measured once for all of them. Each run's scores are written as soon as they are there, so that
a call that is cut short has lost one run at most.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal, TypedDict

import anndata

from benchmarks.cost import Meter
from benchmarks.headline import HEADLINE
from scdiffusion import UserError
from scdiffusion.evaluation import Benchmark


class ScoreJob(TypedDict):
    """What is scored against what."""

    split: str
    runs: list[dict[str, str]]
    """File of the ``cells`` and file for the ``scores`` of each run."""
    by: str
    donor: str | None
    suite: Literal["headline", "quick", "full"]
    seed: int


def run(job: ScoreJob) -> None:
    """Compare generated with held-out cells; PCA, gene choice and floor come from the reference part."""
    split = Path(job["split"])
    parts = {name: anndata.read_h5ad(split / f"{name}.h5ad") for name in ("fit", "reference", "held_out")}
    benchmark = Benchmark(
        parts["held_out"],
        reference=parts["reference"],
        train=parts["fit"],
        by=job["by"],
        donor=job["donor"],
        suite="quick" if job["suite"] == "headline" else job["suite"],
        metrics=list(HEADLINE) if job["suite"] == "headline" else None,
        seed=job["seed"],
        progress=False,
    )
    for one in job["runs"]:
        try:
            with Meter() as meter:
                report = benchmark.score(one["cells"])
        except UserError as error:  # cells that cannot be scored stay without scores; the others go on
            sys.stdout.write(f"{one['cells']}: {error}\n")
            continue
        report.to_json(Path(one["scores"]), overwrite=True)
        sys.stdout.write(f"{one['cells']}: {meter.cost.cpu_seconds:.1f} CPU s\n")
        sys.stdout.flush()


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))

"""Score the cells of one run with `scdiffusion.evaluate`: ``python -m benchmarks.score job.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal, TypedDict

import anndata

import scdiffusion
from benchmarks.headline import HEADLINE


class ScoreJob(TypedDict):
    """What is scored against what."""

    split: str
    cells: str
    by: str
    donor: str | None
    suite: Literal["headline", "quick", "full"]
    seed: int
    scores: str


def run(job: ScoreJob) -> None:
    """Compare generated with held-out cells; PCA, gene choice and floor come from the reference part."""
    split = Path(job["split"])
    parts = {name: anndata.read_h5ad(split / f"{name}.h5ad") for name in ("fit", "reference", "held_out")}
    report = scdiffusion.evaluate(
        parts["held_out"],
        anndata.read_h5ad(job["cells"]),
        reference=parts["reference"],
        train=parts["fit"],
        by=job["by"],
        donor=job["donor"],
        suite="quick" if job["suite"] == "headline" else job["suite"],
        metrics=list(HEADLINE) if job["suite"] == "headline" else None,
        seed=job["seed"],
        progress=False,
    )
    report.to_json(Path(job["scores"]))


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))

"""What an evaluation costs: ``python -m benchmarks.evaluation_speed``, on cells that anyone can make.

The embedded pbmc68k is widened to the genes asked for by setting copies of it side by side, and every sample is drawn
from it by the independent negative binomial. Real and generated cells thus follow one distribution, which is the
slowest case: trees grow deepest where there is nothing to find.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anndata
import pandas as pd
from scipy import sparse

from benchmarks.cost import Meter, machine, today

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

SPEED_FILE = "evaluation_speed.json"
SUITES: tuple[Literal["quick", "full"], ...] = ("quick", "full")
GOALS = {"quick": 60, "full": 600}
"""Seconds on two cores for 10,000 x 10,000 cells and 2,000 genes."""
_BY = "cell_type"
_HERE = Path(__file__).resolve().parent


def make_samples(n_cells: int, n_genes: int) -> dict[str, AnnData]:
    """Draw four samples of one distribution, ``n_cells`` each on ``n_genes`` genes, with the types of pbmc68k."""
    import scdiffusion
    from scdiffusion.evaluation import baselines

    source = scdiffusion.datasets.pbmc68k()
    n_copies = -(-n_genes // source.n_vars)
    counts = sparse.csr_matrix(sparse.hstack([sparse.csr_matrix(source.X)] * n_copies))[:, :n_genes]
    names = [f"{gene}-{copy}" for copy in range(n_copies) for gene in source.var_names][:n_genes]
    wide = anndata.AnnData(counts, obs=source.obs[[_BY]], var=pd.DataFrame(index=names))
    roles = ("real", "reference", "train", "generated")
    return {role: baselines.independent_nb(wide, by=_BY, n=n_cells, seed=seed) for seed, role in enumerate(roles)}


def measure(samples: dict[str, AnnData], suite: Literal["quick", "full"]) -> dict[str, object]:
    """Evaluate once with a suite and tell what it cost and on how many cells."""
    from scdiffusion import evaluate

    generated = samples["generated"]
    with Meter() as meter:
        report = evaluate(
            samples["real"],
            generated,
            reference=samples["reference"],
            train=samples["train"],
            by=_BY,
            suite=suite,
            progress=False,
        )
    return {
        "suite": suite,
        "cells": generated.n_obs,
        "genes": generated.n_vars,
        "cells_a_side": report.settings["n_cells_a_side"],
        "labels": len(report.by),
        "metrics": len(report.metrics),
        **meter.cost.to_json(),
        "machine": machine(),
        "date": today(),
    }


def section(results: Path) -> str:
    """Write the section of the results page; nothing before the first measurement."""
    path = results / SPEED_FILE
    if not path.exists():
        return ""
    records = json.loads(path.read_text(encoding="utf-8"))
    head = "| suite | real and generated cells, each | genes | types | metrics | s | CPU s | peak MiB | goal, s |"
    lines = [head, "|" + " --- |" * 9]
    lines += [
        f"| {one['suite']} | {one['cells']:,} | {one['genes']:,} | {one['labels']} | {one['metrics']} "
        f"| {one['seconds']:.0f} | {one['cpu_seconds']:.0f} | {one['peak_mib']:,.0f} | {GOALS[one['suite']]} |"
        for one in records
    ]
    told = "; ".join(dict.fromkeys(f"{one['machine']}, {one['date']}" for one in records))
    return (
        "## What an evaluation costs\n\n"
        f"`python -m benchmarks.evaluation_speed`, on {told}. As many reference and training cells, floor, baselines "
        "and every type included.\nThe goals are for two cores, 10,000 cells and 2,000 genes.\n\n" + "\n".join(lines)
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the suites asked for and write their records, keeping those of the others."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation_speed", description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000, help="cells of each sample")
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--suites", nargs="+", choices=SUITES, default=list(SUITES))
    parser.add_argument("--out", type=Path, default=_HERE / "results", help="folder of the record")
    options = parser.parse_args(argv)
    samples = make_samples(options.cells, options.genes)
    path = options.out / SPEED_FILE
    records = {one["suite"]: one for one in json.loads(path.read_text(encoding="utf-8"))} if path.exists() else {}
    for suite in options.suites:
        records[suite] = measure(samples, suite)
        sys.stdout.write(f"{records[suite]}\n")
        options.out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([records[name] for name in SUITES if name in records], indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

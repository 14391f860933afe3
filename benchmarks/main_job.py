"""The numbers of the main job: ``python -m benchmarks.main_job pbmc3k|rate|million|startup|solvers|all``.

Every subcommand measures in a process of its own and writes records of name, value, unit, goal, machine, date and
versions to ``results/main_job.json``, from which ``RESULTS.md`` is rendered. Models are kept in the work folder and
used again by the next subcommand; delete them to measure other settings.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cost import Meter, machine, thread_environment, today, versions
from benchmarks.data import data_folder
from benchmarks.headline import MAIN
from benchmarks.models import open_model, read_parts
from benchmarks.page import MAIN_JOB_FILE, read_records

if TYPE_CHECKING:
    from anndata import AnnData

    from scdiffusion import CellGenerator

_HERE = Path(__file__).resolve().parent
_LABEL = "cell_type"
_PACKAGES = ("scdiffusion", "torch", "numpy", "anndata", "scikit-learn")
_CELLS_PER_TYPE = 200
_CURVE_METRICS = ("forest_pcs_auc", "energy")
_CURVE_STEPS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One measured number."""

    name: str
    value: float
    unit: str
    goal: str | None = None
    threads: int = field(default_factory=lambda: int(os.environ.get("OMP_NUM_THREADS", "0")))
    machine: str = field(default_factory=machine)
    date: str = field(default_factory=today)
    versions: dict[str, str] = field(default_factory=lambda: versions(*_PACKAGES))


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand, or all of them one after the other."""
    options = _parser().parse_args(argv)
    # Before the first import of a numeric library, which reads it once.
    os.environ.update(thread_environment(options.threads))
    if options.what == "all":
        arguments = list(sys.argv[1:] if argv is None else argv)
        for name in _JOBS:
            swapped = [name if argument == "all" else argument for argument in arguments]
            subprocess.run([sys.executable, "-m", "benchmarks.main_job", *swapped], check=True)
        return 0
    records = _JOBS[options.what](options)
    _keep(records, options.out / MAIN_JOB_FILE)
    for record in records:
        sys.stdout.write(f"{record.name}: {record.value:.4g} {record.unit}  (goal {record.goal or 'none'})\n")
    return 0


def measure_pbmc3k(options: argparse.Namespace) -> list[Record]:
    """Fit time and memory, discriminator, recognition of every type, on pbmc3k."""
    import scdiffusion

    parts = read_parts("pbmc3k", **_places(options))
    model = scdiffusion.CellGenerator(parts["fit"], conditions=[_LABEL], min_cells=1)
    with Meter() as fit:
        model.fit(seed=0, progress=False)
    model.save(options.work / "pbmc3k.scd", overwrite=True)
    held_out = parts["held_out"]
    cells = model.generate(where=held_out.obs[[_LABEL]].reset_index(drop=True), seed=1, progress=False)
    report = scdiffusion.evaluate(
        held_out, cells, reference=parts["reference"], train=parts["fit"], by=_LABEL, suite="quick", progress=False
    )
    return [
        Record(name="pbmc3k: fit, wall time", value=fit.cost.seconds, unit="s", goal="< 600"),
        Record(name="pbmc3k: fit, processor time", value=fit.cost.cpu_seconds, unit="s"),
        Record(name="pbmc3k: fit, peak memory", value=fit.cost.peak_mib, unit="MiB", goal="< 2048"),
        *_scores(report.to_json()["metrics"][MAIN]),
        *_recognition(model, parts),
    ]


def measure_rate(options: argparse.Namespace) -> list[Record]:
    """Cells per second to integer counts in memory."""
    records = []
    for name, n_cells, goal in (("pbmc68k", 20_000, ">= 3000"), ("pbmc3k", 4_000, ">= 500")):
        model = open_model(name, **_places(options))
        model.generate(500, seed=0, progress=False)
        with Meter() as meter:
            model.generate(n_cells, seed=1, progress=False)
        title = f"{name}: generate {n_cells:,} cells x {len(model.genes):,} genes"
        records += [
            Record(name=title, value=n_cells / meter.cost.seconds, unit="cells/s", goal=goal),
            Record(name=f"{title}, processor time", value=meter.cost.cpu_seconds, unit="s"),
            Record(name=f"{title}, peak memory", value=meter.cost.peak_mib, unit="MiB"),
        ]
    return records


def measure_million(options: argparse.Namespace) -> list[Record]:
    """Many cells of the embedded model straight to disk."""
    model, target = open_model("pbmc68k", **_places(options)), options.work / "million.h5ad"
    with Meter() as meter:
        model.generate(options.n, seed=0, to=target, overwrite=True, progress=False)
    title, size = f"{options.n:,} embedded cells to disk", target.stat().st_size / 2**20
    target.unlink()
    return [
        Record(name=f"{title}, peak memory", value=meter.cost.peak_mib, unit="MiB", goal="< 1536"),
        Record(name=f"{title}, wall time", value=meter.cost.seconds, unit="s"),
        Record(name=f"{title}, processor time", value=meter.cost.cpu_seconds, unit="s"),
        Record(name=f"{title}, rate", value=options.n / meter.cost.seconds, unit="cells/s"),
        Record(name=f"{title}, file", value=size, unit="MiB"),
    ]


def measure_startup(_: argparse.Namespace) -> list[Record]:
    """Import and `--help`, beside the bare interpreter."""
    commands = {
        "python, nothing imported": (["-c", "pass"], None),
        "import scdiffusion": (["-c", "import scdiffusion"], "< 0.5"),
        "scdiffusion --help": (["-c", "from scdiffusion.cli import main; main()", "--help"], "< 0.5"),
    }
    return [
        Record(name=name, value=_median_seconds([sys.executable, *arguments]), unit="s", goal=goal)
        for name, (arguments, goal) in commands.items()
    ]


def measure_solvers(options: argparse.Namespace) -> list[Record]:
    """Quality against denoiser calls, for every solver; the curve goes to ``results/solvers.json``."""
    import scdiffusion
    from scdiffusion.diffusion import SOLVERS

    model = open_model("pbmc3k", **_places(options))
    parts = read_parts("pbmc3k", **_places(options))
    where = parts["held_out"].obs[[_LABEL]].reset_index(drop=True)
    curve: list[dict[str, Any]] = []
    for name, solver in SOLVERS.items():
        for steps in _CURVE_STEPS:
            start = time.perf_counter()
            cells = model.generate(where=where, seed=1, solver=name, steps=steps, progress=False)
            seconds = time.perf_counter() - start
            report = scdiffusion.evaluate(
                parts["held_out"],
                cells,
                reference=parts["reference"],
                train=parts["fit"],
                by=_LABEL,
                metrics=list(_CURVE_METRICS),
                progress=False,
            )
            shared = {"solver": name, "steps": steps, "calls": steps * solver.n_calls, "seconds": round(seconds, 3)}
            scores = report.to_json()["metrics"]
            curve += [
                {**shared, "metric": metric, "value": scores[metric]["value"], "floor": scores[metric]["floor"]}
                for metric in _CURVE_METRICS
            ]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "solvers.json").write_text(json.dumps(curve, indent=1), encoding="utf-8")
    return []


_JOBS = {
    "pbmc3k": measure_pbmc3k,
    "rate": measure_rate,
    "million": measure_million,
    "startup": measure_startup,
    "solvers": measure_solvers,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.main_job", description=__doc__)
    parser.add_argument("what", choices=[*_JOBS, "all"])
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cells", type=int, help="draw this many cells of pbmc3k, for a trial")
    parser.add_argument("--n", type=int, default=1_000_000, help="cells written by `million`")
    parser.add_argument("--work", type=Path, default=_HERE / "work" / "main_job")
    parser.add_argument("--out", type=Path, default=_HERE / "results")
    return parser


def _places(options: argparse.Namespace) -> dict[str, Any]:
    return {"work": options.work, "data": data_folder(options.data), "max_cells": options.cells}


def _scores(score: dict[str, Any]) -> list[Record]:
    title = "pbmc3k: forest AUC on genes, held-out against generated cells"
    baselines = [
        Record(name=f"{title}: baseline {name}", value=value, unit="", goal="> 0.88" if name in _TRIVIAL else None)
        for name, value in score["baselines"].items()
    ]
    return [
        Record(name=title, value=score["value"], unit="", goal="<= 0.75"),
        Record(name=f"{title}: floor", value=score["floor"], unit="", goal="about 0.50"),
        *baselines,
    ]


_TRIVIAL = ("independent_nb", "shuffled_genes")


def _recognition(model: CellGenerator, parts: dict[str, AnnData]) -> list[Record]:
    """Share of generated cells given their type by a classifier of real cells, relative to unseen real cells."""
    import anndata
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    from benchmarks.generators._shared import log_normalise

    training = parts["fit"]
    # Held-out and reference cells together: of the rarest type either alone has three.
    unseen = anndata.concat([parts["held_out"], parts["reference"]])
    types = [label for label in training.obs[_LABEL].cat.categories if label != "unlabelled"]
    asked = pd.DataFrame({_LABEL: np.repeat(types, _CELLS_PER_TYPE)})
    generated = model.generate(where=asked, seed=2, progress=False)
    labelled = training[training.obs[_LABEL].isin(types)]
    classifier = LogisticRegression(max_iter=300, class_weight="balanced").fit(
        log_normalise(labelled.X), labelled.obs[_LABEL].astype(str)
    )
    records = []
    for label in types:
        shares = []
        for cells in (generated, unseen):
            of_type = cells[(cells.obs[_LABEL] == label).to_numpy()]
            shares.append(float((classifier.predict(log_normalise(of_type.X)) == label).mean()))
        name = f"pbmc3k: {label} recognised, generated / real"
        records.append(Record(name=name, value=shares[0] / max(shares[1], 1e-9), unit="", goal=">= 0.90"))
    return records


def _median_seconds(argv: list[str], *, n_times: int = 7) -> float:
    seconds = []
    for _ in range(n_times):
        start = time.perf_counter()
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _keep(records: list[Record], path: Path) -> None:
    """Replace older records of the same name."""
    known = {str(record["name"]): record for record in read_records(path)}
    known |= {record.name: asdict(record) for record in records}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(known.values()), indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

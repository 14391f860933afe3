"""Seconds to equal quality: ``python -m benchmarks.fit_speed --data FOLDER --work FOLDER``.

scVI trains until its own early stopping; what counts is the processor time up to its best validation bound. The
original's recipe is held to a budget. We fit with an eightieth of our steps, a fortieth and so on, each a fit of its
own, and the cheapest fit that is at least as good as the peer on every measure is set against it. All run on the same
cells and genes, one thread each, one after the other.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np

from benchmarks import runs
from benchmarks.control.tables import grid
from benchmarks.cost import machine, today
from benchmarks.data import DATA_SETS, data_folder, prepare
from benchmarks.protocol import GENERATORS, Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

SPEED_FILE = "fit_speed.json"
EFFORTS = (0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 1.0)
SCVI, ORIGINAL = "scvi-posterior", "original"
GOALS = {SCVI: 5.0, ORIGINAL: 50.0}
MEASURES = ("forest", "energy")
"""AUC of a forest on genes, and energy distance on 30 principal components; lower is better in both."""
_HERE = Path(__file__).resolve().parent
_COMPONENTS = 30
Record = dict[str, Any]


def entries(seconds: float) -> list[Entry]:
    """List the fits: ours by effort, scVI without a budget, the original's recipe with one."""
    ours = [
        Entry(name=f"ours-{effort:g}", target="ours:Ours", about="", options={"effort": effort}) for effort in EFFORTS
    ]
    peers = [
        Entry(name=f"{SCVI}-to-its-end", target=GENERATORS[SCVI].target, about="", environment="peers"),
        Entry(
            name=f"{ORIGINAL}-{seconds:g}", target=GENERATORS[ORIGINAL].target, about="", options={"seconds": seconds}
        ),
    ]
    return ours + peers


class Judge:
    """Measures of generated cells against held-out ones."""

    def __init__(self, held_out: AnnData, reference: AnnData) -> None:
        from sklearn.decomposition import PCA

        self._held, real = _logs(held_out), _logs(reference)
        self._components = PCA(_COMPONENTS, random_state=0).fit(real)
        self._floor = real

    def floor(self) -> dict[str, float]:
        """Measure other real cells."""
        return self._measure(self._floor)

    def __call__(self, generated: AnnData) -> dict[str, float]:
        """Measure generated cells."""
        return self._measure(_logs(generated))

    def _measure(self, logs: np.ndarray) -> dict[str, float]:
        from scdiffusion.metrics import discriminator_auc, energy_distance

        n = min(len(logs), len(self._held))
        aucs = [discriminator_auc(logs[:n], self._held[:n], folds=3, seed=seed, n_jobs=1).auc for seed in range(3)]
        found = energy_distance(self._components.transform(logs), self._components.transform(self._held))
        return {"forest": float(np.mean(aucs)), "energy": float(found)}


def equal_quality(ours: Sequence[Record], peer: Record) -> Record | None:
    """Find our cheapest fit that is at least as good as a peer's on every measure."""
    as_good = [one for one in ours if all(one[name] <= peer[name] for name in MEASURES)]
    return min(as_good, key=lambda one: one["cpu_seconds"]) if as_good else None


def section(results: Path) -> str:
    """Write the section of the results page; nothing before the first measurement."""
    path = results / SPEED_FILE
    if not path.exists():
        return ""
    records: list[Record] = json.loads(path.read_text(encoding="utf-8"))
    header = ("data set", "seed", "fit", "CPU s", "forest AUC, genes", "energy distance", "times our cheapest as good")
    lines = []
    for one in records:
        ratio = one.get("ratio", "")
        lines.append(
            [one["data_set"], one["seed"], one["fit"], *(one[name] for name in ("cpu_seconds", *MEASURES)), ratio]
        )
    goals = []
    for peer, goal in GOALS.items():
        ratios = [one["ratio"] for one in records if one["fit"].startswith(peer) and "ratio" in one]
        if ratios:
            goals.append(f"- {peer}: median ratio {median(ratios):.1f} over {len(ratios)} fits; goal {goal:g}.")
    told = "; ".join(dict.fromkeys(f"{one['machine']}, {one['date']}" for one in records if "machine" in one))
    about = (
        f"`python -m benchmarks.fit_speed`, on {told}. Processor seconds of one thread. `ours-0.1` is a fit with a "
        "tenth of the default steps. For scVI the seconds up to its best validation bound count, not those of the "
        "epochs it then waits. The ratio is its seconds over those of our cheapest fit as good in both."
    )
    return "\n\n".join(["## Seconds to equal quality", about, grid(header, lines), "\n".join(goals)])


def measure(name: str, *, seed: int, seconds: float, data: Path | None, work: Path) -> list[Record]:
    """Carry out all fits on one data set and judge them."""
    data_set = DATA_SETS[name]
    split = prepare(data_set, folder=data, work=work, max_cells=None)
    judge = Judge(*(anndata.read_h5ad(split / f"{part}.h5ad") for part in ("held_out", "reference")))
    settings = runs.Settings(work=work, data=data, timeout=7200.0)
    shared = {"data_set": name, "seed": seed}
    found: list[Record] = [shared | {"fit": "real cells (floor)", "cpu_seconds": float("nan")} | judge.floor()]
    for entry in entries(seconds):
        run = runs.Run(data_set, entry, seed)
        sys.stdout.write(f"{run}: {runs.carry_out(run, settings)}\n")
        sys.stdout.flush()
        folder = run.folder(settings)
        if not (folder / runs.COST_FILE).exists():
            continue
        cost = json.loads((folder / runs.COST_FILE).read_text(encoding="utf-8"))
        spent = cost["notes"].get("cpu_seconds_to_best", cost["fit"]["cpu_seconds"])
        about = shared | {"fit": entry.name, "cpu_seconds": spent, "machine": machine(), "date": today()}
        found.append(about | judge(anndata.read_h5ad(folder / runs.CELLS_FILE)))
    ours = [one for one in found if one["fit"].startswith("ours")]
    for one in found:
        if one["fit"].startswith(tuple(GOALS)) and (match := equal_quality(ours, one)) is not None:
            one["ratio"] = one["cpu_seconds"] / match["cpu_seconds"]
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the data sets and seeds asked for, keeping the records of others."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit_speed", description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path, default=_HERE / "work" / "fit_speed")
    parser.add_argument("--sets", nargs="+", default=["pbmc3k"], choices=list(DATA_SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="processor seconds of the original's recipe")
    parser.add_argument("--out", type=Path, default=_HERE / "results")
    options = parser.parse_args(argv)
    path = options.out / SPEED_FILE
    for name in options.sets:
        for seed in options.seeds:
            new = measure(
                name, seed=seed, seconds=options.seconds, data=data_folder(options.data), work=options.work.resolve()
            )
            held = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
            kept = [one for one in held if (one["data_set"], one["seed"]) != (name, seed)]
            path.write_text(json.dumps([*kept, *new], indent=1), encoding="utf-8")
    return 0


def _logs(adata: AnnData) -> np.ndarray:
    from scdiffusion.metrics import log_normalise

    return np.asarray(log_normalise(adata.X).toarray())


if __name__ == "__main__":
    sys.exit(main())

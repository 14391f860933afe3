"""Generated cells of rare types against the few real ones: ``python -m benchmarks.control.copying --data F --work F``.

For each type with fewer than 30 training cells: how much nearer the nearest training cell of the type is than the
second (ratio; held-out cells of the type are the null), and how often a training cell is nearer than a held-out one
(record, with the null .5). Copies have a ratio near 0 and a record near 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.control import rare, records, spaces
from benchmarks.control.models import is_fitted, model_of, read
from benchmarks.control.tables import grid
from benchmarks.data import data_folder

if TYPE_CHECKING:
    from scdiffusion import CellGenerator

DATA_SET = "pbmc3k"
FEWER_THAN = 30
SIZES = (10, 25)
_N_GENERATED = 300
_QUANTILE = 0.05


def audit(setting: rare.Setting, model: CellGenerator, data: Path) -> list[dict[str, Any]]:
    """Compare generated cells of each rare type with its training cells; one record a type."""
    from scdiffusion.metrics import distance_to_closest_record, nearest_neighbour_ratio

    adata = read(setting.data_set, data)
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    train = spaces.log_normalise(adata[setting.train], model.genes)
    test = spaces.log_normalise(adata[setting.test], model.genes)
    components = spaces.Components.of(train)
    names, counts = np.unique(labels[setting.train], return_counts=True)
    found = []
    for name, n_train in zip(names, counts, strict=True):
        held_out = test[labels[setting.test] == name]
        if not 2 <= n_train < FEWER_THAN or not len(held_out):
            continue
        made = model.generate(_N_GENERATED, where={"cell_type": name}, seed=setting.seed, progress=False)
        own = train[labels[setting.train] == name]
        parts = [components(cells) for cells in (own, held_out, spaces.log_normalise(made, model.genes))]
        about = {"data_set": setting.data_set, "seed": setting.seed, "k": setting.k, "type": str(name)}
        about |= {"n_train": int(n_train), "n_held_out": len(held_out), "answer": rare.OURS}
        scores = {
            "ratio": nearest_neighbour_ratio(*parts, quantile=_QUANTILE),
            "record": distance_to_closest_record(*parts),
        }
        for measure, score in scores.items():
            about |= {f"{measure}_{part}": float(value) for part, value in score._asdict().items()}
        found.append(about)
    return found


def describe(found: list[dict[str, Any]]) -> tuple[str, str]:
    """Write title and text of the section of the results page."""
    rows = []
    for one in found:
        about = [one[key] for key in ("data_set", "k", "seed", "type", "n_train", "n_held_out")]
        for measure in ("ratio", "record"):
            value, low, high, null = (one[f"{measure}_{part}"] for part in ("value", "low", "high", "null"))
            about += [f"{value:.2f} ({low:.2f}-{high:.2f})", null]
        rows.append(about)
    header = ["data set", "K", "seed", "type", "cells trained on", "held out"]
    header += ["nearest over second nearest", "held-out cells", "nearer to a training cell", "null"]
    near = sum(one["ratio_high"] < one["ratio_null"] for one in found)
    copied = sum(one["record_low"] > one["record_null"] for one in found)
    return "Rare types are not memorised", (
        f"{_N_GENERATED} generated cells of each type with fewer than {FEWER_THAN} training cells. The ratio is the "
        f"{_QUANTILE:.0%} quantile of the distance to the nearest training cell of the type over that to the second "
        "nearest, beside that of held-out cells; copies have a ratio near 0. The share of cells that lie nearer to a "
        "training cell than to as many held-out ones has the null .5; copies reach 1.\n\n"
        f"{grid(header, rows)}\n\n"
        f"- Types whose generated cells lie nearer to training than to held-out cells: {copied} of {len(found)}.\n"
        f"- Types of which they crowd about single training cells more than held-out ones do: {near} of {len(found)}."
    )


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, audit the fits that are there, and write ``results/control_copying.json``."""
    here = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.control.copying", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--work", type=Path, default=here / "work" / "control", help="folder of the fitted models")
    parser.add_argument("--out", type=Path, default=here, help="folder whose `results/` is written")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--fit", action="store_true", help="fit what is missing; otherwise it is left out")
    options = parser.parse_args(argv)
    data = data_folder(options.data)
    if data is None:
        msg = "No folder of data sets. Pass `--data FOLDER`."
        raise SystemExit(msg)
    for seed in options.seeds:
        found = []
        for k in SIZES:
            setting = rare.make_setting(DATA_SET, read(DATA_SET, data), k=k, seed=seed)
            if options.fit or is_fitted(setting.fit, work=options.work):
                found += audit(setting, model_of(setting.fit, data=data, work=options.work), data)
        if found:
            records.write("copying", found, seed=seed, folder=options.out / "results")
        sys.stdout.write(f"copying, seed {seed}: {len(found)} records\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Is a buffer mixed well enough? ``python -m benchmarks.shuffle --data FOLDER``.

The fit cells of `pbmc3k` are sorted by type and fitted from memory, where every batch is drawn from all cells; from
shards of them; and from the sorted file itself, in blocks as long as those of shards and in the shorter ones that a fit
takes from files. So that few cells stand for many, a buffer has 256 cells, a sixth of them all, in 4 or in 32 blocks.
What counts is the bound of cells that no fit saw.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.control.tables import grid
from benchmarks.cost import machine, today
from benchmarks.data import DATA_SETS, data_folder, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from scdiffusion.cells import Cells

SHUFFLE_FILE = "shuffle.json"
WAYS = {
    "memory": (64, 4),
    "shards": (64, 4),
    "sorted file, long blocks": (64, 4),
    "sorted file, short blocks": (8, 32),
}
"""Where cells come from: cells of a block, blocks of a buffer."""
_N_GENES = 2000
_BY = "cell_type"
_HERE = Path(__file__).resolve().parent
Record = dict[str, Any]


def bound(cells: Cells, held_out: AnnData, *, epochs: int, seed: int) -> float:
    """Fit and return minus the bound of held-out cells in nats a cell."""
    from scdiffusion import CellGenerator
    from scdiffusion.autoencoder import AutoencoderTask, CountAutoencoder
    from scdiffusion.cells import open_source

    model = CellGenerator(cells, min_cells=0).fit(max_epochs=epochs, seed=seed, progress=False)
    source = open_source(held_out, genes=[str(gene) for gene in model.genes])
    rows = np.arange(source.n_cells)
    assert model._parts is not None
    autoencoder = model._parts.autoencoder
    assert isinstance(autoencoder, CountAutoencoder)
    return AutoencoderTask(autoencoder, source, training=rows, validation=rows).validate()


def measure(data: AnnData, *, epochs: int, seeds: Sequence[int]) -> list[Record]:
    """Fit each way with each seed."""
    import scdiffusion
    from scdiffusion.cells import Blocks
    from scdiffusion.model import _fitting

    fit, _, held_out = scdiffusion.split(data, by=_BY, fractions=(0.7, 0.0, 0.3))
    ordered = fit[np.argsort(fit.obs[_BY].astype(str), kind="stable")].copy()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        file, shards = Path(folder) / "sorted.h5ad", Path(folder) / "shards"
        ordered.write_h5ad(file)
        scdiffusion.shard(file, shards, progress=False)
        places: dict[str, Cells] = {"memory": ordered, "shards": shards}
        for seed in seeds:
            for way, blocks in WAYS.items():
                vars(_fitting)["plan_blocks"] = lambda *_, blocks=blocks: Blocks(*blocks)
                nats = bound(places.get(way, file), held_out, epochs=epochs, seed=seed)
                found.append({"way": way, "seed": seed, "nats": nats, "cells": fit.n_obs, "epochs": epochs})
                sys.stdout.write(f"{found[-1]}\n")
    return found


def section(results: Path) -> str:
    """Write the section of the results page; nothing before the first measurement."""
    path = results / SHUFFLE_FILE
    if not path.exists():
        return ""
    held = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for way in WAYS:
        nats = np.array([one["nats"] for one in held["records"] if one["way"] == way])
        rows.append([way, f"{nats.mean():.2f} ± {nats.std(ddof=1):.2f}", len(nats)])
    first = held["records"][0]
    told = (
        f"`python -m benchmarks.shuffle --data FOLDER`, on {held['machine']}, {held['date']}. {first['cells']:,} cells "
        f"of `pbmc3k` sorted by type, {_N_GENES:,} genes, {first['epochs']} epochs; buffers of 256 cells, in 4 "
        "blocks, short ones in 32. Minus the bound of held-out cells, mean ± deviation over seeds."
    )
    return f"## Mixing cells from disk\n\n{told}\n\n" + grid(["cells come from", "nats a cell", "seeds"], rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Fit all ways and write the record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shuffle", description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=_HERE / "results")
    options = parser.parse_args(argv)
    cells = load(DATA_SETS["pbmc3k"], data_folder(options.data))
    most = np.sort(np.argsort(-np.asarray(cells.X.sum(axis=0)).ravel())[:_N_GENES])
    records = measure(cells[:, most].copy(), epochs=options.epochs, seeds=range(options.seeds))
    held = {"records": records, "machine": machine(), "date": today()}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / SHUFFLE_FILE).write_text(json.dumps(held, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

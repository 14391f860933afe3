"""Does a fit to few cells gain from a model of other data? ``python -m benchmarks.pretraining --data FOLDER``.

A model of `kang_ctrl_8donors` is tuned to 100, 300 and 1,000 cells of `pbmc3k` with ``fit(init_from=...)``, beside
models of the same cells from scratch, and both are held against cells that neither saw.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.data import DATA_SETS, data_folder, load

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from anndata import AnnData

    from scdiffusion import CellGenerator

RESULTS = Path(__file__).resolve().parent / "results" / "pretraining.json"
LEARNT, TUNED = "kang_ctrl_8donors", "pbmc3k"
SIZES, SEEDS = (100, 300, 1000), (0, 1, 2)
SHARE_OF_CELLS = 0.05
FLOOR, COPIES = "real cells (floor)", "training cells again"
SCRATCH, CARRIED = "from scratch", f"from {LEARNT}"
ORDER = (SCRATCH, CARRIED, COPIES, FLOOR)
Record = dict[str, str | int | float]


def main() -> None:
    """Fit, score and write a record for each model, as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--learnt", type=Path, help="folder of a model of the larger data set; made if not there")
    given = parser.parse_args()
    folder = data_folder(given.data)
    whole = load(DATA_SETS[TUNED], folder)
    records: list[Record] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    learnt = None
    for seed in SEEDS:
        for n in SIZES:
            if any((record["seed"], record["n_cells"]) == (seed, n) for record in records):
                continue
            learnt = learnt or _learn(load(DATA_SETS[LEARNT], folder), given.learnt)
            records += _compare(whole, learnt, n=n, seed=seed)
            RESULTS.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


def section() -> str:
    """Write the results as a section of the page; empty before the first run."""
    if not RESULTS.exists():
        return ""
    records: list[Record] = json.loads(RESULTS.read_text(encoding="utf-8"))
    lines = ["| cells | cells come from | forest AUC, genes | held-out bound, nats a cell |", "|---|---|---|---|"]
    for n in SIZES:
        for way in ORDER:
            found = [record for record in records if (record["n_cells"], record["way"]) == (n, way)]
            if found:
                values = [_spread(record.get(name) for record in found) for name in ("auc", "bound")]
                lines.append(f"| {n:,} | {way} | {values[0]} | {values[1]} |")
    shared = next((record for record in records if record["way"] == CARRIED), {})
    about = (
        f"A model of `{LEARNT}` ({shared.get('n_genes_learnt', 0):,} genes) tuned to cells of `{TUNED}` "
        f"({shared.get('n_genes', 0):,} genes, {shared.get('n_shared', 0):,} of them shared) with "
        f"`fit(init_from=...)`, beside models from scratch with the same settings. Genes are those seen in "
        f"{SHARE_OF_CELLS:.0%} of the fit part. The bound is the evidence lower bound of 540 held-out cells (higher is "
        "better); the forest tells generated from held-out cells (0.5 is indistinguishable). Means of the seeds ± "
        "standard deviation."
    )
    return "\n".join(["## Beginning with a model of other data", "", about, "", *lines, "", *_gains(records), ""])


def _learn(adata: AnnData, place: Path | None) -> CellGenerator:
    import scdiffusion

    model = scdiffusion.CellGenerator(adata, conditions=["cell_type"])
    return model.fit(place, resume=place is not None and place.exists(), progress=False)


def _compare(whole: AnnData, learnt: CellGenerator, *, n: int, seed: int) -> list[Record]:
    """Fit to some cells both ways, and score both beside copies of the cells and other real ones."""
    import scdiffusion

    fit, reference, held = scdiffusion.split(whole, by="cell_type", fractions=(0.6, 0.2, 0.2), seed=0)
    genes = np.asarray((fit.X > 0).mean(axis=0)).ravel() >= SHARE_OF_CELLS
    rows = np.sort(np.random.default_rng([seed, n]).choice(fit.n_obs, n, replace=False))
    cells, reference, held = fit[rows, genes].copy(), reference[:, genes].copy(), held[:, genes].copy()
    labels = cells.obs["cell_type"].astype(object)
    cells.obs["cell_type"] = labels.where(labels.map(labels.value_counts()) > 1)
    again = cells[np.random.default_rng(seed).choice(n, held.n_obs)]
    facts: Record = {"seed": seed, "n_cells": n, "n_genes": int(genes.sum()), "n_genes_learnt": len(learnt.genes)}
    facts["n_shared"] = len(set(learnt.genes) & set(cells.var_names))
    records = [
        facts | {"way": FLOOR, "auc": _auc(reference, held, seed=seed)},
        facts | {"way": COPIES, "auc": _auc(again, held, seed=seed)},
    ]
    for way, start in ((SCRATCH, None), (CARRIED, learnt)):
        model = scdiffusion.CellGenerator(cells, conditions=["cell_type"], min_cells=0)
        model.fit(init_from=start, seed=seed, progress=False)
        made = model.generate(held.n_obs, seed=seed, progress=False)
        first = model.history["autoencoder"][0][2]
        scores = {"auc": _auc(made, held, seed=seed), "bound": _bound(model, held), "first_validation": -first}
        records.append(facts | {"way": way, **scores, "steps": model.history["autoencoder"][-1][0]})
        print({key: records[-1][key] for key in ("seed", "n_cells", "way", "auc", "bound")}, flush=True)
    return records


def _auc(x: AnnData, y: AnnData, *, seed: int) -> float:
    from scdiffusion.metrics import discriminator_auc

    logs = [np.log1p(one.X.toarray() / np.maximum(one.X.sum(axis=1), 1) * 1e4) for one in (x, y)]
    n = min(len(one) for one in logs)
    return float(discriminator_auc(*(np.asarray(one[:n]) for one in logs), seed=seed, folds=3, n_jobs=1).auc)


def _bound(model: CellGenerator, held: AnnData) -> float:
    """Return the evidence lower bound of held-out cells, in nats a cell."""
    from scdiffusion.autoencoder import AutoencoderTask, CountAutoencoder
    from scdiffusion.cells import open_source

    cells = np.arange(held.n_obs)
    source = open_source(held, genes=list(model.genes))
    assert model._parts is not None
    autoencoder = model._parts.autoencoder
    assert isinstance(autoencoder, CountAutoencoder)
    return -AutoencoderTask(autoencoder, source, training=cells, validation=cells).validate()


def _gains(records: Sequence[Record]) -> list[str]:
    """Say in words what each number of cells gains, seed by seed."""
    lines = []
    for n in SIZES:
        ways = [
            {record["seed"]: record for record in records if (record["n_cells"], record["way"]) == (n, way)}
            for way in (CARRIED, SCRATCH)
        ]
        seeds = sorted(set(ways[0]) & set(ways[1]))
        if seeds:
            bounds = [float(ways[0][seed]["bound"]) - float(ways[1][seed]["bound"]) for seed in seeds]
            areas = [float(ways[0][seed]["auc"]) - float(ways[1][seed]["auc"]) for seed in seeds]
            lines.append(
                f"- {n:,} cells: the bound changes by {_spread(bounds)} nats a cell and the AUC by {_spread(areas)} "
                f"({len(seeds)} seeds, paired)."
            )
    return lines


def _spread(values: Iterable[str | float | None]) -> str:
    numbers = [float(value) for value in values if value is not None]
    if not numbers:
        return ""
    digits = 1 if max(abs(number) for number in numbers) >= 10 else 3
    deviation = f" ± {stdev(numbers):.{digits}f}" if len(numbers) > 1 else ""
    return f"{mean(numbers):.{digits}f}{deviation}"


if __name__ == "__main__":
    main()

"""How much of its start cell a trajectory keeps: the true start found among 100 cells, for each value of `keep`."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.control import figures, records, spaces
from benchmarks.control.models import Fit, is_fitted, model_of, read

if TYPE_CHECKING:
    from pathlib import Path

Array = Any
DATA_SET = "kang_ifnb"
TARGET = {"condition": "stimulated"}
KEEPS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
TYPES = ("B", "CD14+Mono", "CD4T", "FCGR3A+Mono")
N_STARTS = 100
SLOT = "X_scdiffusion"
REAL = "real cells"
VIAS: tuple[Any, ...] = ("noising", "inversion")
FIGURE = "control_start_cell.png"


def fits(data: Path, seed: int) -> list[Fit]:
    """List the one fit, on all cells."""
    return [Fit(name="all", data_set=DATA_SET, conditions=("condition", "cell_type"), seed=seed)]


def ranks(made: Array, starts: Array) -> Array:
    """Find the place of each cell's true start among all starts ordered by distance; 0 is the nearest.

    Cell ``i`` comes from start ``i``; a tie counts half.
    """
    from scipy.spatial.distance import cdist

    distances = cdist(made, starts)
    own = np.diagonal(distances)[:, None]
    nearer, equal = (distances < own).sum(axis=1), (distances == own).sum(axis=1) - 1
    return nearer + equal / 2


def retrieval(made: Array, starts: Array) -> dict[str, float]:
    """Summarise ranks: share found first, and mean share of the other starts that lie farther (chance .5)."""
    found = ranks(made, starts)
    return {"first": float((found < 0.5).mean()), "ahead_of": float(1 - found.mean() / (len(starts) - 1))}


def run(data: Path, work: Path, seed: int) -> list[dict[str, Any]]:
    """Take 100 control cells of one type at a time to stimulated ones under each `keep`."""
    fit = fits(data, seed)[0]
    if not is_fitted(fit, work=work):
        return []
    model = model_of(fit, data=data, work=work)
    adata, rng = read(DATA_SET, data), np.random.default_rng(seed)
    logs = spaces.log_normalise(adata, model.genes)
    components = spaces.Components.of(logs)
    judges = [
        spaces.classifier(components(logs), adata.obs[key].astype(str).to_numpy()) for key in ("condition", "cell_type")
    ]
    found = []
    for label in TYPES:
        pool = np.flatnonzero(((adata.obs["condition"] == "control") & (adata.obs["cell_type"] == label)).to_numpy())
        starts = adata[rng.choice(pool, N_STARTS, replace=False)].copy()
        known = model.encode(starts), components(spaces.log_normalise(starts, model.genes))
        for via, keep in product(VIAS, KEEPS):
            made = model.trajectory(starts, TARGET, n_steps=2, keep=keep, via=via, seed=seed, progress=False)
            last = made[made.obs["step"].to_numpy() == 1].copy()
            cells = components(spaces.log_normalise(last, model.genes))
            numbers = retrieval(last.obsm[SLOT][:, : known[0].shape[1]], known[0])
            numbers |= {f"{name}_counts": value for name, value in retrieval(model.encode(last), known[0]).items()}
            numbers |= {f"{name}_genes": value for name, value in retrieval(cells, known[1]).items()}
            numbers["arrived"] = float((judges[0].predict(cells) == TARGET["condition"]).mean())
            numbers["same_type"] = float((judges[1].predict(cells) == label).mean())
            found.append({"data_set": DATA_SET, "type": label, "keep": keep, "seed": seed, "answer": via, **numbers})
        real = components(logs[pool])
        kept = float((judges[1].predict(real) == label).mean())
        found.append(
            {"data_set": DATA_SET, "type": label, "keep": None, "seed": seed, "answer": REAL, "same_type": kept}
        )
    return found


def draw(found: list[dict[str, Any]], folder: Path) -> None:
    """Draw retrieval, and what is kept and changed, against `keep`."""
    figure, axes = figures.grid(1, 2, size=(9.0, 3.6))
    lines = (
        (axes[0], "first", "first"),
        (axes[0], "ahead_of", "nearer than others"),
        (axes[1], "same_type", "type of the start"),
        (axes[1], "arrived", "stimulated"),
    )
    for (number, (axis, measure, label)), (style, via) in product(enumerate(lines), zip(("-", ":"), VIAS, strict=True)):
        mine = [one for one in found if one["answer"] == via]
        along = [records.mean([one for one in mine if one["keep"] == keep], measure) for keep in KEEPS]
        marks = {"marker": "os^D"[number], "color": "black", "linewidth": 1, "markersize": 4}
        axis.plot(KEEPS, along, style, label=f"{label}, {via}", **marks)
    axes[0].axhline(1 / N_STARTS, linestyle="--", color="grey", linewidth=1, label="chance of first")
    axes[0].axhline(0.5, linestyle=":", color="grey", linewidth=1, label="chance of nearer")
    for axis, word in zip(axes, ("true start among 100 of its type, latents", "recognised"), strict=True):
        axis.set(xlabel="keep", ylabel=word, ylim=(-0.02, 1.02))
        axis.legend(frameon=False, fontsize=7)
    figures.save(figure, folder / FIGURE)

"""How much of its start cell a trajectory keeps: the true start found among 100 cells, for each value of `keep`."""

from __future__ import annotations

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
N_STARTS = 100
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
    """Take 100 control cells to stimulated ones under each `keep`."""
    fit = fits(data, seed)[0]
    if not is_fitted(fit, work=work):
        return []
    model = model_of(fit, data=data, work=work)
    adata, rng = read(DATA_SET, data), np.random.default_rng(seed)
    control = np.flatnonzero((adata.obs["condition"] == "control").to_numpy())
    starts = adata[rng.choice(control, N_STARTS, replace=False)].copy()
    logs = spaces.log_normalise(adata, model.genes)
    components = spaces.Components.of(logs)
    judges = {
        key: spaces.classifier(components(logs), adata.obs[key].astype(str).to_numpy())
        for key in ("condition", "cell_type")
    }
    of_start = components(spaces.log_normalise(starts, model.genes)), model.encode(starts)
    found = []
    for keep in KEEPS:
        made = model.trajectory(starts, TARGET, n_steps=2, keep=keep, seed=seed, progress=False)
        last = made[made.obs["step"].to_numpy() == made.obs["step"].max()].copy()
        cells = components(spaces.log_normalise(last, model.genes))
        numbers = {f"{name}_latent": value for name, value in retrieval(model.encode(last), of_start[1]).items()}
        numbers |= retrieval(cells, of_start[0])
        kept_type = judges["cell_type"].predict(cells) == starts.obs["cell_type"].astype(str).to_numpy()
        arrived = judges["condition"].predict(cells) == TARGET["condition"]
        numbers |= {"same_type": float(kept_type.mean()), "arrived": float(arrived.mean())}
        found.append({"data_set": DATA_SET, "keep": keep, "seed": seed, "answer": "ours", **numbers})
    return found


def draw(found: list[dict[str, Any]], folder: Path) -> None:
    """Draw retrieval, and what is kept and changed, against `keep`."""
    figure, axes = figures.grid(1, 2, size=(9.0, 3.6))
    lines = (
        (axes[0], "first", "found first, components"),
        (axes[0], "first_latent", "found first, latents"),
        (axes[0], "ahead_of", "nearer than share of others"),
        (axes[1], "same_type", "type of the start"),
        (axes[1], "arrived", "stimulated"),
    )
    for number, (axis, measure, label) in enumerate(lines):
        along = [records.mean([one for one in found if one["keep"] == keep], measure) for keep in KEEPS]
        axis.plot(KEEPS, along, marker="os^Dv"[number], color="black", linewidth=1, markersize=4, label=label)
    axes[0].axhline(1 / N_STARTS, linestyle="--", color="grey", linewidth=1, label="chance of first")
    axes[0].axhline(0.5, linestyle=":", color="grey", linewidth=1, label="chance of nearer")
    for axis, word in zip(axes, ("true start among 100", "recognised"), strict=True):
        axis.set(xlabel="keep", ylabel=word, ylim=(-0.02, 1.02))
        axis.legend(frameon=False, fontsize=7)
    figures.save(figure, folder / FIGURE)

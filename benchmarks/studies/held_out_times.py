"""Time points held out of the fit of a time course, generated and compared with their real cells."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import spaces
from benchmarks.layout import REAL, distinct, goal, grid, mean, only
from benchmarks.models import Fit, model_of, read
from benchmarks.records import rows_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "held_out_times"
title = "Held-out time points"
summary = "Hours of a time course that no training cell has, against interpolation."
unit = ("seed",)

Array = Any
DATA_SET = "malaria_pberghei"
HELD_OUT = ((8, 16), (6, 8, 10))
TRIVIAL = ("mix of neighbours", "optimal transport")
N_CELLS = 500
_FEWEST = 50
_SPLITS = 2


def fit_of(hours: tuple[int, ...], seed: int) -> Fit:
    """Describe the fit without some hours."""
    without = tuple({"time": hour} for hour in hours)
    word = "no_" + "_".join(map(str, hours))
    return Fit(name=word, data_set=DATA_SET, continuous=("time",), without=without, seed=seed)


def neighbours(times: Array, hour: float, held_out: tuple[float, ...]) -> tuple[float, float, float]:
    """Find the nearest hours with enough training cells on both sides, and how far between them an hour lies."""
    known, sizes = np.unique(times[~np.isin(times, held_out)], return_counts=True)
    known = known[sizes >= _FEWEST]
    low, high = float(known[known < hour].max()), float(known[known > hour].min())
    return low, high, (hour - low) / (high - low)


def mix(low: Array, high: Array, fraction: float, *, n: int, seed: int) -> Array:
    """Draw cells of two hours, the nearer one more often."""
    rng = np.random.default_rng(seed)
    n_high = round(fraction * n)
    return np.concatenate([low[rng.integers(len(low), size=n - n_high)], high[rng.integers(len(high), size=n_high)]])


def displace(low: Array, high: Array, fraction: float, *, coordinates: tuple[Array, Array], n: int, seed: int) -> Array:
    """Move cells along the optimal transport from one hour to the other, matched in given coordinates."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    rng = np.random.default_rng(seed)
    n = min(n, len(low), len(high))
    rows = [rng.choice(len(cells), n, replace=False) for cells in (low, high)]
    costs = cdist(coordinates[0][rows[0]], coordinates[1][rows[1]], "sqeuclidean")
    of_low, of_high = linear_sum_assignment(costs)
    return (1 - fraction) * low[rows[0][of_low]] + fraction * high[rows[1][of_high]]


def answers(adata: AnnData, made: AnnData, *, hour: int, held_out: tuple[int, ...], seed: int) -> dict[str, Array]:
    """Collect the cells of every way to fill in an hour, log-normalised."""
    genes = made.var_names.to_numpy()
    times = adata.obs["time"].to_numpy(dtype=float)
    low, high, fraction = neighbours(times, hour, held_out)
    ends = [spaces.log_normalise(adata[times == end], genes) for end in (low, high)]
    components = spaces.Components.of(np.concatenate(ends))
    projected = (components(ends[0]), components(ends[1]))
    return {
        "ours": spaces.log_normalise(made, genes),
        "mix of neighbours": mix(ends[0], ends[1], fraction, n=N_CELLS, seed=seed),
        "optimal transport": displace(ends[0], ends[1], fraction, coordinates=projected, n=N_CELLS, seed=seed),
    }


def score(adata: AnnData, made: dict[str, Array], *, hour: int, genes: Array) -> dict[str, dict[str, float]]:
    """Measure energy distances to real cells of the hour, and the hour that real cells nearby have."""
    from sklearn.neighbors import KNeighborsRegressor

    times = adata.obs["time"].to_numpy(dtype=float)
    logs = spaces.log_normalise(adata, genes)
    parts: dict[str, list[dict[str, float]]] = {}
    for split in range(_SPLITS):
        pair = spaces.halves(times, seed=split)
        for train, test in (pair, pair[::-1]):
            components = spaces.Components.of(logs[train])
            clock = KNeighborsRegressor(15).fit(components(logs[train]), times[train])
            target = components(logs[test][times[test] == hour])
            cells = {name: components(values) for name, values in made.items()}
            distances = {name: spaces.energy(values, target) for name, values in cells.items()}
            distances[REAL], cells[REAL] = spaces.energy_of_halves(target), target
            for name, values in cells.items():
                numbers = {"energy": distances[name], "hour": float(clock.predict(values).mean())}
                parts.setdefault(name, []).append(numbers)
    return {
        name: {measure: float(np.mean([one[measure] for one in of_name])) for measure in ("energy", "hour")}
        for name, of_name in parts.items()
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Set the seeds."""
    parser.set_defaults(seeds=[0, 1, 2])


def run(context: Context) -> Iterator[Record]:
    """Measure each seed."""
    for seed in context.seeds:
        yield from context.measure({"seed": seed}, partial(measure, context, seed))


def measure(context: Context, seed: int) -> list[dict[str, Any]]:
    """Score the held-out hours; one row each and answer."""
    adata, rows = read(DATA_SET, context), []
    for held_out in HELD_OUT:
        model = model_of(fit_of(held_out, seed), context)
        for hour in held_out:
            made = model.generate(N_CELLS, where={"time": float(hour)}, seed=seed, progress=False)
            found = answers(adata, made, hour=hour, held_out=held_out, seed=seed)
            about = {"data_set": DATA_SET, "without": "+".join(map(str, held_out)), "time": hour}
            scores = score(adata, found, hour=hour, genes=model.genes)
            rows += [about | {"answer": one, **numbers} for one, numbers in scores.items()]
    return rows


def lines(records: Sequence[Record]) -> list[str]:
    """Write energy distances by hour, and the goals."""
    found = rows_of(records)
    names = distinct(found, "answer")
    rows: list[list[Any]] = []
    for without, time in dict.fromkeys((row["without"], row["time"]) for row in found):
        mine = only(found, without=without, time=time)
        distances = [mean(only(mine, answer=one), "energy") for one in names]
        rows.append([without, time, *distances, *(mean(only(mine, answer=one), "hour") for one in ("ours", REAL))])
    goals = []
    for one in TRIVIAL:
        better = sum(row[2 + names.index("ours")] < row[2 + names.index(one)] for row in rows)
        goals.append(
            goal(f"hours (of {len(rows)}) nearer to real cells than {one}", value=better, met=better == len(rows))
        )
    about = (
        f"`{DATA_SET}` fitted with time as a number, without some hours: energy distance of cells generated at them."
    )
    header = ["held out", "hour", *names, "hour that the cells look like: ours", "real"]
    return [about, grid(header, rows), "\n".join(goals)]

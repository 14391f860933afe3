"""Hours of a time course that were left out of the fit, generated and compared with their real cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.control import spaces
from benchmarks.control.models import Fit, is_fitted, model_of, read

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

Array = Any
DATA_SET = "malaria_pberghei"
LEFT_OUT = ((8, 16), (6, 8, 10))
REAL = "real cells"
TRIVIAL = ("mix of neighbours", "optimal transport")
N_CELLS = 500
_FEWEST = 50
_SPLITS = 2


def fit_of(hours: tuple[int, ...], seed: int) -> Fit:
    """Describe the fit without some hours."""
    name = "no_" + "_".join(str(hour) for hour in hours)
    without = tuple({"time": hour} for hour in hours)
    return Fit(name=name, data_set=DATA_SET, continuous=("time",), without=without, seed=seed)


def fits(data: Path, seed: int) -> list[Fit]:
    """List all fits of the study."""
    return [fit_of(hours, seed) for hours in LEFT_OUT]


def neighbours(times: Array, hour: float, left_out: tuple[float, ...]) -> tuple[float, float, float]:
    """Find the nearest hours with enough training cells on both sides, and how far between them an hour lies."""
    known, sizes = np.unique(times[~np.isin(times, left_out)], return_counts=True)
    known = known[sizes >= _FEWEST]
    low, high = float(known[known < hour].max()), float(known[known > hour].min())
    return low, high, (hour - low) / (high - low)


def mix(low: Array, high: Array, share: float, *, n: int, seed: int) -> Array:
    """Draw cells of two hours, the nearer one more often."""
    rng = np.random.default_rng(seed)
    n_high = round(share * n)
    return np.concatenate([low[rng.integers(len(low), size=n - n_high)], high[rng.integers(len(high), size=n_high)]])


def displace(low: Array, high: Array, share: float, *, coordinates: tuple[Array, Array], n: int, seed: int) -> Array:
    """Move cells along the optimal transport from one hour to the other, matched in given coordinates."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    rng = np.random.default_rng(seed)
    n = min(n, len(low), len(high))
    rows = [rng.choice(len(cells), n, replace=False) for cells in (low, high)]
    costs = cdist(coordinates[0][rows[0]], coordinates[1][rows[1]], "sqeuclidean")
    of_low, of_high = linear_sum_assignment(costs)
    return (1 - share) * low[rows[0][of_low]] + share * high[rows[1][of_high]]


def answers(adata: AnnData, made: AnnData, *, hour: int, left_out: tuple[int, ...], seed: int) -> dict[str, Array]:
    """Collect the cells of every way to fill in an hour, log-normalised."""
    genes = made.var_names.to_numpy()
    times = adata.obs["time"].to_numpy(dtype=float)
    low, high, share = neighbours(times, hour, left_out)
    ends = [spaces.log_normalise(adata[times == end], genes) for end in (low, high)]
    components = spaces.Components.of(np.concatenate(ends))
    projected = (components(ends[0]), components(ends[1]))
    return {
        "ours": spaces.log_normalise(made, genes),
        "mix of neighbours": mix(ends[0], ends[1], share, n=N_CELLS, seed=seed),
        "optimal transport": displace(ends[0], ends[1], share, coordinates=projected, n=N_CELLS, seed=seed),
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
            cells[REAL] = components(logs[train][times[train] == hour])
            for name, values in cells.items():
                judged = target if name == REAL else values
                numbers = {"energy": spaces.energy(values, target), "hour": float(clock.predict(judged).mean())}
                parts.setdefault(name, []).append(numbers)
    return {
        name: {measure: float(np.mean([one[measure] for one in of_name])) for measure in ("energy", "hour")}
        for name, of_name in parts.items()
    }


def run(data: Path, work: Path, seed: int) -> list[dict[str, Any]]:
    """Score the hours left out of the fits that are there; one record each and way of answering."""
    adata, records = read(DATA_SET, data), []
    for left_out in LEFT_OUT:
        if not is_fitted(fit_of(left_out, seed), work=work):
            continue
        model = model_of(fit_of(left_out, seed), data=data, work=work)
        for hour in left_out:
            made = model.generate(N_CELLS, where={"time": float(hour)}, seed=seed, progress=False)
            found = answers(adata, made, hour=hour, left_out=left_out, seed=seed)
            scores = score(adata, found, hour=hour, genes=model.genes)
            about = {"data_set": DATA_SET, "without": "+".join(map(str, left_out)), "time": hour, "seed": seed}
            records += [about | {"answer": name, **numbers} for name, numbers in scores.items()]
    return records

"""From four cells to the late blastocyst through stages that the model never saw."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.control import spaces
from benchmarks.control.models import Fit, is_fitted, model_of, read

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anndata import AnnData

Array = Any
DATA_SET = "embryo_deng"
START, END = "4cell", "lateblast"
STAGES = ("4cell", "8cell", "16cell", "earlyblast", "midblast", "lateblast")
LEFT_OUT = (("8cell",), ("16cell", "midblast"))
WAYS: dict[str, dict[str, Any]] = {
    "noising": {"via": "noising", "keep": 0.3},
    "inversion": {"via": "inversion", "keep": 0.7},
}
REAL = "real cells"
N_STEPS = 11


def fit_of(adata: AnnData, left_out: tuple[str, ...], seed: int) -> Fit:
    """Describe the fit on embryonic cells without some stages."""
    untimed = adata.obs["time"].isna() | adata.obs["cell_type"].isin(left_out)
    rows = np.flatnonzero(~untimed.to_numpy()).astype(np.int64)
    return Fit(name="no_" + "_".join(left_out), data_set=DATA_SET, continuous=("time",), rows=rows, seed=seed)


def fits(data: Path, seed: int) -> list[Fit]:
    """List all fits of the study."""
    adata = read(DATA_SET, data)
    return [fit_of(adata, left_out, seed) for left_out in LEFT_OUT]


def in_order(passed: Sequence[int], must: Sequence[int]) -> bool:
    """Tell whether stages never go back along the steps, and those that must be passed are among them."""
    return all(now <= after for now, after in pairwise(passed)) and set(must) <= set(passed)


def nearest_stages(cells: Array, steps: Array, *, real: Array, stages: Array) -> list[int]:
    """Find for each step the stage whose centre lies nearest to the mean cell."""
    known = np.unique(stages)
    centres = np.stack([real[stages == stage].mean(axis=0) for stage in known])
    means = np.stack([cells[steps == step].mean(axis=0) for step in np.unique(steps)])
    nearest = np.linalg.norm(means[:, None] - centres[None], axis=2).argmin(axis=1)
    return [int(known[place]) for place in nearest]


def interpolate(starts: Array, ends: Array, *, seed: int) -> tuple[Array, Array]:
    """Walk on straight lines from each start to a random end."""
    rng = np.random.default_rng(seed)
    chosen = ends[rng.integers(len(ends), size=len(starts))]
    steps = np.repeat(np.arange(N_STEPS), len(starts))
    share = (steps / (N_STEPS - 1))[:, None]
    return (1 - share) * np.tile(starts, (N_STEPS, 1)) + share * np.tile(chosen, (N_STEPS, 1)), steps


def pseudotime(cells: Array, real: Array, *, root: int) -> Array:
    """Compute the diffusion pseudotime of cells among real ones, from a real root; of the latter if there are none."""
    import anndata
    import scanpy

    joint = anndata.AnnData(np.concatenate([real, cells]).astype(np.float32))  # no cell twice: it has no distance
    joint.uns["iroot"] = root
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scanpy.pp.neighbors(joint, n_neighbors=15, use_rep="X", random_state=0)
        scanpy.tl.diffmap(joint, random_state=0)
        scanpy.tl.dpt(joint)
    return joint.obs["dpt_pseudotime"].to_numpy()[len(real) if len(cells) else 0 :]


def score(cells: Array, steps: Array, *, real: Array, stages: Array, must: Sequence[int]) -> dict[str, Any]:
    """Judge one way: the stages it passes, and how it runs along diffusion pseudotime."""
    from scipy.stats import spearmanr

    passed = nearest_stages(cells, steps, real=real, stages=stages)
    root = int(np.flatnonzero(stages == stages.min())[0])
    times = pseudotime(cells[:0] if cells is real else cells, real, root=root)
    finite = np.isfinite(times)
    mean_times = [float(times[(steps == step) & finite].mean()) for step in np.unique(steps)]
    return {
        "passed": " ".join(STAGES[stage] for stage in dict.fromkeys(passed)),
        "in_order": in_order(passed, must),
        "spearman": float(spearmanr(steps[finite], times[finite]).statistic),
        "spearman_of_means": float(spearmanr(np.unique(steps), mean_times).statistic),
    }


def run(data: Path, work: Path, seed: int) -> list[dict[str, Any]]:
    """Walk through each gap whose fit is there; one record each and way of walking."""
    whole, found = read(DATA_SET, data), []
    for left_out in LEFT_OUT:
        if not is_fitted(fit_of(whole, left_out, seed), work=work):
            continue
        model = model_of(fit_of(whole, left_out, seed), data=data, work=work)
        adata = whole[whole.obs["cell_type"].isin(STAGES).to_numpy()]
        stages = adata.obs["cell_type"].map({stage: at for at, stage in enumerate(STAGES)}).to_numpy(dtype=int)
        logs = spaces.log_normalise(adata, model.genes)
        components = spaces.Components.of(logs, n=20)
        real, must = components(logs), [STAGES.index(stage) for stage in left_out]
        starts = adata[stages == STAGES.index(START)].copy()
        end = {"time": float(adata.obs.loc[adata.obs["cell_type"] == END, "time"].iloc[0])}
        walked = {
            way: model.trajectory(starts, end, n_steps=N_STEPS, seed=seed, progress=False, **settings)
            for way, settings in WAYS.items()
        }
        ways = {
            way: (components(spaces.log_normalise(made, model.genes)), made.obs["step"].to_numpy(dtype=int))
            for way, made in walked.items()
        } | {
            "straight lines": interpolate(
                real[stages == STAGES.index(START)], real[stages == STAGES.index(END)], seed=seed
            ),
            REAL: (real, stages),
        }
        about = {"data_set": DATA_SET, "without": " + ".join(left_out), "seed": seed}
        for name, (cells, steps) in ways.items():
            numbers = score(cells, steps, real=real, stages=stages, must=must)
            found.append(about | {"answer": name, **numbers})
    return found

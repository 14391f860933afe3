"""One run, in a process of its own: fit, generate, write the cells and the costs.

``python -m benchmarks.worker job.json``. It imports nothing of `scdiffusion`, so it also runs in the environment of the
peers; files are all that passes between the two.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import anndata
import numpy as np
from scipy import sparse

from benchmarks.cost import Meter, versions
from benchmarks.protocol import make

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

_PACKAGES = ("scdiffusion", "torch", "numpy", "anndata", "scvi-tools", "scdesigner", "scikit-learn")


class Job(TypedDict):
    """What a worker is told."""

    target: str
    options: dict[str, object]
    condition_keys: list[str]
    seed: int
    fit: str
    held_out: str
    cells: str
    cost: str


def run(job: Job) -> None:
    """Fit on one part, generate one cell for each label of the held-out part."""
    keys = job["condition_keys"]
    training = anndata.read_h5ad(job["fit"])
    obs = anndata.read_h5ad(job["held_out"], backed="r").obs[keys].copy()
    generator = make(job["target"], job["options"])
    with Meter() as fit:
        generator.fit(training, condition_keys=keys, seed=job["seed"])
    with Meter() as generate:
        cells = generator.generate(obs, seed=job["seed"] + 1)
    tidy(cells, obs=obs, var_names=training.var_names.to_numpy()).write_h5ad(job["cells"], compression="lzf")
    costs = {
        "n_fit": training.n_obs,
        "n_generated": len(obs),
        "fit": fit.cost.to_json(),
        "generate": generate.cost.to_json(),
        "notes": getattr(generator, "notes", {}),
        "versions": versions(*_PACKAGES),
    }
    Path(job["cost"]).write_text(json.dumps(costs, indent=1), encoding="utf-8")


def tidy(cells: AnnData, *, obs: pd.DataFrame, var_names: np.ndarray) -> AnnData:
    """Check that cells are whole counts on the right genes, one for each row of ``obs``, and strip all else."""
    counts = sparse.csr_matrix(cells.X)
    if counts.shape != (len(obs), len(var_names)):
        msg = f"The generator returned {counts.shape} cells x genes; expected {(len(obs), len(var_names))}."
        raise ValueError(msg)
    if not np.array_equal(cells.var_names.to_numpy(), var_names):
        msg = "The generator returned other genes, or another order of genes, than it was fitted on."
        raise ValueError(msg)
    if np.any(counts.data < 0) or np.any(counts.data != np.rint(counts.data)):
        msg = "The generator returned values that are not non-negative whole numbers."
        raise ValueError(msg)
    table = obs.set_axis([f"generated-{row}" for row in range(len(obs))], axis=0)
    return anndata.AnnData(counts.astype(np.int32), obs=table, var=cells.var[[]])


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))

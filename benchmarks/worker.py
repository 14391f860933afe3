"""Calls in processes of their own: ``python -m benchmarks.worker job.json`` names a function and its arguments.

Files are all that passes between the two processes. Nothing here imports the package before the call, so that peers
run in an environment that lacks it.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.cost import Finished, Meter, run_process, thread_environment, versions

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData

HERE = Path(__file__).resolve().parent
PEERS_PYTHON = HERE / ".venv-peers" / "bin" / "python"
_PACKAGES = ("scdiffuse", "torch", "numpy", "anndata", "scvi-tools", "scdesigner", "scikit-learn")


def call(
    function: str,
    arguments: dict[str, Any],
    *,
    folder: Path,
    n_threads: int = 1,
    timeout: float | None = None,
    python: Path | None = None,
) -> Finished:
    """Call a function in a process of its own.

    Parameters
    ----------
    function
        ``module:function`` below `benchmarks`. What it returns goes to ``FUNCTION.json`` in the folder.
    arguments
        Its arguments, as JSON can hold them.
    folder
        Where job, log and answer are kept.
    n_threads
        Threads of the process.
    timeout
        Seconds after which it is killed.
    python
        Another interpreter; it sees the benchmarks and not the package.

    Returns
    -------
    How the process ended, and what it cost.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = function.partition(":")[2]
    job = folder / f"{name}-job.json"
    job.write_text(json.dumps({"call": function, "arguments": arguments}, indent=1), encoding="utf-8")
    answer_file(function, folder).unlink(missing_ok=True)
    root = HERE.parent
    path = str(root) if python else f"{root}:{root / 'src'}"
    return run_process(
        [str(python or sys.executable), "-m", "benchmarks.worker", str(job)],
        log=log_file(function, folder),
        environment=thread_environment(n_threads) | {"PYTHONPATH": path},
        timeout=timeout,
    )


def ask(function: str, arguments: dict[str, Any], *, folder: Path, n_threads: int = 1) -> Any:  # noqa: ANN401
    """Call a function in a process of its own and return its answer; ends with the log where it fails."""
    done = call(function, arguments, folder=folder, n_threads=n_threads)
    if done.exit_code:
        raise SystemExit(log_file(function, folder).read_text(encoding="utf-8"))
    return json.loads(answer_file(function, folder).read_text(encoding="utf-8"))


def log_file(function: str, folder: Path) -> Path:
    """Return the file of what a call wrote."""
    return folder / f"{function.partition(':')[2]}.log"


def answer_file(function: str, folder: Path) -> Path:
    """Return the file of what a call returned."""
    return folder / f"{function.partition(':')[2]}.json"


def generate(
    *,
    target: str,
    options: dict[str, object],
    condition_keys: list[str],
    seed: int,
    fit: str,
    held_out: str,
    cells: str,
    n_cells: int | None = None,
) -> dict[str, Any]:
    """Fit a generator to one part and generate a cell for each held-out one; returns the costs.

    With ``n_cells`` it generates as many, with the labels of held-out cells over and over.
    """
    import anndata
    import numpy as np

    from benchmarks.generators import make

    training = anndata.read_h5ad(fit)
    obs = anndata.read_h5ad(held_out, backed="r").obs[condition_keys].copy()
    if n_cells is not None:
        obs = obs.iloc[np.resize(np.arange(len(obs)), n_cells)]
    generator = make(target, options)
    with Meter() as fitting:
        generator.fit(training, condition_keys=condition_keys, seed=seed)
    with Meter() as generating:
        made = generator.generate(obs, seed=seed + 1)
    tidy(made, obs=obs, var_names=training.var_names.to_numpy()).write_h5ad(cells, compression="lzf")
    return {
        "n_fit": training.n_obs,
        "n_generated": len(obs),
        "fit": fitting.cost.to_json(),
        "generate": generating.cost.to_json(),
        "notes": getattr(generator, "notes", {}),
        "versions": versions(*_PACKAGES),
    }


def tidy(cells: AnnData, *, obs: pd.DataFrame, var_names: np.ndarray) -> AnnData:
    """Check that cells are whole counts on the right genes, one for each row of ``obs``, and strip all else."""
    import anndata
    import numpy as np
    from scipy import sparse

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


def score(
    *,
    split: str,
    runs: list[dict[str, str]],
    by: str,
    donor: str | None,
    suite: Literal["quick", "full"],
    metrics: list[str] | None,
    seed: int,
) -> int:
    """Score all runs of one data set and seed; returns how many.

    Reference and baselines are measured once for all of them. The scores of a run are written as soon as they are
    known. Cells that cannot be scored stay without scores, and the others go on.

    Parameters
    ----------
    split
        Folder of the parts.
    runs
        File of the ``cells`` and file for the ``scores`` of each run.
    by, donor
        Columns of the cell type and of the donor.
    suite, metrics
        As in `scdiffuse.evaluate`.
    seed
        Seed of draws and folds.
    """
    import anndata

    from scdiffuse import UserError
    from scdiffuse.evaluation import Benchmark

    parts = {name: anndata.read_h5ad(Path(split) / f"{name}.h5ad") for name in ("fit", "reference", "held_out")}
    benchmark = Benchmark(
        parts["held_out"],
        reference=parts["reference"],
        train=parts["fit"],
        by=by,
        donor=donor,
        suite=suite,
        metrics=metrics,
        seed=seed,
        progress=False,
    )
    for one in runs:
        try:
            benchmark.score(one["cells"]).to_json(Path(one["scores"]), overwrite=True)
        except UserError as error:
            sys.stdout.write(f"{one['cells']}: {error}\n")
    return len(runs)


def main(job_file: str) -> None:
    """Do a job and write its answer."""
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    module, _, name = job["call"].partition(":")
    answer = getattr(import_module(f"benchmarks.{module}"), name)(**job["arguments"])
    answer_file(job["call"], Path(job_file).parent).write_text(json.dumps(answer, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])

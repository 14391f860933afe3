"""Scores of predicted perturbations by cell-eval, in an environment of its own.

``python -m benchmarks peers`` makes it: ``benchmarks/.venv-cell-eval``.
"""

from __future__ import annotations

import tempfile
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from benchmarks.worker import HERE, answer_file, call, log_file

CELL_EVAL = "cell-eval==0.8.2"
PYTHON = HERE / ".venv-cell-eval" / "bin" / "python"
KEY, CONTROL = "target", "control"


def scores(*, real: str, predicted: str) -> dict[str, Any]:
    """Score predicted against real log expression with every measure of cell-eval; runs where it is installed."""
    import anndata

    evaluator = import_module("cell_eval").MetricsEvaluator(
        adata_pred=anndata.read_h5ad(predicted),
        adata_real=anndata.read_h5ad(real),
        control_pert=CONTROL,
        pert_col=KEY,
        num_threads=1,
        outdir=str(Path(real).parent / "cell-eval"),
    )
    found, _ = evaluator.compute(profile="full", skip_metrics=["clustering_agreement"], write_csv=False)
    tests = evaluator.de_comparison.real.data
    return {
        "cell_eval": metadata.version("cell-eval"),
        "pdex": metadata.version("pdex"),
        "scores": {row.pop("perturbation"): row for row in found.to_dicts()},
        "p": {
            f"{row['target']}|{row['feature']}": [row["p_value"], row["fdr"], row["log2_fold_change"]]
            for row in tests.to_dicts()
        },
    }


def ask(real: Any, predicted: Any) -> dict[str, Any]:  # noqa: ANN401 - two AnnData
    """Let cell-eval score log expression, in its own process and environment."""
    import json

    if not PYTHON.exists():
        msg = f"There is no {PYTHON}. Make it with `python -m benchmarks peers`."
        raise SystemExit(msg)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = {"real": str(folder / "real.h5ad"), "predicted": str(folder / "predicted.h5ad")}
        (folder / "cell-eval").mkdir()
        real.write_h5ad(files["real"])
        predicted.write_h5ad(files["predicted"])
        done = call("cell_eval:scores", files, folder=folder, python=PYTHON)
        if done.exit_code:
            raise SystemExit(log_file("cell_eval:scores", folder).read_text(encoding="utf-8"))
        found: dict[str, Any] = json.loads(answer_file("cell_eval:scores", folder).read_text(encoding="utf-8"))
    return found

"""``python -m benchmarks.predict_peers`` lets other methods predict what the study `perturbations` leaves out of fits.

The fits are those of the study: its data sets, its conditions, and the cells that a fit must not see. Each method
trains on all other cells, in its own environment, and predicts the control cells of the context. The study reads the
folder with ``--predictions``. Beside ``METHOD.log1p.h5ad`` stands ``METHOD.json``: versions, settings and cost.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
from scipy import sparse

from benchmarks.data import DATA_VARIABLE, data_folder
from benchmarks.designs import DESIGNS, Design, HeldOut
from benchmarks.predictors import PREDICTORS, Predictor, Question
from benchmarks.records import Store
from benchmarks.study import Context, say
from benchmarks.worker import answer_file, call, log_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SETS = tuple(name for name, one in DESIGNS.items() if one.context is not None and one.together is None)
"""Data sets in which a labelled perturbation of one cell type is left out, the question that these methods answer."""

_ANSWER = "predictors:answer"


def main(argv: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status."""
    options = _parser().parse_args(argv)
    methods = [PREDICTORS[name] for name in options.methods]
    if options.set_up:
        for method in methods:
            set_up(method)
        return 0
    if options.out is None:
        msg = "Name the folder of the predictions with `--out FOLDER`."
        raise SystemExit(msg)
    context = Context(options=options, store=Store(options.out, "predictions", ()), data=data_folder(options.data))
    for data_set in options.sets:
        design = DESIGNS[data_set]
        adata = design.cells(context)
        for wanted in design.held_out(adata):
            for seed in options.seeds:
                for method in methods:
                    predict(design, wanted, adata, method=method, seed=seed, options=options)
    return 0


def set_up(method: Predictor) -> None:
    """Create the environment of a method if it is missing, and install its packages."""
    if not method.python.exists():
        venv.create(method.python.parents[1], with_pip=True)
    for arguments in method.installs:
        subprocess.run([str(method.python), "-m", "pip", "install", "-q", *arguments], check=True)
    say(f"The environment of {method.name} is ready.")


def predict(
    design: Design,
    wanted: HeldOut,
    adata: anndata.AnnData,
    *,
    method: Predictor,
    seed: int,
    options: argparse.Namespace,
) -> None:
    """Let a method answer one question, unless it has; a method that fails leaves its log and ends the command."""
    folder = options.out / design.fit(adata, wanted, seed).key
    about, cells = folder / f"{method.name}.json", folder / f"{method.name}.log1p.h5ad"
    if about.exists() and cells.exists() and not options.overwrite:
        say(f"{folder.name}, {method.name}: already done")
        return
    python = options.python or method.python
    if not python.exists():
        msg = f"There is no {python}. Make it with `--set-up`, or name another one with `--python`."
        raise SystemExit(msg)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        arguments = {"method": method.name, "question": question(design, wanted)._asdict(), "seed": seed}
        arguments |= {part: str(work / f"{part}.h5ad") for part in ("training", "control")} | {"cells": str(cells)}
        for part, rows in parts(design, wanted, adata, seed=seed).items():
            _plain(adata[rows], design).write_h5ad(arguments[part])
        done = call(_ANSWER, arguments, folder=work, n_threads=options.threads, python=python)
        log_file(_ANSWER, work).replace(folder / f"{method.name}.log")
        if done.exit_code:
            raise SystemExit((folder / f"{method.name}.log").read_text(encoding="utf-8"))
        found = json.loads(answer_file(_ANSWER, work).read_text(encoding="utf-8"))
    about.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    say(f"{folder.name}, {method.name}: {found['cost']['cpu_seconds']:.0f} CPU seconds")


def question(design: Design, wanted: HeldOut) -> Question:
    """Write a held-out condition as a question."""
    assert design.context is not None
    return Question(design.key, str(design.control), str(wanted.level), design.context, str(wanted.context))


def parts(design: Design, wanted: HeldOut, adata: anndata.AnnData, *, seed: int) -> dict[str, NDArray[np.bool_]]:
    """Mark the cells to train on and, among them, the control cells to predict."""
    return {
        "training": ~design.fit(adata, wanted, seed).left_out(adata),
        "control": design.rows(adata, HeldOut(wanted.context, design.control)),
    }


def _plain(cells: anndata.AnnData, design: Design) -> anndata.AnnData:
    """Keep counts and the two columns, in a form that old versions of AnnData read."""
    obs = cells.obs[[design.key, design.context]].astype(str).astype("category")
    return anndata.AnnData(sparse.csr_matrix(cells.X, dtype=np.float32), obs=obs, var=cells.var[[]])


def _parser() -> argparse.ArgumentParser:
    description, _, _ = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predict_peers", description=description)
    add: Any = parser.add_argument
    add("--methods", nargs="+", choices=list(PREDICTORS), default=list(PREDICTORS), help="methods; all if not given")
    add("--set-up", action="store_true", help="make the environments of the methods, and do no more")
    add("--sets", nargs="+", choices=SETS, default=["kang_ifnb"], help="data sets")
    add("--data", type=Path, help=f"folder of the data sets; without it the variable {DATA_VARIABLE}")
    add("--seeds", type=int, nargs="+", default=[0], help="seeds of the training")
    add("--out", type=Path, help="folder to write the predictions to")
    add("--python", type=Path, help="interpreter of an environment made otherwise")
    add("--threads", type=int, default=1, help="threads of each process")
    add("--overwrite", action="store_true", help="predict again what is done")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

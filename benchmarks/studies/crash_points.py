"""Writes that are ended at every call that changes a file, in the middle of files, and by a full disk.

Each write starts from what is there before, with files of a user beside it, and runs in a process that ends before the
first call, before the second, and so on; at some bytes of a file; and on a disk that is full after some bytes. A reader
has to find what was there or what is new, whole; the files of the user have to be as they were; and the same command
has to finish the work afterwards and leave nothing behind.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.crashes import Crash, Write, count_calls, try_write
from benchmarks.layout import grid
from benchmarks.records import rows_of
from benchmarks.study import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    import anndata as ad

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse.evaluation import Report

name = "crash_points"
title = "Crash points"
summary = "Whether a process that ends at any point of a write leaves what was there or what is new."
unit = ("write",)

Row = dict[str, Any]
_SETTINGS = {
    "autoencoder.n_hidden": 8,
    "autoencoder.n_latent": 3,
    "autoencoder.n_nonlinear": 2,
    "diffusion.width": 8,
    "diffusion.depth": 1,
    "diffusion.embedding_width": 8,
    "diffusion.solver_steps": 2,
}
_BYTES = (0, 1, 100, 1_000, 4_000, 10_000)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the writes."""
    parser.add_argument("--writes", nargs="+", help="only these writes")
    parser.set_defaults(seeds=[0])


def run(context: Context) -> Iterator[Record]:
    """End each write at each of its points."""
    with tempfile.TemporaryDirectory() as place:
        for write in writes(Path(place)):
            if not context.options.writes or write.name in context.options.writes:
                yield from context.measure({"write": write.name}, partial(measure, write, Path(place)))


def measure(write: Write, place: Path, *, every: int = 1, first: int = 0) -> list[Row]:
    """End a write at each of its points, or at some of them.

    Parameters
    ----------
    write
        The write.
    place
        Folder for the files.
    every, first
        Of each `every` points take one, from `first` on.

    Returns
    -------
    One row.
    """
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(dir=place) as folder:
        write.prepare(Path(folder))
        old = write.state(Path(folder))
        n_calls = count_calls(lambda: write.run(Path(folder)), Path(folder))
        new = write.state(Path(folder))
    points = [Crash("call", at) for at in range(n_calls)]
    points += [Crash("byte", at) for at in _BYTES] + [Crash("full", at) for at in _BYTES]
    points = points[first::every]
    found = []
    for point in points:
        with tempfile.TemporaryDirectory(dir=place) as folder:
            found.append(try_write(write, point, Path(folder), old=old, new=new))
    wrong = [
        f"{point.kind} {point.at}: {one.found}" for point, one in zip(points, found, strict=True) if not one.is_right
    ]
    row = {
        "write": write.name,
        "calls": n_calls,
        "points": len(points),
        "old": sum(one.found == "old" for one in found),
        "new": sum(one.found == "new" for one in found),
        "wrong": wrong,
        "seconds": round(time.monotonic() - begin, 1),
    }
    say(f"{row}")
    return [row]


def writes(place: Path) -> list[Write]:
    """List the writes, from one small model and its cells.

    Parameters
    ----------
    place
        Folder for what they start from.
    """
    from benchmarks.inside import keep_every_step
    from scdiffuse.evaluation import evaluate

    keep_every_step()
    simulated(seed=0).write_h5ad(place / "cells.h5ad")
    simulated(seed=1).write_h5ad(place / "others.h5ad")
    fit = ["fit", str(place / "cells.h5ad"), "-c", "kind", "--min-cells", "1", "--max-epochs", "1"]
    fit += [word for key, value in _SETTINGS.items() for word in ("--set", f"{key}={value}")]
    command(*fit, "-o", place / "model")
    command("shard", place / "others.h5ad", "-o", place / "shards")
    report = evaluate(place / "cells.h5ad", place / "others.h5ad", metrics=["mean_error"], progress=False)
    model = partial(_copy, place / "model", "model")
    cells = partial(_copy_file, place / "others.h5ad", "out.h5ad")
    over = ("--overwrite",)

    def words(*before: object, out: str = "") -> Any:  # noqa: ANN401 - a call of a folder
        return lambda folder: command(
            *(folder / "model" if one == "MODEL" else one for one in before), *(("-o", folder / out) if out else ())
        )

    other = [*fit, "--seed", "1"]
    return [
        Write("fit", _nothing, words(*fit, out="model"), model_state, words(*fit, "--resume", out="model")),
        Write(
            "fit over a model",
            model,
            words(*other, *over, out="model"),
            model_state,
            words(*other, *over, "--resume", out="model"),
        ),
        Write(
            "add-classifier",
            model,
            words("add-classifier", "MODEL", place / "cells.h5ad", "--name", "kind", "--max-epochs", "1", *over),
            model_state,
        ),
        Write(
            "distill",
            _nothing,
            words("distill", place / "model", *_SHORT, out="model"),
            model_state,
            words("distill", place / "model", *_SHORT, *over, out="model"),
        ),
        Write(
            "distill over a model", model, words("distill", place / "model", *_SHORT, *over, out="model"), model_state
        ),
        Write("save over a link", partial(_link, place / "model"), partial(_save_scored, place / "model"), model_state),
        Write("generate", cells, words("generate", place / "model", "-n", "5", *over, out="out.h5ad"), cells_state),
        Write(
            "predict",
            cells,
            words("predict", place / "model", place / "cells.h5ad", "--to", "kind=B", *over, out="out.h5ad"),
            cells_state,
        ),
        Write(
            "augment",
            cells,
            words(
                "augment",
                place / "model",
                place / "cells.h5ad",
                "--by",
                "kind",
                "--n-per-label",
                "30",
                *over,
                out="out.h5ad",
            ),
            cells_state,
        ),
        Write(
            "shard",
            partial(_copy, place / "shards", "shards"),
            words("shard", place / "cells.h5ad", "--cells-per-shard", "20", *over, out="shards"),
            shards_state,
        ),
        Write("report", _old_report, partial(_save_report, report), report_state),
    ]


_SHORT = ("--n-paths", "20", "--max-epochs", "1", "--solver-steps", "1")


def simulated(seed: int) -> ad.AnnData:
    """Simulate sixty cells of two types."""
    import anndata as ad
    import pandas as pd
    import scipy.sparse as sp

    draw = np.random.default_rng(seed)
    kinds = np.arange(60) % 3 % 2
    counts = draw.poisson(draw.gamma(1.0, 3.0, (2, 12))[kinds] + 0.3)
    counts[:, 0] += 1
    obs = pd.DataFrame({"kind": pd.Categorical(np.array(["A", "B"])[kinds])}, index=[f"cell-{at}" for at in range(60)])
    var = pd.DataFrame(index=[f"gene-{at}" for at in range(12)])
    return ad.AnnData(sp.csr_matrix(counts, dtype=np.float32), obs=obs, var=var)


def command(*words: object) -> None:
    """Run a command of the command line quietly, and end this process where it fails."""
    from contextlib import redirect_stderr, redirect_stdout

    from scdiffuse.cli import run

    line = [str(one) for one in words]
    line.append("--no-progress")
    with Path(os.devnull).open("w") as away, redirect_stderr(away), redirect_stdout(away):
        code = run(line)
    if code:
        sys.exit(code)


def model_state(folder: Path) -> str:
    """Read which model is there, finished or not: an unfinished one counts as none, as it was not asked for."""
    from benchmarks.inside import fingerprint
    from scdiffuse import load

    if not (folder / "model").exists():
        return "nothing"
    model = load(folder / "model")
    if model.was_stopped:
        return "nothing"
    kept = [sorted(model.classifiers), model.distillation and model.distillation["solver_steps"], model._scores]
    return f"{fingerprint(model)} {kept}"


def cells_state(folder: Path) -> str:
    """Read which cells are there."""
    import anndata as ad

    if not (folder / "out.h5ad").exists():
        return "nothing"
    found = ad.read_h5ad(folder / "out.h5ad")
    return hashlib.sha256(found.X.toarray().tobytes() + str(list(found.obs.columns)).encode()).hexdigest()


def shards_state(folder: Path) -> str:
    """Read which cells the shards hold."""
    from scdiffuse.cells import damaged_shards, open_source

    source = open_source(folder / "shards")
    wrong = damaged_shards(folder / "shards")
    rows = source.rows(np.arange(source.n_cells)).toarray()
    return hashlib.sha256(rows.astype(np.float64).tobytes()).hexdigest() + "".join(wrong)


def report_state(folder: Path) -> str:
    """Read which report is there."""
    return hashlib.sha256((folder / "report.json").read_bytes()).hexdigest()


def _nothing(folder: Path) -> None:
    (folder / "user.txt").write_text("mine", encoding="utf-8")


def _copy(source: Path, to: str, folder: Path) -> None:
    """Copy a folder of ours, and put files of a user beside and into it."""
    import shutil

    _nothing(folder)
    shutil.copytree(source, folder / to)
    (folder / to / "user").mkdir()
    for one in ("user.txt", "user/user.h5ad", ".user"):
        (folder / to / one).write_text("mine", encoding="utf-8")


def _copy_file(source: Path, to: str, folder: Path) -> None:
    _nothing(folder)
    (folder / to).write_bytes(source.read_bytes())


def _link(source: Path, folder: Path) -> None:
    _copy(source, "elsewhere", folder)
    (folder / "model").symlink_to("elsewhere")


def _save_scored(source: Path, folder: Path) -> None:
    from scdiffuse import load

    model = load(source)
    model.record_scores({"metrics": {"mmd": {"value": 0.1}}})
    model.save(folder / "model", overwrite=True)


def _old_report(folder: Path) -> None:
    _nothing(folder)
    (folder / "report.json").write_text("old" * 2_000, encoding="utf-8")


def _save_report(report: Report, folder: Path) -> None:
    report.to_json(folder / "report.json", overwrite=True)


def lines(records: Sequence[Record]) -> list[str]:
    """Count the points of each write, and name what went wrong."""
    rows = rows_of(records)
    n_points, wrong = (
        sum(row["points"] for row in rows),
        [f"{row['write']}: {one}" for row in rows for one in row["wrong"]],
    )
    table = grid(
        ["write", "calls that change files", "points", "old was found", "new was found", "wrong"],
        [[row["write"], row["calls"], row["points"], row["old"], row["new"], len(row["wrong"])] for row in rows],
    )
    found = "; ".join(wrong) if wrong else "no exception"
    return [
        f"{len(rows)} ways to write were ended at {n_points:,} points: before each call that changes a file, at "
        f"{len(_BYTES)} bytes of a file, and by a disk that is full after as many. A reader found what was there or "
        "what is new, whole, files of a user inside of the folders were as before, and the same command finished the "
        f"work; {found}.",
        table,
    ]

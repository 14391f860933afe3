"""Whether a change of the code changes a number.

Models are fitted to bundled example data, `kang_ifnb` and `embryo_deng`, and weights, generated counts and scores are
hashed under keys that last. They are compared with those of an earlier commit, on the same machine and libraries: other
CPUs and libraries round otherwise. The study ends with status 1 where a digest differs, and then keeps the earlier
record, unless ``--overwrite`` says that numbers were meant to change.

Kernels that Numba compiles in a process can round otherwise than the same kernels loaded from its cache. The first run
of a checkout compiles them; where it differs, run the study again.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd

import scdiffuse as scd
from benchmarks.digests import (
    MORE_SCORES,
    SETTINGS,
    Digests,
    call,
    coverage,
    differences,
    interrupted,
    latents_of,
    new,
    scores,
)
from benchmarks.layout import grid
from benchmarks.models import read
from benchmarks.study import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "digests"
title = "Digests of weights, cells and scores"
summary = "Whether a change of the code changes a number, on the same machine and libraries."
unit = ("libraries",)

ONE = "cell_type"
LIBRARIES = ("numpy", "scipy", "torch", "scikit-learn", "numba", "anndata")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to compare with, and where to write what helps to find a difference."""
    parser.add_argument("--against", type=Path, help="earlier record or details; that of --results if not given")
    parser.add_argument("--details", type=Path, help="file to write, with the numbers and tensors behind the digests")


def run(context: Context) -> Iterator[Record]:
    """Hash everything, and compare it with an earlier record; ends with status 1 where a digest differs."""
    before, details, n_kernels = _earlier(context), dict[str, Any](), _n_cached_kernels()
    settings = {"libraries": {package: version(package) for package in LIBRARIES}}
    for record in context.measure(settings, partial(measure, context, details)):
        if before is not None:
            found = differences(details, before)
            say("\n".join(found) or f"All {len(details['digests'])} digests are the same.")
            if found and before.get("libraries", settings["libraries"]) != settings["libraries"]:
                say("The earlier record was made with other libraries, which may be why.")
            if found and _n_cached_kernels() > n_kernels:
                say("Kernels were compiled in this run, which may be why; run it again.")
            if found and not context.options.overwrite:
                raise SystemExit(1)
        yield record


def measure(context: Context, details: dict[str, Any]) -> list[dict[str, str]]:
    """Hash weights, cells and scores of all models; fills in the details, and returns a row a key."""
    import torch
    from joblib import parallel_config  # type: ignore[import-untyped]

    sets = [read(data_set, context) for data_set in ("kang_ifnb", "embryo_deng")]
    torch.set_num_threads(1)
    found = Digests()
    with (
        tempfile.TemporaryDirectory() as work,
        parallel_config(backend="sequential"),  # threads sum in any order
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        blood(found, Path(work))
        stimulus(found, sets[0])
        stages(found, sets[1])
    details |= {"digests": found.digests, "numbers": found.numbers, "tensors": found.tensors}
    details["libraries"] = {package: version(package) for package in LIBRARIES}
    if context.options.details is not None:
        context.options.details.write_text(json.dumps(details, indent=1), encoding="utf-8")
    return [{"key": key, "digest": digest} for key, digest in found.digests.items()]


def _n_cached_kernels() -> int:
    """Count the kernels that Numba has cached beside the source."""
    return sum(1 for _ in Path(scd.__file__).parent.rglob("*.nbi"))


def _earlier(context: Context) -> dict[str, Any] | None:
    """Read what to compare with: a file of details, or the last of several records; nothing where there is none."""
    path = context.options.against or context.store.path
    if not path.exists() and context.options.against is None:
        say("No earlier record to compare with.")
        return None
    tree = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(tree, dict):
        return tree
    say(f"compared with {path}, commit {tree[-1]['commit']}, {tree[-1]['machine']}")
    return {"digests": {row["key"]: row["digest"] for row in tree[-1]["values"]}, **tree[-1]["settings"]}


def lines(records: Sequence[Record]) -> list[str]:
    """Write how many digests a record has."""
    rows = []
    for record in records:
        libraries = ", ".join(f"{package} {one}" for package, one in record.settings["libraries"].items())
        commit = f"`{record.commit[:12]}`" if record.commit else ""
        rows.append([commit, len(record.rows), record.machine, libraries])
    about = (
        "SHA-256 of the weights of fitted models, of the counts, labels and latents of generated, predicted and "
        "augmented cells and trajectories, and of the scores of evaluations. A later commit on the same machine and "
        "libraries gives the same digests, or says in its change what differs."
    )
    return [about, grid(["commit", "digests", "machine", "libraries"], rows)]


def frequent(cells: ad.AnnData, n: int) -> ad.AnnData:
    """Keep the genes that most cells have."""
    found = np.asarray((cells.X > 0).sum(axis=0)).ravel()
    return cells[:, np.sort(np.argsort(-found, kind="stable")[:n])].copy()


def blood(found: Digests, work: Path) -> None:
    """Fit bundled example data in full, ask for all that needs one label, and score."""
    whole, one = scd.datasets.pbmc68k(), ONE
    is_myeloid = whole.obs[one].isin(["Dendritic", "CD14+ Monocyte"]).to_numpy()
    whole.obs["line"], whole.obs["share"] = np.where(is_myeloid, "myeloid", "other"), np.diff(whole.X.indptr) / 765
    fit, others, held = scd.split(whole, by=one)
    model = call(new(fit, conditions=[one]).fit)
    found.weights("blood", model)
    found.lap("blood, fit")
    b, rare, none, rows = {one: "CD19+ B"}, {one: "CD34+"}, {one: None}, held.obs[[one]].astype(str)[:50]
    found.each("blood", model.generate, {
        "plain": {}, "other seed": {"n_cells": 90, "seed": 7}, "label": {"n_cells": 90, "where": b},
        "rows": {"where": rows},
        "no label": {"n_cells": 60, "where": none}, "depth": {"n_cells": 90, "library_size": 900},
        "numbers": {"where": pd.DataFrame({one: ["CD34+", "CD19+ B"], "n_cells": [20, 30]})},
        **{f"pull {by}": {"n_cells": 90, "where": rare, "scale": by} for by in (0.0, 1.5)},
        "pull by name": {"n_cells": 90, "scale": {one: 2.0}}, "away": {"n_cells": 90, "away": {one: "CD14+ Monocyte"}},
        "pull at times": {"n_cells": 90, "where": b, "scale": 2.0, "interval": (0.2, 0.7)},
        "away a bit": {"n_cells": 60, "where": b, "away": {one: ("CD34+", 0.5)}},
        "summed": {"n_cells": 90, "where": b, "composition": "additive"}, "parts": {"n_cells": 90, "batch_size": 37},
        **{f"rule {at}": {"n_cells": 90, "solver": rule} for at, rule in enumerate(("euler", "heun", "multistep"))},
        **{f"calls {n}": {"n_cells": 60, "solver_steps": n} for n in (3, 25)},
        "deep": {"n_cells": 90, "library_size": (900.0, 200.0)},
        "depth each": {"n_cells": 40, "library_size": list(range(300, 700, 10))},
        "file": {"n_cells": 90, "where": b, "path": work / "b.h5ad", "batch_size": 40},
    })  # fmt: skip
    found.values("blood, mean latents", model.encode(held))
    kind: dict[str, Any] = {"obs_key": one, "library_size": True, "max_epochs": 40}
    learnt = {"line": {}, "share": {"max_epochs": 40}, "kind": kind}
    for name, more in learnt.items():
        call(model.add_classifier, name, whole, **more)
    faster = call(model.distill, solver_steps=2, n_paths=3000, max_epochs=20)
    found.weights("blood, with more", faster)
    guided = {
        "toward label": {"n_cells": 60, "toward": {"line": ("myeloid", 2.0)}},
        "toward each": {"n_cells": 60, "toward": {"kind": (["CD34+", "CD56+ NK"] * 30, 1.5)}, "where": none},
        "toward number": {"n_cells": 60, "toward": {"share": (0.3, 2.0)}, "scale": 1.5, "interval": (0.1, 1.0)},
        "toward two": {"n_cells": 60, "toward": {"line": "myeloid", "share": 0.2}, "away": {"kind": "Dendritic"}},
    }  # fmt: skip
    distilled: dict[str, dict[str, Any]] = {"taught": {"n_cells": 60}, "taught label": {"n_cells": 60, "where": b}}
    found.each("blood", model.generate, guided)
    found.each("blood", faster.generate, distilled)
    found.each("blood, loaded", scd.load(model.save(work / "blood")).generate, {**guided, "some": {"n_cells": 90}})
    found.each("blood, loaded", scd.load(faster.save(work / "faster")).generate, distilled)
    found.each("blood, moved", model.predict, {
        "own depth": {"to": b, "library_size": "own"},
        "free depth": {"to": b, "library_size": None, "seed": 1, "batch_size": 30},
        "depth": {"to": b, "library_size": 800},
        "pull": {"to": b, "scale": 1.5, "interval": (0.0, 0.8), "solver_steps": 5},
        "toward": {"to": none, "toward": {"line": ("myeloid", 2.0)}}, "away": {"to": b, "away": rare},
    }, held[:70])  # fmt: skip
    numbers = {"largest": "max", "middle": "median", "some": 30, "one": {"CD34+": 20}}
    cases = {name: {"by": one, "n_per_label": n, "scale": 1.2} for name, n in numbers.items()}
    found.each("blood, filled", model.augment, cases, fit[:, model.genes])
    found.values("blood, known", coverage(model, b))
    found.lap("blood, cells")
    made = call(model.generate, n_cells=held.n_obs)
    for name, given in {"usual": {}, "more": {"metrics": MORE_SCORES}}.items():
        report = call(scd.evaluate, held, made, reference=others, train=fit, by=one, **given)
        for part, values in scores(report).items():
            found.values(f"blood, {name}: {part}", values)
    for part, values in scores(call(scd.audit, fit, held, made, by=one)).items():
        found.values(f"blood, given away: {part}", values)
    found.lap("blood, scores")
    variants(found, fit, held, work=work)


def variants(found: Digests, fit: ad.AnnData, held: ad.AnnData, *, work: Path) -> None:
    """Fit for a few epochs with other settings, columns, latents and places of cells."""
    logs, fit = np.log1p(fit.X), fit.copy()
    labels: dict[str, Any] = {"conditions": [ONE]}
    fit.obsm["codes"] = (logs @ np.random.default_rng(0).normal(size=(fit.n_vars, 12))).astype(np.float32)
    fit.obs["number"] = np.log10(np.asarray(fit.X.sum(axis=1)).ravel().astype(float))
    holed, layered, files = fit.copy(), ad.AnnData(logs, fit.obs, fit.var, layers={"raw": fit.X}), [work / "f.h5ad"]
    holed.obs.loc[holed.obs_names[::7], ONE] = np.nan
    holed.obs.loc[holed.obs_names[::11], "number"] = np.nan
    files.append(work / "h.h5ad")
    for cells, file in zip((fit, held), files, strict=True):
        cells.write_h5ad(file)
    call(scd.shard, files, work / "shards", cells_per_shard=150)
    genes = list(fit.var_names[5:])
    cases: dict[str, tuple[object, dict[str, Any]]] = {
        "short": (fit, labels), **{name: (fit, {**labels, "settings": one}) for name, one in SETTINGS.items()},
        "no labels": (fit, {"min_cells": 20}), "holes": (holed, {**labels, "continuous": ["number"]}),
        "layer": (layered, {**labels, "layer": "raw"}), "file": (files[0], labels), "files": (files, labels),
        "shards": (work / "shards", labels),
        **{name: (fit, {**labels, "latent": one}) for name, one in latents_of(work, genes).items()},
    }  # fmt: skip
    for name, (cells, asked) in cases.items():
        model = call(new(cells, **asked).fit, max_epochs=7, seed=2)
        found.weights(f"blood, {name}", model)
        found.each(f"blood, {name}", model.generate, {"some": {"n_cells": 60, "seed": 2}})
        if "conditions" in asked:
            found.each(f"blood, {name}", model.predict, {"moved": {"to": {ONE: "CD19+ B"}}}, fit[:40])
    found.weights("blood, resumed", interrupted(lambda: new(fit, **labels), work / "stopped", max_epochs=7, seed=2))
    found.lap("blood, variants")


def stimulus(found: Digests, whole: ad.AnnData) -> None:
    """Fit two labels without one of their combinations, and ask for it."""
    cells, both = frequent(whole, 1500), ["condition", ONE]
    cells.obs["person"] = cells.obs["donor"].astype(object).where(cells.obs["donor"] != "unknown", None)
    mono = (cells.obs[ONE] == "CD14+Mono").to_numpy()
    treated = (cells.obs["condition"] == "stimulated").to_numpy()
    fit, start = cells[~(mono & treated)].copy(), cells[mono & ~treated][:40].copy()
    model = call(new(fit, conditions=both).fit, max_epochs=15)
    call(model.add_classifier, "person", cells, max_epochs=20)
    found.weights("stimulus", model)
    found.lap("stimulus, fit")
    stimulated, person = {"condition": "stimulated"}, {"person": ("1015", 2.0)}
    left, b = {**stimulated, ONE: "CD14+Mono"}, {**stimulated, ONE: "B"}
    table = pd.DataFrame({**{name: [left[name], b[name], "control" if name != ONE else "NK"] for name in both},
                          "n_cells": [20, 15, 25]})  # fmt: skip
    found.each("stimulus", model.generate, {
        "plain": {"n_cells": 150}, "left out": {"n_cells": 60, "where": left}, "table": {"where": table},
        "left out, summed": {"n_cells": 60, "where": left, "composition": "additive"},
        "label": {"n_cells": 60, "where": stimulated},
        "left out, pull": {"n_cells": 60, "where": left, "scale": 1.5}, "seen": {"n_cells": 60, "where": b},
        "left out, pull by name": {"n_cells": 60, "where": left, "scale": {"condition": 2.0, ONE: 0.5}},
        "pull none by name": {"n_cells": 60, "where": left, "scale": {ONE: 0.0}},
        "no type": {"n_cells": 60, "where": {**left, ONE: None}},
        "left out, summed pull": {"n_cells": 60, "where": left, "composition": "additive", "scale": {"condition": 1.5}},
        "away": {"n_cells": 60, "where": {ONE: "B"}, "away": {"condition": "control"}},
        "left out, away": {"n_cells": 60, "where": left, "away": {"condition": ("control", 0.5)}, "solver": "heun"},
        "left out, toward": {"n_cells": 60, "where": left, "toward": person, "scale": 1.5, "interval": (0.2, 1.0)},
        "away from person": {"n_cells": 60, "away": {"person": ("1015", 1.5)}, "scale": {"condition": 1.5}},
    })  # fmt: skip
    found.each("stimulus, moved", model.predict, {
        "depth own": {"to": stimulated, "library_size": "own"}, "depth free": {"to": stimulated, "library_size": None},
        "pull": {"to": stimulated, "scale": 1.5}, "pull by name": {"to": stimulated, "scale": {"condition": 2.0}},
        "toward": {"to": stimulated, "toward": person, "library_size": (900.0, 100.0)},
    }, start)  # fmt: skip
    untyped = ad.AnnData(start.X, start.obs[["condition"]], start.var)
    found.each("stimulus, moved", model.predict, {"untyped": {"to": b}}, untyped)
    for name, method in (("inverted", "inversion"), ("noised", "partial_noising")):
        found.each(f"stimulus, {name}", model.trajectory, {
            "one": {"to": stimulated, "n_states": 4, "method": method},
            "few": {"to": b, "n_cells": 9, "method": method},
            "two": {"to": {"s": stimulated, "b": {ONE: "B"}}, "n_states": 3, "method": method, "library_size": "own",
                    "keep": 0.7},
            "pull": {"to": stimulated, "n_states": 3, "method": method, "scale": 1.5, "batch_size": 13},
            "toward": {"toward": {"x": person, "y": {"person": "1244"}}, "n_states": 3, "method": method, "keep": 0.2},
            "away": {"to": b, "away": {"condition": "control"}, "n_states": 3, "method": method, "solver_steps": 6},
        }, start)  # fmt: skip
        asked = {"made": {"to": b, "n_cells": 20, "n_states": 3, "method": method}}
        found.each(f"stimulus, {name}", model.trajectory, asked, {"condition": "control", ONE: "NK"})
    found.each("stimulus, filled", model.augment, {"some": {"by": "condition", "n_per_label": 1100}}, fit)
    for name, where in (("left", left), ("b", b), ("stimulated", stimulated)):
        found.values(f"stimulus, known {name}", coverage(model, where))
    later = call(new(cells[:, 200:].copy(), conditions=both).fit, init_from=model, max_epochs=3)
    found.weights("stimulus, begun", later)
    found.each("stimulus, begun", later.generate, {"some": {"n_cells": 80}})
    donors = ("1015", "1244", "1256"), ("101", "107", "1039"), ("1488", "1016")
    mine, others, held = (cells[cells.obs["person"].isin(part).to_numpy()].copy() for part in donors)
    given, made = {"by": ONE, "donor": "donor"}, call(model.generate, n_cells=150)
    privacy = call(scd.audit, mine, held, made, **given)
    few = call(scd.evaluate, held, made, reference=others, train=mine, metrics=MORE_SCORES[-2:], max_cells=120,
               n_seeds=2, **given)  # fmt: skip
    for name, report in (("given away", privacy), ("few", few)):
        for part, values in scores(report).items():
            found.values(f"stimulus, {name}: {part}", values)
    found.lap("stimulus, cells")


def stages(found: Digests, whole: ad.AnnData) -> None:
    """Fit a label and a time without one of the times, and ask for what lies between."""
    cells = frequent(whole, 2000)
    cells = cells[cells.obs["time"].notna().to_numpy()].copy()
    fit = cells[(cells.obs["time"] != 6.0).to_numpy()].copy()
    columns: dict[str, Any] = {"conditions": ["protocol"], "continuous": ["time"]}
    model = call(new(fit, **columns).fit, max_epochs=40)
    call(model.add_classifier, "age", cells, obs_key="time", max_epochs=100)
    found.weights("stages", model)
    alone = call(new(fit, continuous=["time"]).fit, max_epochs=15)
    found.weights("stages, alone", alone)
    found.weights("stages, begun", call(new(cells, **columns).fit, init_from=model, max_epochs=3))
    found.lap("stages, fit")
    between, late, both = {"time": 6.0}, {"time": 8.0}, {"time": 6.0, "protocol": "Smart-seq2"}
    cases: dict[str, Any] = {
        "plain": {"n_cells": 80}, "measured": {"n_cells": 40, "where": {"time": 5.0}},
        "between": {"n_cells": 40, "where": between},
        "between, pull": {"n_cells": 40, "where": between, "scale": 1.5},
        "no time": {"n_cells": 40, "where": {"time": None}},
        "near": {"n_cells": 40, "where": {"time": 6.4}}, "beyond": {"n_cells": 40, "where": {"time": 9.5}},
        "table": {"where": pd.DataFrame({"time": [0.5, 5.0, 6.0], "n_cells": [10, 20, 15]})},
        "pull by name": {"n_cells": 40, "where": between, "scale": {"time": 2.0}},
    }  # fmt: skip
    found.each("stages, alone", alone.generate, cases)
    found.each("stages", model.generate, {
        **cases, "both": {"n_cells": 40, "where": both},
        "both, summed": {"n_cells": 40, "where": both, "composition": "additive"},
        "toward": {"n_cells": 40, "toward": {"age": (6.0, 2.0)}, "where": {"time": None}},
        "away": {"n_cells": 40, "where": between, "away": {"protocol": "Smart-seq2"}},
    })  # fmt: skip
    start = cells[(cells.obs["time"] == 4.0).to_numpy()].copy()
    found.each("stages, moved", model.predict, {
        "own depth": {"to": between, "library_size": "own"}, "free depth": {"to": between, "library_size": None},
        "pull": {"to": late, "scale": {"time": 1.5}},
    }, start)  # fmt: skip
    for name, method in (("inverted", "inversion"), ("noised", "partial_noising")):
        plain = {"to": {"l": late, "b": between}, "n_states": 5, "method": method}
        asked = {"mixed": plain}
        found.each(f"stages, {name}", model.trajectory, asked, start)
    found.values("stages, known", [coverage(model, where) for where in (between, both)])
    found.lap("stages, cells")

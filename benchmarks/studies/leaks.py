"""Planted leaks: which of them the privacy audit catches, by number of cells, and what it says of donors.

Real cells stand for a perfect generator. Some of them are replaced by training cells, to the letter or with a part of
the counts drawn anew, so that the truth is known. Then whole donors are held out: a perfect generator of the others
copies no cell, and still reveals its donors where cells enough are at hand.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
from scipy import sparse

from benchmarks.data import DATA_SETS, DataSet, load, trim
from benchmarks.layout import distinct, grid, only
from benchmarks.records import rows_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "leaks"
title = "Planted leaks"
summary = "Which planted copies and donors the privacy audit catches, by number of cells."
unit = ("part", "data_set", "n_cells", "seed")

LEAKS_PART, DONORS_PART = "leaks", "donors"
SETS = {name: DATA_SETS[name] for name in ("kang_ctrl_8donors", "onek1k_40donors")}
SIZES = (250, 500, 1000, 2000)
LEAKS: dict[str, tuple[float, float]] = {
    "none": (0.0, 1.0),
    "1 % copies": (0.01, 1.0),
    "3 % copies": (0.03, 1.0),
    "5 % copies": (0.05, 1.0),
    "1 % near copies": (0.01, 0.8),
    "3 % near copies": (0.03, 0.8),
    "5 % near copies": (0.05, 0.8),
    "one donor copied": (1.0, 1.0),
    "one donor nearly copied": (1.0, 0.8),
}
"""Leaks, each as the fraction of the cells (of one donor in the last two) and the fraction of the counts kept."""
ATTACKS = {
    "donor_membership_distance": "distance",
    "donor_membership_density": "density",
    "donor_membership_copula": "copula",
    "donor_membership_1": "copula, 1 cell",
    "donor_membership_10": "copula, 10 cells",
    "donor_membership_100": "copula, 100 cells",
    "donor_membership_untrained": "copula, cells not trained on",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Set the seeds, and add parts, data sets and sizes."""
    parser.set_defaults(seeds=[0, 1, 2])
    parser.add_argument("--parts", nargs="+", choices=(LEAKS_PART, DONORS_PART), default=[LEAKS_PART, DONORS_PART])
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="training cells, and generated ones")


def run(context: Context) -> Iterator[Record]:
    """Measure each data set, size and seed."""
    options, data_sets = context.options, [SETS[name] for name in context.options.sets]
    for data_set, n_cells, seed in product(data_sets, options.sizes, context.seeds):
        if LEAKS_PART in options.parts:
            about = {"part": LEAKS_PART, "data_set": data_set.name, "n_cells": n_cells, "seed": seed}
            yield from context.measure(about, partial(measure_leaks, context, data_set, n_cells=n_cells, seed=seed))
    for data_set, seed in product(data_sets, context.seeds):
        if DONORS_PART in options.parts:
            about = {"part": DONORS_PART, "data_set": data_set.name, "n_cells": None, "seed": seed}
            yield from context.measure(about, partial(measure_donors, context, data_set, seed=seed))


def measure_leaks(context: Context, data_set: DataSet, *, n_cells: int, seed: int) -> list[dict[str, Any]]:
    """Plant each leak and audit it; one row each."""
    adata = _read(context, data_set)
    order = np.random.default_rng(seed).permutation(adata.n_obs)
    parts = [order[:n_cells], order[n_cells : n_cells + n_cells // 2], order[-n_cells:]]
    train, held_out, fresh = (adata[rows].copy() for rows in parts)
    return [
        {"leak": leak, "n_held_out": held_out.n_obs, **_audited(train, held_out, made, donor=data_set.donor_key)}
        for leak, made in ((leak, plant(leak, train, fresh, donor=data_set.donor_key, seed=seed)) for leak in LEAKS)
    ]


def plant(leak: str, train: AnnData, fresh: AnnData, *, donor: str | None, seed: int) -> AnnData:
    """Put training cells, some of their counts drawn anew, in the place of real cells."""
    fraction, kept = LEAKS[leak]
    stream = np.random.default_rng(seed)
    sources = np.arange(train.n_obs)
    if "donor" in leak:
        sources = np.flatnonzero(train.obs[donor] == train.obs[donor].value_counts().index[0])
    n_copies = int(np.ceil(fraction * (len(sources) if "donor" in leak else fresh.n_obs)))
    rows = stream.permutation(sources)[:n_copies]
    counts = fresh.X.toarray()
    copied = train.X[rows].toarray().astype(int)
    mean = np.asarray(train.X.mean(axis=0)).ravel()
    anew = (1 - kept) * copied.sum(axis=1, keepdims=True) * mean / mean.sum()
    counts[: len(rows)] = stream.binomial(copied, kept) + stream.poisson(anew)
    return anndata.AnnData(sparse.csr_matrix(counts, dtype=np.float32), obs=fresh.obs.copy(), var=fresh.var[[]])


def _audited(train: AnnData, held_out: AnnData, made: AnnData, *, donor: str | None) -> dict[str, Any]:
    import scdiffuse

    report = scdiffuse.audit(train, held_out, made, donor=donor, progress=False)
    verdict, copies = report.verdicts["privacy"], report.metrics["memorised_cells"]["sizes"]["copies"]
    near = report.metrics["near_copies"]["sizes"]["copies"]
    return {"level": verdict.level, "caught_by": "; ".join(verdict.evidence), "n_copies": copies, "n_near": near}


def measure_donors(context: Context, data_set: DataSet, *, seed: int) -> list[dict[str, Any]]:
    """Audit untrained cells of the training donors, as a perfect generator makes them; one row an attack."""
    import scdiffuse

    adata = _read(context, data_set)
    donors = adata.obs[data_set.donor_key].astype(str).to_numpy()
    stream = np.random.default_rng(seed)
    members = stream.permutation(np.unique(donors))[: len(np.unique(donors)) // 2]
    own = np.isin(donors, members)
    part = stream.random(adata.n_obs)
    train, control, fresh = (adata[own & (low <= part) & (part < high)].copy() for low, high in _PARTS)
    held_out = anndata.concat([control, adata[~own].copy()])
    report = scdiffuse.audit(train, held_out, fresh, donor=data_set.donor_key, progress=False)
    rows = []
    for metric, one in report.metrics.items():
        if metric in ATTACKS or metric in {"donor_difference", "membership_classifier"}:
            about = {key: one[key] for key in ("value", "low", "high", "p", "flagged", "doubt")}
            rows.append({"attack": metric, **about, **{key.replace(" ", "_"): n for key, n in one["sizes"].items()}})
    return rows


_PARTS = ((0.0, 0.5), (0.5, 0.75), (0.75, 1.0))


def _read(context: Context, data_set: DataSet) -> AnnData:
    adata = trim(load(data_set, context.data), data_set.condition_keys[0], max_cells=None)
    return anndata.AnnData(sparse.csr_matrix(adata.X), obs=adata.obs, var=adata.var[[]])


def lines(records: Sequence[Record]) -> list[str]:
    """Write what was caught, and what attackers of donors reach."""
    rows = rows_of(records)
    return _leak_lines(only(rows, part=LEAKS_PART)) + _donor_lines(only(rows, part=DONORS_PART))


def _leak_lines(found: list[dict[str, Any]]) -> list[str]:
    if not found:
        return []
    sizes = sorted(distinct(found, "n_cells"))
    rows = []
    for data_set, leak in product(distinct(found, "data_set"), LEAKS):
        cells = []
        for n_cells in sizes:
            own = only(found, data_set=data_set, leak=leak, n_cells=n_cells)
            caught = sum(one["level"] in {"differs", "fails"} for one in own)
            untold = sum(one["level"] == "too_few" for one in own)
            told = f"{caught} of {len(own)}" + (f" ({untold} too few to tell)" if untold else "")
            cells.append(told if own else "")
        words = [word for one in only(found, data_set=data_set, leak=leak) for word in one["caught_by"].split("; ")]
        by = sorted(set(words) - {""}, key=lambda word: (-words.count(word), word))
        rows.append([data_set, leak, *cells, ", ".join(by[:3])])
    about = (
        "Real cells with planted leaks: audits that flag, of so many seeds, by training cells. As many cells are "
        "generated and half as many held out. Copies hold all counts of a training cell, near copies 80 % of them, the "
        "others drawn anew. One donor is the largest. `none` shows false alarms."
    )
    header = ["data set", "leak", *(f"{n_cells:,} cells" for n_cells in sizes), "caught by"]
    return ["#### Copies", about, grid(header, rows)]


def _donor_lines(found: list[dict[str, Any]]) -> list[str]:
    if not found:
        return []
    titles = {
        "membership_classifier": "cells: trained on against not, same donors",
        "donor_difference": "cells: training donors against others, none trained on",
        **{metric: f"donors: {words}" for metric, words in ATTACKS.items()},
    }
    rows = []
    for data_set, metric in product(distinct(found, "data_set"), titles):
        own = only(found, data_set=data_set, attack=metric)
        if own:
            values = ", ".join(f"{one['value']:.2f} ({one['low']:.2f}-{one['high']:.2f})" for one in own)
            p = ", ".join("" if one["p"] is None or one["p"] == 1 else f"{one['p']:.2g}" for one in own).strip(", ")
            told = "too few donors to tell" if all(one["doubt"] for one in own) else ""
            counted = [one for one in own if "other_donors" in one]
            numbers = f"{counted[0]['training_donors']} / {counted[0]['other_donors']}" if counted else ""
            rows.append([data_set, titles[metric], numbers, values, p, told])
    about = (
        "Whole donors held out: untrained cells of the training donors stand for what a perfect generator makes of "
        "them. AUC with its interval, and p, by seed. No cell is copied, so attacks on cells find nothing; what they "
        "find of donors comes from the likeness of the cells of a donor."
    )
    header = ["data set", "attack", "donors trained on / not", "AUC by seed", "p", "verdict"]
    return ["#### Donors", about, grid(header, rows)]

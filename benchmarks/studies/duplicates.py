"""What a duplication rate gains where a molecule may be counted more than once.

Sequencing errors in a molecular identifier make one molecule look like several. No data set at hand has many such
counts, so they are planted: each count of real cells becomes more than one in a known way, and models with a
duplication rate and without one are fitted to the same cells.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from benchmarks import inside
from benchmarks.layout import Row, distinct, grid, mean, only
from benchmarks.models import read
from benchmarks.records import rows_of
from benchmarks.studies.power import CASES, divide, fit_model

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from benchmarks.records import Record
    from benchmarks.study import Context

    Counts = NDArray[np.int64]

name = "duplicates"
title = "Molecules that are counted more than once"
summary = "What a duplication rate gains where counts are planted to be more than one."
unit = ("data_set", "planted", "seed")

N_FITTED = 2_000
N_CELLS = 1_500  # a side
_SHOWN = (("depth", "forest"), ("depth", "logistic"), ("genes", "forest"))


def _same(counts: Counts, rng: np.random.Generator) -> Counts:
    return counts


def _twice(counts: Counts, rng: np.random.Generator, *, chance: float) -> Counts:
    return counts + rng.binomial(counts, chance)


def _poisson(counts: Counts, rng: np.random.Generator, *, rate: float) -> Counts:
    return counts + rng.poisson(rate * counts)


def _geometric(counts: Counts, rng: np.random.Generator) -> Counts:
    return counts + rng.negative_binomial(counts, 1 / 1.45)


PLANTED: dict[str, Callable[[Counts, np.random.Generator], Counts]] = {
    "itself": _same,
    "two, with chance .1": partial(_twice, chance=0.1),
    "two, with chance .3": partial(_twice, chance=0.3),
    "one and a Poisson number of mean .3": partial(_poisson, rate=0.3),
    "one and a Poisson number of mean .5": partial(_poisson, rate=0.5),
    "a geometric number of mean 1.45": _geometric,
}
"""What becomes of each count."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the data sets and what is planted."""
    parser.add_argument("--sets", nargs="+", choices=list(CASES), default=["kang_ctrl_8donors"])
    parser.add_argument("--planted", nargs="+", choices=list(PLANTED), default=list(PLANTED), metavar="WORDS")
    parser.set_defaults(seeds=[0, 1, 2])


def run(context: Context) -> Iterator[Record]:
    """Fit and measure each data set, way of planting and seed."""
    for planted in context.options.planted:
        yield from context.measure_sets(partial(measure, planted=planted), planted=planted)


def measure(context: Context, data_set: str, *, planted: str, seed: int) -> list[Row]:
    """Plant, fit with and without a duplication rate, and compare; one row for each fit."""
    from scdiffuse import ModelConfig

    case = CASES[data_set]
    adata = read(data_set, context).copy()
    counts = sparse.csr_matrix(adata.X)
    counts.data = PLANTED[planted](counts.data.astype(np.int64), np.random.default_rng(seed)).astype(np.float32)
    adata.X = counts
    fit, held_out = divide(adata, replace(case, fraction=N_FITTED / adata.n_obs), seed=seed)
    rows = []
    for duplicates in (True, False):
        begin = time.process_time()
        config = ModelConfig.from_dict({"autoencoder": {"dispersion": {"duplicates": duplicates}}})
        model = fit_model(fit, case=case, device=context.options.device, seed=seed, config=config)
        seconds, rate = time.process_time() - begin, inside.networks(model).duplication_rate
        generated = model.generate(held_out.n_obs, seed=seed, progress=False)
        about = {"duplicates": duplicates, "rate": rate, "fit_seconds": seconds}
        rows.append(about | _scores(held_out, generated, fit=fit, seed=seed))
        if duplicates and rate == 0:  # without a rate the other fit is the same
            return [*rows, rows[0] | {"duplicates": False}]
    return rows


def _scores(held_out: AnnData, generated: AnnData, *, fit: AnnData, seed: int) -> Row:
    """Score classifiers, and the parts of the counts above zero that are ones and twos."""
    from scdiffuse.evaluation import power_curve

    table = power_curve(
        held_out,
        generated,
        sizes=(N_CELLS,),
        classifiers=("forest", "logistic"),
        spaces=("genes", "depth"),
        seeds=(seed,),
        fit=fit,
    )
    table = table[table["n_cells"] == N_CELLS]
    row: Row = {
        f"{space}_{classifier}_{sample}": float(auc)
        for sample, space, classifier, auc in zip(
            *(table[key] for key in ("sample", "space", "classifier", "auc")), strict=True
        )
    }
    for sample, cells in (("real", held_out), ("generated", generated)):
        counts = sparse.csr_matrix(cells.X).data
        row |= {f"{words}_{sample}": float((counts == n).mean()) for n, words in ((1, "ones"), (2, "twos"))}
    return row


def lines(records: Sequence[Record]) -> list[str]:
    """Write the rates found, and the AUC with a rate and without one."""
    found = rows_of(records)
    rows = []
    for data_set in distinct(found, "data_set"):
        for planted in PLANTED:
            own = only(found, data_set=data_set, planted=planted)
            if not own:
                continue
            with_rate, without = (only(own, duplicates=duplicates) for duplicates in (True, False))
            cells = [_cell(with_rate, without, f"{space}_{classifier}") for space, classifier in _SHOWN]
            parts = [
                f"{mean(own, f'{words}_real'):.3f}: "
                + " / ".join(f"{mean(part, f'{words}_generated'):.3f}" for part in (with_rate, without))
                for words in ("ones", "twos")
            ]
            rates = ", ".join(f"{row['rate']:.2f}" if row["rate"] else "none" for row in with_rate)
            seconds = " / ".join(f"{mean(part, 'fit_seconds'):.0f}" for part in (with_rate, without))
            rows.append([data_set, planted, str(len(with_rate)), rates, *cells, *parts, seconds])
    about = (
        f"Each count of real cells becomes what the second column says; models of {N_FITTED:,} cells with a "
        "duplication rate / without one (where none is found, the same fit). AUC between "
        f"{N_CELLS:,} generated and as many held-out cells, mean over seeds; in brackets two halves of the real cells, "
        "where there are enough. Ones and twos are parts of the counts above zero, real: generated."
    )
    header = ["data set", "a count becomes", "seeds", "rate found"]
    header += [f"{classifier}, {space}" for space, classifier in _SHOWN]
    return [about, grid([*header, "ones", "twos", "CPU seconds of a fit"], rows)]


def _cell(with_rate: list[Row], without: list[Row], key: str) -> str:
    """Write the AUC with a rate and without one, and that of real cells where halves have cells enough."""
    both = " / ".join(f"{mean(part, f'{key}_generated'):.3f}" for part in (with_rate, without))
    real = [row for row in with_rate if f"{key}_real" in row]
    return f"{both} ({mean(real, f'{key}_real'):.3f})" if real else both

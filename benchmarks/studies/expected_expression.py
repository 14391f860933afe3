"""Expected expression of combinations left out one by one, and whether its error is known beforehand.

No network is fitted: cells are added up by combination, and one combination after the other is expected from all
others, beside what anybody can compute. The error expected beforehand, which decides the verdict of a prediction, is
compared with the true one, from which the sampling variance of the held-out cells is taken off. Both are in units of
the smaller of two changes, by the one label and by the other. The standard error of the genes is right if 95 % of them
lie within 1.96 of it, the sampling error of the held-out cells included. Of a data set with more than 16 combinations
each seed draws 16, so that no set decides alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks import inside
from benchmarks.layout import distinct, grid, only
from benchmarks.models import read
from benchmarks.records import rows_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "expected_expression"
title = "Expected expression, and its expected error"
summary = "Pseudobulks of held-out combinations, beside simple predictions; whether the error is known beforehand."
unit = ("data_set", "seed")

Array = Any
Row = dict[str, Any]
CASES = {
    "kang_ifnb": ("cell_type", "condition"),
    "mouse_gut_organs": ("cell_type", "organ"),
    "cell_lines_mixology": ("cell_type", "batch"),
    "papalexi_lowmoi": ("perturbation", "batch"),
    "kang_ctrl_8donors": ("cell_type", "donor"),
    "onek1k_40donors": ("cell_type", "batch"),
}
N_GENES = 5_000
SCALE = 1e4
PREDICTIONS = {
    "expected": "expected expression",
    "average": "average effect added",
    "nearest": "nearest label and its effect",
}
VERDICTS = ("near", "extrapolated", "cannot tell")
NORMAL_95 = 1.96
_MOST = 16
_FEWEST_HELD, _FEWEST, _FEWEST_POOLED = 50, 20, 3
_LEAST_CHANGE = 1e-4


class Pooled(NamedTuple):
    """Counts and cells of each combination of two labels."""

    counts: Array
    """Shape ``(A, B, G)``."""
    n_cells: Array
    """Shape ``(A, B)``."""
    labels: tuple[list[str], list[str]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Choose data sets."""
    parser.set_defaults(seeds=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", choices=list(CASES), default=list(CASES), help="data sets")


def run(context: Context) -> Iterator[Record]:
    """Measure each data set."""
    yield from context.measure_sets(measure)


def pool(context: Context, data_set: str) -> Pooled:
    """Add the cells of a data set up, with the genes that most cells have."""
    from scipy import sparse

    adata, keys = read(data_set, context), CASES[data_set]
    adata = adata[adata.obs[list(keys)].notna().all(axis=1).to_numpy()]
    counts = sparse.csr_matrix(adata.X)
    detected = np.asarray((counts > 0).sum(axis=0)).ravel()
    counts = counts[:, np.sort(np.argsort(-detected, kind="stable")[:N_GENES])]
    columns = [adata.obs[key].astype(str).astype("category") for key in keys]
    first, second = (list(column.cat.categories) for column in columns)
    group = columns[0].cat.codes.to_numpy().astype(int) * len(second) + columns[1].cat.codes.to_numpy()
    shape = (len(first), len(second))
    member = sparse.csr_matrix(
        (np.ones(len(group)), (group, np.arange(len(group)))), shape=(np.prod(shape), len(group))
    )
    return Pooled(
        (member @ counts).toarray().reshape(*shape, -1),
        np.bincount(group, minlength=member.shape[0]).reshape(shape),
        (first, second),
    )


def measure(context: Context, data_set: str, *, seed: int) -> list[Row]:
    """Leave combinations out, at most 16; one row for each."""
    pooled = pool(context, data_set)
    n_cells = pooled.n_cells
    often = n_cells >= _FEWEST
    asked = np.argwhere((n_cells >= _FEWEST_HELD) & (often.sum(axis=1)[:, None] > 1) & (often.sum(axis=0) > 1))
    if len(asked) > _MOST:
        asked = asked[np.sort(np.random.default_rng(seed).choice(len(asked), _MOST, replace=False))]
    return [leave_out(pooled, int(a), int(b)) for a, b in asked]


def leave_out(pooled: Pooled, a: int, b: int) -> Row:
    """Predict one combination from all others, and compare with its own cells."""
    counts, n_cells, (first, second) = pooled
    known = n_cells >= _FEWEST_POOLED
    known[a, b] = False
    expression, variance, error = inside.expect_combination(
        counts[known], n_cells[known], np.argwhere(known), n_labels=n_cells.shape, asked=np.array([a, b])
    )
    others = [one for one in range(len(second)) if known[a, one]]
    base = log(counts[a, others].sum(axis=0))
    effects = {
        k: log(counts[k, b]) - log(counts[k, [one for one in others if known[k, one]]].sum(axis=0))
        for k in range(len(first))
        if k != a and known[k, b] and known[k, others].any()
    }
    like = {k: np.corrcoef(log(counts[k, others].sum(axis=0)), base)[0, 1] for k in effects}
    predicted = {
        "expected": expression,
        "average": base + np.mean(list(effects.values()), axis=0) if effects else base,
        "nearest": base + effects[max(like, key=like.__getitem__)] if effects else base,
    }
    truth, own = log(counts[a, b]), counts[a, b] / counts[a, b].sum()
    noise = (SCALE / (1 + SCALE * own)) ** 2 * (own / counts[a, b].sum() + 0.5 * own**2 / n_cells[a, b])
    same_second = [one for one in range(len(first)) if known[one, b]]
    bases = (base, log(counts[same_second, b].sum(axis=0))) if same_second else (base,)
    change = min(max(float((np.square(truth - one) - noise).mean()), _LEAST_CHANGE) for one in bases)
    row: Row = {"first": first[a], "second": second[b], "n_cells": int(n_cells[a, b]), "expected_error": error}
    row["true_error"] = float((np.square(predicted["expected"] - truth) - noise).mean()) / change
    off = np.abs(expression - truth) / np.sqrt(variance + noise)
    row["within_95"] = float((off < NORMAL_95).mean())
    for key, values in predicted.items():
        row[f"mse_{key}"] = float(np.square(values - truth).mean() / np.square(truth - base).mean())
        row[f"r_{key}"] = float(np.corrcoef(values - base, truth - base)[0, 1])
    return row


def log(counts: Array) -> Array:
    """Bring a sum of counts to the log of 1 + counts per 10,000."""
    return np.log1p(SCALE * counts / counts.sum())


def lines(records: Sequence[Record]) -> list[str]:
    """Write the errors by data set, and the true error by verdict."""
    found = rows_of(records)
    drawn = [only(found, seed=seed) for seed in distinct(found, "seed")]
    rows = list({(row["data_set"], row["first"], row["second"]): row for row in found}.values())
    if not rows:
        return []
    sets: list[list[object]] = []
    for data_set in distinct(rows, "data_set"):
        own = only(rows, data_set=data_set)
        cells = [
            f"{np.mean([r[f'mse_{k}'] for r in own]):.2f}, {np.mean([r[f'r_{k}'] for r in own]):.2f}"
            for k in PREDICTIONS
        ]
        sets.append([data_set, len(own), *cells, f"{np.mean([row['within_95'] for row in own]):.0%}"])
    verdicts: list[list[object]] = []
    for verdict in VERDICTS:
        true = [row["true_error"] for row in rows if inside.verdict_of_unseen(row["expected_error"]) == verdict]
        if true:
            spread = np.quantile(true, [0.1, 0.9])
            verdicts.append([verdict, len(true), float(np.mean(true)), f"{spread[0]:.2f} to {spread[1]:.2f}"])
    one, every = np.mean([foreseen(own) for own in drawn], axis=0), foreseen(rows)
    return [
        "Mean square error of the log of 1 + counts per 10,000, in units of the change from other combinations with "
        "the same first label, and correlation of the change; pseudobulks, each combination left out in turn. The last "
        "column is the part of the genes within the 95 % interval of the expected expression.",
        grid(["data set", "combinations", *PREDICTIONS.values(), "genes within 95 %"], sets),
        f"With at most 16 combinations of a set ({len(drawn[0])} in all, mean of {len(drawn)} draws), the error that "
        f"is expected beforehand and the true one have a Spearman correlation of {one[0]:.2f}; of the worst tenth "
        f"{one[1]:.0%} have the verdict *cannot tell*, of the better half {one[2]:.0%}. Of all {len(rows)} "
        f"combinations drawn, most of which are of donors: {every[0]:.2f}, {every[1]:.0%}, {every[2]:.0%}.",
        grid(["verdict", "combinations", "true error, mean", "tenth to nine tenths"], verdicts),
    ]


def foreseen(rows: Sequence[Row]) -> tuple[float, float, float]:
    """Correlate the expected error with the true one; *cannot tell* among the worst tenth and the better half."""
    from scipy.stats import spearmanr

    expected, true = (np.array([row[key] for row in rows]) for key in ("expected_error", "true_error"))
    cannot = np.array([inside.verdict_of_unseen(error) == VERDICTS[-1] for error in expected])
    worst, best = true >= np.quantile(true, 0.9), true <= np.median(true)
    return float(spearmanr(expected, true).statistic), float(cannot[worst].mean()), float(cannot[best].mean())

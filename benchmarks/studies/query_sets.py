"""A batch or donor of which a model gets one state alone, after its fit: its other cells, beside simple answers.

The fit sees nothing of the batch. `map_query` gets its cells in one state, such as control cells, and the others are
predicted and generated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.layout import Row, distinct, grid, mean, only
from benchmarks.models import Fit, model_of, read
from benchmarks.records import rows_of
from benchmarks.spaces import pseudobulk

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "query_sets"
title = "New batches and donors with control cells only"
summary = "A batch or donor that no fit saw, of which one state is mapped and the others are predicted."
unit = ("data_set", "query", "seed")

Array = Any
GENERATED, PREDICTED = "mapped, generate", "mapped, predict"
GENERATED_BEFORE, PREDICTED_BEFORE = "label missing, generate", "label missing, predict"
EFFECT, STATE, HALF = "mapped cells + average effect", "the same state in the fitted cells", "other half"
N_GENERATED = 1500
_FEWEST = 40  # real cells of a state that is scored
_FEWEST_FITTED = 10  # of a state in a batch, to know an effect there


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Batches of a data set, each of which is a query in turn."""

    data_set: str
    key: str
    """Column of the batch or donor."""
    queries: tuple[str, ...]
    state: str
    """Column of the state, such as the perturbation or the cell type."""
    mapped: str
    """State of the cells that are mapped."""
    states: tuple[str, ...] = ()
    """States that are scored; all with cells enough if none are named."""
    ignored: tuple[str, ...] = ()


SETTINGS = {
    setting.data_set: setting
    for setting in (
        Setting(
            data_set="cell_lines_mixology",
            key="batch",
            queries=("sc_celseq2", "sc_celseq2_5cl_p3", "sc_dropseq"),
            state="cell_type",
            mapped="H1975",
        ),
        Setting(
            data_set="papalexi_lowmoi",
            key="batch",
            queries=("rep_1", "rep_2", "rep_3"),
            state="perturbation",
            mapped="non-targeting",
            states=("IFNGR1", "IFNGR2", "JAK2", "STAT1"),
            ignored=("unassigned",),
        ),
        Setting(
            data_set="kang_ctrl_8donors",
            key="donor",
            queries=("1015", "1256", "1488"),
            state="cell_type",
            mapped="CD4 T cells",
        ),
    )
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sets."""
    parser.add_argument("--sets", nargs="+", choices=list(SETTINGS), default=list(SETTINGS), help="data sets")


def run(context: Context) -> Iterator[Record]:
    """Map and score each batch."""
    for data_set in context.options.sets:
        for query in SETTINGS[data_set].queries:
            for seed in context.seeds:
                settings = {"data_set": data_set, "query": query, "seed": seed}
                yield from context.measure(settings, partial(measure, context, SETTINGS[data_set], query, seed=seed))


def measure(context: Context, setting: Setting, query: str, *, seed: int) -> list[Row]:
    """Fit without a batch, map one state of it and score the others; one row for each state and answer."""
    adata = read(setting.data_set, context)
    adata = adata[~adata.obs[setting.state].isin(setting.ignored).to_numpy()].copy()
    for column in (setting.key, setting.state):
        adata.obs[column] = adata.obs[column].astype(str)
    fit = Fit(
        name=f"no_{query}",
        data_set=setting.data_set,
        conditions=(setting.state, setting.key),
        without=({setting.key: query}, *({setting.state: one} for one in setting.ignored)),
        seed=seed,
    )
    model = model_of(fit, context)
    is_query = (adata.obs[setting.key] == query).to_numpy()
    is_mapped = is_query & (adata.obs[setting.state] == setting.mapped).to_numpy()
    cells = adata[is_mapped].copy()
    mapped = model.map_query(cells, setting.key, progress=False)
    unknown = cells.copy()
    unknown.obs = unknown.obs.drop(columns=setting.key)
    sizes = adata.obs[setting.state][is_query].value_counts()
    wanted = setting.states or [one for one, n in sizes.items() if n >= _FEWEST and one != setting.mapped]
    rows: list[Row] = []
    for state in wanted:
        where = {setting.state: state}
        known = where | {setting.key: query}
        more: dict[str, Any] = {"seed": seed, "progress": False}
        answers = {
            GENERATED: _pseudobulk(mapped.generate(N_GENERATED, where=known, **more), model.genes),
            PREDICTED: _pseudobulk(mapped.predict(cells, where, **more), model.genes),
            GENERATED_BEFORE: _pseudobulk(model.generate(N_GENERATED, where=where, **more), model.genes),
            PREDICTED_BEFORE: _pseudobulk(model.predict(unknown, where, **more), model.genes),
            **_simple(setting, adata[~is_query], state, start=_pseudobulk(cells, model.genes), genes=model.genes),
        }
        found = _scores(setting, adata[is_query], state, answers=answers, genes=model.genes, seed=seed)
        rows += [one | {"verdict": mapped.support(known).verdict, "n_mapped": cells.n_obs} for one in found]
    return rows


def _simple(setting: Setting, fitted: AnnData, state: str, *, start: Array, genes: Array) -> dict[str, Array]:
    """Answer without a model: what the state is in the fitted batches, and what it changes there on average."""
    found, effects = [], []
    for batch in fitted.obs[setting.key].unique():
        within = fitted[(fitted.obs[setting.key] == batch).to_numpy()]
        parts = [within[(within.obs[setting.state] == one).to_numpy()] for one in (state, setting.mapped)]
        if min(part.n_obs for part in parts) >= _FEWEST_FITTED:
            there, here = (_pseudobulk(part, genes) for part in parts)
            found.append(there)
            effects.append(there - here)
    return {EFFECT: (start + np.mean(effects, axis=0)).clip(min=0.0), STATE: np.mean(found, axis=0)}


def _scores(
    setting: Setting, query: AnnData, state: str, *, answers: dict[str, Array], genes: Array, seed: int
) -> Iterator[Row]:
    """Compare answers with half of the real cells, without the sampling error of that half."""
    real = query[(query.obs[setting.state] == state).to_numpy()]
    order = np.random.default_rng(seed).permutation(real.n_obs)
    first, second = (_pseudobulk(real[np.sort(half)], genes) for half in np.array_split(order, 2))
    start = _pseudobulk(query[(query.obs[setting.state] == setting.mapped).to_numpy()], genes)
    change, noise = first - start, np.square(first - second).mean() / 2
    for answer, expression in (answers | {HALF: second}).items():
        yield {
            "state": state,
            "answer": answer,
            "error": float((np.square(expression - first).mean() - noise) / (np.square(change).mean() - noise)),
            "correlation": float(np.corrcoef(expression - start, change)[0, 1]),
            "n_real": real.n_obs,
        }


def _pseudobulk(cells: AnnData, genes: Array) -> Array:
    return pseudobulk(cells[:, list(genes)])


def lines(records: Sequence[Record]) -> list[str]:
    """Write the answers beside each other for each data set."""
    rows = rows_of(records)
    answers = [GENERATED, PREDICTED, GENERATED_BEFORE, PREDICTED_BEFORE, EFFECT, STATE, HALF]
    parts = [
        "The fit sees no cell of the query; one state of it is mapped, all others are held out. Square error of the "
        "log of 1 + counts per 10,000 of the sum of the cells, less the sampling error of the half of the "
        "real cells that answers are compared with, in units of the change from the mapped cells to these; in "
        "brackets the correlation of the change. *Label missing* is the same model without `map_query`. Means over "
        "queries and states."
    ]
    table = []
    for data_set in distinct(rows, "data_set"):
        mine, setting = only(rows, data_set=data_set), SETTINGS[data_set]
        n = len({(row["query"], row["state"]) for row in mine})
        values = [
            f"{mean(only(mine, answer=one), 'error'):.3f} ({mean(only(mine, answer=one), 'correlation'):.2f})"
            for one in answers
        ]
        about = f"{len(distinct(mine, 'query'))} x {setting.key}, {setting.mapped}"
        table.append([data_set, about, n, len(distinct(mine, "seed")), *values])
    parts.append(grid(["data set", "queries, mapped state", "states", "seeds", *answers], table))
    ahead = [
        row["error"] < only(rows, answer=EFFECT, **{key: row[key] for key in (*unit, "state")})[0]["error"]
        for row in only(rows, answer=GENERATED)
    ]
    parts.append(
        f"Generated cells of a mapped query are nearer than its cells + average effect in {sum(ahead)} of {len(ahead)} "
        "states."
    )
    return parts

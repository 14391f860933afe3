"""Knock-outs that no training cell has, predicted from a table of features, beside what needs no model.

Two knock-outs at a time are left out entirely, never two of one pathway. The features are pathways of the target genes
as a textbook has them, written down before any result was seen.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import spaces
from benchmarks.layout import Row, distinct, grid, mean, only
from benchmarks.models import read
from benchmarks.records import rows_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse import CellGenerator

name = "unseen_labels"
title = "Knock-outs that no training cell has"
summary = "Unseen perturbations, known by features of their target genes."
unit = ("held_out", "seed")

Array = Any
DATA_SET, KEY, CONTROL, BATCH = "papalexi_lowmoi", "perturbation", "non-targeting", "batch"
IGNORED = ("unassigned",)
HELD_OUT = (("IFNGR1", "ATF2"), ("IFNGR2", "CD86"), ("IRF1", "CAV1"), ("JAK2", "MARCH8"), ("TNFRSF14", "ETV7"))
"""The ten knock-outs of the most cells."""
PATHWAYS = {
    "ATF2": "factor",
    "BRD4": "chromatin growth",
    "CAV1": "surface",
    "CD86": "surface costimulation",
    "CMTM6": "surface",
    "CUL3": "ubiquitin",
    "ETV7": "factor",
    "IFNGR1": "interferon_gamma receptor surface",
    "IFNGR2": "interferon_gamma receptor surface",
    "IRF1": "interferon_gamma_target irf factor",
    "IRF7": "interferon_type_1 irf factor",
    "JAK2": "interferon_gamma jak_stat kinase",
    "MARCH8": "ubiquitin surface",
    "MYC": "factor growth",
    "NFKBIA": "nf_kappa_b",
    "PDCD1LG2": "surface costimulation",
    "POU2F2": "factor",
    "SMAD4": "factor",
    "SPI1": "factor myeloid",
    "STAT1": "interferon_gamma interferon_type_1 jak_stat factor",
    "STAT2": "interferon_type_1 jak_stat factor",
    "STAT3": "jak_stat factor",
    "STAT5A": "jak_stat factor",
    "TNFRSF14": "surface costimulation receptor",
    "UBE2L6": "ubiquitin",
}
"""Pathways and kinds of the target genes."""
OURS, OTHERS, NEAREST, HALF = (
    "generated",
    "mean of the other knock-outs",
    "knock-out most alike by features",
    "other half",
)
MEASURES = {
    "correlation": "correlation of the change",
    "error": "square error / square of the change",
    "energy": "energy distance",
}
_AS_MANY = 5  # generated cells for each real one: their mean has hardly an error of its own


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Set the seeds."""
    parser.set_defaults(seeds=[0])


def run(context: Context) -> Iterator[Record]:
    """Measure each pair of knock-outs."""
    for seed in context.seeds:
        for pair in HELD_OUT:
            yield from context.measure(
                {"held_out": " + ".join(pair), "seed": seed}, partial(measure, context, pair, seed=seed)
            )


def features() -> pd.DataFrame:
    """Write the pathways as numbers."""
    import pandas as pd

    words = sorted({word for text in PATHWAYS.values() for word in text.split()})
    rows = [[float(word in text.split()) for word in words] for text in PATHWAYS.values()]
    return pd.DataFrame(rows, index=list(PATHWAYS), columns=words)


def measure(context: Context, pair: Sequence[str], *, seed: int) -> list[Row]:
    """Fit without two knock-outs, generate both, and compare; one row for each answer."""
    from scdiffuse import CellGenerator

    adata = read(DATA_SET, context)
    adata = adata[~adata.obs[KEY].isin(IGNORED).to_numpy()]
    to_fit = adata[~adata.obs[KEY].isin(pair).to_numpy()].copy()
    table = features()
    model = CellGenerator(to_fit, conditions=[KEY, BATCH], condition_features={KEY: table}, progress=False)
    model.fit(seed=seed, device=context.options.device, progress=False)
    adata = adata[:, model.genes].copy()
    return [row for label in pair for row in compare(model, adata, label, pair=pair, table=table, seed=seed)]


def compare(
    model: CellGenerator, adata: AnnData, label: str, *, pair: Sequence[str], table: pd.DataFrame, seed: int
) -> Iterator[Row]:
    """Compare cells of one knock-out with the answers, within batches."""
    import anndata

    obs = adata.obs[[KEY, BATCH]].astype(str)
    rng, is_real = np.random.default_rng(seed), (obs[KEY] == label).to_numpy()
    real = rng.permutation(np.flatnonzero(is_real))
    first, second = np.sort(real[: len(real) // 2]), np.sort(real[len(real) // 2 :])
    where = obs.iloc[np.tile(first, _AS_MANY)].reset_index(drop=True)
    made = model.generate(where=where, seed=seed, progress=False)
    assert isinstance(made, anndata.AnnData)
    others = obs[KEY].isin(set(PATHWAYS) - set(pair)).to_numpy()
    alike = nearest(table, label, without=pair)
    answers = {
        OURS: made[:, adata.var_names],
        OTHERS: adata[others],
        NEAREST: adata[(obs[KEY] == alike).to_numpy()],
        HALF: adata[second],
    }
    control, truth = adata[(obs[KEY] == CONTROL).to_numpy()], adata[first]
    change, logs = change_of(truth, control), spaces.log_normalise(truth, adata.var_names)
    components = spaces.Components.of(spaces.log_normalise(adata[is_real], adata.var_names))
    support = model.support({KEY: label})
    for answer, cells in answers.items():
        found = change_of(cells, control, weights_of=truth)
        sample = np.sort(rng.permutation(cells.n_obs)[: len(first)])
        yield {
            "label": label,
            "answer": answer,
            "correlation": float(np.corrcoef(found, change)[0, 1]),
            "error": float(np.square(found - change).sum() / np.square(change).sum()),
            "energy": spaces.energy(components(spaces.log_normalise(cells[sample], adata.var_names)), components(logs)),
            "expected_error": support.expected_error,
            "verdict": support.verdict,
            "nearest": alike,
            "n_real": len(first),
        }


def nearest(table: pd.DataFrame, label: str, *, without: Sequence[str]) -> str:
    """Find the trained knock-out that shares the largest part of its pathways."""
    known = table.drop(index=list(without))
    shared = known.to_numpy() @ table.loc[label].to_numpy()
    either = np.maximum(known.to_numpy(), table.loc[label].to_numpy()).sum(axis=1)
    return str(known.index[int(np.argmax(shared / either))])


def change_of(cells: AnnData, control: AnnData, *, weights_of: AnnData | None = None) -> Array:
    """Compare mean expression with that of control cells within each batch, weighted by the batches of some cells."""
    weights = (cells if weights_of is None else weights_of).obs[BATCH].astype(str).value_counts(normalize=True)
    return sum(weight * (_expression(cells, batch) - _expression(control, batch)) for batch, weight in weights.items())


def _expression(cells: AnnData, batch: object) -> Array:
    return spaces.pseudobulk(cells[(cells.obs[BATCH].astype(str) == batch).to_numpy()])


def lines(records: Sequence[Record]) -> list[str]:
    """Write each knock-out, and the answers beside each other."""
    rows = rows_of(records)
    answers = distinct(rows, "answer")
    seeds = distinct(rows, "seed")
    about = (
        f"`{DATA_SET}`: {len(distinct(rows, 'label'))} knock-outs, left out entirely two at a time, {len(seeds)} "
        "seed(s). Changes are against control cells of the same batch, of log expression summed over cells, compared "
        f"with half of the real cells; for each of them {_AS_MANY} are generated. *Other half* is the other half "
        "of the real cells, with the sampling error of as few. Energy distances are of equal numbers of cells. The "
        "expected error is known beforehand."
    )
    table: list[list[object]] = []
    for label in distinct(rows, "label"):
        mine = only(rows, label=label)
        ours = only(mine, answer=OURS)
        values = [mean(only(mine, answer=one), key) for key in ("correlation", "error") for one in answers]
        table.append([label, mean(ours, "expected_error"), ours[0]["verdict"], *values])
    header = [f"{key}: {one}" for key in ("correlation", "error") for one in answers]
    means = [[one, *(mean(only(rows, answer=one), key) for key in MEASURES)] for one in answers]
    return [
        about,
        grid(["answer", *MEASURES.values()], means),
        grid(["knock-out", "expected error", "verdict", *header], table),
    ]

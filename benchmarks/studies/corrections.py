"""What each correction gains: fits with one of them switched off, beside the fit with all of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks import spaces
from benchmarks.data import DATA_SETS, load
from benchmarks.layout import distinct, grid, mean, only
from benchmarks.records import rows_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse import ModelConfig

name = "corrections"
title = "Corrections, one switched off at a time"
summary = "What each correction of the model gains, on four data sets and three seeds."
unit = ("data_set", "seed", "off")

Array = Any
Row = dict[str, Any]
N_GENES = 1_500
N_COMBINATION = 200
NOTHING = "nothing"
_TO_FIT = 0.6
_SEEDS = 3
_RARE = 100
_FEWEST = 5
_FOLDS = 5
_CHANGES = 200


class Case(NamedTuple):
    """A data set, its conditions, and the combination of them that no training cell has."""

    conditions: tuple[str, ...]
    held_out: tuple[str, ...] | None


CASES: dict[str, Case] = {
    "pbmc68k": Case(("cell_type",), None),
    "kang_ifnb": Case(("cell_type", "condition"), ("CD14+Mono", "stimulated")),
    "cell_lines_mixology": Case(("cell_type", "batch"), None),
    "mouse_gut_organs": Case(("cell_type", "organ"), None),
}
"""A combination that is not named is the largest whose labels other combinations have."""

OFF: dict[str, Row] = {
    NOTHING: {},
    "expected expression": {"calibration": {"expected_expression": False}},
    "gene factors of rare combinations": {"calibration": {"rare_combinations": False}},
    "pairwise interactions": {
        "calibration": {"pairwise_interactions": False},
        "diffusion": {"pairwise_interactions": False},
    },
    "library-size scores": {"library_size_scores": False},
    "dispersion fit": {"autoencoder": {"dispersion_fit": False}},
    "shared prior of dispersions": {"autoencoder": {"dispersion": {"shared_prior": False}}},
    "mean dependence of dispersions": {"autoencoder": {"dispersion": {"mean_dependence": False}}},
    "state dependence of dispersions": {"autoencoder": {"dispersion": {"state_dependence": False}}},
    "outlier component": {"autoencoder": {"likelihood": "negative_binomial"}},
    "means of genes": {"autoencoder": {"mean_fit": False}},
    "binomial thinning": {"autoencoder": {"thinning": 0.0}},
}
"""Settings that switch a correction off."""

MEASURES = {
    "forest": "random forest AUC, genes",
    "logistic": "logistic regression AUC, genes",
    "library": "random forest AUC, library size features",
    "rare": "error of rare combinations",
    "held_out": "energy distance of the held-out combination",
    "slope": "error of its fold changes",
}
"""Lower is better in all of them; of an AUC, its distance from .5 counts."""


def cells_of(data_set: str, context: Context) -> AnnData:
    """Read a data set with the genes that most cells have."""
    adata = load(DATA_SETS[data_set], context.data)
    detected = np.asarray((adata.X > 0).sum(axis=0)).ravel()
    kept = adata[:, np.sort(np.argsort(-detected, kind="stable")[:N_GENES])]
    return kept[np.asarray(kept.X.sum(axis=1)).ravel() > 0].copy()


def held_out_combination(adata: AnnData, case: Case) -> tuple[str, ...] | None:
    """Choose the largest combination whose labels other combinations have too."""
    if case.held_out is not None or len(case.conditions) == 1:
        return case.held_out
    labels = adata.obs[list(case.conditions)].astype(str)
    for combination in labels.value_counts().index:
        others = labels[(labels != list(combination)).any(axis=1)]
        if all((others[key] == label).sum() >= _RARE for key, label in zip(case.conditions, combination, strict=True)):
            return tuple(combination)
    return None


def divide(adata: AnnData, case: Case, *, seed: int) -> tuple[AnnData, AnnData, AnnData | None]:
    """Divide cells to fit, cells to compare with, and those of the combination that is held out."""
    labels = adata.obs[list(case.conditions)].astype(str)
    combination = held_out_combination(adata, case)
    is_held = np.zeros(adata.n_obs, dtype=bool)
    if combination is not None:
        is_held = (labels == list(combination)).all(axis=1).to_numpy()
    order = np.random.default_rng(seed).permutation(np.flatnonzero(~is_held))
    n = round(_TO_FIT * len(order))
    to_fit, to_compare = np.sort(order[:n]), np.sort(order[n:])
    known = np.ones(len(to_compare), dtype=bool)
    kept = np.ones(len(to_fit), dtype=bool)
    for key in case.conditions:
        numbers = labels[key].iloc[to_fit].value_counts()
        enough = numbers.index[numbers >= 2]
        known &= labels[key].iloc[to_compare].isin(enough).to_numpy()
        kept &= labels[key].iloc[to_fit].isin(enough).to_numpy()
    return adata[to_fit[kept]].copy(), adata[to_compare[known]].copy(), adata[is_held].copy() if is_held.any() else None


def library_features(counts: Array) -> NDArray[np.float64]:
    """Describe the counts of cells without naming genes: library size, genes found, ones, twos, largest count."""
    found = np.diff(counts.indptr)
    rows = np.repeat(np.arange(counts.shape[0]), found)
    ones, twos = (np.bincount(rows[counts.data == n], minlength=counts.shape[0]) for n in (1, 2))
    total = np.asarray(counts.sum(axis=1)).ravel()
    highest = counts.max(axis=1).toarray().ravel()
    return np.column_stack([np.log(total), found, ones / found, twos / found, np.log(highest)])


def auc(real: Array, made: Array, classifier: object) -> float:
    """Score how well a classifier separates generated cells from real ones, over folds."""
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    values, labels = np.concatenate([real, made]), np.repeat([0, 1], [len(real), len(made)])
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    found = cross_val_predict(classifier, values, labels, cv=folds, method="predict_proba")
    return float(roc_auc_score(labels, found[:, 1]))


def two_sample(held: AnnData, made: AnnData) -> dict[str, float]:
    """Compare generated cells with real ones by three classifiers."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    genes = made.var_names.to_numpy()
    real_logs, made_logs = (spaces.log_normalise(cells, genes) for cells in (held, made))
    logistic = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    forest = RandomForestClassifier(200, min_samples_leaf=3, n_jobs=1, random_state=0)
    real_sizes, made_sizes = (library_features(cells[:, genes].X.tocsr()) for cells in (held, made))
    return {
        "forest": abs(auc(real_logs, made_logs, forest) - 0.5),
        "logistic": abs(auc(real_logs, made_logs, logistic) - 0.5),
        "library": abs(auc(real_sizes, made_sizes, forest) - 0.5),
    }


def rare_error(fit: AnnData, held: AnnData, made: AnnData, *, case: Case) -> float | None:
    """Measure how far the mean log expression of rare combinations lies from that of real cells."""
    genes, keys = made.var_names.to_numpy(), list(case.conditions)
    names = [cells.obs[keys].astype(str).agg(" / ".join, axis=1) for cells in (fit, held, made)]
    numbers = names[0].value_counts()
    errors = []
    for label in numbers.index[numbers < _RARE]:
        real, ours = (np.flatnonzero(one == label) for one in names[1:])
        if min(len(real), len(ours)) >= _FEWEST:
            pairs = ((held, real), (made, ours))
            means = [spaces.log_normalise(cells[rows], genes).mean(axis=0) for cells, rows in pairs]
            errors.append(float(np.square(means[0] - means[1]).mean()))
    return float(np.mean(errors)) if errors else None


def combination_errors(fit: AnnData, truth: AnnData, made: AnnData, *, case: Case) -> dict[str, float]:
    """Compare generated cells of the held-out combination with its real cells."""
    genes, key = made.var_names.to_numpy(), case.conditions[0]
    same = (fit.obs[key].astype(str) == str(truth.obs[key].iloc[0])).to_numpy()
    base = spaces.log_normalise(fit[same], genes).mean(axis=0)
    logs = [spaces.log_normalise(cells, genes) for cells in (truth, made)]
    components = spaces.Components.of(logs[0])
    change, ours = (one.mean(axis=0) - base for one in logs)
    top = np.argsort(-np.abs(change))[:_CHANGES]
    slope = float(change[top] @ ours[top] / (change[top] @ change[top]))
    return {"held_out": spaces.energy(components(logs[1]), components(logs[0])), "slope": abs(1.0 - slope)}


def settings_without(off: str) -> ModelConfig:
    """Build the settings with one correction switched off."""
    from scdiffuse import ModelConfig

    return ModelConfig.from_dict(_merged(ModelConfig().to_dict(), OFF[off]))


def _merged(tree: Row, changed: Row) -> Row:
    """Replace the leaves of a tree of settings."""
    return tree | {
        name: _merged(tree[name], value) if isinstance(value, dict) else value for name, value in changed.items()
    }


def measure(context: Context, data_set: str, seed: int, *, off: str) -> Row:
    """Fit without one correction, and compare generated cells with real ones."""
    import warnings

    import anndata

    from scdiffuse import CellGenerator

    warnings.simplefilter("ignore")
    case, adata = CASES[data_set], cells_of(data_set, context)
    keys = list(case.conditions)
    fit, held, truth = divide(adata, case, seed=seed)
    model = CellGenerator(fit, conditions=keys, config=settings_without(off), progress=False)
    model.fit(seed=seed, progress=False)
    held = held[:, model.genes].copy()
    held = held[np.asarray(held.X.sum(axis=1)).ravel() > 0].copy()
    made = model.generate(where=held.obs[keys].astype(str), seed=seed, progress=False)
    assert isinstance(made, anndata.AnnData)
    found: Row = {**two_sample(held, made), "rare": rare_error(fit, held, made, case=case)}
    if truth is not None:
        labels = truth.obs[keys].astype(str).iloc[0]
        cells = model.generate(N_COMBINATION, where=dict(labels), seed=seed, progress=False)
        assert isinstance(cells, anndata.AnnData)
        found |= combination_errors(fit, truth[:, model.genes].copy(), cells, case=case)
    return found | {"n_fit": fit.n_obs, "n_held_out": held.n_obs}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Choose data sets and corrections."""
    parser.set_defaults(seeds=list(range(_SEEDS)))
    parser.add_argument("--data-sets", nargs="+", default=list(CASES), choices=list(CASES), help="data sets")
    parser.add_argument("--off", nargs="+", default=list(OFF), choices=list(OFF), help="corrections to switch off")


def run(context: Context) -> Iterator[Record]:
    """Measure each data set, seed and correction."""
    for data_set in context.options.data_sets:
        for seed in context.seeds:
            for off in context.options.off:
                settings = {"data_set": data_set, "seed": seed, "off": off}
                yield from context.measure(settings, partial(measure, context, data_set, seed, off=off))


def lines(records: Sequence[Record]) -> list[str]:
    """Write what each measure loses without a correction, and on how many data sets and seeds it is worse."""
    rows = rows_of(records)
    if not rows:
        return []
    table: list[list[object]] = [[NOTHING, *(mean(only(rows, off=NOTHING), one) for one in MEASURES)]]
    others = [one for one in distinct(rows, "off") if one != NOTHING]
    table += [[off, *(_lost(rows, off, one) for one in MEASURES)] for off in others]
    about = (
        f"Fits to {_TO_FIT:.0%} of the cells with the {N_GENES:,} genes found most, one correction switched off, "
        "against the fit with all of them on the same data and seed. Of an AUC the distance from .5 stands here. The "
        f"error of rare combinations (below {_RARE} training cells) is the mean square of mean log expression against "
        "held-out cells. First row: all corrections on. Other rows: mean change, and in how many fits it is worse "
        "without the correction. A correction that gains raises the numbers when it is off. "
        f"Measured are {len(rows)} of {len(CASES) * _SEEDS * len(distinct(rows, 'off'))} fits."
    )
    return [about, grid(["off", *MEASURES.values()], table)]


def _lost(rows: list[Row], off: str, measure_name: str) -> str:
    """Compare fits without a correction with those that have all, on the same cells and seed."""
    lost = []
    for row in only(rows, off=off):
        whole = only(rows, off=NOTHING, data_set=row["data_set"], seed=row["seed"])
        if whole and row.get(measure_name) is not None and whole[0].get(measure_name) is not None:
            lost.append(row[measure_name] - whole[0][measure_name])
    return f"{np.mean(lost):+.3f} ({sum(one > 0 for one in lost)} of {len(lost)})" if lost else ""

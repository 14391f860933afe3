"""Rare cell type augmentation: classifiers trained on few real cells, with and without generated ones beside them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import runs, spaces
from benchmarks.generators import GENERATORS
from benchmarks.layout import distinct, goal, grid, mean, only
from benchmarks.models import Fit, model_of, read
from benchmarks.records import rows_of
from benchmarks.worker import PEERS_PYTHON, log_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import NDArray

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse import CellGenerator

name = "rare_types"
title = "Rare cell types"
summary = "Classifiers of rare cell types: generated cells against oversampling, SMOTE and scVI."
unit = ("seed", "data_set", "k")

Array = Any
SIZES = (5, 10, 25, 50)
DONOR_KEYS: dict[str, str | None] = {"pbmc3k": None, "kang_ctrl_8donors": "donor"}
OURS, SCVI = "ours", "scVI per type"
_N_RARE = 2
_FEWEST_HELD_OUT = 5
_N_TRAINING = 2_500
_N_GENES = 1_000
_N_HELD_OUT_DONORS = 3
_UNLABELLED = "unlabelled"
_REST = "all other genes"
_SCVI_SECONDS = 1_800.0
_MOST_WITH_GOAL = 25


@dataclass(frozen=True)
class Setting:
    """Which cells train, which are held out, and which types are rare among the first."""

    data_set: str
    k: int
    seed: int
    rare: tuple[str, ...]
    train: NDArray[np.int64]
    test: NDArray[np.int64]

    @property
    def fit(self) -> Fit:
        """The fit on the training cells."""
        return Fit(
            name=f"rare_{self.k}", data_set=self.data_set, conditions=("cell_type",), rows=self.train, seed=self.seed
        )


def make_setting(data_set: str, adata: AnnData, *, k: int, seed: int) -> Setting:
    """Choose cells: ``k`` of each of the two rarest types that have enough, the others in their proportions.

    Held out are three donors drawn at random, or half of the cells where donors are unknown. Types with too few cells
    to be cut down to ``k`` and still be tested are left out.
    """
    rng = np.random.default_rng(seed)
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    is_test = _held_out(adata, DONOR_KEYS[data_set], rng)
    names, sizes = np.unique(labels[labels != _UNLABELLED], return_counts=True)
    enough = names[sizes >= k + _FEWEST_HELD_OUT]
    rare = tuple(str(name) for name in names[np.argsort(sizes, kind="stable")] if name in enough)[:_N_RARE]
    common = np.flatnonzero(np.isin(labels, enough) & ~np.isin(labels, rare) & ~is_test)
    train, test = [rng.permutation(common)[:_N_TRAINING]], [np.flatnonzero(is_test & np.isin(labels, enough))]
    for label in rare:
        rows = rng.permutation(np.flatnonzero(labels == label))
        if DONOR_KEYS[data_set] is not None:
            train.append(rows[~is_test[rows]][:k])
            continue
        train.append(rows[:k])
        test = [test[0][labels[test[0]] != label], *test[1:], rows[k:]]
    return Setting(data_set, k, seed, rare, np.sort(np.concatenate(train)), np.sort(np.concatenate(test)))


def _held_out(adata: AnnData, donor_key: str | None, rng: np.random.Generator) -> NDArray[np.bool_]:
    if donor_key is None:
        labels = adata.obs["cell_type"].astype(str).to_numpy()
        marks = np.zeros(adata.n_obs, dtype=bool)
        for label in np.unique(labels):
            rows = rng.permutation(np.flatnonzero(labels == label))
            marks[rows[: len(rows) // 2]] = True
        return marks
    donors = adata.obs[donor_key].astype(str).to_numpy()
    chosen = rng.permutation(np.unique(donors))[:_N_HELD_OUT_DONORS]
    return np.asarray(np.isin(donors, chosen))


@dataclass(frozen=True)
class Training:
    """Training cells as log-normalised variable genes, with the number that rare types are to be brought to."""

    cells: Array
    labels: Array
    rare: tuple[str, ...]
    size: int
    seed: int

    def with_more(self, cells: Array, labels: Array) -> tuple[Array, Array]:
        """Put other cells behind these."""
        return np.concatenate([self.cells, cells]), np.concatenate([self.labels, labels])

    def missing(self) -> dict[str, int]:
        """Count the cells that rare types lack."""
        return {label: max(0, self.size - int((self.labels == label).sum())) for label in self.rare}


def duplicated(training: Training) -> tuple[Array, Array]:
    """Repeat rare cells."""
    rng = np.random.default_rng(training.seed)
    rows = np.concatenate(
        [rng.choice(np.flatnonzero(training.labels == label), n) for label, n in training.missing().items()]
    )
    return training.with_more(training.cells[rows], training.labels[rows])


def smote(training: Training) -> tuple[Array, Array]:
    """Add points between rare cells and their neighbours of the same type."""
    # By name, as imbalanced-learn is in the extra `bench` only, which types are checked without.
    over_sampling = import_module("imblearn.over_sampling")
    fewest = min(int((training.labels == label).sum()) for label in training.rare)
    wanted = {label: max(training.size, int((training.labels == label).sum())) for label in training.rare}
    sampler = over_sampling.SMOTE(sampling_strategy=wanted, k_neighbors=min(5, fewest - 1), random_state=training.seed)
    cells, labels = sampler.fit_resample(training.cells, training.labels)
    return np.asarray(cells), np.asarray(labels)


METHODS: dict[str, Callable[[Training], tuple[Array, Array]]] = {
    "real cells alone": lambda training: (training.cells, training.labels),
    "class weights": lambda training: (training.cells, training.labels),
    "oversampling": duplicated,
    "SMOTE": smote,
}


def generated(model: CellGenerator, training: Training, genes: Array) -> tuple[Array, Array]:
    """Add generated cells of the rare types."""
    import anndata
    import pandas as pd

    missing = {label: n for label, n in training.missing().items() if n}
    where = pd.DataFrame({"cell_type": list(missing), "n_cells": list(missing.values())})
    made = model.generate(where=where, seed=training.seed, progress=False)
    assert isinstance(made, anndata.AnnData)
    cells = spaces.log_normalise(made)[:, genes]
    return training.with_more(cells, made.obs["cell_type"].astype(str).to_numpy())


def drawn_by_scvi(
    training: Training,
    setting: Setting,
    adata: AnnData,
    *,
    genes: list[str],
    work: Path,
    python: Path = PEERS_PYTHON,
) -> tuple[Array, Array] | None:
    """Add cells of the rare types from the posterior predictive of scVI; nothing without the peers' environment.

    It is fitted to the genes that classifiers see, and one more of all other counts, so that library sizes are whole.
    """
    import anndata
    import pandas as pd
    from scipy import sparse

    folder = work / "scvi" / setting.fit.key
    folder.mkdir(parents=True, exist_ok=True)
    cells = adata[setting.train]
    seen = sparse.csr_matrix(cells[:, genes].X)
    rest = np.asarray(cells.X.sum(axis=1)).ravel() - np.asarray(seen.sum(axis=1)).ravel()
    counts = sparse.hstack([seen, sparse.csr_matrix(rest[:, None])], format="csr").astype(np.float32)
    var = pd.DataFrame(index=[*genes, _REST])
    anndata.AnnData(counts, obs=cells.obs[["cell_type"]].astype(str), var=var).write_h5ad(folder / "fit.h5ad")
    labels = [label for label, n in training.missing().items() for _ in range(n)]
    asked = pd.DataFrame({"cell_type": labels}, index=[str(at) for at in range(len(labels))])
    empty = sparse.csr_matrix((len(labels), len(var)), dtype=np.float32)
    anndata.AnnData(empty, obs=asked, var=var).write_h5ad(folder / "held_out.h5ad")
    entry, limits = GENERATORS["scvi-posterior"], runs.Settings(work=work, timeout=_SCVI_SECONDS)
    keys, seed = ["cell_type"], setting.seed
    done = runs.generate(entry, folder, limits, condition_keys=keys, seed=seed, to=folder, peers=python)
    if done["status"] == "missing":
        return None
    if done["status"] != "done":
        raise SystemExit(log_file("worker:generate", folder).read_text(encoding="utf-8"))
    logs = spaces.log_normalise(anndata.read_h5ad(folder / runs.CELLS_FILE))[:, :-1]
    return training.with_more(logs, np.asarray(labels))


def score_training(
    training: tuple[Array, Array],
    test: tuple[Array, Array],
    setting: Setting,
    *,
    project: Callable[[Array], Array],
    weigh: bool,
) -> dict[str, float]:
    """Train a random forest on genes and a logistic regression on components, and test both on real cells."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score, recall_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    weights = "balanced" if weigh else None
    forest = RandomForestClassifier(200, class_weight=weights, random_state=setting.seed, n_jobs=1)
    line = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000, class_weight=weights))
    numbers: dict[str, float] = {}
    for kind, model, features in (("forest", forest, np.asarray), ("logistic", line, project)):
        predicted = model.fit(features(training[0]), training[1]).predict(features(test[0]))
        recall = recall_score(test[1], predicted, labels=list(setting.rare), average="macro", zero_division=0)
        numbers[f"{kind}_macro_f1"] = float(f1_score(test[1], predicted, average="macro"))
        numbers[f"{kind}_rare_recall"] = float(recall)
    return numbers


def score(setting: Setting, adata: AnnData, model: CellGenerator, *, work: Path) -> dict[str, dict[str, float]]:
    """Score all ways to help a classifier."""
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    parts = {"train": setting.train, "test": setting.test}
    logs = {part: spaces.log_normalise(adata[rows], model.genes) for part, rows in parts.items()}
    genes = np.sort(np.argsort(-logs["train"].var(axis=0), kind="stable")[:_N_GENES])
    components = spaces.Components.of(logs["train"][:, genes])
    _, sizes = np.unique(labels[setting.train], return_counts=True)
    training = Training(
        logs["train"][:, genes], labels[setting.train], setting.rare, int(np.median(sizes)), setting.seed
    )
    test = (logs["test"][:, genes], labels[setting.test])
    scores = {
        method: score_training(make(training), test, setting, project=components, weigh=method == "class weights")
        for method, make in METHODS.items()
    }
    scores[OURS] = score_training(generated(model, training, genes), test, setting, project=components, weigh=False)
    drawn = drawn_by_scvi(training, setting, adata, genes=model.genes[genes].tolist(), work=work)
    if drawn is not None:
        scores[SCVI] = score_training(drawn, test, setting, project=components, weigh=False)
    return scores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Set the seeds."""
    parser.set_defaults(seeds=[0, 1, 2])


def run(context: Context) -> Iterator[Record]:
    """Measure each data set and number of cells."""
    if find_spec("imblearn") is None:
        msg = "This study compares with SMOTE of imbalanced-learn. Run `pip install '.[bench]'` first."
        raise SystemExit(msg)
    for seed, k, data_set in product(context.seeds, SIZES, DONOR_KEYS):
        about = {"seed": seed, "data_set": data_set, "k": k}
        yield from context.measure(about, partial(measure, context, data_set, k=k, seed=seed))


def measure(context: Context, data_set: str, *, k: int, seed: int) -> list[dict[str, Any]]:
    """Score all methods in one setting; one row each."""
    adata = read(data_set, context)
    setting = make_setting(data_set, adata, k=k, seed=seed)
    held_out = adata.obs["cell_type"].astype(str).to_numpy()[setting.test]
    about = {"rare": ", ".join(setting.rare), "rare_held_out": int(np.isin(held_out, setting.rare).sum())}
    scores = score(setting, adata, model_of(setting.fit, context), work=context.work)
    return [about | {"answer": method, **numbers} for method, numbers in scores.items()]


def lines(records: Sequence[Record]) -> list[str]:
    """Write macro-F1 and recall by method, and the goals."""
    measures = ("forest_macro_f1", "forest_rare_recall", "logistic_macro_f1", "logistic_rare_recall")
    found = rows_of(records)
    names, rows, goals = distinct(found, "answer"), [], []
    for data_set, k in product(DONOR_KEYS, SIZES):
        mine = only(found, data_set=data_set, k=k)
        if not mine:
            continue
        means = {one: [mean(only(mine, answer=one), measure) for measure in measures] for one in names}
        rows += [[data_set, k, mine[0]["rare"], one, *values] for one, values in means.items()]
        if k <= _MOST_WITH_GOAL:
            others = [values for one, values in means.items() if one != OURS]
            lead = min(ours - max(rest) for ours, *rest in zip(means[OURS], *others, strict=True))
            what = f"`{data_set}`, K = {k}: smallest lead of ours over the best other method, of the four measures"
            goals.append(goal(what, value=lead, met=lead > 0))
    about = (
        "Classifiers trained on K real cells of each rare type and the others in their proportions, brought to the "
        "median size of types where cells are added; tested on real held-out cells (of held-out donors in "
        "`kang_ctrl_8donors`)."
    )
    header = ["data set", "K", "rare types", "cells added", "forest: macro-F1", "rare recall"]
    return [about, grid([*header, "logistic: macro-F1", "rare recall"], rows), "\n".join(goals)]

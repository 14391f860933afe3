"""Classifiers attached after training, two and three at once: their strength against recognition and realism."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks.control import figures, records, spaces
from benchmarks.control.models import Fit, is_fitted, model_of, read

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anndata import AnnData

Array = Any
DATA_SET = "kang_ifnb"
SETS = (("condition", "cell_type"), ("condition", "cell_type", "depth"))
STRENGTHS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
REAL = "real cells"
OURS = "guided"
N_CELLS = 50
FIGURE = "control_classifiers.png"
_DEPTHS = ["shallow", "middle", "deep"]
_FEWEST = 20


def fits(data: Path, seed: int) -> list[Fit]:
    """List the one fit, without any condition."""
    return [Fit(name="no_conditions", data_set=DATA_SET, seed=seed)]


def labelled(data: Path) -> AnnData:
    """Read the cells, with a third label: the thirds of their library sizes."""
    adata = read(DATA_SET, data).copy()
    sizes = np.asarray(adata.X.sum(axis=1)).ravel()
    adata.obs["depth"] = pd.Categorical(pd.qcut(sizes, 3, labels=_DEPTHS).astype(str), categories=_DEPTHS)
    return adata


def combinations(adata: AnnData, keys: Sequence[str]) -> list[tuple[str, ...]]:
    """List the combinations of labels that enough real cells have."""
    known = [list(adata.obs[key].cat.categories) for key in keys]
    return [labels for labels in product(*known) if int(marks(adata.obs, keys, labels).sum()) >= _FEWEST]


def marks(obs: pd.DataFrame, keys: Sequence[str], labels: Sequence[str]) -> Array:
    """Mark the cells that have all labels."""
    return np.logical_and.reduce([(obs[key] == label).to_numpy() for key, label in zip(keys, labels, strict=True)])


class Judges:
    """Half of the real cells trains one classifier a label; the other half is what is to be met."""

    def __init__(self, adata: AnnData, genes: Array, keys: Sequence[str]) -> None:
        self.obs, self.keys = adata.obs, tuple(keys)
        self.logs, self.sizes = spaces.log_normalise(adata, genes), _log_sizes(adata, genes)
        joint = adata.obs[list(keys)].astype(str).agg("|".join, axis=1).to_numpy()
        self.train, self.test = spaces.halves(joint, seed=0)
        self.components = spaces.Components.of(self.logs[self.train])
        features = self._features(self.logs[self.train], self.sizes[self.train])
        truth = adata.obs.iloc[self.train]
        self.judges = {key: spaces.classifier(features, truth[key].astype(str).to_numpy()) for key in keys}

    def _features(self, logs: Array, sizes: Array) -> Array:
        return np.column_stack([self.components(logs), sizes])

    def score(self, labels: Sequence[str], made: tuple[Array, Array] | None) -> dict[str, float]:
        """Judge cells meant to have these labels; real held-out ones if none are given."""
        rows = np.flatnonzero(marks(self.obs, self.keys, labels))
        held_out, seen = np.intersect1d(rows, self.test), np.intersect1d(rows, self.train)
        logs, sizes = (self.logs[held_out], self.sizes[held_out]) if made is None else made
        features = self._features(logs, sizes)
        right = {key: self.judges[key].predict(features) == label for key, label in zip(self.keys, labels, strict=True)}
        compared = self.components(self.logs[seen]) if made is None else features[:, :-1]
        numbers = {f"recognised_{key}": float(values.mean()) for key, values in right.items()}
        numbers["recognised"] = float(np.logical_and.reduce(list(right.values())).mean())
        numbers["energy"] = spaces.energy(compared, self.components(self.logs[held_out]))
        return numbers


def run(data: Path, work: Path, seed: int) -> list[dict[str, Any]]:
    """Score all strengths, two and three classifiers at once."""
    fit = fits(data, seed)[0]
    if not is_fitted(fit, work=work):
        return []
    model = model_of(fit, data=data, work=work)
    adata, found = labelled(data), []
    for key in SETS[-1]:
        reads_depth = key == "depth"  # the other labels are no matter of library size
        model.add_classifier(key, adata, obs_key=key, library_size=reads_depth, seed=seed, progress=False)
    for keys in SETS:
        judges, combos = Judges(adata, model.genes, keys), combinations(adata, keys)
        about = {"data_set": DATA_SET, "classifiers": " + ".join(keys), "seed": seed}
        found.append(about | {"answer": REAL, "strength": None, **_mean([judges.score(at, None) for at in combos])})
        for strength in STRENGTHS:
            scores = []
            for labels in combos:
                guide = {key: (label, strength) for key, label in zip(keys, labels, strict=True)}
                made = model.generate(N_CELLS, guide=guide if strength else None, seed=seed, progress=False)
                cells = (spaces.log_normalise(made, model.genes), _log_sizes(made, model.genes))
                scores.append(judges.score(labels, cells))
            found.append(about | {"answer": OURS, "strength": strength, **_mean(scores)})
    return found


def draw(found: list[dict[str, Any]], folder: Path) -> None:
    """Draw recognition and energy distance against strength."""
    figure, axes = figures.grid(1, 2, size=(9.0, 3.8))
    for marker, keys in zip("os", SETS, strict=True):
        mine = [record for record in found if record["classifiers"] == " + ".join(keys)]
        for axis, measure in zip(axes, ("recognised", "energy"), strict=True):
            by_strength = [
                records.mean([one for one in mine if one["strength"] == strength], measure) for strength in STRENGTHS
            ]
            label = f"{len(keys)} classifiers"
            axis.plot(range(len(STRENGTHS)), by_strength, marker=marker, color="black", linewidth=1, label=label)
            real = records.mean([one for one in mine if one["answer"] == REAL], measure)
            style = "--" if len(keys) == 2 else ":"
            axis.axhline(real, linestyle=style, color="grey", linewidth=1, label=f"real cells, {len(keys)} labels")
    for axis, label in zip(axes, ("recognised by all labels", "energy distance to real cells"), strict=True):
        axis.set(xlabel="strength of each classifier", ylabel=label, xticks=range(len(STRENGTHS)))
        axis.set_xticklabels([f"{strength:g}" for strength in STRENGTHS])
    axes[0].legend(frameon=False, fontsize=8)
    figures.save(figure, folder / FIGURE)


def _mean(scores: list[dict[str, float]]) -> dict[str, float]:
    return {measure: float(np.mean([score[measure] for score in scores])) for measure in scores[0]}


def _log_sizes(adata: AnnData, genes: Array) -> Array:
    return np.log(np.maximum(1.0, np.asarray(adata[:, genes].X.sum(axis=1)).ravel()))

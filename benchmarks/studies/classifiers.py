"""Classifiers attached after training, two and three at once: guidance scale against right labels and realism."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks import spaces
from benchmarks.layout import REAL, axes_of, figure_of, grid, mean, only, save
from benchmarks.models import Fit, model_of, read
from benchmarks.records import rows_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "classifiers"
title = "Several classifiers"
summary = "Guidance scales of two and three classifiers at once, attached to a model without conditions."
unit = ("seed",)

Array = Any
DATA_SET = "kang_ifnb"
SETS = (("condition", "cell_type"), ("condition", "cell_type", "library_size"))
SCALES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
OURS = "guided"
N_CELLS = 50
FIGURE = "classifiers.png"
_LIBRARY_SIZES = ["small", "middle", "large"]
_FEWEST = 20


def labelled(context: Context) -> AnnData:
    """Read the cells, with a third label: the thirds of their library sizes."""
    adata = read(DATA_SET, context).copy()
    sizes = np.asarray(adata.X.sum(axis=1)).ravel()
    adata.obs["library_size"] = pd.Categorical(
        pd.qcut(sizes, 3, labels=_LIBRARY_SIZES).astype(str), categories=_LIBRARY_SIZES
    )
    return adata


def combinations(adata: AnnData, keys: Sequence[str]) -> list[tuple[str, ...]]:
    """List the combinations of labels that enough real cells have."""
    known = [list(adata.obs[key].cat.categories) for key in keys]
    return [labels for labels in product(*known) if int(marks(adata.obs, keys, labels).sum()) >= _FEWEST]


def marks(obs: pd.DataFrame, keys: Sequence[str], labels: Sequence[str]) -> Array:
    """Mark the cells that have all labels."""
    return np.logical_and.reduce([(obs[key] == label).to_numpy() for key, label in zip(keys, labels, strict=True)])


class Targets:
    """Half of the real cells trains one classifier a label; generated cells are compared with the other half."""

    def __init__(self, adata: AnnData, genes: Array, keys: Sequence[str]) -> None:
        self.obs, self.keys = adata.obs, tuple(keys)
        self.logs, self.sizes = spaces.log_normalise(adata, genes), _log_sizes(adata, genes)
        joint = adata.obs[list(keys)].astype(str).agg("|".join, axis=1).to_numpy()
        self.train, self.test = spaces.halves(joint, seed=0)
        self.components = spaces.Components.of(self.logs[self.train])
        features = self._features(self.logs[self.train], self.sizes[self.train])
        truth = adata.obs.iloc[self.train]
        self.classifiers = {key: spaces.classifier(features, truth[key].astype(str).to_numpy()) for key in keys}

    def _features(self, logs: Array, sizes: Array) -> Array:
        return np.column_stack([self.components(logs), sizes])

    def score(self, labels: Sequence[str], made: tuple[Array, Array] | None) -> dict[str, float]:
        """Score cells meant to have these labels; real held-out ones if none are given."""
        rows = np.flatnonzero(marks(self.obs, self.keys, labels))
        held_out = np.intersect1d(rows, self.test)
        real = self._features(self.logs[held_out], self.sizes[held_out])
        features = real if made is None else self._features(*made)
        right = {
            key: self.classifiers[key].predict(features) == label for key, label in zip(self.keys, labels, strict=True)
        }
        numbers = {f"accuracy_{key}": float(values.mean()) for key, values in right.items()}
        numbers["accuracy"] = float(np.logical_and.reduce(list(right.values())).mean())
        one, other = real[:, :-1], features[:, :-1]
        numbers["energy"] = spaces.energy_of_halves(one) if made is None else spaces.energy(other, one)
        return numbers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Set the seeds."""
    parser.set_defaults(seeds=[0, 1, 2])


def run(context: Context) -> Iterator[Record]:
    """Measure each seed."""
    for seed in context.seeds:
        yield from context.measure({"seed": seed}, partial(measure, context, seed))


def measure(context: Context, seed: int) -> list[dict[str, Any]]:
    """Score all guidance scales, two and three classifiers at once."""
    from scdiffuse import Guidance

    model = model_of(Fit(name="no_conditions", data_set=DATA_SET, seed=seed), context)
    adata, found = labelled(context), []
    for key in SETS[-1]:
        reads_library_size = key == "library_size"  # the other labels are no matter of library size
        model.add_classifier(key, adata, obs_key=key, library_size=reads_library_size, seed=seed, progress=False)
    for keys in SETS:
        targets, combos = Targets(adata, model.genes, keys), combinations(adata, keys)
        about: dict[str, Any] = {"data_set": DATA_SET, "classifiers": " + ".join(keys)}
        found.append(about | {"answer": REAL, "scale": None, **_mean([targets.score(at, None) for at in combos])})
        for scale in SCALES:
            scores = []
            for labels in combos:
                toward = {key: (label, scale) for key, label in zip(keys, labels, strict=True)}
                guidance = Guidance(toward=toward if scale else None)
                made = model.generate(N_CELLS, guidance=guidance, seed=seed, progress=False)
                cells = (spaces.log_normalise(made, model.genes), _log_sizes(made, model.genes))
                scores.append(targets.score(labels, cells))
            found.append(about | {"answer": OURS, "scale": scale, **_mean(scores)})
    return found


def draw(records: Sequence[Record], folder: Path) -> None:
    """Draw right labels and energy distance against the guidance scale."""
    found = rows_of(records)
    figure, axes = axes_of(1, 2, size=(9.0, 3.8))
    for marker, keys in zip("os", SETS, strict=True):
        mine = only(found, classifiers=" + ".join(keys))
        for axis, measure in zip(axes, ("accuracy", "energy"), strict=True):
            by_scale = [mean(only(mine, scale=scale), measure) for scale in SCALES]
            label = f"{len(keys)} classifiers"
            axis.plot(range(len(SCALES)), by_scale, marker=marker, color="black", linewidth=1, label=label)
            real = mean(only(mine, answer=REAL), measure)
            style = "--" if len(keys) == 2 else ":"
            axis.axhline(real, linestyle=style, color="grey", linewidth=1, label=f"real cells, {len(keys)} labels")
    for axis, label in zip(axes, ("all labels right", "energy distance to real cells"), strict=True):
        axis.set(xlabel="guidance scale of each classifier", ylabel=label, xticks=range(len(SCALES)))
        axis.set_xticklabels([f"{scale:g}" for scale in SCALES])
    axes[0].legend(frameon=False, fontsize=8)
    save(figure, folder / FIGURE)


def _mean(scores: list[dict[str, float]]) -> dict[str, float]:
    return {measure: float(np.mean([score[measure] for score in scores])) for measure in scores[0]}


def _log_sizes(adata: AnnData, genes: Array) -> Array:
    return np.log(np.maximum(1.0, np.asarray(adata[:, genes].X.sum(axis=1)).ravel()))


def lines(records: Sequence[Record]) -> list[str]:
    """Write right labels and energy distance by guidance scale."""
    found, rows = rows_of(records), []
    for keys in SETS:
        mine = only(found, classifiers=" + ".join(keys))
        for scale in (*SCALES, None):
            at = only(mine, scale=scale)
            word = REAL if scale is None else f"{scale:g}"
            each = ", ".join(f"{mean(at, f'accuracy_{key}'):.2f}" for key in keys)
            rows.append([" + ".join(keys), word, mean(at, "accuracy"), each, mean(at, "energy")])
    about = (
        f"`{DATA_SET}`: a model fitted without any condition, and classifiers attached afterwards; scale 0 is no "
        "guidance. Means over all combinations that real cells have."
    )
    header = ["classifiers", "guidance scale", "all labels right", "each", "energy distance"]
    return [about, grid(header, rows), figure_of(FIGURE, title)]

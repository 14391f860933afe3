"""The same questions type by type, where a fault of one type cannot hide behind the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.random import generator
from scdiffuse.evaluation._material import Material
from scdiffuse.evaluation._scoring import VALIDITY, Arena, DenoisedMean, Scored, Standings, score
from scdiffuse.metrics import Metric, View

__all__ = ["label_folds", "label_sizes", "measure_labels", "share_floor"]

_MIN_CELLS = 20
_MOST_CELLS = 300
_N_DRAWS = 400


def label_folds(n_folds: int) -> int:
    """Take a fold fewer within a label, where a fold costs as much and holds fewer cells."""
    return max(2, n_folds - 1)


def label_sizes(material: Material) -> dict[str, dict[str, int]]:
    """Count the cells of each label in every sample, and how many a side can be compared.

    Parameters
    ----------
    material
        All cells.

    Returns
    -------
    ``{label: {"real", "floor", "generated", "compared"}}``; empty where a sample has no labels.
    """
    views = {"real": material.real, "floor": material.floor, "generated": material.generated}
    if any(view.labels is None for view in views.values()):
        return {}
    known = np.unique(np.concatenate([_labels(view) for view in views.values()]))
    sizes = {}
    for label in known[known != ""]:
        counts = {role: int((_labels(view) == label).sum()) for role, view in views.items()}
        least = min(*counts.values(), _MOST_CELLS)
        sizes[str(label)] = counts | {"compared": least if least >= _MIN_CELLS else 0}
    return sizes


def measure_labels(
    material: Material,
    metrics: Sequence[Metric],
    *,
    sizes: Mapping[str, Mapping[str, int]],
    n_trees: int,
    seed: int,
    standings: Standings,
    advance: Callable[..., None],
) -> dict[str, dict[str, dict[str, Any]]]:
    """Measure within each label what makes sense there.

    Parameters
    ----------
    material
        All cells.
    metrics
        What to measure.
    sizes
        Cells by label.
    n_trees
        Trees of a forest.
    seed
        Seed of subsamples and folds.
    standings
        Floors measured so far.
    advance
        Told after each label.

    Returns
    -------
    Scores by label and metric, as in the JSON of a report.
    """
    suited = [metric for metric in metrics if metric.name != VALIDITY]
    scores: dict[str, dict[str, dict[str, Any]]] = {}
    for label, size in sizes.items():
        if size["compared"]:
            arena = _arena(material, label, size["compared"], n_trees=n_trees, seed=seed)
            found = {
                metric.name: score(metric, [arena], standings=standings, label=label, seed=seed)
                for metric in suited
                if not metric.missing(arena.model)
            }
            scores[label] = {name: one.to_json() for name, one in found.items() if isinstance(one, Scored)}
        advance(1, note=label)
    return scores


def share_floor(metric: Metric, arenas: Sequence[Arena], *, standings: Standings, seed: int) -> Scored | str:
    """Score the shares of labels against random draws of as many real cells.

    Splits are often stratified, so that two real samples agree in their shares better than chance allows; the floor is
    therefore what draws at random from the pooled real shares give.

    Parameters
    ----------
    metric
        The distance between the shares.
    arenas
        The comparisons, one a seed.
    standings
        Floors measured so far.
    seed
        Seed of the draws.

    Returns
    -------
    The score, or the reason why there is none.
    """
    found = score(metric, arenas, standings=standings, intervals=False, seed=seed)
    if isinstance(found, str):
        return found
    pooled = np.concatenate([_labels(arenas[0].model.real), _labels(arenas[0].floor.generated)])
    shares = np.unique(pooled[pooled != ""], return_counts=True)[1].astype(float)
    draws = (
        generator(seed, "shares").multinomial(found.n_cells, shares / shares.sum(), size=(2, _N_DRAWS)) / found.n_cells
    )
    gaps = 0.5 * np.abs(draws[0] - draws[1]).sum(axis=1)
    low, high = np.quantile(gaps, [0.025, 0.975])
    floor = DenoisedMean(float(gaps.mean()), float(low), float(high), float(gaps.std()))
    flagged = found.model.value > floor.value + 3 * floor.error
    return replace(found, floor=floor, flagged=bool(flagged), skill=None, trivial=None)


def _arena(material: Material, label: str, n_cells: int, *, n_trees: int, seed: int) -> Arena:
    def cut(role: str, view: View) -> View:
        members = np.flatnonzero(_labels(view) == label)
        return view.take(generator(seed, "label", label, role).permutation(members)[:n_cells])

    real = cut("real", material.real)
    pair = material.pair(cut("generated", material.generated), real=real, seed=seed)
    pair = replace(
        pair,
        folds=label_folds(pair.folds),
        n_trees=n_trees,
        train=_own(material.train, label),
        reference=_own(material.fit, label),
    )
    return Arena(model=pair, floor=pair.with_generated(cut("floor", material.floor)), baselines={})


def _own(view: View | None, label: str) -> View | None:
    return view if view is None or view.labels is None else view.take(view.labels == label)


def _labels(view: View) -> NDArray[np.str_]:
    return np.array([], dtype=str) if view.labels is None else view.labels

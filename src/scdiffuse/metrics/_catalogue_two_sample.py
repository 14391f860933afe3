"""Registered classifier two-sample tests (C2ST): how well a trained classifier separates generated from real cells."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np

from scdiffuse.metrics._classifiers import ClassifierKind
from scdiffuse.metrics._depth import DEPTH_NAMES, depth_features
from scdiffuse.metrics._feature_matrices import Array
from scdiffuse.metrics._grouped_folds import count_hashes
from scdiffuse.metrics._metric import Metric, Score, Space
from scdiffuse.metrics._sample_pair import CellFeatures, SamplePair
from scdiffuse.metrics._two_sample import two_sample_auc

__all__ = ["JUDGED", "LEARNT", "TWO_SAMPLE"]

LEARNT, JUDGED = "cells a side learnt from", "cells a side scored"
"""What the sizes of a test are."""

_SOURCE = "Lopez-Paz and Oquab 2017, arXiv:1610.06545, section 3; interval of DeLong et al. 1988, doi:10.2307/2531595"


def _two_sample(kind: ClassifierKind, space: Space, pair: SamplePair) -> Score:
    """Run the test with one kind of classifier in one feature space, with the names of the features."""
    real, names = _features(pair.real, pair, space)
    generated, _ = _features(pair.generated, pair, space)
    if space == "counts+qc" and kind in {"logistic", "network"}:
        real, generated = np.log1p(real), np.log1p(generated)  # standardised counts would be a few outliers
    score = two_sample_auc(
        real,
        generated,
        kind=kind,
        names=names,
        copies=(_copy_keys(pair.real), _copy_keys(pair.generated)),
        folds=pair.folds,
        max_cells=pair.max_classifier_cells,
        n_trees=pair.n_trees,
        seed=pair.seed,
        n_jobs=pair.n_jobs,
    )
    n_judged = min(pair.real.n_cells, pair.generated.n_cells, pair.max_classifier_cells)
    sizes = ((LEARNT, n_judged * (pair.folds - 1) // pair.folds), (JUDGED, n_judged))
    return Score(score.auc, score.low, score.high, score.top_features, sizes=sizes)


def _copy_keys(cells: CellFeatures) -> Array:
    """Hash the counts of each cell, once for all tests."""
    return cells.cached("count hashes", lambda: count_hashes(cells.counts))


def _features(cells: CellFeatures, pair: SamplePair, space: Space) -> tuple[Array, list[str]]:
    """Build the features of a space with their names; raw counts are joined by the QC metrics they imply."""
    if space == "pcs":
        return cells.pcs, [f"PC{k + 1}" for k in range(cells.pcs.shape[1])]
    if space == "qc":
        return cells.qc, list(pair.qc_names)
    if space == "depth":
        return cells.cached("depth features", lambda: depth_features(cells.counts)), list(DEPTH_NAMES)
    genes = [str(name) for name in pair.gene_names[pair.chosen]]
    if space == "genes":
        return cells.genes, genes
    raw = np.nan_to_num(cells.counts[:, pair.chosen].toarray())
    return np.hstack([raw, cells.qc]).astype(np.float32), [*genes, *pair.qc_names]


_SPACES: dict[str, str] = {
    "genes": "log-normalised genes",
    "pcs": "principal components",
    "depth": "depth features",
    "qc": "QC metrics",
    "counts+qc": "raw counts and QC metrics",
}
_KINDS: dict[ClassifierKind, str] = {
    "forest": "random forest",
    "boosting": "gradient boosting",
    "logistic": "logistic regression",
    "network": "small network",
}


def _test(kind: ClassifierKind, space: Space, *, suite: Literal["quick", "full"] = "full") -> Metric:
    """Declare the test with one kind of classifier in one feature space."""
    wide = space in {"genes", "counts+qc"}
    return Metric(
        name=f"{kind}_{space.replace('+qc', '')}_auc",
        title=f"{_KINDS[kind]} on {_SPACES[space]}",
        group="two_sample",
        better="lower",
        target=0.5,
        range=(0.0, 1.0),
        source=_SOURCE,
        space=space,
        cost="expensive" if wide and kind in {"forest", "boosting"} else "moderate",
        suite=suite,
        by_label=kind == "forest" and space in {"genes", "pcs"},
        compute=partial(_two_sample, kind, space),
    )


TWO_SAMPLE: tuple[Metric, ...] = (
    _test("forest", "genes", suite="quick"),
    _test("boosting", "genes", suite="quick"),
    _test("logistic", "genes", suite="quick"),
    _test("network", "genes"),
    _test("forest", "depth", suite="quick"),
    _test("boosting", "depth"),
    _test("logistic", "depth", suite="quick"),
    _test("network", "depth"),
    _test("forest", "pcs", suite="quick"),
    _test("boosting", "pcs", suite="quick"),
    _test("network", "pcs"),
    _test("forest", "qc"),
    _test("forest", "counts+qc"),
    _test("boosting", "counts+qc"),
    _test("logistic", "counts+qc"),
    _test("network", "counts+qc"),
)

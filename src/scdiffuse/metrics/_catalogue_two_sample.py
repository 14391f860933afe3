"""Registered classifier two-sample tests (C2ST): how well a trained classifier separates generated from real cells."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np

from scdiffuse.metrics._feature_matrices import Array
from scdiffuse.metrics._metric import Metric, Score, Space
from scdiffuse.metrics._sample_pair import CellFeatures, SamplePair
from scdiffuse.metrics._two_sample import ClassifierKind, two_sample_auc

__all__ = ["TWO_SAMPLE"]

_SOURCE = "Lopez-Paz and Oquab 2017, arXiv:1610.06545, section 3; interval of DeLong et al. 1988, doi:10.2307/2531595"


def _two_sample(kind: ClassifierKind, space: Space, pair: SamplePair) -> Score:
    """Run the test with one kind of classifier in one feature space, with the names of the features."""
    real, names = _features(pair.real, pair, space)
    generated, _ = _features(pair.generated, pair, space)
    score = two_sample_auc(
        real,
        generated,
        kind=kind,
        names=names,
        folds=pair.folds,
        max_cells=pair.max_classifier_cells,
        n_trees=pair.n_trees,
        seed=pair.seed,
        n_jobs=pair.n_jobs,
    )
    return Score(score.auc, score.low, score.high, score.top_features)


def _features(cells: CellFeatures, pair: SamplePair, space: Space) -> tuple[Array, list[str]]:
    """Build the features of a space with their names; raw counts are joined by the QC metrics they imply."""
    if space == "pcs":
        return cells.pcs, [f"PC{k + 1}" for k in range(cells.pcs.shape[1])]
    if space == "qc":
        return cells.qc, list(pair.qc_names)
    genes = [str(name) for name in pair.gene_names[pair.chosen]]
    if space == "genes":
        return cells.genes, genes
    raw = np.nan_to_num(cells.counts[:, pair.chosen].toarray())
    return np.hstack([raw, cells.qc]).astype(np.float32), [*genes, *pair.qc_names]


def _test(kind: ClassifierKind, space: Space, title: str, *, suite: Literal["quick", "full"] = "full") -> Metric:
    """Declare the test with one kind of classifier in one feature space."""
    wide = space in {"genes", "counts+qc"}
    return Metric(
        name=f"{kind}_{space.replace('+qc', '')}_auc",
        title=title,
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
    _test("forest", "genes", "random forest on log-normalised genes", suite="quick"),
    _test("forest", "pcs", "random forest on principal components", suite="quick"),
    _test("forest", "qc", "random forest on QC metrics", suite="quick"),
    _test("boosting", "genes", "gradient boosting on log-normalised genes", suite="quick"),
    _test("boosting", "pcs", "gradient boosting on principal components", suite="quick"),
    _test("forest", "counts+qc", "random forest on raw counts and QC metrics"),
    _test("boosting", "counts+qc", "gradient boosting on raw counts and QC metrics"),
    _test("logistic", "genes", "logistic regression on log-normalised genes"),
    _test("network", "genes", "small network on log-normalised genes"),
    _test("network", "pcs", "small network on principal components"),
)

"""Registered discriminators, and the columns of the paper."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from typing import Literal

import numpy as np

from scdiffuse.metrics import _paper, _utility
from scdiffuse.metrics._arrays import Array
from scdiffuse.metrics._catalogue_distribution import mixing
from scdiffuse.metrics._discriminators import DiscriminatorKind, discriminator_auc
from scdiffuse.metrics._metric import Metric, Score, Space
from scdiffuse.metrics._pair import Pair, View, labelled, teacher

__all__ = ["DISCRIMINATORS", "PAPER"]

_UNIT = (0.0, 1.0)
_LUO = "Luo et al. 2024, doi:10.1093/bioinformatics/btae518"
_ZINATI = "GRouNdGAN protocol, Zinati et al. 2024, doi:10.1038/s41467-024-48516-6; its control is the floor"
_TWO_SAMPLE = "Lopez-Paz and Oquab 2017, arXiv:1610.06545, section 3"


def _judge(kind: DiscriminatorKind, space: Space, pair: Pair) -> Score:
    """Score one kind of discriminator in one space, with the names of its features."""
    real, names = judged_features(pair.real, pair, space)
    generated, _ = judged_features(pair.generated, pair, space)
    score = discriminator_auc(
        real,
        generated,
        kind=kind,
        names=names,
        folds=pair.folds,
        max_cells=pair.judge_cells,
        n_trees=pair.n_trees,
        seed=pair.seed,
        n_jobs=pair.n_jobs,
    )
    return Score(score.auc, score.low, score.high, score.top_features)


def judged_features(view: View, pair: Pair, space: Space) -> tuple[Array, list[str]]:
    """Build the features of a space with their names; raw counts stand beside the depth they imply."""
    if space == "pcs":
        return view.pcs, [f"PC{k + 1}" for k in range(view.pcs.shape[1])]
    if space == "depth":
        return view.depth, list(pair.depth_names)
    genes = [str(name) for name in pair.gene_names[pair.chosen]]
    if space == "genes":
        return view.genes, genes
    raw = np.nan_to_num(view.counts[:, pair.chosen].toarray())
    return np.hstack([raw, view.depth]).astype(np.float32), [*genes, *pair.depth_names]


_auc = partial(
    Metric,
    group="discriminators",
    better="lower",
    target=0.5,
    range=_UNIT,
    source=f"{_TWO_SAMPLE}; interval of DeLong et al. 1988, doi:10.2307/2531595",
)


def _discriminator(
    kind: DiscriminatorKind, space: Space, title: str, *, suite: Literal["quick", "full"] = "full"
) -> Metric:
    """Register one judge in one space."""
    wide = space in {"genes", "counts+depth"}
    return _auc(
        name=f"{kind}_{space.replace('+depth', '')}_auc",
        title=title,
        space=space,
        cost="dear" if wide and kind in {"forest", "boosting"} else "moderate",
        suite=suite,
        by_label=kind == "forest" and space in {"genes", "pcs"},
        compute=partial(_judge, kind, space),
    )


DISCRIMINATORS: tuple[Metric, ...] = (
    _discriminator("forest", "genes", "random forest on log-normalised genes", suite="quick"),
    _discriminator("forest", "pcs", "random forest on principal components", suite="quick"),
    _discriminator("forest", "depth", "random forest on depth features", suite="quick"),
    _discriminator("boosting", "genes", "gradient boosting on log-normalised genes", suite="quick"),
    _discriminator("boosting", "pcs", "gradient boosting on principal components", suite="quick"),
    _discriminator("forest", "counts+depth", "random forest on raw counts and depth"),
    _discriminator("boosting", "counts+depth", "gradient boosting on raw counts and depth"),
    _discriminator("logistic", "genes", "logistic regression on log-normalised genes"),
    _discriminator("network", "genes", "small network on log-normalised genes"),
    _discriminator("network", "pcs", "small network on principal components"),
)


def _paper_auc(function: Callable[..., tuple[float, float, float]], pair: Pair, **options: int) -> Score:
    """Score one of the paper's discriminators with its interval."""
    return Score(*function(pair.real.pcs, pair.generated.pcs, max_cells=pair.judge_cells, seed=pair.seed, **options))


def _counts(function: Callable[..., float], pair: Pair) -> Score:
    """Score raw counts."""
    return Score(function(pair.real.counts, pair.generated.counts))


def _recognised(pair: Pair) -> Score:
    """Share of generated cells recognised, with the labels that are recognised least."""
    real = teacher(pair)
    learnt = real.remember(f"labels, {pair.seed}", lambda: _utility.learn_labels(labelled(real), seed=pair.seed))
    scores = _utility.recognise(learnt, labelled(pair.generated))
    worst = sorted(scores.by_label.items(), key=lambda item: item[1])[:3]
    return Score(scores.mean, features=tuple((label, 1 - share) for label, share in worst))


_paper_column = partial(Metric, group="paper", cost="cheap")

PAPER: tuple[Metric, ...] = (
    _paper_column(
        name="scc",
        title="rank correlation of gene means",
        source=f"{_LUO}, column SCC",
        better="higher",
        target=1.0,
        range=(-1.0, 1.0),
        space="counts",
        compute=partial(_counts, _paper.scc),
    ),
    _paper_column(
        name="pcc",
        title="correlation of gene means",
        source=f"{_LUO}, column PCC",
        better="higher",
        target=1.0,
        range=(-1.0, 1.0),
        space="counts",
        compute=partial(_counts, _paper.pcc),
    ),
    _paper_column(
        name="mmd5",
        title="maximum mean discrepancy, five kernels, biased",
        source=f"{_LUO}, column MMD",
        better="lower",
        target=0.0,
        range=(0.0, 10.0),
        space="pcs",
        compute=lambda pair: Score(
            _paper.mmd5(pair.real.pcs, pair.generated.pcs, max_cells=pair.max_cells, seed=pair.seed)
        ),
    ),
    _paper_column(
        name="ilisi",
        title="mixing of real and generated cells",
        source=f"{_LUO}, column LISI",
        better="higher",
        target=1.0,
        range=_UNIT,
        space="pcs",
        compute=mixing,
    ),
    _paper_column(
        name="forest_auc_depth5",
        title="random forest of depth 5 on principal components",
        source=f"{_LUO}, column RF AUC",
        better="lower",
        target=0.5,
        range=_UNIT,
        cost="moderate",
        space="pcs",
        compute=lambda pair: _paper_auc(_paper.forest_auc_depth5, pair, n_jobs=pair.n_jobs),
    ),
    _paper_column(
        name="knn_auc",
        title="nearest neighbours on principal components",
        source=f"{_LUO}, column KNN AUC",
        better="lower",
        target=0.5,
        range=_UNIT,
        space="pcs",
        compute=partial(_paper_auc, _paper.knn_auc),
    ),
    _paper_column(
        name="label_recognition",
        title="generated cells recognised as the label asked for",
        source=f"{_LUO}, section 3.2, with logistic regression for CellTypist",
        better="higher",
        target=1.0,
        range=_UNIT,
        suite="quick",
        space="pcs",
        needs=frozenset({"labels", "train or reference"}),
        compute=_recognised,
    ),
    _paper_column(
        name="centroid_distance",
        title="distance between the samples' means",
        source=_ZINATI,
        better="lower",
        target=0.0,
        range=(0.0, inf),
        space="genes",
        compute=lambda pair: Score(_paper.centroid_distance(pair.real.genes, pair.generated.genes)),
    ),
    _paper_column(
        name="centroid_cosine",
        title="cosine distance between the samples' means",
        source=_ZINATI,
        better="lower",
        target=0.0,
        range=(0.0, 2.0),
        space="genes",
        compute=lambda pair: Score(_paper.centroid_cosine(pair.real.genes, pair.generated.genes)),
    ),
)

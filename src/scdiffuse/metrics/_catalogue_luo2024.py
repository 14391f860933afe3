"""Registered metrics of Luo et al. 2024, so that the tables of that paper can be compared with a report."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf

from scdiffuse.metrics import _luo2024, _utility
from scdiffuse.metrics._catalogue_distribution import mixing
from scdiffuse.metrics._metric import Metric, Score
from scdiffuse.metrics._sample_pair import SamplePair, label_source, labelled_cells

__all__ = ["LUO2024"]

_UNIT = (0.0, 1.0)
_LUO = "Luo et al. 2024, doi:10.1093/bioinformatics/btae518"
_ZINATI = "GRouNdGAN protocol, Zinati et al. 2024, doi:10.1038/s41467-024-48516-6; its control is the reference here"


def _quarter_auc(function: Callable[..., tuple[float, float, float]], pair: SamplePair, **options: int) -> Score:
    """Run one of the two-sample tests of Luo et al. 2024, with its interval."""
    cells = pair.max_classifier_cells
    return Score(*function(pair.real.pcs, pair.generated.pcs, max_cells=cells, seed=pair.seed, **options))


def _counts(function: Callable[..., float], pair: SamplePair) -> Score:
    """Compare raw counts."""
    return Score(function(pair.real.counts, pair.generated.counts))


def _label_accuracy(pair: SamplePair) -> Score:
    """Compute the fraction of generated cells assigned the right label, and name the labels assigned worst."""
    real = label_source(pair)
    classifier = real.cached(
        f"labels, {pair.seed}", lambda: _utility.fit_label_classifier(labelled_cells(real), seed=pair.seed)
    )
    scores = _utility.assign_labels(classifier, labelled_cells(pair.generated))
    worst = sorted(scores.by_label.items(), key=lambda item: item[1])[:3]
    return Score(scores.mean, features=tuple((label, 1 - fraction) for label, fraction in worst))


_metric = partial(Metric, group="luo2024", cost="cheap")

LUO2024: tuple[Metric, ...] = (
    _metric(
        name="scc",
        title="rank correlation of gene means",
        source=f"{_LUO}, column SCC",
        better="higher",
        target=1.0,
        range=(-1.0, 1.0),
        space="counts",
        compute=partial(_counts, _luo2024.scc),
    ),
    _metric(
        name="pcc",
        title="correlation of gene means",
        source=f"{_LUO}, column PCC",
        better="higher",
        target=1.0,
        range=(-1.0, 1.0),
        space="counts",
        compute=partial(_counts, _luo2024.pcc),
    ),
    _metric(
        name="mmd5",
        title="maximum mean discrepancy, five kernels, biased",
        source=f"{_LUO}, column MMD",
        better="lower",
        target=0.0,
        range=(0.0, 10.0),
        space="pcs",
        compute=lambda pair: Score(
            _luo2024.mmd5(pair.real.pcs, pair.generated.pcs, max_cells=pair.max_cells, seed=pair.seed)
        ),
    ),
    _metric(
        name="ilisi",
        title="mixing of real and generated cells",
        source=f"{_LUO}, column LISI",
        better="higher",
        target=1.0,
        range=_UNIT,
        space="pcs",
        compute=mixing,
    ),
    _metric(
        name="forest_auc_depth5",
        title="random forest of depth 5 on principal components",
        source=f"{_LUO}, column RF AUC",
        better="lower",
        target=0.5,
        range=_UNIT,
        cost="moderate",
        space="pcs",
        compute=lambda pair: _quarter_auc(_luo2024.forest_auc_depth5, pair, n_jobs=pair.n_jobs),
    ),
    _metric(
        name="knn_auc",
        title="nearest neighbours on principal components",
        source=f"{_LUO}, column KNN AUC",
        better="lower",
        target=0.5,
        range=_UNIT,
        space="pcs",
        compute=partial(_quarter_auc, _luo2024.knn_auc),
    ),
    _metric(
        name="label_accuracy",
        title="generated cells assigned the right label",
        source=f"{_LUO}, section 3.2, with logistic regression for CellTypist",
        better="higher",
        target=1.0,
        range=_UNIT,
        suite="quick",
        space="pcs",
        needs=frozenset({"labels", "train or reference"}),
        compute=_label_accuracy,
    ),
    _metric(
        name="centroid_distance",
        title="distance between the samples' means",
        source=_ZINATI,
        better="lower",
        target=0.0,
        range=(0.0, inf),
        space="genes",
        compute=lambda pair: Score(_luo2024.centroid_distance(pair.real.genes, pair.generated.genes)),
    ),
    _metric(
        name="centroid_cosine",
        title="cosine distance between the samples' means",
        source=_ZINATI,
        better="lower",
        target=0.0,
        range=(0.0, 2.0),
        space="genes",
        compute=lambda pair: Score(_luo2024.centroid_cosine(pair.real.genes, pair.generated.genes)),
    ),
)

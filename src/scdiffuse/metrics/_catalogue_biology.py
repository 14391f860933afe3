"""Registered metrics of biology (genes, library sizes, labels) and of utility for downstream classifiers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf

import numpy as np

from scdiffuse.metrics import _distances, _genes, _labels, _utility
from scdiffuse.metrics._labels import FoldChanges
from scdiffuse.metrics._line_fit import LineFit
from scdiffuse.metrics._metric import Metric, Score
from scdiffuse.metrics._sample_pair import SamplePair, label_source, labelled_cells

__all__ = ["BIOLOGY", "UTILITY"]

_LABELS = frozenset({"labels"})
_LEARNT = frozenset({"labels", "train or reference"})
_UNIT = (0.0, 1.0)
_OWN = "this package; defined in the function's docstring"


def _profiles(function: Callable[[_genes.GeneProfile, _genes.GeneProfile], float], pair: SamplePair) -> Score:
    """Compare gene profiles, computed once."""
    real, generated = pair.cached(
        "profiles", lambda: [_genes.gene_profile(cells.counts) for cells in (pair.real, pair.generated)]
    )
    return Score(function(real, generated))


def _correlation(statistic: str, *, within: bool, pair: SamplePair) -> Score:
    """Select correlation or slope of the gene-gene correlations, over all cells or within labels."""
    return Score(float(getattr(pair.cached(f"correlation {within}", lambda: _line(pair, within=within)), statistic)))


def _line(pair: SamplePair, *, within: bool) -> LineFit:
    """Fit the gene-gene correlations."""
    labels = (labelled_cells(pair.real).labels, labelled_cells(pair.generated).labels) if within else None
    return _genes.gene_correlation(pair.real.counts, pair.generated.counts, labels=labels)


def _fold(statistic: str, pair: SamplePair) -> Score:
    """Select one number of the log-fold changes, computed once."""
    return Score(float(getattr(pair.cached("fold changes", lambda: _fold_changes(pair)), statistic)))


def _fold_changes(pair: SamplePair) -> FoldChanges:
    """Compare log-fold changes between labels."""
    sides = labelled_cells(pair.real, "counts"), labelled_cells(pair.generated, "counts")
    return _labels.log_fold_changes(*sides, labels=pair.contrasted)


def _qc_distance(column: str, pair: SamplePair) -> Score:
    """Measure the distance of the distribution of one QC metric from the real one."""
    at = pair.qc_names.index(column)
    real, generated = (cells.qc[:, at].astype(np.float64) for cells in (pair.real, pair.generated))
    return Score(_distances.wasserstein_1d(real, generated))


def _markers(pair: SamplePair) -> Score:
    """Measure marker recovery, and name the labels that lose most markers."""
    sides = labelled_cells(pair.real, "counts"), labelled_cells(pair.generated, "counts")
    scores = _labels.marker_recovery(*sides, labels=pair.contrasted)
    worst = sorted(scores.by_label.items(), key=lambda item: item[1])[:3]
    return Score(scores.mean, features=tuple((label, 1 - fraction) for label, fraction in worst))


_biology = partial(Metric, group="biology", source=_OWN, cost="cheap", suite="quick")
_error = partial(_biology, better="lower", target=0.0, range=(0.0, inf), space="counts")
_agreement = partial(_biology, better="higher", target=1.0, range=(-1.0, 1.0), space="counts")
_slope = partial(_biology, better="nearest", target=1.0, range=(-inf, inf), space="counts")
_recovery = partial(_biology, better="higher", target=1.0, range=_UNIT, space="counts")

BIOLOGY: tuple[Metric, ...] = (
    _error(
        name="invalid_values",
        title="values that cannot be counts",
        range=_UNIT,
        by_label=True,
        compute=lambda pair: Score(_genes.invalid_values(pair.generated.counts)),
    ),
    _error(
        name="mean_error", title="error of gene means", by_label=True, compute=partial(_profiles, _genes.mean_error)
    ),
    _error(
        name="variance_error",
        title="error of gene variances",
        by_label=True,
        compute=partial(_profiles, _genes.variance_error),
    ),
    _error(
        name="zero_error",
        title="error of the genes' zero fractions",
        range=_UNIT,
        by_label=True,
        compute=partial(_profiles, _genes.zero_error),
    ),
    _error(
        name="mean_variance_trend",
        title="error of the variance at a given mean",
        compute=partial(_profiles, _genes.mean_variance_trend),
    ),
    _error(
        name="library_size_distance",
        title="distance of log library sizes",
        space="qc",
        by_label=True,
        compute=partial(_qc_distance, "log_library_size"),
    ),
    _error(
        name="genes_detected_distance",
        title="distance of log numbers of genes detected",
        space="qc",
        by_label=True,
        compute=partial(_qc_distance, "log_genes_detected"),
    ),
    _agreement(
        name="gene_correlation_r",
        title="agreement of gene-gene correlations",
        compute=lambda pair: _correlation("r", within=False, pair=pair),
    ),
    _slope(
        name="gene_correlation_slope",
        title="slope of gene-gene correlations",
        compute=lambda pair: _correlation("slope", within=False, pair=pair),
    ),
    _agreement(
        name="within_label_correlation_r",
        title="agreement of gene-gene correlations within labels",
        needs=_LABELS,
        compute=lambda pair: _correlation("r", within=True, pair=pair),
    ),
    _slope(
        name="within_label_correlation_slope",
        title="slope of gene-gene correlations within labels",
        needs=_LABELS,
        compute=lambda pair: _correlation("slope", within=True, pair=pair),
    ),
    _agreement(
        name="fold_change_r",
        title="agreement of log-fold changes between labels",
        needs=_LABELS,
        compute=partial(_fold, "r"),
    ),
    _slope(
        name="fold_change_slope",
        title="slope of log-fold changes between labels",
        needs=_LABELS,
        compute=partial(_fold, "slope"),
    ),
    _recovery(
        name="fold_change_overlap",
        title="top 50 raised genes that agree",
        needs=_LABELS,
        compute=partial(_fold, "overlap"),
    ),
    _recovery(name="marker_recovery", title="marker genes recovered", needs=_LABELS, compute=_markers),
    _error(
        name="composition",
        title="error of the labels' proportions",
        range=_UNIT,
        space="labels",
        needs=_LABELS,
        compute=lambda pair: Score(
            _labels.composition_distance(labelled_cells(pair.real).labels, labelled_cells(pair.generated).labels)
        ),
    ),
    _agreement(
        name="cluster_recovery",
        title="clusters that follow the real labels",
        source="Hubert and Arabie 1985, doi:10.1007/BF01908075, eq. 5",
        space="pcs",
        suite="full",
        needs=_LABELS,
        compute=lambda pair: Score(
            _labels.cluster_recovery_ari(labelled_cells(pair.real), pair.generated.pcs, seed=pair.seed)
        ),
    ),
)


def _trained(pair: SamplePair) -> Score:
    """Train on generated cells, test on real ones."""
    return Score(
        _utility.train_on_generated(labelled_cells(pair.generated), labelled_cells(pair.real), seed=pair.seed).macro_f1
    )


def _gain(pair: SamplePair) -> Score:
    """Add generated cells to a few real cells of each label."""
    few = labelled_cells(label_source(pair))
    return Score(_utility.rare_gain(few, labelled_cells(pair.generated), labelled_cells(pair.real), seed=pair.seed))


UTILITY: tuple[Metric, ...] = (
    Metric(
        name="train_on_generated_f1",
        title="macro-F1 on real cells of a classifier trained on generated cells",
        group="utility",
        better="higher",
        target=1.0,
        range=_UNIT,
        source="Esteban et al. 2017, arXiv:1706.02633, section 4.2",
        cost="cheap",
        space="pcs",
        suite="quick",
        needs=_LABELS,
        compute=_trained,
    ),
    Metric(
        name="rare_gain",
        title="macro-F1 gained with 10 real cells a label",
        group="utility",
        better="higher",
        target=1.0,
        range=(-1.0, 1.0),
        source=_OWN,
        cost="moderate",
        space="pcs",
        needs=_LEARNT,
        compute=_gain,
    ),
)

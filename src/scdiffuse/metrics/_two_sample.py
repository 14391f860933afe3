"""Classifier two-sample test (C2ST): AUC of a trained classifier between real and generated cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError
from scdiffuse._core.random import generator
from scdiffuse.metrics._classifiers import (
    BinaryClassifier,
    ClassifierKind,
    ClassifierSettings,
    build_classifier,
    check_kind,
    fit_classifier,
    usable_features,
)
from scdiffuse.metrics._feature_matrices import Array, paired, subsample
from scdiffuse.metrics._grouped_folds import grouped_folds, row_hashes

__all__ = ["AucInterval", "ClassifierKind", "TwoSampleScore", "delong_interval", "two_sample_auc"]

_N_TOP = 10
_N_SHUFFLED = 30


class AucInterval(NamedTuple):
    """Area under the ROC curve with its interval."""

    auc: float
    low: float
    high: float


class TwoSampleScore(NamedTuple):
    """How well a classifier separates generated from real cells, and by which features."""

    auc: float
    """Area under the ROC curve of held-out probabilities; .5 means indistinguishable."""
    low: float
    high: float
    top_features: tuple[tuple[str, float], ...]
    """The features that separate the samples best, with their importance, largest first."""


def delong_interval(is_positive: NDArray[np.bool_], scores: Array, *, level: float = 0.95) -> AucInterval:
    r"""Compute the area under the ROC curve and its confidence interval.

    With :math:`V_{10}(i)` the fraction of negatives that positive ``i`` outranks and :math:`V_{01}(j)` the fraction of
    positives that outrank negative ``j`` (ties count half), the area is their mean and its variance

    .. math:: \operatorname{var}(V_{10}) / m + \operatorname{var}(V_{01}) / n.

    Parameters
    ----------
    is_positive
        The truth, shape ``(N,)``.
    scores
        Larger where a positive is more likely, shape ``(N,)``.
    level
        Confidence of the two-sided normal interval.

    Returns
    -------
    Area and interval within 0..1. Perfect separation leaves no variance, and so no width.

    Raises
    ------
    SettingError
        If there are fewer than two positives or two negatives.

    References
    ----------
    DeLong et al. 1988, https://doi.org/10.2307/2531595, eq. 4-6.

    Examples
    --------
    >>> delong_interval(np.array([False, False, True, True]), np.array([0.0, 1.0, 2.0, 3.0]))
    AucInterval(auc=1.0, low=1.0, high=1.0)
    """
    from scipy.stats import norm, rankdata

    truth = np.asarray(is_positive, dtype=bool)
    positives, negatives = np.asarray(scores)[truth], np.asarray(scores)[~truth]
    m, n = len(positives), len(negatives)
    if min(m, n) < 2:
        msg = f"Got {m} positives and {n} negatives; an interval needs at least two of each. Compare more cells."
        raise SettingError(msg)
    pooled = rankdata(np.concatenate([positives, negatives]))
    above = (pooled[:m] - rankdata(positives)) / n
    below = 1 - (pooled[m:] - rankdata(negatives)) / m
    auc = float(above.mean())
    error = np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n)
    width = float(norm.ppf(0.5 + level / 2) * error)
    return AucInterval(auc, max(auc - width, 0.0), min(auc + width, 1.0))


def two_sample_auc(  # noqa: PLR0913 - one flat call is what users write
    x: Array,
    y: Array,
    *,
    kind: ClassifierKind = "forest",
    folds: int = 5,
    names: Sequence[str] | None = None,
    copies: tuple[Array, Array] | None = None,
    max_cells: int = 5000,
    n_trees: int = 100,
    seed: int = 0,
    n_jobs: int = 2,
) -> TwoSampleScore:
    """Test by cross-validation how well a classifier separates generated from real cells (C2ST).

    Parameters
    ----------
    x, y
        Real and generated cells, shapes ``(N, F)`` and ``(M, F)``.
    kind
        ``"forest"``: full-depth trees; ``"boosting"``: 60 rounds of histogram gradient boosting on the 500 features
        least often 0; ``"logistic"``: ridge logistic regression on standardised features, with their squares and
        products where there are at most 8; ``"network"``: one hidden layer of 64 units.
    folds
        Number of stratified folds, at least 2.
    names
        Names of the features, ``F`` of them; without names they are numbered.
    copies
        A key for each cell of both sides, shapes ``(N,)`` and ``(M,)``, the same for copies of one cell; they stay in
        one fold, because a classifier that learns a copy recognises the other. Without keys, cells with the same
        features are copies.
    max_cells
        At most this many cells of each side, drawn at random.
    n_trees
        Trees of the forest.
    seed
        Seed of the subsample, the folds and the classifier.
    n_jobs
        Threads for the forest.

    Returns
    -------
    Area under the curve of all held-out probabilities, DeLong interval, and at most 10 features: by impurity decrease
    for the forest, by size of the coefficient for the regression, by loss of held-out area when shuffled (among the 30
    features that separate best one by one) for the others. The interval is for the classifiers at hand; over other
    cells to learn from, areas spread more widely, which the intervals of `scdiffuse.evaluate` include.

    Raises
    ------
    SettingError
        If a side has fewer cells than folds, the kind is unknown, or the names do not fit.

    References
    ----------
    Lopez-Paz and Oquab 2017, https://arxiv.org/abs/1610.06545 (classifier two-sample test); the area instead of the
    accuracy as in Zinati et al. 2024, https://doi.org/10.1038/s41467-024-48516-6.
    """
    check_kind(kind)
    if folds < 2:
        msg = f"Got `folds` {folds}, expected at least 2 folds. The default is 5."
        raise SettingError(msg)
    rows = [subsample(len(cells), max_cells, seed=seed, stream=f"judged {k}") for k, cells in enumerate((x, y))]
    x, y = paired(x[rows[0]], y[rows[1]], least=folds)
    features = np.concatenate([x, y]).astype(np.float32)
    named = [str(name) for name in (range(features.shape[1]) if names is None else names)]
    if len(named) != features.shape[1]:
        msg = f"Got {len(named)} names for {features.shape[1]} features; pass one name a column."
        raise SettingError(msg)
    is_generated = np.arange(len(features)) >= len(x)
    settings = ClassifierSettings(seed, n_jobs, n_trees)
    keys = row_hashes(features) if copies is None else np.concatenate([copies[k][rows[k]] for k in (0, 1)])
    seen = usable_features(kind, features)
    features = features[:, seen]
    scores, importance = _held_out_scores(
        features,
        is_generated,
        partial(build_classifier, kind, settings, features.shape),
        fold=grouped_folds(is_generated, keys, folds=folds, seed=seed),
        seed=seed,
    )
    order = np.argsort(-importance, kind="stable")[:_N_TOP]
    top = tuple((named[seen[i]], float(importance[i])) for i in order if importance[i] > 0)
    return TwoSampleScore(*delong_interval(is_generated, scores), top)


def _held_out_scores(
    features: Array,
    is_generated: NDArray[np.bool_],
    build: Callable[[], BinaryClassifier],
    *,
    fold: NDArray[np.int64],
    seed: int,
) -> tuple[Array, Array]:
    """Pool each cell's probability from the fold that held it out; average the features' importance."""
    scores = np.empty(len(features))
    importance = np.zeros(features.shape[1])
    n_folds = int(fold.max()) + 1
    for number in range(n_folds):
        held_out = fold == number
        model = build()
        fit_classifier(model, features[~held_out], is_generated[~held_out])
        scores[held_out] = model.predict_proba(features[held_out])[:, 1]
        own = _own_importance(model, features.shape[1])
        if own is not None:
            importance += own / n_folds
        elif number == 0:
            importance = _shuffled_importance(model, features[held_out], is_generated[held_out], seed=seed)
    return scores, importance


def _own_importance(model: BinaryClassifier, n_features: int) -> Array | None:
    """Read the feature importance of a forest, or of a regression on single features; it sums to 1."""
    last: Any = model.steps[-1][1] if hasattr(model, "steps") else model
    if hasattr(last, "feature_importances_"):
        return np.asarray(last.feature_importances_)
    if not hasattr(last, "coef_") or last.coef_.shape[1] != n_features:
        return None
    sizes = np.abs(last.coef_[0])
    return np.asarray(sizes / max(float(sizes.sum()), 1e-12))


def _shuffled_importance(model: BinaryClassifier, features: Array, truth: NDArray[np.bool_], *, seed: int) -> Array:
    """Measure the area lost when one feature is shuffled, for the features that separate best alone."""
    from scipy.stats import rankdata

    importance = np.zeros(features.shape[1])
    ranks = rankdata(features, axis=0)
    alone = np.abs(ranks[truth].mean(axis=0) - ranks[~truth].mean(axis=0))
    before = delong_interval(truth, model.predict_proba(features)[:, 1]).auc
    stream = generator(seed, "metrics", "shuffled feature")
    for column in np.argsort(-alone, kind="stable")[:_N_SHUFFLED]:
        shuffled = features.copy()
        shuffled[:, column] = stream.permutation(shuffled[:, column])
        after = delong_interval(truth, model.predict_proba(shuffled)[:, 1]).auc
        importance[column] = max(before - after, 0.0)
    return importance

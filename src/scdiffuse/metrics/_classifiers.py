"""Classifiers of two-sample tests: built with one seed, fitted, and asked for the probability of each cell."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError
from scdiffuse.metrics._feature_matrices import Array

__all__ = [
    "BinaryClassifier",
    "ClassifierKind",
    "ClassifierSettings",
    "build_classifier",
    "check_kind",
    "fit_classifier",
    "usable_features",
]

ClassifierKind = Literal["forest", "boosting", "logistic", "network"]
_N_BOOSTED = 500
_NARROW = 8  # features up to which a regression also sees how they vary together


class BinaryClassifier(Protocol):
    """A binary classifier with the interface of scikit-learn."""

    def fit(self, X: Array, y: Array) -> object:
        """Fit cells and whether each of them is generated."""

    def predict_proba(self, X: Array) -> Array:
        """Predict the probability of each class, shape ``(N, 2)``."""


class ClassifierSettings(NamedTuple):
    """Settings that a classifier is built with."""

    seed: int
    n_jobs: int
    n_trees: int


def check_kind(kind: str) -> None:
    """Refuse a classifier that does not exist.

    Parameters
    ----------
    kind
        Name of the classifier.

    Raises
    ------
    SettingError
        The name is unknown.
    """
    if kind not in _CLASSIFIERS:
        msg = f"The classifier is {kind!r}, expected one of {', '.join(get_args(ClassifierKind))}."
        raise SettingError(msg)


def build_classifier(kind: ClassifierKind, settings: ClassifierSettings, shape: tuple[int, ...]) -> BinaryClassifier:
    """Build a classifier for features of a shape, ``(N, F)``."""
    return _CLASSIFIERS[kind](settings, shape)


def fit_classifier(model: BinaryClassifier, features: Array, is_generated: NDArray[np.bool_]) -> None:
    """Fit a classifier; one that stops early is still scored on held-out cells only."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, is_generated)


def usable_features(kind: ClassifierKind, features: Array) -> NDArray[np.int64]:
    """Choose the columns that a classifier reads: for boosting the 500 least often 0, for others all."""
    if kind != "boosting":
        return np.arange(features.shape[1], dtype=np.int64)
    detected = np.count_nonzero(features, axis=0)
    return np.sort(np.argsort(-detected, kind="stable")[:_N_BOOSTED])


def _forest(settings: ClassifierSettings, shape: tuple[int, ...]) -> BinaryClassifier:
    """Build the forest of full-depth trees."""
    from sklearn.ensemble import RandomForestClassifier

    del shape
    classifier: BinaryClassifier = RandomForestClassifier(
        n_estimators=settings.n_trees, random_state=settings.seed, n_jobs=settings.n_jobs
    )
    return classifier


def _boosting(settings: ClassifierSettings, shape: tuple[int, ...]) -> BinaryClassifier:
    """Build gradient boosting with small trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    del shape
    classifier: BinaryClassifier = HistGradientBoostingClassifier(
        max_iter=60,
        learning_rate=0.15,
        max_leaf_nodes=8,
        max_bins=31,
        early_stopping=False,
        random_state=settings.seed,
    )
    return classifier


def _logistic(settings: ClassifierSettings, shape: tuple[int, ...]) -> BinaryClassifier:
    """Build ridge logistic regression on standardised features; few features come with squares and products."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    # The penalty grows with the number of features, so that wide data do not separate by chance alone.
    regression = LogisticRegression(C=1 / (1 + shape[1] / 2), max_iter=200, random_state=settings.seed)
    scaled = [StandardScaler()]
    if shape[1] <= _NARROW:
        scaled += [PolynomialFeatures(2, include_bias=False), StandardScaler()]
    classifier: BinaryClassifier = make_pipeline(*scaled, regression)
    return classifier


def _network(settings: ClassifierSettings, shape: tuple[int, ...]) -> BinaryClassifier:
    """Build a small network on standardised features, with early stopping on a part of its training cells."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    layers = MLPClassifier(
        hidden_layer_sizes=(64,),
        alpha=3.0,  # per cell; without it a network of a few hundred cells learns them by heart
        batch_size=min(128, max(8, shape[0] // 20)),
        early_stopping=True,
        n_iter_no_change=5,
        max_iter=40,
        random_state=settings.seed,
    )
    classifier: BinaryClassifier = make_pipeline(StandardScaler(), layers)
    return classifier


_CLASSIFIERS: dict[str, Callable[[ClassifierSettings, tuple[int, ...]], BinaryClassifier]] = {
    "forest": _forest,
    "boosting": _boosting,
    "logistic": _logistic,
    "network": _network,
}

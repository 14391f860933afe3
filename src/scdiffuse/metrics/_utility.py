"""Usefulness of generated cells: training cell type classifiers, and augmenting rare labels."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import ConditionError
from scdiffuse._core.random import generator
from scdiffuse.metrics._feature_matrices import Array, paired, subsample
from scdiffuse.metrics._labelled_cells import LabelledCells, LabelScores, check_labelled, frequent_labels, shared_labels

__all__ = ["UtilityScore", "label_accuracy_by_label", "rare_gain", "train_on_generated"]


class Classifier(Protocol):
    """A classifier with the interface of scikit-learn."""

    def fit(self, X: Array, y: Array) -> object:
        """Fit cells and their labels."""

    def predict(self, X: Array) -> Array:
        """Predict a label for each cell."""


class UtilityScore(NamedTuple):
    """Performance of a classifier on real cells."""

    macro_f1: float
    """Plain mean of the labels' F1."""
    balanced_accuracy: float
    """Plain mean of the labels' recall."""
    accuracy: float


def train_on_generated(
    generated: LabelledCells, real: LabelledCells, *, max_cells: int = 5000, min_cells: int = 5, seed: int = 0
) -> UtilityScore:
    """Fit a classifier on generated cells and test it on real ones.

    Parameters
    ----------
    generated
        Features, shape ``(M, F)``, with the label asked for. Pass real training cells for the upper limit.
    real
        Features of held-out real cells, shape ``(N, F)``, with their labels.
    max_cells
        At most this many generated cells are used.
    min_cells
        Labels with fewer real cells are not tested; a label missing from the generated cells scores 0.
    seed
        Chooses the cells.

    Returns
    -------
    F1, balanced accuracy and accuracy over the tested labels, 0..1.

    Raises
    ------
    ConditionError
        If fewer than two labels occur in the generated cells, or no label is tested.

    References
    ----------
    Esteban et al. 2017, https://arxiv.org/abs/1706.02633, section 4.2 (train on synthetic, test on real).
    """
    generated, real = _subsample_by_label(check_labelled(generated), max_cells, seed), check_labelled(real)
    tested = frequent_labels(real.labels, min_cells=min_cells)
    shared_labels(real, generated, min_cells=1)
    used = np.isin(real.labels, tested)
    if not used.any():
        msg = f"No label has {min_cells} real cells; expected at least one. Hold out more cells."
        raise ConditionError(msg)
    x, y = paired(generated.values, real.values[used], least=1)
    return _classification_scores(_classify(x, generated.labels, y, seed=seed), real.labels[used], tested)


def _subsample_by_label(cells: LabelledCells, max_cells: int, seed: int) -> LabelledCells:
    """Draw about ``max_cells`` labelled cells in proportion to the labels, but at least 20 cells of each."""
    known = np.flatnonzero(cells.labels != "")
    if len(known) <= max_cells:
        return LabelledCells(cells.values[known], cells.labels[known])
    kept = []
    for name in np.unique(cells.labels[known]):
        rows = np.flatnonzero(cells.labels == name)
        size = max(20, round(len(rows) * max_cells / len(known)))
        kept.append(rows[subsample(len(rows), size, seed=seed, stream=f"label {name}")])
    rows = np.sort(np.concatenate(kept))
    return LabelledCells(cells.values[rows], cells.labels[rows])


def _classify(x: Array, labels: NDArray[Any], y: Array, *, seed: int) -> NDArray[Any]:
    """Predict labels of ``y`` with a classifier fitted to ``x``."""
    return np.asarray(_fit(x, labels, seed=seed).predict(y))


def _fit(x: Array, labels: NDArray[Any], *, seed: int) -> Classifier:
    """Fit ridge logistic regression with equal weight for each label."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(labels)) < 2:
        msg = f"Got {len(np.unique(labels))} labels to fit; a classifier needs two. Pass cells of more labels."
        raise ConditionError(msg)
    regression = LogisticRegression(
        C=1 / (1 + x.shape[1] / 20), class_weight="balanced", max_iter=300, random_state=seed
    )
    model: Classifier = make_pipeline(StandardScaler(), regression)
    with warnings.catch_warnings():
        # Nearly converged coefficients classify alike.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, labels)
    return model


def _classification_scores(predicted: NDArray[Any], truth: NDArray[Any], labels: list[str]) -> UtilityScore:
    """Compute F1, balanced accuracy and accuracy over the tested labels only."""
    from sklearn.metrics import f1_score, recall_score

    options = {"labels": labels, "average": "macro", "zero_division": 0.0}
    return UtilityScore(
        float(f1_score(truth, predicted, **options)),
        float(recall_score(truth, predicted, **options)),
        float((predicted == truth).mean()),
    )


def label_accuracy_by_label(
    train: LabelledCells, cells: LabelledCells, *, max_cells: int = 5000, min_cells: int = 5, seed: int = 0
) -> LabelScores:
    """Measure how often a classifier fitted to real cells assigns other cells the label that they carry.

    Parameters
    ----------
    train
        Features of real cells, shape ``(N, F)``, with one label a cell.
    cells
        Features of the cells to classify, shape ``(M, F)``, with the labels that they carry.
    max_cells
        At most this many training cells are used.
    min_cells
        Labels with fewer cells in either sample are left out.
    seed
        Chooses the training cells.

    Returns
    -------
    Fraction of correctly assigned cells per label, and the mean over labels.

    Raises
    ------
    ConditionError
        If no label has enough cells in both, or fewer than two labels can be fitted.
    """
    return assign_labels(fit_label_classifier(train, max_cells=max_cells, seed=seed), cells, min_cells=min_cells)


class LabelClassifier(NamedTuple):
    """A label classifier fitted to real cells, for any number of other samples."""

    model: Classifier
    cells: LabelledCells
    """The real cells with their labels."""


def fit_label_classifier(train: LabelledCells, *, max_cells: int = 5000, seed: int = 0) -> LabelClassifier:
    """Fit the label classifier of `label_accuracy_by_label`."""
    cells = check_labelled(train)
    used = _subsample_by_label(cells, max_cells, seed)
    return LabelClassifier(_fit(np.asarray(used.values, dtype=np.float64), used.labels, seed=seed), cells)


def assign_labels(classifier: LabelClassifier, cells: LabelledCells, *, min_cells: int = 5) -> LabelScores:
    """Compute `label_accuracy_by_label` with a classifier that is already fitted."""
    cells = check_labelled(cells)
    labels = shared_labels(classifier.cells, cells, min_cells=min_cells)
    known = np.isin(cells.labels, labels)
    _, y = paired(classifier.cells.values, cells.values[known], least=1)
    right = classifier.model.predict(y) == cells.labels[known]
    by_label = {label: float(right[cells.labels[known] == label].mean()) for label in labels}
    return LabelScores(float(np.mean(list(by_label.values()))), by_label)


def rare_gain(
    train: LabelledCells,
    generated: LabelledCells,
    test: LabelledCells,
    *,
    n_real: int = 10,
    n_repeats: int = 5,
    seed: int = 0,
) -> float:
    """Measure how much generated cells improve a classifier when each label has only a few real cells.

    A classifier is fitted to ``n_real`` real cells a label, once alone and once with generated cells added (at most 200
    a label), and tested on other real cells.

    Parameters
    ----------
    train
        Features of real cells, shape ``(N, F)``, with their labels, from which the few cells are drawn.
    generated
        Features, shape ``(M, F)``, with the label asked for.
    test
        Features of held-out real cells with their labels.
    n_real
        Real cells a label; a label with fewer cells contributes all of them.
    n_repeats
        Number of draws of the few cells to average over.
    seed
        Chooses the few cells.

    Returns
    -------
    Macro-F1 with generated cells minus macro-F1 without, -1..1. A generator fitted to all of ``train``
    has seen more cells than the classifier; for a fair gain, fit the generator to the few cells.

    Raises
    ------
    ConditionError
        If fewer than two labels can be fitted, or no label of the test cells is shared.
    """
    train, generated, test = (check_labelled(cells) for cells in (train, generated, test))
    tested = shared_labels(train, test, min_cells=2)
    used = np.isin(test.labels, tested)
    x, y = paired(train.values, test.values[used], least=1)
    added, _ = paired(generated.values, test.values[used], least=1)
    stream = generator(seed, "metrics", "rare")
    extra = _few(generated.labels, tested, size=200, stream=stream)
    gains = []
    for _ in range(n_repeats):
        few = _few(train.labels, tested, size=n_real, stream=stream)
        alone = _classify(x[few], train.labels[few], y, seed=seed)
        both = _classify(
            np.concatenate([x[few], added[extra]]),
            np.concatenate([train.labels[few], generated.labels[extra]]),
            y,
            seed=seed,
        )
        truth = test.labels[used]
        scores = [_classification_scores(predicted, truth, tested).macro_f1 for predicted in (both, alone)]
        gains.append(scores[0] - scores[1])
    return float(np.mean(gains))


def _few(labels: NDArray[Any], names: list[str], *, size: int, stream: np.random.Generator) -> NDArray[np.int64]:
    """Draw at most ``size`` rows of each label."""
    drawn = [stream.permutation(np.flatnonzero(labels == name))[:size] for name in names]
    return np.concatenate(drawn).astype(np.int64)

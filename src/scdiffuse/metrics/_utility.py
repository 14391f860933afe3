"""What generated cells are good for: training classifiers, and helping rare labels."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import ConditionError
from scdiffuse._core.random import generator
from scdiffuse.metrics._arrays import (
    Array,
    Labelled,
    LabelScores,
    check_labelled,
    enough_labels,
    paired,
    shared_labels,
    subsample,
)

__all__ = ["UtilityScore", "rare_gain", "recognition", "train_on_generated"]


class Classifier(Protocol):
    """A classifier of the scikit-learn manner."""

    def fit(self, X: Array, y: Array) -> object:
        """Learn from cells and their labels."""

    def predict(self, X: Array) -> Array:
        """Give each cell a label."""


class UtilityScore(NamedTuple):
    """A classifier's success on real cells."""

    macro_f1: float
    """Plain mean of the labels' F1."""
    balanced_accuracy: float
    """Plain mean of the labels' recall."""
    accuracy: float


def train_on_generated(
    generated: Labelled, real: Labelled, *, max_cells: int = 5000, min_cells: int = 5, seed: int = 0
) -> UtilityScore:
    """Fit a classifier on generated cells and test it on real ones.

    Parameters
    ----------
    generated
        Features, shape ``(M, F)``, with the label asked for. Pass real training cells to learn the ceiling.
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
        If fewer than two labels can be learnt from the generated cells, or none is tested.

    References
    ----------
    Esteban et al. 2017, https://arxiv.org/abs/1706.02633, section 4.2 (train on synthetic, test on real).
    """
    generated, real = _thinned(check_labelled(generated), max_cells, seed), check_labelled(real)
    tested = enough_labels(real.labels, min_cells=min_cells)
    shared_labels(real, generated, min_cells=1)
    used = np.isin(real.labels, tested)
    if not used.any():
        msg = f"No label has {min_cells} real cells; expected at least one. Hold out more cells."
        raise ConditionError(msg)
    x, y = paired(generated.values, real.values[used], least=1)
    return _judge(_classify(x, generated.labels, y, seed=seed), real.labels[used], tested)


def _thinned(cells: Labelled, max_cells: int, seed: int) -> Labelled:
    """Draw about ``max_cells`` labelled cells, every label in its share but 20 cells at least, if it has them."""
    known = np.flatnonzero(cells.labels != "")
    if len(known) <= max_cells:
        return Labelled(cells.values[known], cells.labels[known])
    kept = []
    for name in np.unique(cells.labels[known]):
        rows = np.flatnonzero(cells.labels == name)
        size = max(20, round(len(rows) * max_cells / len(known)))
        kept.append(rows[subsample(len(rows), size, seed=seed, stream=f"label {name}")])
    rows = np.sort(np.concatenate(kept))
    return Labelled(cells.values[rows], cells.labels[rows])


def _classify(x: Array, labels: NDArray[Any], y: Array, *, seed: int) -> NDArray[Any]:
    """Predict labels of ``y`` by what is learnt from ``x``."""
    return np.asarray(_fit(x, labels, seed=seed).predict(y))


def _fit(x: Array, labels: NDArray[Any], *, seed: int) -> Classifier:
    """Fit ridge logistic regression, each label weighing the same."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(labels)) < 2:
        msg = f"Got {len(np.unique(labels))} labels to learn from; a classifier needs two. Pass cells of more labels."
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


def _judge(predicted: NDArray[Any], truth: NDArray[Any], labels: list[str]) -> UtilityScore:
    """Average over the tested labels only."""
    from sklearn.metrics import f1_score, recall_score

    options = {"labels": labels, "average": "macro", "zero_division": 0.0}
    return UtilityScore(
        float(f1_score(truth, predicted, **options)),
        float(recall_score(truth, predicted, **options)),
        float((predicted == truth).mean()),
    )


def recognition(
    train: Labelled, cells: Labelled, *, max_cells: int = 5000, min_cells: int = 5, seed: int = 0
) -> LabelScores:
    """Ask a classifier fitted on real cells for the labels of other cells.

    Parameters
    ----------
    train
        Features of real cells, shape ``(N, F)``, with one label a cell.
    cells
        Features of the cells to recognise, shape ``(M, F)``, with the labels they should have.
    max_cells
        At most this many training cells are used.
    min_cells
        Labels with fewer cells in either sample are left out.
    seed
        Chooses the training cells.

    Returns
    -------
    Share recognised per label, and the mean over labels.

    Raises
    ------
    ConditionError
        If no label has enough cells in both, or fewer than two labels can be learnt.
    """
    return recognise(learn_labels(train, max_cells=max_cells, seed=seed), cells, min_cells=min_cells)


class Recogniser(NamedTuple):
    """A classifier of real cells, for any number of other samples."""

    model: Classifier
    cells: Labelled
    """The real cells with their labels."""


def learn_labels(train: Labelled, *, max_cells: int = 5000, seed: int = 0) -> Recogniser:
    """Fit the classifier behind `recognition`."""
    cells = check_labelled(train)
    used = _thinned(cells, max_cells, seed)
    return Recogniser(_fit(np.asarray(used.values, dtype=np.float64), used.labels, seed=seed), cells)


def recognise(recogniser: Recogniser, cells: Labelled, *, min_cells: int = 5) -> LabelScores:
    """Score as `recognition` does, with a classifier that is already fitted."""
    cells = check_labelled(cells)
    labels = shared_labels(recogniser.cells, cells, min_cells=min_cells)
    known = np.isin(cells.labels, labels)
    _, y = paired(recogniser.cells.values, cells.values[known], least=1)
    right = recogniser.model.predict(y) == cells.labels[known]
    by_label = {label: float(right[cells.labels[known] == label].mean()) for label in labels}
    return LabelScores(float(np.mean(list(by_label.values()))), by_label)


def rare_gain(
    train: Labelled, generated: Labelled, test: Labelled, *, n_real: int = 10, n_repeats: int = 5, seed: int = 0
) -> float:
    """Measure what generated cells add when only a few real cells of each label are known.

    A classifier is fitted on ``n_real`` real cells a label, once alone and once with generated cells (at most 200 a
    label), and tested on other real cells.

    Parameters
    ----------
    train
        Features of real cells, shape ``(N, F)``, with their labels, from which the few are drawn.
    generated
        Features, shape ``(M, F)``, with the label asked for.
    test
        Features of held-out real cells with their labels.
    n_real
        Real cells a label; labels with fewer give all they have.
    n_repeats
        Draws of the few that are averaged.
    seed
        Chooses the few.

    Returns
    -------
    Macro-F1 with generated cells minus macro-F1 without, -1..1. Cells of a generator fitted on all of ``train``
    know more than the few do; for an honest gain fit it on the few.

    Raises
    ------
    ConditionError
        If fewer than two labels can be learnt, or no label of the test cells is shared.
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
        gains.append(_judge(both, truth, tested).macro_f1 - _judge(alone, truth, tested).macro_f1)
    return float(np.mean(gains))


def _few(labels: NDArray[Any], names: list[str], *, size: int, stream: np.random.Generator) -> NDArray[np.int64]:
    """Draw at most ``size`` rows of each label."""
    drawn = [stream.permutation(np.flatnonzero(labels == name))[:size] for name in names]
    return np.concatenate(drawn).astype(np.int64)

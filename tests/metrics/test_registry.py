"""Every registered metric computes, stays in its range and sees the fault it is for."""

from __future__ import annotations

import dataclasses
import textwrap
from math import inf, isnan, nan
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from scdiffuse._core.errors import ConditionError, SettingError, UnknownNameError
from scdiffuse.metrics import (
    METRICS,
    CellFeatures,
    LabelledCells,
    Metric,
    SamplePair,
    _registry,
    _utility,
    get_metric,
    log_normalise,
    qc_features,
    select_metrics,
)

N_GENES = 40
NAMES = np.array([f"gene{k}" for k in range(N_GENES - 2)] + ["RPS4", "MT-ND1"])


def counts_of(n: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts of two types with over-dispersed modules of genes."""
    stream = np.random.default_rng(seed)
    labels = np.array(["T", "B"])[stream.integers(2, size=n)]
    rates = np.random.default_rng(0).gamma(2.0, 2.0, N_GENES) * np.ones((n, 1))
    rates[labels == "T", :6] *= 5
    rates[:, 10:20] *= np.exp(0.8 * stream.normal(size=(n, 1)))
    return stream.poisson(rates * stream.gamma(9.0, 1 / 9, (n, 1))).astype(np.float32), labels


REFERENCE = log_normalise(counts_of(80, seed=9)[0]).toarray()
AXES = np.linalg.svd(REFERENCE - REFERENCE.mean(axis=0), full_matrices=False)[2][:8].T


def view(counts: np.ndarray, labels: np.ndarray, donor: str) -> CellFeatures:
    logs = log_normalise(counts).toarray()
    return CellFeatures(
        counts=sparse.csr_matrix(counts),
        genes=logs,
        pcs=(logs - REFERENCE.mean(axis=0)) @ AXES,
        qc=qc_features(counts, NAMES)[0],
        labels=labels,
        donors=np.array([f"{donor}{k % 3}" for k in range(len(labels))]),
    )


def drawn(seed: int, donor: str = "g") -> CellFeatures:
    return view(*counts_of(110, seed=seed), donor)


@pytest.fixture(scope="module")
def pair() -> SamplePair:
    return SamplePair(
        real=drawn(1, "h"),
        generated=drawn(2),
        train=drawn(3, "t"),
        reference=drawn(4, "r"),
        gene_names=NAMES,
        chosen=np.arange(N_GENES),
        qc_names=qc_features(np.ones((1, N_GENES)), NAMES)[1],
        max_classifier_cells=80,
        folds=2,
    )


def with_many_donor_cells(pair: SamplePair) -> SamplePair:
    """More than 100 cells of every donor, and held-out cells of training donors among them."""
    counts, labels = counts_of(660, seed=5)
    real = view(counts, labels, "h")
    assert real.donors is not None
    donors = np.where(np.arange(660) < 330, np.char.replace(real.donors, "h", "t"), real.donors)
    train = view(*counts_of(330, seed=6), "t")
    return dataclasses.replace(pair, train=train, real=dataclasses.replace(real, donors=donors))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_computes_within_its_range(metric: Metric, pair: SamplePair) -> None:
    score = metric.compute(with_many_donor_cells(pair) if "donor" in metric.name else pair)
    assert metric.range[0] <= score.value <= metric.range[1]
    if score.low is not None and score.high is not None:
        assert score.low <= score.value <= score.high


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_states_what_a_reader_needs(metric: Metric) -> None:
    assert metric.title
    assert metric.source
    assert metric.range[0] <= metric.target <= metric.range[1]
    assert metric.needs <= {"labels", "train", "reference", "donors", "train or reference"}


@pytest.mark.parametrize("metric", [m for m in METRICS if m.by_label], ids=lambda metric: metric.name)
def test_metrics_by_label_compute_within_one_label(metric: Metric, pair: SamplePair) -> None:
    assert np.isfinite(metric.compute(pair.limit_to_label("T")).value)


def faulty(pair: SamplePair, fault: str) -> CellFeatures:
    """Generated cells with one planted fault."""
    counts, labels = counts_of(110, seed=2)
    stream = np.random.default_rng(5)
    if fault == "class means":
        counts = np.stack([counts[labels == label].mean(axis=0) for label in labels]).round()
    elif fault == "over-dispersion":
        counts = stream.poisson(counts * stream.gamma(0.5, 2.0, counts.shape))
    elif fault == "shuffled genes":
        for label in np.unique(labels):
            counts[labels == label] = stream.permuted(counts[labels == label], axis=0)
    elif fault == "missing type":
        counts, labels = counts[labels == "T"], labels[labels == "T"]
    elif fault == "memorised cells":
        assert pair.train is not None
        return pair.train
    elif fault == "wrong library size":
        counts = stream.poisson(counts / 3)
    elif fault == "not counts":
        counts -= 0.5
    elif fault == "swapped labels":
        labels = np.where(labels == "T", "B", "T")
    elif fault == "mode collapse":
        counts[labels == "B"] = counts[labels == "B"][0]
    return view(counts.astype(np.float32), labels, "g")


CAUGHT = [
    ("class means", "forest_genes_auc"),
    ("class means", "boosting_pcs_auc"),
    ("class means", "recall"),
    ("class means", "variance_error"),
    ("over-dispersion", "mean_variance_trend"),
    ("over-dispersion", "variance_error"),
    ("over-dispersion", "forest_counts_auc"),
    ("shuffled genes", "within_label_correlation_slope"),
    ("shuffled genes", "gene_correlation_slope"),
    ("shuffled genes", "forest_pcs_auc"),
    ("missing type", "composition"),
    ("missing type", "worst_label_coverage"),
    ("missing type", "energy"),
    ("memorised cells", "memorised_cells"),
    ("memorised cells", "nearest_neighbour_ratio"),
    ("memorised cells", "closest_record"),
    ("memorised cells", "worst_label_closest_record"),
    ("memorised cells", "membership_distance"),
    ("memorised cells", "membership_density"),
    ("wrong library size", "library_size_distance"),
    ("wrong library size", "genes_detected_distance"),
    ("wrong library size", "forest_qc_auc"),
    ("wrong library size", "mean_error"),
    ("not counts", "invalid_values"),
    ("swapped labels", "label_accuracy"),
    ("swapped labels", "train_on_generated_f1"),
    ("swapped labels", "fold_change_r"),
    ("swapped labels", "marker_recovery"),
    ("mode collapse", "worst_label_coverage"),
    ("mode collapse", "mmd"),
]


@pytest.mark.parametrize(("fault", "name"), CAUGHT)
def test_a_planted_fault_is_far_beyond_the_reference(pair: SamplePair, fault: str, name: str) -> None:
    metric = get_metric(name)
    reference = max(metric.loss(metric.compute(pair.with_generated(drawn(seed))).value) for seed in (2, 6))
    score = metric.compute(pair.with_generated(faulty(pair, fault)))
    assert metric.loss(score.value) > 1.5 * reference + 0.05 * (metric.range == (0.0, 1.0))


def test_a_forest_names_the_genes_that_differ(pair: SamplePair) -> None:
    counts, labels = counts_of(110, seed=2)
    counts[:, 30] = 0
    score = get_metric("forest_genes_auc").compute(pair.with_generated(view(counts, labels, "g")))
    assert score.features[0][0] == "gene30"


def test_a_pair_shares_what_metrics_have_in_common(pair: SamplePair) -> None:
    calls: list[int] = []
    fresh = pair.with_generated(pair.generated)
    values = [fresh.cached("once", lambda: calls.append(1) or 7) for _ in range(2)]  # type: ignore[func-returns-value]
    assert (values, calls) == ([7, 7], [1])


def test_another_generator_does_not_inherit_what_was_remembered(pair: SamplePair) -> None:
    assert pair.with_generated(pair.generated).cached("once more", lambda: 1) == 1
    assert pair.with_generated(pair.generated).cached("once more", lambda: 2) == 2


def test_labels_are_learnt_once_for_all_that_is_compared_with_the_same_real_cells(
    pair: SamplePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[int] = []
    fit_label_classifier = _utility.fit_label_classifier

    def learn(cells: LabelledCells, *, seed: int) -> _utility.LabelClassifier:
        learnt.append(len(cells.labels))
        return fit_label_classifier(cells, seed=seed)

    monkeypatch.setattr(_utility, "fit_label_classifier", learn)
    fresh = dataclasses.replace(pair, train=drawn(3, "t"))
    half = fresh.subset((np.arange(50), np.arange(50)), name="a half")
    accuracy = get_metric("label_accuracy")
    values = [accuracy.compute(one).value for one in (fresh, half, fresh.with_generated(drawn(5)))]
    assert learnt == [110]
    assert len(set(values)) == 3
    accuracy.compute(dataclasses.replace(fresh, seed=1))
    assert learnt == [110, 110]


def test_a_pair_of_one_label_holds_no_other(pair: SamplePair) -> None:
    only = pair.limit_to_label("T")
    assert only.train is not None
    assert {str(label) for side in (only.real, only.generated, only.train) for label in side.labels} == {"T"}  # type: ignore[union-attr]


def test_taking_rows_keeps_the_spaces_together(pair: SamplePair) -> None:
    few = pair.real.take(np.array([3, 1]))
    assert few.n_cells == 2
    assert np.array_equal(few.counts.toarray(), pair.real.counts.toarray()[[3, 1]])
    assert np.array_equal(few.pcs, pair.real.pcs[[3, 1]])
    assert few.labels is not None
    assert pair.real.labels is not None
    assert few.labels.tolist() == pair.real.labels[[3, 1]].tolist()


def test_a_metric_says_what_it_lacks(pair: SamplePair) -> None:
    bare = dataclasses.replace(pair, train=None, reference=None, real=dataclasses.replace(pair.real, labels=None))
    assert get_metric("label_accuracy").missing(bare) == ("labels", "train or reference")
    assert get_metric("donor_membership_density").missing(bare) == ("donors", "reference", "train")
    assert get_metric("energy").missing(bare) == ()


def test_labels_may_be_learnt_from_the_reference(pair: SamplePair) -> None:
    assert get_metric("label_accuracy").compute(dataclasses.replace(pair, train=None)).value > 0.8


def test_a_metric_that_cannot_be_computed_says_why(pair: SamplePair) -> None:
    with pytest.raises(ConditionError, match="a change needs two labels"):
        get_metric("fold_change_r").compute(pair.limit_to_label("T"))


def test_loss_counts_the_bad_side_only() -> None:
    auc, precision, slope = (get_metric(name) for name in ("knn_auc", "precision", "fold_change_slope"))
    assert [auc.loss(0.4), auc.loss(0.75)] == pytest.approx([0.0, 0.25])
    assert precision.loss(0.9) == pytest.approx(0.1)
    assert [slope.loss(0.5), slope.loss(1.5)] == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("name", ["knn_auc", "precision", "fold_change_slope"])
def test_the_loss_of_an_unknown_value_is_unknown(name: str) -> None:
    assert isnan(get_metric(name).loss(nan))


def test_the_normalised_score_runs_from_trivial_to_real() -> None:
    metric = get_metric("forest_genes_auc")
    assert metric.normalise(0.9, reference=0.5, trivial=0.9) == pytest.approx(0.0)
    assert metric.normalise(0.6, reference=0.5, trivial=0.9) == pytest.approx(0.75)
    assert metric.normalise(0.5, reference=0.5, trivial=0.9) == pytest.approx(1.0)


def test_the_normalised_score_is_unknown_where_the_trivial_is_no_worse_than_real() -> None:
    assert isnan(get_metric("wasserstein2").normalise(17.0, reference=18.3, trivial=17.9))


def test_the_documented_example_declares_a_metric(pair: SamplePair) -> None:
    docstring = _registry.__doc__ or ""
    example = docstring[docstring.index("::") + 2 : docstring.index("and add ``*SPARSITY``")]
    names: dict[str, Any] = {}
    exec(compile(textwrap.dedent(example), "_catalogue_sparsity.py", "exec"), names)
    (metric,) = names["SPARSITY"]
    assert metric.compute(pair).value >= 0
    assert metric.compute(pair.with_generated(pair.real)).value == 0


def test_the_full_suite_holds_the_quick_one() -> None:
    quick, full = select_metrics("quick"), select_metrics("full")
    assert set(quick) < set(full) == set(METRICS)


def test_names_are_unique() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)


def test_metrics_are_chosen_by_name_in_order() -> None:
    assert [metric.name for metric in select_metrics(names=["mmd", "energy"])] == ["mmd", "energy"]
    assert select_metrics(names="mmd") == select_metrics(names=["mmd"])


def test_a_mistyped_metric_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"Metric 'enrgy' is unknown.*Did you mean 'energy'"):
        get_metric("enrgy")


def test_an_unknown_suite_is_refused() -> None:
    with pytest.raises(SettingError, match="`suite` must be 'quick' or 'full'"):
        select_metrics("slow")  # type: ignore[arg-type]


def test_no_metric_is_better_than_perfect() -> None:
    for metric in METRICS:
        assert metric.loss(metric.target) == 0.0
        assert metric.range != (inf, -inf)

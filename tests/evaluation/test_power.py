"""What an evaluation could have told: errors over draws, the third answer, power curves, and the second reference."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffuse
from scdiffuse._core.errors import SettingError
from scdiffuse.evaluation import (
    Report,
    _benchmark,
    evaluate,
    parametric_bootstrap,
    power_curve,
    power_summary,
)
from scdiffuse.evaluation._detection import cells_to_tell, detect
from scdiffuse.evaluation._estimates import Estimate, average
from scdiffuse.evaluation._prepared_cells import _contrasted
from scdiffuse.evaluation._report_curve import describe_curve
from scdiffuse.evaluation._stratified import stratified_order
from scdiffuse.metrics import get_metric


def drawn(value: float, error: float) -> Estimate:
    return Estimate(value, value - 1.96 * error, value + 1.96 * error, error)


def test_draws_of_all_cells_average_only_what_differs_between_them() -> None:
    found = average([drawn(value, 0.04) for value in (0.67, 0.50, 0.48)])
    assert found.value == pytest.approx(0.55)
    assert found.error == pytest.approx(np.sqrt(0.04**2 + np.var([0.67, 0.50, 0.48], ddof=1) / 3))


@pytest.mark.parametrize("is_known", [True, False])
def test_the_error_of_a_mean_of_draws_is_that_of_many_repeats(*, is_known: bool) -> None:
    """The mean of `n` of `N` cells, `K` times without replacement; the variance of a draw is 1 / n."""
    stream, (n, pool, k) = np.random.default_rng(0), (50, 200, 3)
    cells = stream.normal(size=(2000, pool))
    means = np.stack([stream.permuted(cells, axis=1)[:, :n].mean(axis=1) for _ in range(k)], axis=1)
    own = n**-0.5 if is_known else np.nan
    errors = [average([drawn(value, own) for value in row], drawn=n / pool).error for row in means]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(means.mean(axis=1).std(), rel=0.15)


def test_draws_of_all_cells_that_agree_are_not_certain() -> None:
    """Halves of few cells have no value, and a metric without chance is the same in every draw."""
    fold_change, same = get_metric("fold_change_r"), [drawn(0.5, np.nan)] * 3
    found = average(same)
    assert np.isnan(found.error)
    doubt = detect(fold_change, found, found, trivial=0.1, n_cells=100).doubt
    assert doubt == "too few cells: not all halves of 100 a side have a value"


def test_changes_are_between_the_same_labels_in_every_pair_of_real_cells(tissue: Any) -> None:
    """A rare type that has ten cells in one sample and nine in another is in none of them."""
    real, other = (tissue.draw(200, seed).obs["cell_type"].to_numpy(dtype=str) for seed in (1, 2))
    sizes = [dict(zip(*np.unique(labels, return_counts=True), strict=True)) for labels in (real, other)]
    expected = {label for label, n in sizes[0].items() if min(n, sizes[1].get(label, 0)) >= 20}
    assert 2 <= len(expected) < len(sizes[0])
    sides = [SimpleNamespace(labels=labels) for labels in (real, other)]
    assert set(_contrasted(*sides) or ()) == expected  # type: ignore[arg-type]
    assert _contrasted(*(SimpleNamespace(labels=labels[:30]) for labels in (real, other))) is None  # type: ignore[arg-type]


def test_few_real_cells_are_not_told_from_other_real_cells_by_changes_between_labels(tissue: Any) -> None:
    metrics = ("fold_change_r", "fold_change_slope", "fold_change_overlap", "marker_recovery")
    for seed in range(3):
        real, reference, perfect = (tissue.draw(60, 10 * seed + at) for at in range(3))
        report = evaluate(
            real, perfect, reference=reference, by="cell_type", metrics=metrics, seed=seed, progress=False
        )
        verdict = report.verdicts["biology"]
        assert verdict.level == "too_few", verdict.text


def test_what_would_have_been_told_is_four_standard_errors_from_the_reference() -> None:
    auc = get_metric("forest_genes_auc")
    sure = detect(auc, drawn(0.52, 0.015), drawn(0.48, 0.015), trivial=None, n_cells=1000)
    assert sure.value == pytest.approx(0.5 + 3.84 * 0.015 * np.sqrt(2))
    assert not sure.doubt
    unsure = detect(auc, drawn(0.52, 0.05), drawn(0.53, 0.05), trivial=None, n_cells=95)
    assert unsure.value == pytest.approx(0.53 + 3.84 * 0.05 * np.sqrt(2))
    assert unsure.doubt == "too few cells: with 95 a side, .80 is the first value told"
    hopeless = detect(auc, drawn(0.52, 0.1), drawn(0.53, 0.1), trivial=None, n_cells=30)
    assert hopeless.value is None
    assert hopeless.doubt.endswith("not even the worst value would be told")
    assert cells_to_tell(95, unsure.shortfall) == 710  # (.2715 / .1) ** 2 x 95 = 700.5, to two figures upwards


def test_a_metric_without_bounds_has_power_by_its_trivial_baseline() -> None:
    energy, close = get_metric("energy"), (drawn(0.1, 0.1), drawn(0.1, 0.1))
    assert detect(energy, *close, trivial=1.0, n_cells=100).doubt
    assert not detect(energy, *close, trivial=3.0, n_cells=100).doubt
    assert not detect(energy, *close, trivial=None, n_cells=100).doubt  # it separates nothing anyway


def bundled(seed: int) -> Report:
    """Evaluate other real cells of the bundled data as if they were generated, 95 a side."""
    cells = scdiffuse.datasets.pbmc68k()
    rows = np.random.default_rng(seed).permutation(cells.n_obs)
    return evaluate(
        cells[rows[:238]].copy(),
        cells[rows[238:476]].copy(),
        by="cell_type",
        metrics=("forest_pcs_auc", "worst_label_coverage"),
        seed=seed,
        progress=False,
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cells_of_the_bundled_data_are_too_few_to_tell_whatever_the_seed(seed: int) -> None:
    report = bundled(seed)
    assert report.settings["n_cells_a_side"] == 95
    for group in ("two_sample", "distribution"):
        verdict = report.verdicts[group]
        assert verdict.level == "too_few", verdict.text
        assert not verdict.flagged
    words = r"They learn from 63 cells a side and would have told an AUC of \.\d\d, not less: to tell \.60, compare"
    assert re.search(words, report.verdicts["two_sample"].text)
    assert report.metrics["worst_label_coverage"]["doubt"].startswith("too few cells: with 95 a side")


def test_with_cells_enough_the_same_generator_passes_and_says_what_was_seen(tissue: Any) -> None:
    real, reference, perfect = (tissue.draw(n, seed) for n, seed in ((1200, 1), (1800, 2), (1200, 3)))
    report = evaluate(
        real, perfect, reference=reference, by="cell_type", metrics=("logistic_genes_auc",), progress=False
    )
    verdict, auc = report.verdicts["two_sample"], report.metrics["logistic_genes_auc"]
    assert verdict.level == "passes", verdict.text
    assert "They learn from 333 cells a side and would have told an AUC of .5" in verdict.text
    assert auc["detectable"] is not None
    assert 0.5 < auc["detectable"] <= 0.605
    assert auc["sizes"] == {"cells a side learnt from": 333, "cells a side scored": 500}


def test_every_beginning_of_an_order_holds_the_labels_in_their_proportions() -> None:
    labels = np.repeat(["a", "b", "c"], [60, 30, 10])
    order = stratified_order(labels, 100, np.random.default_rng(0))
    assert sorted(order) == list(range(100))
    for n in (10, 37, 50, 90):
        found = [np.sum(labels[order[:n]] == label) for label in "abc"]
        assert np.abs(np.array(found) - n * np.array([0.6, 0.3, 0.1])).max() <= 1.01
    other = stratified_order(labels, 100, np.random.default_rng(1))
    assert (order != other).any()


def test_a_power_curve_rises_for_a_fault_and_not_for_real_cells(tissue: Any, faults: Any, splits: Any) -> None:
    table = power_curve(
        tissue.draw(1200, 7),
        faults["wrong_library_size"](splits),
        sizes=(50, 100),
        classifiers=("logistic",),
        spaces=("depth",),
        seeds=(0, 1),
        fit=splits.train,
        by="cell_type",
    )
    assert set(table["n_fitted"]) == {600}
    assert set(table.loc[table["sample"] == "generated", "n_cells"]) == {50, 100, 300}
    summary: Any = power_summary(table).set_index("sample")
    assert summary.loc["generated", "all"] > 0.7
    assert summary.loc["generated", "cells_to_60"] == 50
    assert summary.loc["real", "all"] == pytest.approx(0.5, abs=0.07)
    assert summary.loc["real", "cells_to_60"] == np.inf
    with pytest.raises(SettingError, match="`spaces` holds 'colour', expected any of genes, counts, depth"):
        power_curve(splits.real, splits.perfect, spaces=("colour",))  # type: ignore[arg-type]


def test_a_report_draws_the_curve_and_names_the_cells_a_classifier_needs(
    tissue: Any, splits: Any, faults: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = (get_metric("logistic_depth_auc"),)
    monkeypatch.setattr(_benchmark, "select_metrics", lambda *_, **__: chosen)
    made = faults["over_dispersed"](splits)
    report = evaluate(splits.real, made, reference=splits.reference, train=splits.train, n_seeds=1, progress=False)
    assert report.power is not None
    assert {one["sample"] for one in report.power["points"]} == {"generated", "real"}
    assert report.power["cells_to_60"] == 125
    assert "needs 125 or fewer cells a side" in report.verdicts["two_sample"].text
    assert report._pictures(umap=False)[0].name == "power"
    few = evaluate(splits.real[:300].copy(), made, reference=splits.reference, n_seeds=1, progress=False)
    assert few.power is None


def test_a_curve_that_never_gets_there_says_how_far_it_was_followed() -> None:
    power: Any = {"cells_to_55": 700.0, "cells_to_60": None, "strongest": "random forest on genes", "most_cells": 1050}
    assert describe_curve(power).startswith("No classifier gets to an AUC of .60, measured up to 1,050 cells a side")
    reached = describe_curve(power | {"cells_to_60": 2345.0})
    assert reached == (
        "To reach an AUC of .60, random forest on genes needs 2,300 cells a side (measured up to 1,050) and .55 with "
        "700."
    )


class Model:
    """A generator whose cells are Poisson about the mean of those it was fitted to."""

    def __init__(self, cells: ad.AnnData) -> None:
        self.mean, self.cells = np.asarray(cells.X.mean(axis=0)).ravel(), cells

    def generate(self, n_cells: int, /, *, seed: int) -> ad.AnnData:
        counts = np.random.default_rng(seed).poisson(self.mean, (n_cells, self.mean.size)).astype(np.float32)
        return ad.AnnData(counts, var=self.cells.var[[]])


def test_a_parametric_bootstrap_shows_what_finite_training_costs(splits: Any) -> None:
    model = Model(splits.train[:40].copy())
    fitted: list[int] = []

    def refit(cells: ad.AnnData) -> Model:
        fitted.append(cells.n_obs)
        return Model(cells)

    few, many = (parametric_bootstrap(model, refit, n_fit=n, n_cells=400, seed=1) for n in (25, 3000))
    assert fitted == [25, 3000]
    assert few.truth.shape == few.refitted.shape == (400, 160)
    costs = []
    for one in (few, many):
        report = evaluate(
            splits.real,
            splits.perfect,
            reference=splits.reference,
            truth=one.truth,
            refitted=one.refitted,
            metrics=("logistic_genes_auc",),
            n_seeds=1,
            progress=False,
        )
        costs.append(report.metrics["logistic_genes_auc"])
    assert costs[0]["bootstrap"] is not None
    assert costs[1]["bootstrap"] is not None
    assert costs[0]["bootstrap"] > 0.65  # 25 cells leave a mean that 400 can tell
    assert costs[1]["bootstrap"] == pytest.approx(0.5, abs=0.07)
    assert costs[0]["value"] == costs[1]["value"]


def test_a_bootstrap_needs_both_samples_and_cells_enough(splits: Any) -> None:
    with pytest.raises(SettingError, match="`truth` is given without `refitted`"):
        evaluate(splits.real, splits.perfect, truth=splits.perfect)
    with pytest.raises(SettingError, match="`n_fit` is 3, expected at least 20"):
        parametric_bootstrap(Model(splits.train), Model, n_fit=3, n_cells=100)


def test_what_lies_above_both_references_is_named(splits: Any, faults: Any) -> None:
    report = evaluate(
        splits.real,
        faults["wrong_library_size"](splits),
        reference=splits.reference,
        truth=splits.perfect,
        refitted=splits.reference[:400].copy(),
        metrics=("logistic_depth_auc",),
        n_seeds=1,
        progress=False,
    )
    text = report.verdicts["two_sample"].text
    assert "It learnt from" in text
    assert "finite training costs that by itself" in text
    assert "lies above both references" in text


def test_metrics_with_a_test_of_their_own_are_left_to_it() -> None:
    metric = replace(get_metric("energy"), alpha=0.01)
    own = replace_p(drawn(0.1, 0.5), p=0.4)
    assert detect(metric, own, drawn(0.1, 0.5), trivial=1.0, n_cells=50).doubt == ""


def replace_p(one: Estimate, *, p: float) -> Estimate:
    return one._replace(p=p)


def test_a_doubt_stays_where_half_of_the_draws_have_it() -> None:
    draws = [drawn(0.5, 0.1)._replace(p=p, doubt="few" if p > 1e-3 else "") for p in (2e-3, 1e-9, 1e-9)]
    assert not average(draws).doubt
    assert average([*draws[:1], *draws[:2]]).doubt == "few"
    assert average(draws[1:] + draws[:1]).doubt == average(draws).doubt


def test_a_density_that_would_be_too_high_is_told() -> None:
    density = get_metric("density")
    assert detect(density, drawn(1.1, 0.2), drawn(1.0, 0.2), trivial=None, n_cells=100).value == pytest.approx(
        density.target + density.loss(1.0) + 3.84 * 0.2 * np.sqrt(2), rel=1e-2
    )


def test_the_largest_size_is_the_mean_of_that_of_each_seed() -> None:
    one = {"sample": "generated", "space": "genes", "classifier": "forest"}
    rows = [one | {"seed": seed, "n_cells": 298 + seed, "auc": 0.5 + seed / 10} for seed in range(3)]
    rows += [one | {"seed": seed, "n_cells": 250, "auc": 0.5} for seed in range(3)]
    found = power_summary(pd.DataFrame(rows))
    assert list(found.columns[3:6]) == ["250", "all", "n_all"]
    assert found["all"].tolist() == pytest.approx([0.6])

"""Unusual input: cells are scored as far as possible, or refused with a message that says what to do."""

from __future__ import annotations

import math
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from scdiffuse._core.errors import CountsError, GenesError
from scdiffuse.evaluation import Report, evaluate
from scdiffuse.evaluation._reading import label_of
from scdiffuse.metrics import METRICS, log_normalise

CHEAP = [metric.name for metric in METRICS if metric.suite == "quick" and metric.cost == "cheap"]


def look(real: Any, generated: Any, **options: Any) -> Report:
    return evaluate(real, generated, metrics=CHEAP, progress=False, **options)


def assert_sound(report: Report) -> None:
    assert "distribution" in report.verdicts
    for one in report.metrics.values():
        assert math.isfinite(one["value"])
        assert math.isfinite(one["reference"])
    assert "<html" not in report._repr_html_()


def test_without_labels_what_needs_them_is_left_out(splits: Any) -> None:
    bare = splits.real[:150].copy(), splits.perfect[:100].copy()
    for cells in bare:
        del cells.obs["cell_type"]
    report = look(*bare)
    assert_sound(report)
    assert report.by == {}
    assert "it needs labels." in report.settings["not_scored"].values()


@pytest.mark.parametrize("role", ["generated", "train"])
def test_labels_on_one_side_only_are_reported(role: str, splits: Any) -> None:
    samples = {"generated": splits.perfect[:100].copy(), "train": splits.train[:100].copy()}
    del samples[role].obs["cell_type"]
    report = look(splits.real[:150], samples["generated"], train=samples["train"], by="cell_type")
    assert_sound(report)
    assert any(note.startswith(f"{role}: no column 'cell_type'") for note in report.settings["notes"])
    wanted = "it needs labels." if role == "generated" else "The training cells have no labels"
    assert any(why.startswith(wanted) for why in report.settings["not_scored"].values())


def test_sixty_cells_are_enough(splits: Any) -> None:
    report = look(splits.real[:60], splits.perfect[:60], by="cell_type")
    assert_sound(report)
    assert report.settings["n_cells_a_side"] == 24


def test_one_label_alone_is_scored(splits: Any) -> None:
    alone = [cells[cells.obs["cell_type"] == "alpha"].copy() for cells in (splits.real, splits.perfect)]
    report = look(*alone, by="cell_type")
    assert_sound(report)
    assert list(report.by) == ["alpha"]


def test_a_label_of_the_generated_cells_alone_does_no_harm(splits: Any) -> None:
    made = splits.perfect.copy()
    made.obs["cell_type"] = np.where(made.obs["cell_type"] == "gamma", "made up", made.obs["cell_type"].astype(str))
    report = look(splits.real, made, by="cell_type")
    assert_sound(report)
    assert "No cell of gamma" in report.verdicts["biology"].text


def test_log_normalised_cells_fail_as_counts_and_are_scored_all_the_same(splits: Any) -> None:
    made = splits.perfect.copy()
    made.X = log_normalise(made.X)
    report = look(splits.real, made, by="cell_type")
    assert_sound(report)
    assert report.verdicts["validity"].level == "fails"
    assert "fractions" in report.verdicts["validity"].text
    with pytest.raises(CountsError, match="expected raw counts"):
        look(made, splits.perfect)


def test_three_genes_are_refused(splits: Any) -> None:
    with pytest.raises(GenesError, match="share 3 genes of 3 and 160, expected at least half of them and 10"):
        look(splits.real[:, :3].copy(), splits.perfect)


def test_reading_cells_leaves_theirs_as_they_were(splits: Any) -> None:
    counts = splits.perfect.X.copy()
    for start, end in zip(counts.indptr[:-1], counts.indptr[1:], strict=True):  # columns from the last to the first
        counts.indices[start:end] = counts.indices[start:end][::-1].copy()
        counts.data[start:end] = counts.data[start:end][::-1].copy()
    counts.has_sorted_indices = counts.has_canonical_format = False
    given, before = ad.AnnData(counts, obs=splits.perfect.obs, var=splits.perfect.var), counts.indices.copy()
    evaluate(splits.real, given, metrics=["mean_error"], progress=False)
    np.testing.assert_array_equal(given.X.indices, before)


def test_reference_cells_without_labels_leave_out_what_needs_them(splits: Any) -> None:
    bare = splits.reference.copy()
    bare.obs = bare.obs[[]]
    names = ["composition", "label_accuracy", "wasserstein2_by_label", "mean_error"]
    report = evaluate(splits.real, splits.perfect, reference=bare, by="cell_type", metrics=names, progress=False)
    assert set(report.metrics) == {"mean_error"}
    assert all("no labels" in why or "have labels" in why for why in report.settings["not_scored"].values())


@pytest.mark.filterwarnings("ignore:Observation names are not unique:UserWarning")
def test_a_generator_of_copies_gets_a_report_without_a_curve(tissue: Any) -> None:
    real = tissue.draw(900, 21)
    copies = tissue.draw(20, 22)[np.arange(450) % 20].copy()
    copies.obs_names_make_unique()
    report = evaluate(real, copies, progress=False)
    assert report.power is None
    assert "There is no power curve: " in str(report)


def test_whole_numbers_with_gaps_name_the_same_donors() -> None:
    column = pd.Series([1.0, np.nan, 2.0, 1000001.0, 2.5], dtype=object)
    assert [label_of(value) for value in column] == ["1", "", "2", "1000001", "2.5"]
    assert [label_of(value) for value in (1, np.int64(7), True, "B", None, np.float32(3.1))] == [
        "1", "7", "True", "B", "", "3.1",
    ]  # fmt: skip

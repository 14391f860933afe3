"""Numbers that pages quote are those of the records of the studies."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from benchmarks.figures.overview import auc_of_tools
from benchmarks.layout import Row, only
from benchmarks.records import Record, Store, rows_of
from benchmarks.studies import expected_expression, query_sets, study_named
from benchmarks.studies.power import summaries

import scdiffuse as scd

ROOT = Path(scd.__file__).parents[2]


def _words(page: str) -> str:
    return " ".join((ROOT / "docs" / page).read_text().split())


def _records(study: str) -> list[Record]:
    return Store(ROOT / "benchmarks/results", study, study_named(study).unit).read()


def _rows(study: str) -> pd.DataFrame:
    return pd.DataFrame(rows_of(_records(study)))


def test_times_and_memory_are_those_of_the_main_job() -> None:
    measured = _rows("main_job").set_index("measure")["value"]
    fit, made = "pbmc3k: fit, ", "pbmc3k: generate 4,000 cells x 10,136 genes"
    seconds = f"{measured[fit + 'wall time']:.0f} s"
    assert f"{seconds} for 1,619 cells of 10,136 genes on two CPU cores" in _words("model.md")
    page = _words("scaling.md")
    assert (
        f"1,619 cells x 10,136 genes | 2 CPU cores | {seconds} | {round(measured[fit + 'peak memory'], -1):.0f} MiB"
        in page
    )
    rate, memory = round(measured[made], -2), round(measured[made + ", peak memory"], -1)
    assert f"4,000 cells x 10,136 genes | 2 CPU cores | {rate:,.0f} cells/s | {memory:.0f} MiB" in page


def test_scvi_stands_beside_ours_on_all_data_sets() -> None:
    values = auc_of_tools()
    is_large = values.index.isin(
        ["kang_ctrl_8donors", "malaria_pberghei", "onek1k_40donors", "papalexi_lowmoi", "pbmc10k_cite"]
    )
    page = _words("faq.md")
    for rows, start in ((values[is_large], "random forest AUC "), (values[~is_large], "distinguished (")):
        ends = [f"{end:.2f}"[1:] for name in ("scvi-nb", "ours") for end in (rows[name].min(), rows[name].max())]
        assert f"{start}{ends[0]} to {ends[1]} for {ends[2]} to {ends[3]}" in page


def test_classifiers_within_one_type_are_those_of_the_record() -> None:
    rows = _rows("within_types")
    table = rows.pivot_table("auc", ["classifier", "data_set", "type"], "sample").dropna(subset=["generated"])

    def ends(classifier: str, sample: str) -> str:
        aucs = table[sample].xs(classifier)
        return f"{aucs.min():.2f} to {aucs.max():.2f}".replace("0.", ".")

    page = _words("evaluation.md")
    assert f"{ends('forest', 'generated')} with a random forest" in page
    assert f"{ends('logistic', 'generated')} with logistic regression" in page
    assert f"with {ends('forest', 'bootstrap')} and {ends('logistic', 'bootstrap')}" in page
    assert f"Over {len(table.loc['forest'])} types of {rows['data_set'].nunique()} data sets" in page
    assert f"{ends('forest', 'generated')} within one type" in " ".join((ROOT / "README.md").read_text().split())


def test_curves_of_ours_and_of_scvi_are_those_of_the_record() -> None:
    found = only(summaries(rows_of(_records("power"))), space="genes", classifier="forest")
    scvi = only(found, generator="scvi-nb")
    shared = {curve["data_set"] for curve in scvi}
    ours = [curve for curve in only(found, generator="ours") if curve["data_set"] in shared]
    assert {curve["seeds"] for curve in ours + scvi} == {3}

    def ends(curves: list[Row], size: int | None = None) -> str:
        aucs = [curve["generated"][size or max(curve["generated"])] for curve in curves]
        return f"{min(aucs):.2f} to {max(aucs):.2f}".replace("0.", ".")

    readme = " ".join((ROOT / "README.md").read_text().split())
    assert f"With 2,000 to 6,000: {ends(ours)} (scVI {ends(scvi)})" in readme
    assert f"{ends(ours)} on four data sets (scVI {ends(scvi)})" in _words("model.md")
    page, needed = _words("evaluation.md"), [[curve["to_0.60"] for curve in curves] for curves in (ours, scvi)]
    assert f"{min(needed[0]):,.0f} to {round(max(needed[0]), -2):,.0f} cells a side to reach .60 against ours" in page
    assert f"at most {min(needed[1]):.0f} to {max(needed[1]):.0f} against those of scVI" in page
    assert f"with 2,000 a side it has {ends(ours, 2000)} and {ends(scvi, 2000)}" in page


def test_what_trajectories_keep_is_that_of_the_record() -> None:
    means = _rows("start_cell").groupby(["keep", "answer"])[["arrived", "ahead_of"]].mean().unstack("answer")
    _, _, section = (ROOT / "docs/control.md").read_text().partition("| `keep` | partial noising: arrived |")
    rows = [[float(cell) for cell in line.split("|")[1:-1]] for line in section.splitlines()[2:7]]
    for keep, *shown in rows:
        at = means.loc[keep]
        methods = ("partial noising", "ODE inversion")
        expected = [at[what, method] for method in methods for what in ("arrived", "ahead_of")]
        assert shown == pytest.approx(expected, abs=0.0051)


def test_what_the_verdict_holds_is_that_of_the_record() -> None:
    rendered, page = " ".join(expected_expression.lines(_records("expected_expression"))), _words("control.md")
    found = re.search(r"correlation of 0(\.\d+); of the worst tenth (\d+)%.*?, of the better half (\d+)%", rendered)
    assert found
    one = found.groups()
    assert f"correlation of {one[0]}, and *cannot tell* holds {one[1]} % of the worst tenth and {one[2]} % of" in page
    near, between, far = re.findall(r"\| (?:near|extrapolated|cannot tell) \| (\d+) \| 0?(\.\d\d)", rendered)
    assert (
        f"{near[1]} on average where the verdict is near ({near[0]} combinations), {between[1]} where it is "
        f"extrapolated ({between[0]}), {far[1]} where it is cannot tell ({far[0]})" in page
    )


def test_what_a_mapping_leaves_unexplained_is_that_of_the_record() -> None:
    errors = _rows("query_sets").pivot_table("error", "data_set", "answer")
    answers = {name: errors[name].map("{:.2f}".format).str[1:] for name in errors}
    lines, screen, donors = "cell_lines_mixology", "papalexi_lowmoi", "kang_ctrl_8donors"
    mapped, missing, average = (
        answers[name] for name in (query_sets.GENERATED, query_sets.GENERATED_BEFORE, query_sets.EFFECT)
    )
    page = _words("control.md")
    assert f"the mapping leaves {mapped[lines]} and {mapped[screen]} of the change to the other states" in page
    assert f"the missing label {missing[lines]} and {missing[screen]}, the mapped cells plus the average" in page
    assert f"effect {average[lines]} and {average[screen]}. Donors of" in page
    assert f"gain nothing ({mapped[donors]}; {missing[donors]})" in page


def test_what_a_start_from_other_data_gains_is_that_of_the_record() -> None:
    table = _rows("pretraining").pivot_table(["auc", "elbo"], "n_cells", "way")
    started, scratch = (table.xs(way, axis=1, level="way") for way in ("from kang_ctrl_8donors", "from scratch"))
    gains = (started["elbo"] - scratch["elbo"]).round().astype(int)
    forests = ", ".join(started["auc"].map("{:.2f}".format)), ", ".join(scratch["auc"].map("{:.2f}".format))
    page = _words("foundation.md")
    assert (
        f"rises by {gains[300]} nats with 300 cells and by {gains[1000]} with 1,000, and falls by {-gains[100]}" in page
    )
    assert " for ".join(forests).replace("0.", ".") in page


def test_what_a_duplication_rate_gains_is_that_of_the_record() -> None:
    rows = _rows("duplicates")
    planted = rows[rows["planted"] == "one and a Poisson number of mean .5"]
    means = planted.groupby(["data_set", "duplicates"])["depth_forest_generated"].mean().unstack()
    page = _words("theory.md")
    assert len(means) == 4
    for data_set, values in means.iterrows():
        assert f"`{data_set}` {values[True]:.2f} for {values[False]:.2f}".replace(" 0.", " .") in page

"""The results page: the real-vs-real reference above all, seeds in one number, and what is missing named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from benchmarks.records import Store
from benchmarks.studies import NAMES, comparison, solvers, study_named
from benchmarks.worker import HERE
from tests.benchmarks.conftest import record

from benchmarks import page

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.records import Record


def scored(generator: str, seed: int, value: float) -> Record:
    metric = {"group": "two_sample", "metric": comparison.MAIN, "better": "lower", "value": value, "reference": 0.5}
    values = {"n_fit": 60, "n_held_out": 20, "n_genes": 9, "status": "done", "metrics": [metric]}
    return record("comparison", values, data_set="pbmc3k", generator=generator, seed=seed)


FOUND = [scored("ours", 0, 0.6), scored("ours", 1, 0.8), scored("pca-mixture", 0, 0.9)]


def test_the_reference_stands_first_and_seeds_make_a_mean_with_its_spread() -> None:
    text = "\n\n".join(comparison.lines(FOUND))
    table = [line for line in text[text.index("#### pbmc3k") :].splitlines() if line.startswith("|")]
    assert table[0] == "| generator | forest AUC, genes |"
    assert table[2:5] == [
        "| *real-vs-real reference* | 0.500 \u00b1 0.000 |",
        "| `ours` | 0.700 \u00b1 0.141 |",
        "| `pca-mixture` | 0.900 |",
    ]


def test_what_was_not_scored_is_named() -> None:
    text = "\n\n".join(comparison.lines(FOUND))
    assert "- pbmc68k: not scored yet" in text
    assert "`pca-mixture` (1 of 2)" in text
    assert "`ours` (" not in text


def test_a_page_has_the_sections_that_were_measured_and_where(tmp_path: Path) -> None:
    store = Store(tmp_path, comparison.name, comparison.unit)
    for one in FOUND:
        store.write(one)
    page.write(tmp_path, tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "### Generators compared" in text
    assert "`python -m benchmarks comparison`, on a machine, 2026-01-01, at aaaaaaaaaaaa." in text
    assert "### Shuffling" not in text
    assert (tmp_path / "two_sample.png").exists()


def test_no_records_make_a_page_without_sections(tmp_path: Path) -> None:
    page.write(tmp_path, tmp_path / "RESULTS.md")
    assert "##" not in (tmp_path / "RESULTS.md").read_text(encoding="utf-8").replace("# Benchmark", "", 1)


@pytest.mark.parametrize("name", [one for one in NAMES if (HERE / "results" / f"{one}.json").exists()])
def test_every_study_writes_its_section_from_the_records_that_are_kept(name: str) -> None:
    study = study_named(name)
    records = Store(HERE / "results", study.name, study.unit).read()
    assert study.name == name
    assert records
    assert all(one.study == name for one in records)
    assert study.lines(records)


def test_a_single_seed_has_no_standard_error() -> None:
    about = {"part": solvers.STEPS_PART, "data_set": "toy"}
    rows = [
        {"seed": seed, "steps": steps, "solver": solvers.MULTISTEP, "metric": "energy", "value": 1.0 + seed}
        for seed in (0, 1)
        for steps in (solvers.DEFAULT, solvers.MOST)
    ]
    assert "- toy, energy: +0.0%\n" in "\n".join(solvers.lines([record("solvers", rows[:2], **about)]))
    assert "- toy, energy: +0.0% (standard error 0.0%)\n" in "\n".join(
        solvers.lines([record("solvers", rows, **about)])
    )

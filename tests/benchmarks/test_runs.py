"""Runs of the comparison: carried out and scored once, and read as records."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import anndata
import pytest
from benchmarks.__main__ import parser_of
from benchmarks.generators import GENERATORS
from benchmarks.records import Store
from benchmarks.studies import comparison, study_named
from benchmarks.study import Context

from benchmarks import data, page, runs
from scdiffuse.evaluation.baselines import BASELINES

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

GENERATOR = "pca-mixture"


@pytest.fixture
def settings(toy: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> runs.Settings:
    toy.write_h5ad(tmp_path / "toy.h5ad")
    monkeypatch.setitem(data.DATA_SETS, "toy", data.DataSet(name="toy"))
    return runs.Settings(work=tmp_path / "work", data=tmp_path, timeout=100)


@pytest.fixture
def run(settings: runs.Settings, monkeypatch: pytest.MonkeyPatch) -> runs.Run:
    """Give a run that is fitted in no time."""
    light = replace(GENERATORS[GENERATOR], options={"n_components": 5})
    monkeypatch.setitem(GENERATORS, GENERATOR, light)
    return runs.plan(["toy"], [GENERATOR], [0])[0]


def write_scores(run: runs.Run, settings: runs.Settings) -> None:
    """Put scores in the place of those that take long."""
    numbers = {
        "group": "two_sample",
        "better": "lower",
        "value": 0.7,
        "reference": 0.5,
        "normalised": 0.5,
        "baselines": {"independent_nb": 0.9, "resampled": 0.5},
        "trivial": "independent_nb",
    }
    scores = {"metrics": {"forest_genes_auc": numbers}}
    (run.folder(settings) / runs.SCORES_FILE).write_text(json.dumps(scores), encoding="utf-8")


def test_the_parts_share_no_cell_and_rare_labels_are_left_out(settings: runs.Settings) -> None:
    folder = data.prepare(data.DATA_SETS["toy"], folder=settings.data, work=settings.work, max_cells=None)
    parts = [anndata.read_h5ad(folder / f"{name}.h5ad") for name in data.PARTS]
    names = [name for part in parts for name in part.obs_names]
    assert len(set(names)) == len(names) == 98
    assert {label for part in parts for label in part.obs["cell_type"]} == {"a", "b", data.UNLABELLED}


def test_a_finished_run_is_not_run_again(run: runs.Run, settings: runs.Settings) -> None:
    assert runs.carry_out(run, settings).startswith("fitted in ")
    assert runs.carry_out(run, settings) == "already done"


def test_another_setting_runs_again(run: runs.Run, settings: runs.Settings) -> None:
    runs.carry_out(run, settings)
    record_file = run.folder(settings) / runs.RUN_FILE
    record = json.loads(record_file.read_text(encoding="utf-8"))
    record["settings"]["threads"] = 7
    record_file.write_text(json.dumps(record), encoding="utf-8")
    assert runs.carry_out(run, settings).startswith("fitted in ")


def test_as_many_cells_as_asked_for(run: runs.Run, settings: runs.Settings) -> None:
    runs.carry_out(run, replace(settings, n_cells=30))
    split = data.prepare(data.DATA_SETS["toy"], folder=settings.data, work=settings.work, max_cells=None)
    held_out, cells = (anndata.read_h5ad(p) for p in (split / "held_out.h5ad", run.folder(settings) / runs.CELLS_FILE))
    assert held_out.n_obs == 19
    assert list(cells.obs["cell_type"]) == [*held_out.obs["cell_type"], *held_out.obs["cell_type"][:11]]
    assert runs.carry_out(run, settings).startswith("fitted in ")


def test_a_run_of_another_commit_is_run_again(run: runs.Run, settings: runs.Settings) -> None:
    runs.carry_out(run, settings)
    run_file = run.folder(settings) / runs.RUN_FILE
    found = json.loads(run_file.read_text(encoding="utf-8"))
    found["settings"]["commit"] = "b" * 40
    run_file.write_text(json.dumps(found), encoding="utf-8")
    assert runs.carry_out(run, settings).startswith("fitted in ")


def test_the_runs_of_a_seed_are_scored_together_and_once(run: runs.Run, settings: runs.Settings, toy: AnnData) -> None:
    many = anndata.concat([toy] * 4, keys=list("abcd"), index_unique="-")
    assert settings.data is not None
    many.write_h5ad(settings.data / "toy.h5ad")
    other = runs.Run(run.data_set, replace(run.entry, name="twin"), 0)
    for one in (run, other):
        runs.carry_out(one, settings)
    assert runs.score([run, other], replace(settings, timeout=500)).startswith("2 runs scored in ")
    scores = [json.loads((one.folder(settings) / runs.SCORES_FILE).read_text(encoding="utf-8")) for one in (run, other)]
    assert scores[0]["metrics"] == scores[1]["metrics"]
    assert runs.score([run, other], settings) == "nothing to score"


def test_a_failure_says_its_last_line(run: runs.Run, settings: runs.Settings) -> None:
    broken = replace(run, entry=type(run.entry)(name=GENERATOR, target="nowhere:Nothing", about=""))
    said = runs.carry_out(broken, settings)
    assert said.startswith("failed: ModuleNotFoundError")
    assert runs.carry_out(broken, settings) == said
    values = runs.values_of(broken, settings)
    assert values is not None
    assert values["status"] == said


def test_seeds_are_outermost_and_names_filter() -> None:
    planned = runs.plan(["pbmc3k"], ["pca-mixture", "ours"], [0, 1])
    assert [(run.entry.name, run.seed) for run in planned] == [
        ("pca-mixture", 0),
        ("ours", 0),
        ("pca-mixture", 1),
        ("ours", 1),
    ]


def test_baselines_are_not_run() -> None:
    assert {run.entry.name for run in runs.plan([], [], [0])} == {
        name for name, entry in GENERATORS.items() if entry.baseline is None
    }
    assert {entry.baseline for entry in GENERATORS.values()} - {None} == set(BASELINES)


def context_of(settings: runs.Settings, **options: object) -> Context:
    known = vars(parser_of("comparison").parse_args(["comparison", "--seeds", "0"]))
    store = Store(settings.work / "results", comparison.name, comparison.unit, at="a" * 40)
    chosen = argparse.Namespace(**known | {"sets": ["toy"], "generators": [GENERATOR], **options})
    return Context(options=chosen, store=store, data=settings.data, work=settings.work)


def test_a_study_keeps_runs_and_baselines_once(
    run: runs.Run, settings: runs.Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    context = context_of(settings)
    # Scores in the place of those that take long: what is scored is not scored again.
    runs.carry_out(run, comparison.settings_of(context))
    write_scores(run, settings)
    for one in comparison.run(context):
        context.store.write(one)
    table = comparison.table_of(context.store.read())
    scored = table[table["metric"] == comparison.MAIN].set_index("generator")
    assert scored["value"].to_dict() == {"independent-nb": 0.9, "resampled": 0.5, GENERATOR: 0.7}
    assert scored["normalised"].to_dict() == pytest.approx({"independent-nb": 0.0, "resampled": 1.0, GENERATOR: 0.5})
    assert not list(comparison.run(context))
    assert "1 of them already done" in capsys.readouterr().out
    text = "\n".join(page.section(study_named("comparison"), settings.work / "results"))
    assert "| *real-vs-real reference* | 0.500 |" in text
    assert "| `pca-mixture` | 0.700 |" in text
    assert "| `independent-nb` | 0.900 |" in text
    assert "results/two_sample.png" in text

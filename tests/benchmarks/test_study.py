"""The one command, the one form of a record, and which records count as done."""

from __future__ import annotations

import argparse
import ast
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from benchmarks.__main__ import main, parser_of
from benchmarks.records import Store, commit
from benchmarks.studies import NAMES, study_named
from benchmarks.study import Context, in_process
from benchmarks.worker import HERE

if TYPE_CHECKING:
    from pathlib import Path

NOW, OTHER = "a" * 40, "b" * 40
SETTINGS = {"data_set": "toy", "seed": 0, "steps": 3}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, "toy", ("data_set", "seed"), at=NOW)


def measured(store: Store, *, overwrite: bool = False, settings: dict[str, object] | None = None) -> int:
    """Count the records of a call that finds one row."""
    context = Context(options=argparse.Namespace(overwrite=overwrite), store=store)
    found = list(context.measure(settings or SETTINGS, lambda: [{"value": 1.0}]))
    for one in found:
        store.write(one)
    return len(found)


def test_the_list_has_a_line_for_each_study(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert listed == [*NAMES, "tables", "peers"]


@pytest.mark.parametrize("name", NAMES)
def test_every_study_has_the_common_options(name: str) -> None:
    files = ["cells.h5ad"] if name == "step_settings" else []
    options = parser_of(name).parse_args([name, *files, "--overwrite", "--seeds", "3", "--data", "folder"])
    assert (options.overwrite, options.seeds, options.data.name, options.device) == (True, [3], "folder", "cpu")
    assert study_named(name).unit


def test_a_record_says_what_was_measured_and_when(store: Store) -> None:
    measured(store)
    (found,) = json.loads(store.path.read_text(encoding="utf-8"))
    assert {"study", "commit", "version", "machine", "date", "settings", "values"} == set(found)
    assert (found["study"], found["commit"], found["settings"]) == ("toy", NOW, SETTINGS)
    assert store.read()[0].rows == [SETTINGS | {"value": 1.0}]


def test_the_same_commit_and_settings_are_done(store: Store) -> None:
    assert measured(store) == 1
    assert measured(store) == 0
    assert measured(store, overwrite=True) == 1
    assert len(store.read()) == 1


def test_other_settings_are_measured_and_replace_the_unit(store: Store) -> None:
    measured(store)
    assert measured(store, settings=SETTINGS | {"steps": 4}) == 1
    assert [one.settings["steps"] for one in store.read()] == [4]
    assert measured(store, settings=SETTINGS | {"seed": 1}) == 1
    assert [one.settings["seed"] for one in store.read()] == [0, 1]


@pytest.mark.parametrize("known", [OTHER, None])
def test_a_record_of_another_commit_or_of_none_is_not_done(store: Store, known: str | None) -> None:
    store.write(replace(store.record(SETTINGS, [{"value": 2.0}]), commit=known))
    assert measured(store) == 1


def test_what_a_changed_source_measured_is_never_done(tmp_path: Path) -> None:
    store = Store(tmp_path, "toy", (), at=f"{NOW}-dirty")
    assert measured(store) == measured(store) == 1


def test_a_checkout_has_a_commit() -> None:
    assert len((commit() or NOW).removesuffix("-dirty")) == len(NOW)


def test_numbers_that_json_lacks_become_none(store: Store) -> None:
    store.write(store.record({}, [{"value": float("nan")}, {"value": 1 / 3}]))
    assert [row["value"] for row in store.read()[0].rows] == [None, 0.3333333]


def test_a_call_in_a_process_of_its_own_answers_as_one_here(tmp_path: Path) -> None:
    options = parser_of("main_job").parse_args(["main_job", "--results", str(tmp_path)])
    context = Context(options=options, store=Store(tmp_path, "main_job", ()), work=tmp_path)
    rows = in_process(context, "main_job:measure_startup", threads=1)
    assert [row["measure"] for row in rows] == ["python, nothing imported", "import scdiffuse", "scdiffuse --help"]
    with pytest.raises(SystemExit, match="has no attribute 'nothing'"):
        in_process(context, "main_job:nothing")


def test_only_one_file_reaches_inside_the_package_and_none_changes_it() -> None:
    for file in HERE.rglob("*.py"):
        if ".venv" in str(file):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("scdiffuse"):
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                assert file.name == "inside.py" or not any(name.startswith("_") for name in names), file
            if isinstance(node, ast.Attribute) and node.attr in {"_fitted", "_model", "_metadata"}:
                if isinstance(node.value, ast.Name) and node.value.id == "self":
                    continue
                assert file.name == "inside.py", file
                assert isinstance(node.ctx, ast.Load)


@pytest.mark.parametrize("name", ["realism_by_size", "start_cell"])
def test_a_data_set_without_a_file_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"There is no file `.*kang_\w+\.h5ad`"):
        main([name, "--data", str(tmp_path), "--results", str(tmp_path), "--work", str(tmp_path)])

"""Digests: the same for the same cells, and a difference ends the study."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from benchmarks.digests import Digests, call, differences
from benchmarks.records import Store
from benchmarks.studies import digests
from benchmarks.study import Context

import scdiffuse

if TYPE_CHECKING:
    from pathlib import Path


def of_cells(*, change: bool = False) -> dict[str, Any]:
    cells = scdiffuse.datasets.pbmc68k()[:20].copy()
    cells.obsm["X"] = np.ones((20, 2), dtype=np.float32)
    if change:
        cells.X.data[7] += 1
    found = Digests()
    found.cells("toy", cells)
    found.values("scores", {"a": [1.0, 2 + change], "b": None})
    return {"digests": found.digests, "numbers": found.numbers, "tensors": {}}


def test_equal_cells_have_equal_digests_and_a_count_more_changes_one() -> None:
    assert differences(of_cells(), of_cells()) == []
    lines = differences(of_cells(change=True), of_cells())
    assert [line.split(": ")[:2] for line in lines if not line.startswith(" ")] == [
        ["scores", lines[0].split(": ")[1]],
        ["toy", "counts"],
    ]
    assert "    numbers: ['2'] before, ['3'] now" in lines


def test_a_key_that_is_missing_is_a_difference() -> None:
    assert differences({"digests": {}}, {"digests": {"a": "1"}}) == ["a: 1 before, missing now"]


def test_parts_of_guidance_become_one_argument() -> None:
    def asked(*given: object, **named: object) -> tuple[tuple[object, ...], dict[str, object]]:
        return given, named

    assert call(asked, 1, n_cells=2, scale=1.5) == ((1,), {"n_cells": 2, "guidance": 1.5, "progress": False})
    _, named = call(asked, toward={"line": "a"}, interval=(0.1, 1.0))
    assert named["guidance"] == scdiffuse.Guidance(toward={"line": "a"}, interval=(0.1, 1.0))


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_difference_ends_the_study_and_keeps_the_earlier_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, overwrite: bool
) -> None:
    def measure(_: Context, details: dict[str, Any]) -> list[dict[str, str]]:
        details["digests"] = {"a": digest}
        return [{"key": "a", "digest": digest}]

    monkeypatch.setattr(digests, "measure", measure)
    options = argparse.Namespace(against=None, details=None, overwrite=overwrite)
    context = Context(options=options, store=Store(tmp_path, "digests", digests.unit, at="a" * 40 + "-dirty"))
    digest = "1"
    for one in [*digests.run(context), *digests.run(context)]:
        context.store.write(one)
    assert len(context.store.read()) == 1
    digest = "2"
    if overwrite:
        assert [one.rows[0]["digest"] for one in digests.run(context)] == ["2"]
    else:
        with pytest.raises(SystemExit) as ended:
            list(digests.run(context))
        assert ended.value.code == 1
    assert "| `aaaaaaaaaaaa` | 1 |" in digests.lines(context.store.read())[-1]


def test_a_file_of_details_is_compared_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old.json").write_text(json.dumps(of_cells()), encoding="utf-8")

    def measure(_: Context, details: dict[str, Any]) -> list[dict[str, str]]:
        details |= of_cells(change=True)
        return [{"key": "toy", "digest": "1"}]

    monkeypatch.setattr(digests, "measure", measure)
    options = argparse.Namespace(against=tmp_path / "old.json", details=None, overwrite=False)
    with pytest.raises(SystemExit):
        list(digests.run(Context(options=options, store=Store(tmp_path, "digests", digests.unit))))

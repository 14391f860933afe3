"""Rates and fractions on the page, quality against steps, and which of them are said to fall short."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from benchmarks.studies import generation_speed, solvers
from tests.benchmarks.conftest import record

if TYPE_CHECKING:
    from pathlib import Path


def test_rates_stand_beside_their_goals_and_peers() -> None:
    rows = [
        {"what": "generate", "threads": 1, "per_second": 900.0, "per_cpu_second": 1000.0},
        {"what": "generate", "threads": 2, "per_second": 1800.0, "per_cpu_second": 950.0},
        {"what": "counts", "threads": 1, "per_cpu_second": 4000.0, "fraction": 0.25},
        {"what": "original", "threads": 1, "per_second": 0.5, "per_cpu_second": 0.5},
    ]
    values = [{"genes": 9, "cells": 100, **row} for row in rows]
    text = "\n".join(generation_speed.lines([record("generation_speed", values, data_set="pbmc3k")]))
    assert "- pbmc3k: 1,800 cells a second on two threads; goal 2,000." in text
    assert "- pbmc3k: 2,000.0 times original, by CPU seconds; goal 1,000." in text
    assert "| counts | 1 | 100 |  | 4000 | 0.250 |" in text


@pytest.mark.parametrize(
    ("at_default", "words"),
    [
        (0.509, "Beyond 2% by more than twice the standard error: none."),
        (0.52, "Beyond 2% by more than twice the standard error: pbmc3k, forest AUC, genes."),
    ],
)
def test_the_default_is_compared_with_the_most_steps(tmp_path: Path, at_default: float, words: str) -> None:
    shared = {"seed": 0, "cells": 100, "solver": solvers.MULTISTEP}
    values = dict.fromkeys(solvers.STEPS, 0.5) | {1: 0.9, solvers.DEFAULT: at_default}
    rows = [{**shared, "steps": n, "metric": "forest AUC, genes", "value": value} for n, value in values.items()]
    rows += [
        {**shared, "steps": n, "metric": solvers.ERROR, "value": 1.0 / n if n < solvers.MOST else 0.0} for n in values
    ]
    rows += [{**row, "solver": solvers.DISTILLED, "value": 0.6} for row in rows if row["steps"] == 2]
    found = [record("solvers", rows, part=solvers.STEPS_PART, data_set="pbmc3k")]
    solvers.draw(found, tmp_path)
    assert (tmp_path / "steps.png").stat().st_size > 0
    assert words in "\n".join(solvers.lines(found))

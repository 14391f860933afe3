"""Rates and shares on the page, quality against steps, and which of them are told to fall short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks import generate_speed, steps

MACHINE = {"machine": "a machine", "date": "2026-01-01"}


def _rates(folder: Path) -> str:
    shared: dict[str, Any] = {
        "data_set": "pbmc3k",
        "genes": 9,
        "cells": 100,
        "machine": "a machine",
        "date": "2026-01-01",
    }
    rows = [
        {"what": "generate", "threads": 1, "per_second": 900.0, "per_cpu_second": 1000.0},
        {"what": "generate", "threads": 2, "per_second": 1800.0, "per_cpu_second": 950.0},
        {"what": "counts", "threads": 1, "per_cpu_second": 4000.0, "share": 0.25},
        {"what": "original", "threads": 1, "per_second": 0.5, "per_cpu_second": 0.5},
    ]
    pd.DataFrame(rows).assign(**shared).to_csv(folder / generate_speed.SPEED_FILE, index=False)
    return generate_speed.section(folder)


def test_rates_stand_beside_their_goals_and_peers(tmp_path: Path) -> None:
    text = _rates(tmp_path)
    assert "- pbmc3k: 1,800 cells a second on two threads; goal 2,000." in text
    assert "- pbmc3k: 2,000.0 times original, by processor seconds; goal 1,000." in text
    assert "| counts | 1 | 100 |  | 4000 | 0.250 |" in text


def _quality(folder: Path, *, at_default: float) -> str:
    shared: dict[str, Any] = {
        "data_set": "pbmc3k",
        "seed": 0,
        "cells": 100,
        "machine": "a machine",
        "date": "2026-01-01",
    }
    shared["solver"] = "multistep"
    values = dict.fromkeys(steps.STEPS, 0.5) | {1: 0.9, steps.DEFAULT: at_default}
    rows = [{"steps": n, "metric": "forest AUC, genes", "value": value} for n, value in values.items()]
    rows += [{"steps": n, "metric": steps.ERROR, "value": 1.0 / n if n < 100 else 0.0} for n in values]
    table = pd.DataFrame(rows).assign(**shared)
    taught = table[table["steps"] == 2].assign(solver="distilled", value=0.6)
    table = pd.concat([table, taught], ignore_index=True)
    table.to_csv(folder / steps.STEPS_FILE, index=False)
    steps.draw(table, folder / steps.FIGURE_FILE)
    assert (folder / steps.FIGURE_FILE).stat().st_size > 0
    return steps.section(folder)


@pytest.mark.parametrize(
    ("at_default", "words"),
    [
        (
            0.509,
            "genes: +1.8% (standard error nan%). Beyond 2% by more than twice the standard error: none.",
        ),
        (0.52, "Beyond 2% by more than twice the standard error: pbmc3k, forest AUC, genes."),
    ],
)
def test_the_default_is_held_against_the_most_steps(tmp_path: Path, at_default: float, words: str) -> None:
    assert words in _quality(tmp_path, at_default=at_default)


def test_nothing_is_said_before_the_first_measurement(tmp_path: Path) -> None:
    assert generate_speed.section(tmp_path) == steps.section(tmp_path) == ""

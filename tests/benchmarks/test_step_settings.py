"""What the page says about compiled networks and bfloat16."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.step_settings import PLAIN, SETTINGS_FILE, section

if TYPE_CHECKING:
    from pathlib import Path


def test_the_page_says_after_how_many_steps_compiling_pays(tmp_path: Path) -> None:
    told = {"data_set": "cells", "stage": "diffusion", "device": "cpu", "threads": 1, "steps": 900, "loss": 0.5}
    told |= {"machine": "a machine", "date": "today"}
    plain = {"way": PLAIN, "first": 0.0, "step": 0.03}
    quick = {"way": "compiled", "first": 20.0, "step": 0.02}
    (tmp_path / SETTINGS_FILE).write_text(json.dumps([plain | told, quick | told]), encoding="utf-8")
    page = section(tmp_path)
    assert "| cells | diffusion | cpu | 1 | as it is | 30.00 | 1.000 | 0.000 |  | 900 | 0.5000 |" in page
    assert "| cells | diffusion | cpu | 1 | compiled | 20.00 | 1.500 | 20.00 | 2,000 | 900 | 0.5000 |" in page


def test_the_page_is_silent_before_the_first_measurement(tmp_path: Path) -> None:
    assert not section(tmp_path)

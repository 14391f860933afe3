"""What the page says about compiled networks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.compiled import COMPILED_FILE, section

if TYPE_CHECKING:
    from pathlib import Path


def test_the_page_says_after_how_many_steps_compiling_pays(tmp_path: Path) -> None:
    told = {"data_set": "cells", "stage": "diffusion", "threads": 1, "steps": 900, "loss": 0.5}
    told |= {"machine": "a machine", "date": "today"}
    plain = {"compiled": False, "first": 0.0, "step": 0.03}
    quick = {"compiled": True, "first": 20.0, "step": 0.02}
    (tmp_path / COMPILED_FILE).write_text(json.dumps([plain | told, quick | told]), encoding="utf-8")
    assert "| cells | diffusion | 1 | 30.00 | 20.00 | 1.500 | 20.00 | 2,000 | 900 |" in section(tmp_path)


def test_the_page_is_silent_before_the_first_measurement(tmp_path: Path) -> None:
    assert not section(tmp_path)

"""What the page says about several machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.machines import MACHINES_FILE, section

if TYPE_CHECKING:
    from pathlib import Path


def test_the_page_counts_fits_that_were_resumed_exactly(tmp_path: Path) -> None:
    kills = [{"difference": 0.0, "seconds_to_notice": 3.0}, {"difference": 1e-6, "seconds_to_notice": 9.0}]
    held = {"fit_differs_from_one_process_by": 2e-5, "cells_are_those_of_one_process": True, "kills": kills}
    (tmp_path / MACHINES_FILE).write_text(json.dumps(held | {"machine": "a machine", "date": "today"}))
    told = section(tmp_path)
    assert "2 fits were killed" in told
    assert "1 have bit for bit" in told
    assert "within 9 s" in told


def test_the_page_is_silent_before_the_first_measurement(tmp_path: Path) -> None:
    assert not section(tmp_path)

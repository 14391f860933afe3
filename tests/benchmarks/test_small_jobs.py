"""What the page says about several fits at once."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.small_jobs import JOBS_FILE, section


def test_the_page_compares_fits_at_once_with_fits_in_turn(tmp_path: Path) -> None:
    told = {"machine": "a machine", "date": "today"}
    records = [{"what": "one fit", "jobs": 1, "seconds": 20.0}, {"what": "4 fits at once", "jobs": 4, "seconds": 40.0}]
    (tmp_path / JOBS_FILE).write_text(json.dumps([one | told for one in records]), encoding="utf-8")
    assert "Together they take 0.50 of the time" in section(tmp_path)


def test_the_page_is_silent_before_the_first_measurement(tmp_path: Path) -> None:
    assert not section(tmp_path)

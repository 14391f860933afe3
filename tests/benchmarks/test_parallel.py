"""What the page says about several fits at once."""

from __future__ import annotations

from benchmarks.studies.parallel import JOBS_PART, lines
from tests.benchmarks.conftest import record


def test_the_page_compares_fits_at_once_with_fits_in_turn() -> None:
    rows = [{"what": "one fit", "jobs": 1, "seconds": 20.0}, {"what": "4 fits at once", "jobs": 4, "seconds": 40.0}]
    assert "they take 0.50 of the time" in "\n".join(lines([record("parallel", rows, part=JOBS_PART)]))

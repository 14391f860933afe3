"""What the page says about killed fits."""

from __future__ import annotations

from benchmarks.studies import kills
from tests.benchmarks.conftest import record


def test_the_page_counts_fits_of_two_machines_that_were_resumed_exactly() -> None:
    killed = [{"difference": 0.0, "seconds_to_notice": 3.0}, {"difference": 1e-6, "seconds_to_notice": 9.0}]
    found = {"fit_differs_from_one_process_by": 2e-5, "cells_are_those_of_one_process": True, "kills": killed}
    text = kills.lines([record("kills", [found], part=kills.MACHINES)])[-1]
    assert "2 fits were killed" in text
    assert "1 have bit for bit" in text
    assert "within 9 s" in text


def test_the_page_counts_fits_of_processes_that_ended_identical() -> None:
    shared = {"seconds_to_notice": 0.1, "largest_difference": 0.0}
    rows = [
        {**shared, "killed": "job", "resumed_by_processes": 2, "identical": True},
        {**shared, "killed": "process 0", "resumed_by_processes": 1, "identical": False, "largest_difference": 2e-6},
    ]
    text = kills.lines([record("kills", rows, part=kills.PROCESSES)])[-1]
    assert "1 as a whole" in text
    assert "Of 1 resumed by two processes 1 ended" in text
    assert "differ by 2.0e-06 at most" in text


def test_few_kills_have_a_page_as_well() -> None:
    row = {"seconds_to_notice": 0.1, "largest_difference": 0.0, "killed": "job", "identical": True}
    text = kills.lines([record("kills", [row | {"resumed_by_processes": 2}], part=kills.PROCESSES)])[-1]
    assert "those of the fit never killed. A process" in text
    found = {"fit_differs_from_one_process_by": 2e-5, "cells_are_those_of_one_process": True, "kills": []}
    assert "0 fits were killed" in kills.lines([record("kills", [found], part=kills.MACHINES)])[-1]

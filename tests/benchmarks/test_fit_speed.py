"""Which of our fits is set against a peer's, and the page."""

from __future__ import annotations

from benchmarks.studies.fit_speed import equal_quality, lines
from tests.benchmarks.conftest import record

OURS = [
    {"fit": "ours-0.1", "cpu_seconds": 10.0, "forest": 0.7, "energy": 1.0},
    {"fit": "ours-0.4", "cpu_seconds": 40.0, "forest": 0.6, "energy": 0.5},
    {"fit": "ours-1", "cpu_seconds": 100.0, "forest": 0.55, "energy": 0.4},
]


def test_the_cheapest_fit_that_is_as_good_on_every_measure_is_taken() -> None:
    found = equal_quality(OURS, {"forest": 0.8, "energy": 0.9})
    assert found is not None
    assert found["fit"] == "ours-0.4"


def test_a_peer_that_no_fit_reaches_has_no_equal() -> None:
    assert equal_quality(OURS, {"forest": 0.8, "energy": 0.3}) is None


def test_the_page_states_the_median_ratio_beside_its_goal() -> None:
    peer = {"fit": "scvi-posterior-to-its-end", "cpu_seconds": 300.0, "forest": 0.9, "energy": 2.0, "ratio": 30.0}
    text = lines([record("fit_speed", [*OURS, peer], data_set="pbmc3k", seed=0)])
    assert "scvi-posterior: median ratio 30.0 over 1 fits; goal 5." in text[-1]

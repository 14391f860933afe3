"""Which of our fits is set against a peer's, and the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata
import numpy as np
import pytest
from benchmarks.__main__ import parser_of
from benchmarks.data import PARTS
from benchmarks.records import Store
from benchmarks.studies import fit_speed, generation_speed, study_named
from benchmarks.studies.fit_speed import equal_quality, lines
from benchmarks.study import Context
from scipy import sparse
from tests.benchmarks.conftest import record

from benchmarks import runs

if TYPE_CHECKING:
    from pathlib import Path

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


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Split 180 cells of one kind in three."""
    counts = sparse.csr_matrix(np.random.default_rng(0).poisson(1.0, (180, 100)), dtype=np.float32)
    cells = anndata.AnnData(counts)
    found = {part: cells[at * 60 : at * 60 + 60].copy() for at, part in enumerate(PARTS)}
    monkeypatch.setattr(fit_speed, "read_parts", lambda *_: found)


def context_of(name: str, folder: Path, *words: str) -> Context:
    options = parser_of(name).parse_args([name, *words])
    return Context(options=options, store=Store(folder, name, study_named(name).unit), work=folder)


@pytest.mark.usefixtures("parts")
def test_real_cells_in_the_place_of_generated_ones_have_no_distance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_speed, "entries", lambda _: [])
    (reference,) = fit_speed.measure(context_of("fit_speed", tmp_path), "pbmc68k", seed=0, seconds=1.0)
    assert reference["fit"] == fit_speed.REFERENCE
    assert reference["energy"] == pytest.approx(0.0, abs=0.1)


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("words", [(), ("--overwrite",)])
def test_runs_are_carried_out_again_where_that_is_asked_for(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def carry_out(_: runs.Run, settings: runs.Settings) -> str:
        seen.append(settings.overwrite)
        return "not carried out"

    monkeypatch.setattr(runs, "carry_out", carry_out)
    monkeypatch.setattr(fit_speed, "Measures", lambda *_: lambda _: {})
    fit_speed.measure(context_of("fit_speed", tmp_path, *words), "pbmc68k", seed=0, seconds=1.0)
    generation_speed.measure_peer("original", "pbmc68k", context_of("generation_speed", tmp_path, *words))
    assert len(seen) == len(fit_speed.entries(1.0)) + 1
    assert set(seen) == {bool(words)}

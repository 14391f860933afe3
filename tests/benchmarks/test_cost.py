from __future__ import annotations

import sys
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from benchmarks.cost import Meter, by_stage, clocked, run_process, thread_environment
from benchmarks.studies.cost_law import Size, simulate

from scdiffuse import CellGenerator
from scdiffuse.model import ModelConfig, TrainConfig

if TYPE_CHECKING:
    from pathlib import Path


def test_the_peak_of_a_phase_excludes_the_phase_before(monkeypatch: pytest.MonkeyPatch) -> None:
    no_child = SimpleNamespace(ru_maxrss=0, ru_utime=0.0, ru_stime=0.0)  # those of other tests count for ever
    monkeypatch.setattr("benchmarks.cost.resource.getrusage", lambda _: no_child)
    with Meter() as heavy:
        block = bytearray(200 * 2**20)
        block[::4096] = b"x" * len(block[::4096])
    del block
    with Meter() as light:
        pass
    assert heavy.cost.peak_mib - light.cost.peak_mib > 150


def test_processor_time_includes_ended_children(tmp_path: Path) -> None:
    with Meter() as meter:
        finished = run_process(
            [sys.executable, "-c", "sum(range(10**7))"], log=tmp_path / "log", environment=thread_environment(1)
        )
    assert meter.cost.cpu_seconds >= finished.cost.cpu_seconds * 0.9 > 0


def test_a_process_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    finished = run_process(
        [sys.executable, "-c", "import time; time.sleep(60)"], log=tmp_path / "log", environment={}, timeout=0.3
    )
    assert finished.timed_out
    assert finished.cost.seconds < 10


def test_output_goes_to_the_log_and_the_exit_code_is_kept(tmp_path: Path) -> None:
    finished = run_process([sys.executable, "-c", "print('words'); exit(3)"], log=tmp_path / "log", environment={})
    assert finished.exit_code == 3
    assert (tmp_path / "log").read_text(encoding="utf-8").strip() == "words"


@pytest.mark.parametrize("n_threads", [1, 2])
def test_every_numeric_library_is_held_to_the_threads(n_threads: int) -> None:
    assert thread_environment(n_threads)["OMP_NUM_THREADS"] == str(n_threads)
    assert thread_environment(n_threads)["GOMP_SPINCOUNT"] == "3000"


def test_each_step_of_each_stage_is_timed_and_no_step_after_the_block() -> None:
    config = ModelConfig(
        autoencoder_training=TrainConfig(batch_size=16, max_steps=3, n_validations=1),
        diffusion_training=TrainConfig(batch_size=32, max_steps=5, n_validations=1),
    )
    cells, ticks = simulate(Size(genes=60, found=30, batch=16), n_cells=200), count()
    model = CellGenerator(cells, conditions=["label"], min_cells=0, config=config)
    with clocked(lambda: float(next(ticks))) as taken:
        model.fit(progress=False)
    assert by_stage(taken) == {"autoencoder": [1.0] * 3, "diffusion": [1.0] * 5}
    n_optimisers = len(taken)
    model.fit(progress=False)
    assert len(taken) == n_optimisers

"""Fits and cells of two processes beside those of one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anndata as ad
import pytest
import torch
from tests.fitted_model import networks_of

from scdiffuse.generator import CellGenerator, load
from scdiffuse.model import ModelConfig

NAMES: dict[str, Any] = {"conditions": ["cell_type", "treated"], "continuous": ["day"]}
WORK = """
import json, os, signal, sys
import scdiffuse.train._loop as loop
from scdiffuse._core.processes import joined
from scdiffuse.generator import CellGenerator
from scdiffuse.model import ModelConfig

data, folder, config, dies, cells = sys.argv[1:]
if dies:
    stage, step = dies.split()
    loop._CHECKPOINT_SECONDS, take_step = 0.0, loop._take_step

    def take_step_or_die(learner, batches, run, **how):
        if (run.stage, learner.state.step, run.processes.part.rank) == (stage, int(step), 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return take_step(learner, batches, run, **how)

    loop._take_step = take_step_or_die
with joined("cpu"):
    model = CellGenerator(
        data, conditions=["cell_type", "treated"], continuous=["day"], config=ModelConfig.from_dict(json.loads(config))
    )
    model.fit(folder, progress=False)
    if cells:
        model.generate(1100, seed=1, path=cells, batch_size=300, progress=False)
"""


def _work_together(*words: object, n: int = 2) -> list[subprocess.CompletedProcess[str]]:
    """Run the work above in some processes and wait for all of them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(n), "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WORK, *map(str, words)],
            env={**os.environ, **shared, "RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(n)
    ]
    errors = [one.communicate(timeout=300)[1] for one in running]
    return [
        subprocess.CompletedProcess(one.args, one.returncode, stderr=text)
        for one, text in zip(running, errors, strict=True)
    ]


def _assert_close(x: CellGenerator, y: CellGenerator) -> None:
    left, right = networks_of(x).copies(), networks_of(y).copies()
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        torch.testing.assert_close(tensor, right[name], rtol=1e-5, atol=1e-5, equal_nan=True, msg=name)
    assert [step for step, _, _ in x.history["diffusion"]] == [step for step, _, _ in y.history["diffusion"]]


@pytest.fixture(scope="module")
def cells(simulated: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated cells on disk."""
    path: Path = tmp_path_factory.mktemp("processes") / "cells.h5ad"
    simulated.write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def alone(cells: Path, small: ModelConfig) -> CellGenerator:
    """What one process learns from them; read only."""
    return CellGenerator(cells, config=small, **NAMES).fit(progress=False)


def test_two_processes_fit_and_generate_what_one_does(
    cells: Path, alone: CellGenerator, small: ModelConfig, tmp_path: Path
) -> None:
    config = json.dumps(small.to_dict())
    done = _work_together(cells, tmp_path / "model", config, "", tmp_path / "made.h5ad")
    assert [one.returncode for one in done] == [0, 0], done[1].stderr
    together = load(tmp_path / "model")
    _assert_close(together, alone)
    expected = together.generate(1100, seed=1, progress=False)
    made = ad.read_h5ad(tmp_path / "made.h5ad")
    assert isinstance(expected, ad.AnnData)
    assert (made.X != expected.X).nnz == 0
    assert made.obs.equals(expected.obs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.h5ad", "model"]


@pytest.mark.parametrize("dies", ["autoencoder 5", "diffusion 15"])
def test_a_lost_process_ends_the_fit_which_goes_on_with_another_number_of_them(
    cells: Path, alone: CellGenerator, small: ModelConfig, tmp_path: Path, dies: str
) -> None:
    begin = time.monotonic()
    first, second = _work_together(cells, tmp_path / "model", json.dumps(small.to_dict()), dies, "")
    assert second.returncode == -9
    assert first.returncode > 0
    assert "LostProcessError: Process 0 of 2 lost the others" in first.stderr
    assert time.monotonic() - begin < 300
    assert load(tmp_path / "model").was_stopped
    resumed = CellGenerator(cells, config=small, **NAMES).fit(tmp_path / "model", resume=True, progress=False)
    _assert_close(resumed, alone)

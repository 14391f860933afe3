"""Two processes that sum their gradients, against one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from scdiffuse._core.processes import WHOLE, Part, Processes, joined
from scdiffuse._core.random import Draws
from scdiffuse.train import Run, TrainConfig, TrainingError, TrainState, train

CONFIG = TrainConfig(batch_size=32, n_validations=5, patience=50, learning_rate=0.02, decay=0.9)
N_STEPS = 30


class Network(nn.Module):
    """A small network; one of its weights is used late and one never."""

    def __init__(self) -> None:
        super().__init__()
        draws = torch.Generator().manual_seed(1)
        self.first = nn.Parameter(torch.randn(3, 5, generator=draws))
        self.late = nn.Parameter(torch.full((4,), 0.5))
        self.never = nn.Parameter(torch.ones(2))
        self.last = nn.Parameter(torch.randn(5, generator=draws))


class Curve:
    """A curve to fit; its loss is NaN from the step `spoilt` on, for the first of two processes."""

    def __init__(self, spoilt: int = N_STEPS) -> None:
        self.module = Network()
        self.x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        self.n_cells = 64
        self.spoilt = spoilt / N_STEPS

    def loss(self, cells: NDArray[np.int64], draws: Draws, *, progress: float = 1.0) -> Tensor:
        x = self.x[torch.from_numpy(cells)] + 0.1 * torch.from_numpy(draws.normals(3))
        loss = self._squared_error(x).mean() + (self.module.late.square().sum() if progress > 0.5 else 0.0)
        return loss * (np.nan if progress >= self.spoilt and 0 in cells else 1.0)

    @torch.no_grad()
    def validate(self, part: Part = WHOLE) -> float:
        return float(self._squared_error(self.x[part.of(64).start : part.of(64).stop]).sum()) / 64

    def parameter_groups(self) -> list[dict[str, Any]]:
        network = self.module
        return [
            {"params": [network.first, network.never], "rate": 1.0, "begin": 0.0, "weight_decay": 0.1},
            {"params": [network.late], "rate": 2.0, "begin": 0.0},
            {"params": [network.last], "rate": 1.0, "begin": 0.2},
        ]

    def _squared_error(self, x: Tensor) -> Tensor:
        error: Tensor = (torch.tanh(x @ self.module.first) @ self.module.last - x.prod(dim=1)).square()
        return error


def fit(folder: Path, processes: Processes, saved_at: int | None = None) -> TrainState:
    """Fit from the start, or from what two processes saved at a step, and save at each step."""
    state = TrainState.start(Curve(), CONFIG)
    if saved_at is not None:
        progress = json.loads((folder / f"{saved_at}.json").read_text())
        state.restore(load_file(folder / f"{saved_at}.safetensors"), progress)

    def save(state: TrainState) -> None:
        if processes.size > 1 and processes.is_first:
            save_file({name: x.clone() for name, x in state.tensors().items()}, folder / f"{state.step}.safetensors")
            (folder / f"{state.step}.json").write_text(json.dumps(state.progress()))

    run = Run(stage="x", config=CONFIG, n_steps=N_STEPS, seed=4, progress=False, checkpoint=save, processes=processes)
    train(state, run)
    return state


def work(folder: Path) -> None:
    """Run one of the two processes of the tests below."""
    import scdiffuse.train._loop as loop

    processes = Processes.present()
    loop._CHECKPOINT_SECONDS = -1.0 if processes.is_first else 1e9  # one requests to save, both have to
    whole = [weight.detach().clone() for weight in fit(folder, processes).parameters]
    resumed = fit(folder, processes, saved_at=10).parameters
    same = [processes.is_same(b"x"), processes.is_same(bytes([processes.part.rank]))]
    try:
        run = Run(stage="x", config=CONFIG, n_steps=N_STEPS, seed=4, progress=False, processes=processes)
        train(TrainState.start(Curve(spoilt=7), CONFIG), run)
    except TrainingError as error:
        message = str(error)
    kept: dict[str, list[Tensor]] = {"whole": whole, "resumed": [*resumed]}
    found = {f"{kind}.{at}": tensor.detach().clone() for kind in kept for at, tensor in enumerate(kept[kind])}
    save_file(found, folder / f"process{processes.part.rank}.safetensors", {"message": message, "same": str(same)})


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined("cpu"):
        work(Path(sys.argv[1]))


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two processes that have ended."""
    folder: Path = tmp_path_factory.mktemp("together")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1]), "WORLD_SIZE": "2"}
    words = [sys.executable, __file__, str(folder)]
    running = [subprocess.Popen(words, env={**os.environ, **shared, "RANK": rank}) for rank in "01"]
    assert [one.wait(timeout=120) for one in running] == [0, 0]
    return folder


@pytest.fixture(scope="module")
def alone() -> TrainState:
    """The state of one process that fits alone."""
    return fit(Path(), Processes())


def _weights(folder: Path, rank: int, kind: str) -> list[Tensor]:
    held = load_file(folder / f"process{rank}.safetensors")
    return [held[f"{kind}.{at}"] for at in range(4)]


def test_two_processes_learn_what_one_does(together: Path, alone: TrainState) -> None:
    for rank in (0, 1):
        for found, expected in zip(_weights(together, rank, "whole"), alone.parameters, strict=True):
            torch.testing.assert_close(found, expected.detach(), rtol=1e-5, atol=1e-6)
    for weight, same in zip(_weights(together, 0, "whole"), _weights(together, 1, "whole"), strict=True):
        assert torch.equal(weight, same)


def test_a_fit_of_two_processes_is_resumed_bit_by_bit(together: Path) -> None:
    for weight, same in zip(_weights(together, 0, "whole"), _weights(together, 1, "resumed"), strict=True):
        assert torch.equal(weight, same)


def test_two_processes_save_what_one_does_and_one_resumes_from_it(together: Path, alone: TrainState) -> None:
    kept = load_file(together / f"{N_STEPS}.safetensors")
    assert kept.keys() == alone.tensors().keys()
    assert "adam.1.exp_avg" not in kept  # never used
    for name in [name for name in kept if not name.startswith("weight")]:  # the best ones replace those in the end
        torch.testing.assert_close(kept[name], alone.tensors()[name], rtol=1e-4, atol=1e-6, msg=name)
    assert float(kept["adam.2.step"]) < float(kept["adam.0.step"]) == N_STEPS
    resumed = fit(together, Processes(), saved_at=10)
    for found, expected in zip(resumed.parameters, alone.parameters, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_every_process_saves_when_one_requests_it(together: Path) -> None:
    assert {int(path.stem) for path in together.glob("*.json")} == set(range(1, N_STEPS + 1))


def test_a_loss_that_is_not_finite_in_one_process_stops_both(together: Path) -> None:
    from safetensors import safe_open

    for rank in (0, 1):
        with safe_open(together / f"process{rank}.safetensors", "pt") as held:
            assert held.metadata()["message"].startswith("The loss of stage 'x' is nan at step")


def test_both_processes_learn_whether_they_have_the_same(together: Path) -> None:
    from safetensors import safe_open

    for rank in (0, 1):
        with safe_open(together / f"process{rank}.safetensors", "pt") as held:
            assert held.metadata()["same"] == "[True, False]"

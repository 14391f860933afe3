"""The training loop: resuming, stopping, patience, learning rates and losses that are not finite."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffuse._core.processes import WHOLE, Part, Processes
from scdiffuse._core.random import Draws
from scdiffuse.train import Run, TrainConfig, TrainingError, TrainState, train

CONFIG = TrainConfig(batch_size=8, n_validations=5, patience=50, learning_rate=0.05, decay=0.9)
N_STEPS = 40


class Regression:
    """A noisy line to fit; `on_step` is called before each loss."""

    def __init__(self, on_step: Callable[[int], None] = lambda _: None) -> None:
        draws = torch.Generator().manual_seed(0)
        self.module = nn.Linear(2, 1)
        with torch.no_grad():
            self.module.weight.fill_(0.3)
            self.module.bias.fill_(0.1)
        self.x = torch.randn(32, 2, generator=draws)
        self.n_cells = 32
        self.on_step = on_step
        self.n_losses = 0
        self.offset = 0.0

    def loss(self, cells: NDArray[np.int64], draws: Draws, *, progress: float = 1.0) -> Tensor:
        self.on_step(self.n_losses)
        self.n_losses += 1
        x = self.x[torch.from_numpy(cells)] + 0.1 * torch.from_numpy(draws.normals(2))
        nll: Tensor = (self.module(x) - x.sum(dim=1, keepdim=True)).square().mean()
        return nll

    @torch.no_grad()
    def validate(self, part: Part = WHOLE) -> float:
        return self.offset / part.size + float((self.module(self.x) - self.x.sum(dim=1, keepdim=True)).square().mean())

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [
            {"params": [self.module.weight], "rate": 1.0, "begin": 0.0},
            {"params": [self.module.bias], "rate": 2.0, "begin": 0.3},
        ]


def _run(checkpoint: Callable[[TrainState], None] | None = None, *, config: TrainConfig = CONFIG) -> Run:
    return Run(stage="line", config=config, n_steps=N_STEPS, seed=4, progress=False, checkpoint=checkpoint)


def _weights(state: TrainState) -> list[Tensor]:
    return [weight.detach().clone() for weight in state.parameters]


@pytest.mark.parametrize("step", [0, 1, 17, 39])
def test_a_resumed_run_equals_an_uninterrupted_one(step: int) -> None:
    whole = TrainState.start(Regression(), CONFIG)
    assert not train(whole, _run())

    def press(at: int) -> None:
        if at == step:
            raise KeyboardInterrupt

    saved: list[tuple[dict[str, Tensor], dict[str, Any]]] = []

    def keep(state: TrainState) -> None:
        saved.append(({name: tensor.clone() for name, tensor in state.tensors().items()}, state.progress()))

    first = TrainState.start(Regression(press), CONFIG)
    assert train(first, _run(keep))
    second = TrainState.start(Regression(), CONFIG)
    second.restore(*saved[-1])
    assert second.step == step
    assert not train(second, _run())
    assert second.history == whole.history
    for found, expected in zip(_weights(second), _weights(whole), strict=True):
        assert torch.equal(found, expected)


def test_ctrl_c_waits_for_the_end_of_the_step() -> None:
    steps: list[int] = []
    task = Regression(lambda at: signal.raise_signal(signal.SIGINT) if at == 6 else None)
    state = TrainState.start(task, CONFIG)
    assert train(state, _run(lambda state: steps.append(state.step)))
    assert steps == [7]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Another(Processes):
    """A second process, whose gradients are 0 and which is asked to stop in its seventh step."""

    def __init__(self) -> None:
        super().__init__(Part(0, 2))
        self.n_steps = 0

    def all_reduce(self, tensor: Tensor) -> None:
        if len(tensor) > 1:  # gradients and requests of a step
            self.n_steps += 1
            tensor[-2] += self.n_steps == 7


def test_ctrl_c_in_another_process_ends_the_run_after_the_same_step() -> None:
    steps: list[int] = []
    state = TrainState.start(Regression(), CONFIG)
    assert train(state, replace(_run(lambda state: steps.append(state.step)), processes=Another()))
    assert steps == [7]


def test_a_run_in_a_thread_leaves_signals_alone() -> None:
    state = TrainState.start(Regression(), CONFIG)
    worker = threading.Thread(target=train, args=(state, _run()))
    worker.start()
    worker.join()
    assert state.step == N_STEPS


@pytest.mark.parametrize(("worth_a_thread", "threads"), [(25, 1), (24, 1), (12, 2), (1, 3)])
def test_small_steps_take_few_threads(
    monkeypatch: pytest.MonkeyPatch, set_threads: Callable[[int], None], worth_a_thread: int, threads: int
) -> None:
    monkeypatch.setattr("scdiffuse.train._loop._PRODUCTS_A_THREAD", worth_a_thread)  # of 8 cells and 3 weights
    seen: list[int] = []
    set_threads(3)
    train(TrainState.start(Regression(lambda _: seen.append(torch.get_num_threads())), CONFIG), _run())
    assert set(seen) == {threads}
    assert torch.get_num_threads() == 3


def test_the_fit_ends_with_the_best_averaged_weights() -> None:
    state = TrainState.start(Regression(), CONFIG)
    train(state, _run())
    assert [step for step, _, _ in state.history] == [8, 16, 24, 32, 40]
    best = min(loss for _, _, loss in state.history)
    assert state.best_loss == best < state.history[0][2]
    assert isinstance(state.task, Regression)
    assert state.task.validate() == best


def test_training_stops_when_validation_stops_improving() -> None:
    task = Regression()

    def worsen(at: int) -> None:
        task.offset = at * 10.0

    task.on_step = worsen
    state = TrainState.start(task, CONFIG)
    train(state, _run(config=TrainConfig(batch_size=8, n_validations=20, patience=3)))
    assert state.step == 2 * 4  # the first validation is the best, three more are worse
    assert state.stale == 3


def test_a_loss_that_is_not_finite_stops_and_names_stage_and_step() -> None:
    task = Regression()

    def spoil(at: int) -> None:
        if at == 5:
            task.x[:] = math.nan

    task.on_step = spoil
    state = TrainState.start(task, CONFIG)
    with pytest.raises(TrainingError, match=r"The loss of stage 'line' is nan at step 5; expected a finite .* Lower"):
        train(state, _run())
    assert all(bool(torch.isfinite(weight).all()) for weight in _weights(state))


def test_a_validation_loss_that_is_not_finite_stops_too() -> None:
    task = Regression()
    task.offset = math.inf
    with pytest.raises(TrainingError, match=r"The validation loss of stage 'line' is inf at step 8"):
        train(TrainState.start(task, CONFIG), _run())


def test_the_rate_warms_up_and_falls_and_late_groups_start_later() -> None:
    rates: list[tuple[float, float]] = []
    task = Regression()
    state = TrainState.start(task, CONFIG)
    task.on_step = lambda _: rates.append(tuple(group["lr"] for group in state.optimiser.param_groups))
    train(state, _run())
    first, late = np.array(rates).T
    assert first[0] == pytest.approx(CONFIG.learning_rate / 50)
    assert first[-1] < first.max()
    assert (late[:12] == 0).all()
    assert late[-1] == pytest.approx(2 * first[-1])


def test_seeds_give_other_runs() -> None:
    ends = []
    for seed in (1, 1, 2):
        state = TrainState.start(Regression(), CONFIG)
        train(state, Run(stage="line", config=CONFIG, n_steps=5, seed=seed, progress=False))
        ends.append(state.parameters[0].detach().clone())
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_warm_up_and_betas_are_settings() -> None:
    task = Regression()
    config = replace(CONFIG, warm_up_steps=1, beta1=0.5, beta2=0.6)
    state = TrainState.start(task, config)
    assert state.optimiser.param_groups[0]["betas"] == (0.5, 0.6)
    rates: list[float] = []
    task.on_step = lambda _: rates.append(state.optimiser.param_groups[0]["lr"])
    train(state, _run(config=config))
    assert rates[0] == config.learning_rate

"""The one training loop."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from scdiffuse._core.processes import ALONE, Processes
from scdiffuse._core.progress import Progress
from scdiffuse.cells import Batches, Blocks
from scdiffuse.train._config import TrainConfig
from scdiffuse.train._learner import Learner, Summed, learning
from scdiffuse.train._sharing import require_enough_cells, step_draws, step_rows
from scdiffuse.train._state import TrainState

__all__ = ["Run", "TrainingError", "train"]

_WARM_UP_STEPS = 50
_WAKE_UP = 0.15  # share of the steps over which a group that begins late comes to its rate
_CHECKPOINT_SECONDS = 20.0
_PRODUCTS_A_THREAD = 1 << 26  # of a weight and a cell: below, threads wait longer for each other than they work
_MOST_THREADS = 8


class TrainingError(RuntimeError):
    """The loss is no longer a number."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One stage of a fit."""

    stage: str
    """Its name, also of its random streams."""
    config: TrainConfig
    n_steps: int
    seed: int
    blocks: Blocks | None = None
    """How cells that are read from disk are mixed; `None` shuffles all."""
    progress: bool = True
    checkpoint: Callable[[TrainState], None] | None = None
    """Called now and then with the state."""
    processes: Processes = ALONE
    """Who shares the steps."""


def train(state: TrainState, run: Run) -> bool:
    """Train until the steps are done or validation stops improving, then keep the best averaged weights.

    The noise and the cells of a step depend on the seed and the step alone, so a run that goes on from a checkpoint is
    the run that was never interrupted. Processes that share a run each compute a part of every step and of every
    validation, and hold the same weights all along; how many they are changes sums by rounding only.

    Parameters
    ----------
    state
        Where to begin; it is changed.
    run
        The stage.

    Returns
    -------
    Whether the user stopped it with Ctrl-C; the best weights so far are in place then too.

    Raises
    ------
    TrainingError
        The training or validation loss is not finite; names the stage and the step.
    SettingError
        There are more processes than a step can be shared by.
    LostProcessError
        One of the processes has ended.
    """
    batches = Batches(state.task.n_cells, run.config.n_batch(state.task.n_cells), run.seed, blocks=run.blocks)
    require_enough_cells(batches.batch_size, run.processes)
    every = max(1, run.n_steps // run.config.n_validations)
    saved = time.monotonic()
    stopped = False
    learner = learning(state, run.processes)
    products = batches.batch_size * sum(weight.numel() for weight in state.parameters)
    with (
        Progress(run.stage, run.n_steps * batches.batch_size, enabled=run.progress) as bar,
        _held_back() as pressed,
        _few_threads(products),
    ):
        bar.advance(state.step * batches.batch_size)
        try:
            while state.step < run.n_steps and state.stale < run.config.patience and not stopped:
                due = run.checkpoint is not None and time.monotonic() - saved > _CHECKPOINT_SECONDS
                loss, stopped, due = _take_step(learner, batches, run, pressed=pressed, due=due)
                if state.step % every == 0 or state.step == run.n_steps:
                    learner.collect()
                    state.judge(loss, processes=run.processes)
                    _require_finite(state.history[-1][-1], "validation loss", run=run, step=state.step)
                bar.advance(batches.batch_size, note=f"loss {loss:,.2f}, validation {state.best_loss:,.2f}")
                if run.checkpoint and due:
                    learner.collect()
                    run.checkpoint(state)
                    saved = time.monotonic()
            stopped = run.processes.total(stopped or bool(pressed)) > 0
        except KeyboardInterrupt:
            stopped = True
        learner.collect()
        if stopped and run.checkpoint:
            run.checkpoint(state)
    state.settle()
    return stopped


def _take_step(learner: Learner, batches: Batches, run: Run, *, pressed: Sequence[int], due: bool) -> Summed:
    """Change the weights once; returns the loss, whether Ctrl-C was pressed, and whether the state shall be saved."""
    state = learner.state
    progress = state.step / run.n_steps
    warm = min(1.0, (state.step + 1) / _WARM_UP_STEPS) * 0.5 * (1 + math.cos(math.pi * progress))
    for group in learner.optimiser.param_groups:
        awake = 1.0 if not group["begin"] else min(1.0, max(0.0, (progress - group["begin"]) / _WAKE_UP))
        group["lr"] = run.config.learning_rate * group["rate"] * warm * awake
    n_cells, part = batches.batch_size, run.processes.part
    cells = np.sort(batches.at(state.step))[step_rows(n_cells, part)]  # sorted: a process needs a part of a buffer
    draws = step_draws(n_cells, part, seed=run.seed, stage=run.stage, step=state.step)
    loss = state.task.loss(cells, draws, progress=progress) * (len(cells) / n_cells)
    for weight in state.parameters:  # `zero_grad` of the optimiser takes ten times as long
        weight.grad = None
    loss.backward()  # type: ignore[no-untyped-call]
    summed = learner.add_up(float(loss.detach()), stop=bool(pressed), save=due)
    _require_finite(summed.loss, "loss", run=run, step=state.step)
    learner.update()
    state.step += 1
    return summed


def _require_finite(value: float, term: str, *, run: Run, step: int) -> None:
    if not math.isfinite(value):
        msg = f"The {term} of stage {run.stage!r} is {value} at step {step}; expected a finite number."
        raise TrainingError(msg + " Lower `learning_rate`, or look for extreme counts in the data.")


@contextmanager
def _few_threads(n_products: int) -> Iterator[None]:
    """Use as many threads as a step of so many products keeps busy: with more it takes longer, not less."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, _MOST_THREADS, n_products // _PRODUCTS_A_THREAD)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _held_back() -> Iterator[list[int]]:
    """Hold Ctrl-C back until a step is done everywhere, so that no saved state is in the middle of one."""
    pressed: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)

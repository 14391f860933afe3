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

from scdiffuse._core.compiled import COMPILES
from scdiffuse._core.errors import UserError
from scdiffuse._core.processes import ALONE, Processes
from scdiffuse._core.progress import Progress
from scdiffuse.cells import Batches, Blocks
from scdiffuse.train._config import TrainConfig
from scdiffuse.train._slices import require_enough_cells, step_draws, step_rows
from scdiffuse.train._state import TrainState
from scdiffuse.train._updater import ReducedStep, WeightUpdater

__all__ = ["Run", "TrainingError", "train"]

_CHECKPOINT_SECONDS = 20.0
_PRODUCTS_A_THREAD = 1 << 26  # of a weight and a cell; with fewer, threads wait for each other longer than they work
_MOST_THREADS = 8
_THREADS_LOCK = threading.Lock()
_threads_before: list[int] = []


class TrainingError(UserError, RuntimeError):
    """The loss is not finite: the learning rate is too high, or counts are extreme."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One stage of a fit."""

    stage: str
    """Name of the stage and of its random streams."""
    config: TrainConfig
    n_steps: int
    seed: int
    blocks: Blocks | None = None
    """How cells on disk are shuffled in blocks; `None` shuffles all cells."""
    progress: bool = True
    checkpoint: Callable[[TrainState], None] | None = None
    """Called from time to time with the state."""
    processes: Processes = ALONE
    """The processes that share the steps."""


def train(state: TrainState, run: Run) -> bool:
    """Train until the steps are done or validation stops improving, then keep the best averaged weights.

    Noise and cells of a step depend on the seed and the step only, so a run resumed from a checkpoint equals an
    uninterrupted one. Each of several processes computes a part of every step and of every validation, and all hold the
    same weights; the number of processes changes rounding only.

    Parameters
    ----------
    state
        State to start from, changed in place.
    run
        The stage.

    Returns
    -------
    Whether the user stopped the run with Ctrl-C; the best weights so far are loaded then too.

    Raises
    ------
    TrainingError
        The training or validation loss is not finite; the message names the stage and the step.
    SettingError
        There are more processes than a step can be divided among.
    LostProcessError
        One of the processes has ended.
    """
    batches = Batches(state.task.n_cells, run.config.n_batch(state.task.n_cells), run.seed, blocks=run.blocks)
    require_enough_cells(batches.batch_size, run.processes)
    every = max(1, run.n_steps // run.config.n_validations)
    saved = time.monotonic()
    stopped = False
    updater = WeightUpdater(state, run.processes)
    products = batches.batch_size * sum(weight.numel() for weight in state.parameters)
    with (
        Progress(run.stage, run.n_steps * batches.batch_size, enabled=run.progress, waiting=COMPILES) as bar,
        _deferred_interrupt() as pressed,
        _limited_threads(products),
    ):
        bar.advance(state.step * batches.batch_size)
        try:
            while state.step < run.n_steps and state.stale < run.config.patience and not stopped:
                due = run.checkpoint is not None and time.monotonic() - saved > _CHECKPOINT_SECONDS
                loss, stopped, due = _take_step(updater, batches, run, pressed=pressed, due=due)
                if state.step % every == 0 or state.step == run.n_steps:
                    state.validate(loss, processes=run.processes)
                    _require_finite(state.history[-1][-1], "validation loss", run=run, step=state.step)
                measured = state.history[-1][-1] if state.history else math.nan
                bar.advance(
                    batches.batch_size,
                    note=f"loss {loss:,.2f}, validation {state.best_loss:,.2f}",
                    values={"step": state.step, "training_loss": loss, "validation_loss": measured},
                )
                if run.checkpoint and due:
                    run.checkpoint(state)
                    saved = time.monotonic()
            stopped = run.processes.total(stopped or bool(pressed)) > 0
        except KeyboardInterrupt:
            stopped = True
        if stopped and run.checkpoint:
            run.checkpoint(state)
    state.load_best()
    return stopped


def _take_step(updater: WeightUpdater, batches: Batches, run: Run, *, pressed: Sequence[int], due: bool) -> ReducedStep:
    """Update the weights once; returns loss, Ctrl-C and request to save of all processes."""
    state = updater.state
    config, progress = run.config, state.step / run.n_steps
    warm = min(1.0, (state.step + 1) / config.warm_up_steps) * 0.5 * (1 + math.cos(math.pi * progress))
    for group in state.optimiser.param_groups:
        late = 1.0 if not group["begin"] else min(1.0, max(0.0, (progress - group["begin"]) / config.late_warm_up))
        group["lr"] = config.learning_rate * group["rate"] * warm * late
    n_cells, part = batches.batch_size, run.processes.part
    cells = np.sort(batches.at(state.step))[step_rows(n_cells, part)]  # sorted: a process reads a part of a buffer
    draws = step_draws(n_cells, part, seed=run.seed, stage=run.stage, step=state.step)
    loss = state.task.loss(cells, draws, progress=progress) * (len(cells) / n_cells)
    for weight in state.parameters:  # `zero_grad` of the optimiser takes ten times as long
        weight.grad = None
    loss.backward()  # type: ignore[no-untyped-call]
    reduced = updater.reduce(float(loss.detach()), stop=bool(pressed), save=due)
    _require_finite(reduced.loss, "loss", run=run, step=state.step)
    updater.update()
    state.step += 1
    return reduced


def _require_finite(value: float, term: str, *, run: Run, step: int) -> None:
    if not math.isfinite(value):
        msg = f"The {term} of stage {run.stage!r} is {value} at step {step}; expected a finite number."
        raise TrainingError(msg + " Lower `learning_rate`, or look for extreme counts in the data.")


@contextmanager
def _limited_threads(n_products: int) -> Iterator[None]:
    """Use as many threads as a step of so many products keeps busy; more threads are slower."""
    with _THREADS_LOCK:  # of fits in several threads, only the first sees how many there were
        _threads_before.append(_threads_before[-1] if _threads_before else torch.get_num_threads())
        before = _threads_before[-1]
    torch.set_num_threads(max(1, min(before, _MOST_THREADS, n_products // _PRODUCTS_A_THREAD)))
    try:
        yield
    finally:
        with _THREADS_LOCK:
            _threads_before.pop()
        torch.set_num_threads(before)


@contextmanager
def _deferred_interrupt() -> Iterator[list[int]]:
    """Defer Ctrl-C until a step is done in all processes, so that no state is saved in the middle of a step."""
    pressed: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)

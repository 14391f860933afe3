"""The one training loop."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from scdiffusion._core.progress import Progress
from scdiffusion._core.random import generator
from scdiffusion.cells import Batches, Blocks
from scdiffusion.train._config import TrainConfig
from scdiffusion.train._state import TrainState

__all__ = ["Run", "TrainingError", "train"]

_WARM_UP_STEPS = 50
_WAKE_UP = 0.15  # share of the steps over which a group that begins late comes to its rate
_CHECKPOINT_SECONDS = 20.0


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


def train(state: TrainState, run: Run) -> bool:
    """Train until the steps are done or validation stops improving, then keep the best averaged weights.

    The noise and the cells of a step depend on the seed and the step alone, so a run that goes on from a checkpoint is
    the run that was never interrupted.

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
    """
    batches = Batches(state.task.n_cells, run.config.n_batch(state.task.n_cells), run.seed, blocks=run.blocks)
    every = max(1, run.n_steps // run.config.n_validations)
    saved = time.monotonic()
    stopped = False
    with Progress(run.stage, run.n_steps * batches.batch_size, enabled=run.progress) as bar:
        bar.advance(state.step * batches.batch_size)
        try:
            while state.step < run.n_steps and state.stale < run.config.patience:
                with _uninterrupted():
                    loss = _take_step(state, batches, run)
                    if state.step % every == 0 or state.step == run.n_steps:
                        state.judge(loss)
                        _require_finite(state.history[-1][-1], "validation loss", run=run, step=state.step)
                bar.advance(batches.batch_size, note=f"loss {loss:,.2f}, validation {state.best_loss:,.2f}")
                if run.checkpoint and time.monotonic() - saved > _CHECKPOINT_SECONDS:
                    run.checkpoint(state)
                    saved = time.monotonic()
        except KeyboardInterrupt:
            stopped = True
            if run.checkpoint:
                run.checkpoint(state)
    state.settle()
    return stopped


def _take_step(state: TrainState, batches: Batches, run: Run) -> float:
    """Change the weights once; returns the loss."""
    progress = state.step / run.n_steps
    warm = min(1.0, (state.step + 1) / _WARM_UP_STEPS) * 0.5 * (1 + math.cos(math.pi * progress))
    for group in state.optimiser.param_groups:
        awake = 1.0 if not group["begin"] else min(1.0, max(0.0, (progress - group["begin"]) / _WAKE_UP))
        group["lr"] = run.config.learning_rate * group["rate"] * warm * awake
    rng = generator(run.seed, run.stage, "noise", state.step)
    loss = state.task.loss(batches.at(state.step), rng, progress=progress)
    value = float(loss.detach())
    _require_finite(value, "loss", run=run, step=state.step)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    state.optimiser.step()
    state.average.update()
    state.step += 1
    return value


def _require_finite(value: float, term: str, *, run: Run, step: int) -> None:
    if not math.isfinite(value):
        msg = f"The {term} of stage {run.stage!r} is {value} at step {step}; expected a finite number."
        raise TrainingError(msg + " Lower `learning_rate`, or look for extreme counts in the data.")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until the block is done, so that no saved state is in the middle of a step."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
    if pressed:
        signal.raise_signal(signal.SIGINT)

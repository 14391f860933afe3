"""A clock around the steps of a fit."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from scdiffusion.cells import Batches
    from scdiffusion.train import Run
    from scdiffusion.train._learner import Learner, Summed


class Steps(NamedTuple):
    """The steps of a stage."""

    n_cells: int
    """Cells of each."""
    seconds: list[float]


@contextmanager
def clocked(clock: Callable[[], float] = time.perf_counter) -> Iterator[dict[str, Steps]]:
    """Time each step of the fits in this block, by stage.

    Parameters
    ----------
    clock
        Tells the time in seconds.
    """
    import scdiffusion.train._loop as loop

    taken: dict[str, Steps] = {}
    take_step = loop._take_step

    def timed(learner: Learner, batches: Batches, run: Run, *, pressed: Sequence[int], due: bool) -> Summed:
        begin = clock()
        summed = take_step(learner, batches, run, pressed=pressed, due=due)
        taken.setdefault(run.stage, Steps(batches.batch_size, [])).seconds.append(clock() - begin)
        return summed

    loop._take_step = timed
    try:
        yield taken
    finally:
        loop._take_step = take_step

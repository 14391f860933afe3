"""A progress bar for tasks that take longer than two seconds."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

__all__ = ["Progress"]

_SHOW_AFTER_SECONDS = 2.0


class Progress:
    """Show the progress of a loop, its speed and the remaining time.

    The bar appears after two seconds, so that quick tasks stay quiet. The bar is written to standard error.

    Parameters
    ----------
    description
        Name of the task, for example ``"generate"``.
    total
        Number of units; ``None`` if unknown.
    unit
        Name of the units.
    enabled
        Whether to show the bar.

    Examples
    --------
    >>> with Progress("generate", 100, enabled=False) as bar:
    ...     bar.advance(100, note="done")
    """

    def __init__(
        self, description: str, total: int | None = None, *, unit: str = "cells", enabled: bool = True
    ) -> None:
        self._description = description
        self._total = total
        self._unit = unit
        self._enabled = enabled
        self._done = 0
        self._begin = time.monotonic()
        self._display: RichProgress | None = None

    def __enter__(self) -> Self:
        """Start the clock."""
        self._begin = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the bar; its last state stays on the screen."""
        if self._display is not None:
            self._display.stop()

    def advance(self, n: int = 1, *, note: str = "") -> None:
        """Count finished units.

        Parameters
        ----------
        n
            Units finished since the last call.
        note
            A few words beside the bar, such as the current loss.
        """
        self._done += n
        seconds = time.monotonic() - self._begin
        if not self._enabled or (self._display is None and seconds < _SHOW_AFTER_SECONDS):
            return
        if self._display is None:
            self._display = self._open()
        rate = f"{self._done / max(seconds, 1e-9):,.0f} {self._unit}/s"
        self._display.update(self._display.task_ids[0], completed=self._done, rate=rate, note=note)

    def _open(self) -> RichProgress:
        """Build the rich display; the import takes a tenth of a second."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        display = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            refresh_per_second=4,
        )
        display.add_task(self._description, total=self._total, rate="", note="")
        display.start()
        return display

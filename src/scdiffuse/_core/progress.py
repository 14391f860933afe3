"""A progress bar for tasks that take longer than two seconds, and progress for programs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from html import escape
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypeAlias

from scdiffuse._core.processes import is_main_process

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Listener", "Progress", "ProgressEvent", "is_progress_log", "listening", "logging_progress"]

_NO_VALUES: Mapping[str, float] = MappingProxyType({})
_SHOW_AFTER_SECONDS = 2.0
_SHOW_WAITING_AFTER_SECONDS = 2.5  # a bar without a finished unit
_SECONDS_BETWEEN = 0.25  # redraws of a notebook
_SECONDS_BETWEEN_LINES = 0.5


class ProgressEvent(NamedTuple):
    """How far a task is, for programs."""

    task: str
    done: int
    total: int | None
    note: str
    values: Mapping[str, float]
    """Numbers of this moment, such as ``training_loss`` and ``validation_loss``."""


Listener: TypeAlias = Callable[[ProgressEvent], None]
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Hear of the progress of every task that this thread runs, shown or not.

    Parameters
    ----------
    listener
        Called whenever units are finished, often. What it raises ends the task.

    Examples
    --------
    >>> with listening(lambda event: print(event.task, event.done, event.total)):
    ...     with Progress("fit", 3, enabled=False) as bar:
    ...         bar.advance(2)
    fit 2 3
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def logging_progress(path: Path | None) -> Iterator[None]:
    """Write the progress of every task of this thread to a file, one JSON object a line.

    At most two lines a second are written for a task, and one whenever a validation loss is new. Of several processes
    that share the tasks, the one that writes messages writes them.

    Parameters
    ----------
    path
        The file; lines are added to what is there. Nothing happens without one.
    """
    if path is None or not is_main_process():
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    last: dict[str, tuple[float, float | None]] = {}
    with path.open("a", encoding="utf-8") as file:

        def write(event: ProgressEvent) -> None:
            now, validation = time.monotonic(), event.values.get("validation_loss")
            validation = None if validation is None or validation != validation else validation  # noqa: PLR0124 - NaN
            at, before = last.get(event.task, (-1.0, None))
            if now - at < _SECONDS_BETWEEN_LINES and validation == before and event.done != event.total:
                return
            last[event.task] = (now, validation)
            numbers = {name: value for name, value in event.values.items() if value == value}  # noqa: PLR0124 - NaN
            line = {"task": event.task, "done": event.done, "total": event.total, "note": event.note} | numbers
            file.write(json.dumps(line) + "\n")
            file.flush()

        with listening(write):
            yield


def is_progress_log(path: Path) -> bool:
    """Return whether a file is empty or begins as those that `logging_progress` writes."""
    begin = b'{"task": '
    with path.open("rb") as file:
        return file.read(len(begin)) in {b"", begin}


class Progress:
    """Show the progress of a loop, its speed and the remaining time.

    The bar appears after two seconds, so that quick tasks stay quiet, whether units are finished by then or not. A
    terminal shows it on standard error, a notebook below the cell, where it is one element that changes; no widgets are
    needed.

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
    waiting
        A few words beside the bar until the first unit is finished.

    Examples
    --------
    >>> with Progress("generate", 100, enabled=False) as bar:
    ...     bar.advance(100, note="done")
    """

    def __init__(
        self,
        description: str,
        total: int | None = None,
        *,
        unit: str = "cells",
        enabled: bool = True,
        waiting: str = "",
    ) -> None:
        self._description = description
        self._total = total
        self._unit = unit
        self._enabled = enabled
        self._done = 0
        self._begin = time.monotonic()
        self._display: _Display | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(_SHOW_WAITING_AFTER_SECONDS, self._show, kwargs={"note": waiting})
        self._timer.daemon = True

    def __enter__(self) -> Self:
        """Start the clock."""
        self._begin = time.monotonic()
        if self._enabled:
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the bar; its last state stays on the screen."""
        self._timer.cancel()
        with self._lock:
            self._enabled = False
            if self._display is not None:
                self._display.stop()

    def advance(self, n: int = 1, *, note: str = "", values: Mapping[str, float] = _NO_VALUES) -> None:
        """Count finished units.

        Parameters
        ----------
        n
            Units finished since the last call.
        note
            A few words beside the bar, such as the current loss.
        values
            Numbers for who listens.
        """
        self._done += n
        listener = _listener.get()
        if listener is not None:
            listener(ProgressEvent(self._description, self._done, self._total, note, values))
        if self._display is not None or time.monotonic() - self._begin >= _SHOW_AFTER_SECONDS:
            self._timer.cancel()
            self._show(note=note)

    def _show(self, *, note: str) -> None:
        with self._lock:
            if not self._enabled:
                return
            if self._display is None:
                self._display = _open(self._description, self._total)
            rate = self._done / max(time.monotonic() - self._begin, 1e-9)
            self._display.show(self._done, rate=rate, unit=self._unit, note=note)


class _Display(Protocol):
    """A place that shows one bar."""

    def show(self, done: int, *, rate: float, unit: str, note: str) -> None:
        """Show the current state."""

    def stop(self) -> None:
        """Leave the last state where it is."""


def _open(description: str, total: int | None) -> _Display:
    """Choose where to show the bar; the import takes a tenth of a second."""
    from rich.console import Console

    console = Console(stderr=True)
    return _Notebook(description, total) if console.is_jupyter else _Terminal(description, total, console)


class _Terminal:
    """A bar of rich on standard error."""

    def __init__(self, description: str, total: int | None, console: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            refresh_per_second=4,
        )
        self._task = self._bar.add_task(description, total=total, rate="", note="")
        self._bar.start()

    def show(self, done: int, *, rate: float, unit: str, note: str) -> None:
        self._bar.update(self._task, completed=done, rate=f"{rate:,.0f} {unit}/s", note=note)

    def stop(self) -> None:
        self._bar.stop()


class _Notebook:
    """One HTML element below the cell of a notebook, changed in place; rich would need ipywidgets for that."""

    def __init__(self, description: str, total: int | None) -> None:
        self._description = description
        self._total = total
        self._handle: Any = None
        self._latest: dict[str, str] = {}
        self._shown_at = 0.0

    def show(self, done: int, *, rate: float, unit: str, note: str) -> None:
        known = self._total is not None
        text = f"{self._description} {done:,}{f'/{self._total:,}' if known else ''}, {rate:,.0f} {unit}/s"
        if self._total is not None and 0 < done < self._total:
            minutes, seconds = divmod(round((self._total - done) / max(rate, 1e-9)), 60)
            text += f", {minutes}:{seconds:02} left"
        text += f", {note}" if note else ""
        extent = f' value="{done}" max="{max(self._total or 1, 1)}"' if known else ""
        bar = f'<progress{extent} style="vertical-align:middle"></progress>'
        self._latest = {"text/html": f"<div>{bar} {escape(text)}</div>", "text/plain": text}
        if time.monotonic() - self._shown_at >= _SECONDS_BETWEEN:
            self._draw()

    def stop(self) -> None:
        if self._latest:
            self._draw()

    def _draw(self) -> None:
        from IPython import display

        if self._handle is None:
            show: Callable[..., Any] = display.display
            self._handle = show(self._latest, raw=True, display_id=True)
        else:
            self._handle.update(self._latest, raw=True)
        self._latest, self._shown_at = {}, time.monotonic()

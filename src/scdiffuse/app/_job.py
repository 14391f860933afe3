"""A job: what is asked for, how far it is, and the folder that keeps both."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from scdiffuse._core.progress import ProgressEvent
from scdiffuse.app._lines import Lines
from scdiffuse.app._saved import read_json, write_json

__all__ = ["CancelledError", "Job", "JobState"]

JobState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
_FILE = "job.json"
_LAST_LINES = 20
_SAVED = ("id", "kind", "title", "state", "created", "started", "ended", "error", "result", "body")


class CancelledError(Exception):
    """The user cancels a job."""


@dataclass(kw_only=True)
class Job:
    """One piece of work."""

    id: str
    kind: str
    title: str
    folder: Path
    body: dict[str, Any]
    """What was asked for."""
    state: JobState = "queued"
    created: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    progress: dict[str, Any] | None = None
    losses: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    error: str | None = None
    result: dict[str, Any] | None = None
    lines: Lines = field(default_factory=Lines)
    cancel: threading.Event = field(default_factory=threading.Event)

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens unless someone asks for it."""
        return self.state not in {"queued", "running"}

    @property
    def is_resumable(self) -> bool:
        """Whether a fit can go on from what it has saved."""
        return self.kind == "fit" and self.state in {"cancelled", "interrupted", "failed"}

    def to_json(self) -> dict[str, Any]:
        """Return what the page sees."""
        return {
            "id": self.id,
            "kind": self.kind,
            "title": self.title,
            "state": self.state,
            "created": self.created,
            "started": self.started,
            "ended": self.ended,
            "progress": self.progress,
            "losses": self.losses,
            "log": self.log,
            "error": self.error,
            "result": self.result,
            "resumable": self.is_resumable,
            **self.lines.to_json(),
        }

    def end(self, state: JobState) -> None:
        """Keep that the job is over, and then show it: who sees the end finds it kept."""
        self.ended = time.time()
        self.save(state)
        self.state = state

    def save(self, state: JobState | None = None) -> None:
        """Keep the state in the folder, or another that is about to be shown."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tree = {name: getattr(self, name) for name in _SAVED} | {"lines": self.lines.to_json()}
        tree["state"] = state or self.state
        write_json(self.folder / _FILE, tree)

    @classmethod
    def read(cls, folder: Path) -> Job | None:
        """Read a job from its folder; `None` where there is none."""
        try:
            tree = read_json(folder / _FILE)
            job = cls(folder=folder, lines=Lines.from_json(tree["lines"]), **{name: tree[name] for name in _SAVED})
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return job

    def hear(self, event: ProgressEvent | Mapping[str, Any]) -> None:
        """Take in how far a task is.

        Parameters
        ----------
        event
            From a task of this process, or a line of the log of another.
        """
        if isinstance(event, ProgressEvent):
            plain: Mapping[str, Any] = event._asdict() | dict(event.values)
        else:
            plain = event
        task = str(plain["task"])
        self.progress = {"task": task, "done": plain["done"], "total": plain["total"], "text": plain.get("note", "")}
        if "step" in plain and "validation_loss" in plain:
            point = (float(plain["step"]), float(plain["training_loss"]), float(plain["validation_loss"]))
            curve = self.losses.setdefault(task, [])
            if not curve or curve[-1][2] != point[2]:
                if curve and curve[-1][0] >= point[0]:  # the fit went on from an earlier state
                    curve[:] = [one for one in curve if one[0] < point[0]]
                curve.append(point)

    def say(self, text: str) -> None:
        """Add lines to those that the page shows."""
        self.log = [*self.log, *(line for line in text.splitlines() if line.strip())][-_LAST_LINES:]

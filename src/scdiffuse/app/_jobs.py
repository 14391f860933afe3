"""The queue: one heavy job and one light job at a time, and what becomes of jobs when the server ends."""

from __future__ import annotations

import itertools
import re
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from scdiffuse._core.errors import UserError
from scdiffuse._core.progress import ProgressEvent, listening
from scdiffuse.app._errors import RefusedError
from scdiffuse.app._job import CancelledError, Job, JobState
from scdiffuse.app._runner import EXIT, STOP, is_running

__all__ = ["JobQueue", "Lane", "Work"]

Lane = Literal["heavy", "light"]
MAX_QUEUE = 20
_SECONDS_BETWEEN_NOTES = 0.25
_MOST_KEPT = 200


class Work(NamedTuple):
    """How jobs of a kind are done."""

    lane: Lane
    run: Callable[[Job], dict[str, Any]]
    """Does the job and returns its result."""


class JobQueue:
    """Runs jobs in the order that they came, in two lanes, and keeps each in a folder.

    Parameters
    ----------
    folder
        Folder of the folders of jobs; what is there is taken over.
    works
        How each kind of job is done.
    changed
        Called whenever the page should look at a job again.
    """

    def __init__(self, folder: Path, works: Mapping[str, Work], *, changed: Callable[[Job], None]) -> None:
        self._folder = folder
        self._works = works
        self._changed = changed
        self._lock = threading.Condition()
        self._waiting: dict[Lane, deque[Job]] = {"heavy": deque(), "light": deque()}
        self.jobs: dict[str, Job] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._closed = False
        self._take_over()
        used = [int(one.name[1:]) for one in folder.iterdir() if re.fullmatch(r"j\d+", one.name)]  # readable or not
        self._numbers = itertools.count(1 + max(used, default=0))

    def start(self) -> None:
        """Begin to work."""
        for lane in self._waiting:
            threading.Thread(target=self._work, args=(lane,), daemon=True, name=f"jobs-{lane}").start()

    def close(self) -> None:
        """End the lanes; fits that run as processes go on."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()

    @property
    def is_closed(self) -> bool:
        """Whether the server ends."""
        return self._closed

    def add(self, kind: str, *, title: str, body: dict[str, Any]) -> Job:
        """Queue a job.

        Parameters
        ----------
        kind
            What is to be done.
        title
            What the page calls it.
        body
            What is asked for, checked.

        Raises
        ------
        RefusedError
            The queue is full.
        """
        with self._lock:
            waiting = self._waiting[self._works[kind].lane]
            if len(waiting) >= MAX_QUEUE:
                raise RefusedError(429, f"{MAX_QUEUE} jobs wait already. Cancel some, or wait until they are done.")
            name = f"j{next(self._numbers)}"
            job = Job(id=name, kind=kind, title=title, body=body, folder=self._folder / name)
            job.save()
            self.jobs[name] = job
            waiting.append(job)
            self._forget_old()
            self._lock.notify_all()
        self._changed(job)
        return job

    def get(self, name: str) -> Job:
        """Return a job.

        Raises
        ------
        RefusedError
            There is none of this name.
        """
        if name not in self.jobs:
            raise RefusedError(404, f"There is no job {name!r}.")
        return self.jobs[name]

    def cancel(self, name: str) -> Job:
        """Cancel a job: at once if it waits, as soon as it can if it runs."""
        job = self.get(name)
        with self._lock:
            if job.state == "queued":
                self._waiting[self._works[job.kind].lane].remove(job)
                job.end("cancelled")
            elif job.state == "running":
                job.cancel.set()
                (job.folder / STOP).touch()
        self._changed(job)
        return job

    def resume(self, name: str) -> Job:
        """Queue a fit again; it goes on from what it has saved."""
        with self._lock:  # two requests at once queue it once
            job = self.get(name)
            if not job.is_resumable:
                msg = f"Job {name!r} is {job.state}; expected a fit that was stopped. Start a new one."
                raise RefusedError(422, msg)
            for left in (STOP, EXIT):
                (job.folder / left).unlink(missing_ok=True)
            job.cancel.clear()
            job.state, job.error, job.ended = "queued", None, None
            job.save()
            self._waiting["heavy"].append(job)
            self._lock.notify_all()
        self._changed(job)
        return job

    def _take_over(self) -> None:
        """Read the jobs of a server that ended: fits that still run are followed, others are interrupted."""
        found = [job for one in self._folder.iterdir() if one.is_dir() and (job := Job.read(one)) is not None]
        for job in sorted(found, key=lambda job: int(job.id[1:])):
            self.jobs[job.id] = job
            if job.is_over:
                continue
            if job.kind == "fit" and ((job.folder / EXIT).is_file() or is_running(job.folder)):
                job.state = "queued"
                self._waiting["heavy"].append(job)
            else:
                job.error = "The server ended before the job was done."
                job.end("interrupted")

    def _forget_old(self) -> None:
        """Keep the number of jobs bounded; their folders stay."""
        over = [name for name, job in self.jobs.items() if job.is_over]
        for name in over[: max(0, len(self.jobs) - _MOST_KEPT)]:
            del self.jobs[name]

    def _work(self, lane: Lane) -> None:
        """Do the jobs of a lane one after the other."""
        waiting = self._waiting[lane]
        while True:
            with self._lock:
                while not waiting and not self._closed:
                    self._lock.wait()
                if self._closed:
                    return
                job = waiting.popleft()
                job.state, job.started = "running", job.started or time.time()
            self._do(job)

    def _do(self, job: Job) -> None:
        job.save()
        self._changed(job)
        noted = 0.0

        def hear(event: ProgressEvent) -> None:
            nonlocal noted
            if job.cancel.is_set():
                raise CancelledError
            job.hear(event)
            if time.monotonic() - noted > _SECONDS_BETWEEN_NOTES:
                noted = time.monotonic()
                self._changed(job)

        state: JobState = "failed"
        try:
            with listening(hear):
                job.result = self._works[job.kind].run(job)
            state = "done"
        except CancelledError:
            state = "cancelled"
        except UserError as error:
            job.error = str(error)
        except Exception as error:  # noqa: BLE001 - a fault of one job ends that job only
            job.error = f"A fault of scdiffuse: {error!r}. The terminal shows where."
            traceback.print_exc()
        if self._closed and state != "done":
            return  # a fit that goes on without the server
        job.end(state)
        self._changed(job)

"""The app as one object: session, maps and queue, and which function does which kind of job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scdiffuse.app import _bodies as read
from scdiffuse.app._asking import check_asking, generate
from scdiffuse.app._errors import RefusedError
from scdiffuse.app._evaluation import check_evaluation, evaluate_cells
from scdiffuse.app._fit_work import Follow, check_fit, finish_fit, fit
from scdiffuse.app._job import Job
from scdiffuse.app._jobs import JobQueue, Work
from scdiffuse.app._maps import Maps
from scdiffuse.app._session import Limits, Session
from scdiffuse.app._what_if import augment, predict, trajectory

__all__ = ["App"]


class App:
    """Everything that the addresses work with.

    Parameters
    ----------
    folder
        Folder for uploads, jobs, and the state of the session.
    paths
        Files and folders that may be read.
    limits
        What the session may take up.
    """

    def __init__(self, folder: Path, paths: list[Path], *, limits: Limits | None = None) -> None:
        self.session = Session(folder, paths, limits=limits)
        self.maps = Maps(self.session)
        works = {
            "fit": Work("heavy", self._fit),
            "evaluate": Work("heavy", lambda job: evaluate_cells(self.session, job)),
            "generate": Work("light", lambda job: generate(self.session, job)),
            "predict": Work("light", lambda job: predict(self.session, job)),
            "trajectory": Work("light", lambda job: trajectory(self.session, job)),
            "augment": Work("light", lambda job: augment(self.session, job)),
        }
        self.queue = JobQueue(self.session.folder / "jobs", works, changed=self._changed)
        self.queue.start()

    def close(self) -> None:
        """End all threads; fits go on by themselves."""
        self.queue.close()
        self.maps.close()
        self.session.close()

    def add_job(self, body: read.Body) -> Job:
        """Check a request and queue it.

        Parameters
        ----------
        body
            ``kind``, and what a job of this kind needs.
        """
        kind, asked = read.text(body, "kind"), dict(body)
        if kind != "evaluate":
            self.session.require_room()
        if kind == "fit":
            title = check_fit(self.session, body)
            asked["source"] = self.session.get_cells(body["cells"]).source
        elif kind == "evaluate":
            title = check_evaluation(self.session, body)
        elif kind in {"generate", "predict", "trajectory", "augment"}:
            title = check_asking(self.session, kind, body)
        else:
            raise RefusedError(
                422, f"`kind` is {kind!r}; expected fit, evaluate, generate, predict, trajectory or augment."
            )
        return self.queue.add(kind, title=title, body=asked)

    def describe(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return what a page sees of a thing that has changed; `None` where it is gone."""
        if kind == "job":
            job = self.queue.jobs.get(name)
            return job.to_json() if job else None
        if kind == "cells":
            cells = self.session.cells.get(name)
            return cells.to_json() if cells else {"id": name, "state": "removed"}
        if kind == "model":
            entry = self.session.models.get(name)
            return entry.to_json() if entry else None
        return self.maps.describe(name) if name in self.session.cells else None

    def _changed(self, job: Job) -> None:
        self.session.changes.note("job", job.id)

    def _fit(self, job: Job) -> dict[str, Any]:
        """Fit, open the model, and queue its evaluation."""
        fit(self.session, job, Follow(self._changed, lambda: self.queue.is_closed))
        found = finish_fit(self.session, job)
        if found["held_out"] is not None and "evaluate" not in found:
            names = read.texts(job.body, "conditions")
            body = {"kind": "evaluate", "real": found["held_out"], "model": found["model"]}
            body |= {"by": names[0] if names else None, "seed": job.body.get("seed") or 0}
            found["evaluate"] = self.queue.add(
                "evaluate", title=f"Evaluate {job.title.removeprefix('Fit ')}", body=body
            ).id
        return found

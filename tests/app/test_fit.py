"""Fits as processes: followed, stopped, resumed, and found again by the next server."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anndata as ad
import pytest
from tests.app.conftest import Client, connect

from scdiffuse import evaluation
from scdiffuse._core.errors import UserError
from scdiffuse.app._errors import RefusedError
from scdiffuse.app._fit_work import Follow, check_fit, fit
from scdiffuse.app._job import Job
from scdiffuse.app._jobs import JobQueue, Work
from scdiffuse.app._runner import COMMANDS, EXIT, LOG, STOP, is_running, run_commands
from scdiffuse.app._works import App

FIT = {"kind": "fit", "conditions": ["cell_type"], "hold_out": 0.6, "seed": 1}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


@pytest.fixture
def opened(data: Path, work: Path) -> Iterator[Client]:
    app = App(work, [data])
    with connect(app) as http:
        held = Client(app, http)
        held.open("data/cells.h5ad")
        yield held


def _until_it_learns(client: Client, name: str) -> Any:
    found = client.until(lambda: client.get(f"jobs/{name}"), lambda one: one["losses"] or one["ended"])
    assert found["state"] == "running", found
    return found


def test_a_fit_is_stopped_resumed_and_followed_by_the_next_server_to_its_verdict(
    opened: Client, data: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = partial(evaluation.evaluate, metrics=["energy", "invalid_values"], n_seeds=1)
    monkeypatch.setattr(evaluation, "evaluate", few)
    job = opened.post("jobs", {**FIT, "cells": "c1", "max_epochs": 300, "name": "mine"}, status=202)["id"]
    found = _until_it_learns(opened, job)
    assert found["losses"]["autoencoder"]  # what it does now may be the next task already
    assert found["progress"].keys() == {"task", "done", "total", "text"}
    assert found["command"].splitlines()[0].startswith("scdiffuse split")
    assert f"-o {job}_cells --by cell_type" in found["command"]
    assert f"{job}_cells/fit.h5ad -o {job}.scd --condition cell_type --max-epochs 300 --seed 1" in found["command"]
    assert "--log" not in found["command"]
    opened.post(f"jobs/{job}/cancel")
    assert opened.over(job)["state"] == "cancelled"
    assert opened.get(f"jobs/{job}")["resumable"]

    opened.post(f"jobs/{job}/resume")
    opened.until(lambda: None, lambda _: is_running(work / "jobs" / job))
    opened.app.close()  # the tab and the server go, the fit stays
    later = App(work, [data])
    with connect(later) as http:
        client = Client(later, http)
        found = client.over(job)
        assert found["state"] == "done", found
        assert [point[0] for point in found["losses"]["autoencoder"]] == sorted(
            {point[0] for point in found["losses"]["autoencoder"]}
        )
        result = found["result"]
        model = client.ready("models", result["model"])
        assert (model["name"], model["held_out"], model["cells"]) == ("mine", result["held_out"], "c1")
        assert client.ready("cells", result["held_out"])["n_cells"] + model["n_cells"] == 150
        verdict = client.over(result["evaluate"])
        assert verdict["state"] == "done", verdict
        assert [one["name"] for one in verdict["result"]["metrics"]] == ["energy", "invalid_values"]
        assert verdict["result"]["verdicts"][0].keys() == {"group", "title", "level", "mark", "level_text", "text"}
        assert verdict["result"]["overall"]["text"]
        assert not any("may be among" in text for text in verdict["result"]["remarks"])
        report = http.get(f"/{verdict['result']['report']}")
        assert report.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert "<html" in report.text
        assert verdict["command"] == ""  # no command generates under the labels of other cells
        script = client.get("script")["python"]
        for line in (
            f"scd.CellGenerator(parts_{job}.fit, conditions=['cell_type']).fit('{job}.scd'",
            f"{result['model']} = scd.load('{job}.scd')",
            f"{result['held_out']} = parts_{job}.held_out",
            f"train=parts_{job}.fit",
        ):
            assert line in script


def test_a_command_that_fails_says_why(opened: Client, work: Path) -> None:
    folder = work / "jobs" / "j7"
    folder.mkdir(parents=True)
    (folder / EXIT).write_text(json.dumps({"code": 2}))
    (folder / LOG).write_text("Reading cells\nError: There is no such column. Name another.\n")
    job = Job(id="j7", kind="fit", title="Fit", folder=folder, body={"cells": "c1"}, state="running")
    with pytest.raises(UserError, match=r"^There is no such column. Name another.$"):
        fit(opened.app.session, job, Follow(lambda _: None, lambda: False))
    assert job.log[-1].startswith("Error: There is no such column")


def test_a_fit_that_the_system_kills_says_so_and_not_what_the_log_held_before(opened: Client, work: Path) -> None:
    folder = work / "jobs" / "j8"
    folder.mkdir(parents=True)
    job = Job(id="j8", kind="fit", title="Fit", folder=folder, body={"cells": "c1"}, state="running")
    (folder / LOG).write_text("Error: Of an earlier run.\nReading cells\n")
    (folder / EXIT).write_text(json.dumps({"code": -9}))
    with pytest.raises(UserError, match=r"^The system ended the fit, mostly as memory ran out. Resume it"):
        fit(opened.app.session, job, Follow(lambda _: None, lambda: False))
    (folder / LOG).write_text("Reading cells\n")
    (folder / EXIT).write_text(json.dumps({"code": 1}))
    with pytest.raises(UserError, match=r"^The fit ended with exit code 1.$"):
        fit(opened.app.session, job, Follow(lambda _: None, lambda: False))


def test_a_column_with_too_many_labels_to_draw_can_be_fitted(opened: Client, data: Path, simulated: ad.AnnData) -> None:
    cells = simulated.copy()
    cells.obs["clone"] = [f"k{at % 130}" for at in range(cells.n_obs)]
    cells.write_h5ad(data / "clones.h5ad")
    name = opened.open("data/clones.h5ad")["id"]
    assert check_fit(opened.app.session, {"cells": name, "conditions": ["clone"]}) == "Fit clones.h5ad"
    with pytest.raises(RefusedError, match="'clones' is not a column"):
        check_fit(opened.app.session, {"cells": name, "conditions": ["clones"]})


def test_a_process_that_is_killed_leaves_a_job_that_can_be_resumed(opened: Client, work: Path) -> None:
    folder = work / "jobs" / "j1"
    folder.mkdir(parents=True, exist_ok=True)
    job = Job(id="j1", kind="fit", title="Fit", folder=folder, body={"cells": "c1"}, state="running")
    job.save()
    queue = JobQueue(work / "jobs", {"fit": Work("heavy", lambda _: {})}, changed=lambda _: None)
    found = queue.get("j1")
    assert (found.state, found.is_resumable) == ("interrupted", True)
    assert found.error == "The server ended before the job was done."
    assert not is_running(folder)


def test_jobs_outlive_the_server_and_numbers_go_on(work: Path) -> None:
    def run(job: Job) -> dict[str, Any]:
        return {"n": job.body["n"]}

    def start() -> JobQueue:
        queue = JobQueue(work / "jobs", {"count": Work("light", run)}, changed=lambda _: None)
        queue.start()
        return queue

    first = start()
    for n in range(3):
        first.add("count", title=f"Count {n}", body={"n": n})
    _wait(lambda: all(job.is_over for job in first.jobs.values()))
    first.close()
    second = start()
    assert [(job.id, job.state, job.result) for job in second.jobs.values()] == [
        (f"j{n + 1}", "done", {"n": n}) for n in range(3)
    ]
    assert second.add("count", title="Count on", body={"n": 9}).id == "j4"
    second.close()


def test_a_fault_of_a_job_ends_that_job_only(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(job: Job) -> dict[str, Any]:
        if job.body["is_wrong"]:
            raise ZeroDivisionError
        return {}

    queue = JobQueue(work / "jobs", {"divide": Work("light", run)}, changed=lambda _: None)
    queue.start()
    jobs = [queue.add("divide", title="Divide", body={"is_wrong": is_wrong}) for is_wrong in (True, False)]
    _wait(lambda: all(job.is_over for job in jobs))
    queue.close()
    assert [job.state for job in jobs] == ["failed", "done"]
    assert "ZeroDivisionError" in str(jobs[0].error)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_the_runner_ends_at_the_first_command_that_fails(work: Path) -> None:
    work.mkdir()
    (work / COMMANDS).write_text(json.dumps([["inspect", "nowhere.h5ad"], ["--version"]]))
    assert run_commands(work) == 2
    assert json.loads((work / EXIT).read_text()) == {"code": 2}
    assert "does not exist" in (work / "log.txt").read_text()
    assert not (work / STOP).exists()


def test_a_fit_that_hears_no_stop_is_not_forgotten(opened: Client, work: Path) -> None:
    job = opened.post("jobs", {**FIT, "cells": "c1", "hold_out": 0, "max_epochs": 5_000}, status=202)["id"]
    opened.until(lambda: None, lambda _: is_running(work / "jobs" / job))
    pids = [
        int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit() and _belongs(one, work / "jobs" / job)
    ]
    assert pids
    os.killpg(os.getpgid(pids[0]), signal.SIGKILL)  # the runner, and the fit that it may be about to start
    found = opened.over(job)
    assert found["state"] == "failed"
    assert found["error"].startswith("The process of the fit was ended from outside. Resume it")
    assert found["resumable"]


def _belongs(process: Path, folder: Path) -> bool:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(word.startswith(str(folder).encode()) for word in words)


def _wait(is_done: Any) -> None:
    end = time.monotonic() + 30
    while not is_done():
        assert time.monotonic() < end
        time.sleep(0.01)

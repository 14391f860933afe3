"""Commands in several processes: their environment, and their exit code."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import anndata as ad
import pytest

import scdiffuse as scd
from scdiffuse.cli import run
from scdiffuse.cli._launch import _environment, _exit_code

TINY = ["autoencoder.n_latent=3", "autoencoder.n_hidden=8", "diffusion.width=8", "diffusion.depth=1"]
WORDS = ["fit", "a.h5ad", "-o", "m"]


@pytest.fixture
def cells(adata: ad.AnnData, tmp_path: Path) -> Path:
    adata.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


def _settings(n_steps: int) -> list[str]:
    stages = ("autoencoder_training", "diffusion_training")
    training = [f"{stage}.{name}" for stage in stages for name in (f"min_steps={n_steps}", "n_validations=2")]
    return [word for setting in [*TINY, *training] for word in ("--set", setting)]


def test_devices_fit_together_and_one_of_them_prints(cells: Path, tmp_path: Path) -> None:
    words = ["fit", str(cells), "-o", str(tmp_path / "model"), "--min-cells", "1", "--no-progress", "--devices", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "scdiffuse", *words, *_settings(4)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Model: ") == 1
    assert not scd.load(tmp_path / "model").was_stopped


def test_a_killed_process_ends_the_command_with_3_and_shows_how_to_continue(cells: Path, tmp_path: Path) -> None:
    words = ["fit", str(cells), "-o", str(tmp_path / "model"), "--min-cells", "1", "--no-progress", "--devices", "2"]
    job = subprocess.Popen(
        [sys.executable, "-m", "scdiffuse", *words, *_settings(50_000)], stderr=subprocess.PIPE, text=True
    )
    _wait_for(lambda: (tmp_path / "model" / "training.safetensors").exists() or job.poll() is not None)
    children = Path(f"/proc/{job.pid}/task/{job.pid}/children")
    if not children.exists():
        job.kill()
        pytest.skip("this system does not list the children of a process")
    os.kill(int(children.read_text().split()[1]), signal.SIGKILL)
    printed = job.communicate(timeout=300)[1]
    assert job.returncode == 3
    assert "Process 1 of 2 was ended by signal 9; expected all processes to finish." in printed
    assert "--devices 2" in printed
    assert "--resume" in printed
    assert scd.load(tmp_path / "model").was_stopped


def _wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not what() and time.monotonic() < end:
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("codes", "first", "expected", "words"),
    [
        ([0, 0], None, 0, ""),
        ([3, -9], 1, 3, "Process 1 of 2 was ended by signal 9"),
        ([3, 3], 0, 3, "Process 0 of 2 lost contact with the others"),
        ([130, 130], 0, 130, ""),
        ([2, 2], 0, 2, ""),
        ([3, 2], 1, 2, "Process 1 of 2: its own error"),
        ([1, -9], 0, 1, ""),
    ],
)
def test_the_first_failure_is_the_exit_code(
    codes: list[int], first: int | None, expected: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs: list[IO[bytes] | None] = [None, io.BytesIO(b"its own error\n")]
    assert _exit_code(codes, first, words=WORDS, outputs=outputs) == expected
    err = capsys.readouterr().err
    assert words in err
    assert bool(err) == bool(words)


def test_threads_are_shared_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(9)), raising=False)
    assert _environment(2)["OMP_NUM_THREADS"] == "4"
    assert _environment(20)["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert _environment(2)["OMP_NUM_THREADS"] == "3"


def test_devices_below_one_and_within_torchrun_are_refused(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", str(cells), "-o", str(tmp_path / "model")]
    assert run([*words, "--devices", "0"]) == 2
    assert "`--devices` must be at least 1, got 0" in capsys.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert run([*words, "--devices", "2"]) == 2
    assert "is given to a process that `torchrun` has started" in capsys.readouterr().err

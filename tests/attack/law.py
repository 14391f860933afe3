"""The one law of every command: it does what was asked, or says which input it refuses, and touches nothing else.

Exit code 0 with a valid output, or 2 with one message that names what was given. Never another code, never a file that
was there changed or a part of one left behind, never control characters on the terminal, never a connection or another
program, never much more time or memory than a valid input of that size takes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import scipy.sparse as sp

from scdiffuse._core.text import one_line
from scdiffuse.cli import run

__all__ = ["Attempt", "Verdict", "judge", "watched"]

MOST_SECONDS = 10.0
"""CPU time of one command; on valid cells of this size each takes less than one."""
MOST_MIB = 400.0
"""Growth of the memory of the process, as for the seconds."""
_BORDERS = re.compile(r"[\s\u2500-\u257f]")


_EVENTS = {"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"}
"""What the interpreter reports of connections and other programs."""
_watching: list[list[str]] = []


def _on_event(event: str, details: tuple[object, ...]) -> None:
    if event in _EVENTS and _watching:
        _watching[-1].append(f"{event} {details!r}"[:200])


sys.addaudithook(_on_event)


@contextmanager
def watched() -> Iterator[list[str]]:
    """List the connections and programs that a block opens."""
    events: list[str] = []
    _watching.append(events)
    try:
        yield events
    finally:
        _watching.remove(events)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One command on one input."""

    words: Sequence[str]
    named: Sequence[str]
    """What was given, as the user knows it; a refusal names one of them."""
    note: str = ""
    """What is odd about the input."""
    output: Path | None = None
    """What the command writes if it succeeds."""
    replaced: Sequence[Path] = ()
    """Files and folders that may be there before, and be others afterwards, as the command line says."""
    root: Path
    """Folder of all files that are at stake."""


@dataclass(kw_only=True)
class Verdict:
    """What a command did, and which parts of the law it broke."""

    words: Sequence[str]
    note: str
    code: int | None = None
    broken: list[str] = field(default_factory=list)
    message: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        """Show the command and what is wrong with its end."""
        return f"{list(self.words)} [{self.note}] ended with {self.code}: {'; '.join(self.broken)}\n{self.message}"


class Overrun(BaseException):
    """A command took too long; no handler of errors catches this."""


def judge(attempt: Attempt) -> Verdict:
    """Run a command in this process and compare what it did with the law."""
    verdict = Verdict(words=attempt.words, note=attempt.note)
    before = _snapshot(attempt.root)
    out, err = io.StringIO(), io.StringIO()
    events: list[str] = []
    low, began = _start_of_memory(), time.process_time()
    try:
        with ExitStack() as stack:
            events = stack.enter_context(watched())
            for entered in (_limited_time(), redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings()):
                stack.enter_context(entered)
            verdict.code = run(list(attempt.words))
    except Overrun:
        verdict.broken.append(f"ran for more than {MOST_SECONDS:g} s")
    verdict.seconds, grown = time.process_time() - began, _growth_of_memory(low)
    if grown > MOST_MIB:
        verdict.broken.append(f"took {grown:,.0f} MiB")
    verdict.message = err.getvalue()[-2000:]
    verdict.broken += events
    verdict.broken += _of_terminal(out.getvalue() + err.getvalue())
    verdict.broken += _of_files(attempt, before, _snapshot(attempt.root), succeeded=verdict.code == 0)
    if verdict.code == 0:
        verdict.broken += _of_output(attempt, out.getvalue())
    elif verdict.code == 2:
        is_report = attempt.words[0] == "inspect" and not err.getvalue()  # what cannot be fitted, and why
        verdict.broken += _of_report(out.getvalue()) if is_report else _of_message(attempt, err.getvalue())
    elif verdict.code is not None:
        verdict.broken.append(f"exit code {verdict.code}")
    return verdict


@contextmanager
def _limited_time() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Overrun

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _memory(line: str) -> float:
    """Read a number of the process's status in MiB; zero where the system has no such file."""
    status = Path("/proc/self/status")
    found = re.search(rf"{line}:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found.group(1)) / 1024 if found else 0.0


def _start_of_memory() -> float:
    peak = Path("/proc/self/clear_refs")
    if peak.exists():
        peak.write_text("5")  # the highest use starts anew
    return _memory("VmRSS")


def _growth_of_memory(low: float) -> float:
    return _memory("VmHWM") - low


def _snapshot(root: Path) -> Mapping[str, str]:
    """Digest every file below a folder; links by where they lead."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = "folder"
    return found


def _of_files(attempt: Attempt, before: Mapping[str, str], after: Mapping[str, str], *, succeeded: bool) -> list[str]:
    def belongs(name: str, to: Sequence[Path]) -> bool:
        return succeeded and any((attempt.root / name).is_relative_to(path) for path in to)

    written = (
        [attempt.output, Path(os.path.realpath(attempt.output))] if attempt.output else []
    )  # also where a link leads
    outputs = [*attempt.replaced, *written]
    lost = [name for name, digest in before.items() if after.get(name) != digest]
    new = [name for name in after if name not in before and not belongs(name, outputs)]
    # A folder that was made for the output may stay; a file may not.
    new = [name for name in new if after[name] != "folder" or name.endswith(".partial")]
    return [f"changed {name!r}" for name in lost if not belongs(name, attempt.replaced)] + [
        f"left {name!r}" for name in new
    ]


def _of_terminal(text: str) -> list[str]:
    found = {one for one in text if one not in "\n\t" and (ord(one) < 32 or 127 <= ord(one) < 160)}
    return [f"wrote {found} to the terminal"] if found else []


def _of_report(text: str) -> list[str]:
    return [] if "no model can be fitted" in text or "Problems:" in text else ["says not what is wrong"]


def _squashed(text: str) -> str:
    return _BORDERS.sub("", text)


def _of_message(attempt: Attempt, text: str) -> list[str]:
    n_errors = len(re.findall(r"^Error: |\u2500 Error \u2500", text, flags=re.MULTILINE))
    broken = [] if n_errors == 1 else [f"{n_errors} messages"]
    if "fault of scdiffuse" in text or "Traceback" in text:
        broken.append("blames scdiffuse")
    said = _squashed(text)
    spellings = {_squashed(way(name)) for name in attempt.named for way in (str, one_line, repr)} - {""}
    if not any(spelling in said for spelling in spellings):
        broken.append(f"names none of {list(attempt.named)}")
    return broken


def _of_output(attempt: Attempt, printed: str) -> list[str]:
    path = attempt.output
    if path is None:
        return [] if printed.strip() else ["printed nothing"]
    if not path.exists():
        return ["wrote nothing"]
    try:
        return _of_model(path) if (path / "config.json").exists() else _of_written(path)
    except Exception as error:  # noqa: BLE001 - whatever a reader of the output meets
        return [f"wrote what cannot be read: {error!r}"]


def _of_written(path: Path) -> list[str]:
    if path.is_dir():
        shards = json.loads((path / "shards.json").read_text(encoding="utf-8"))
        return [] if shards else ["wrote no shards"]
    if path.suffix == ".html":
        return [] if "</html>" in path.read_text(encoding="utf-8") else ["wrote no page"]
    return _of_cells(ad.read_h5ad(path))


def _of_cells(cells: Any) -> list[str]:
    values = cells.X.data if sp.issparse(cells.X) else np.asarray(cells.X)
    broken = []
    if cells.n_obs == 0 or cells.n_vars == 0:
        broken.append(f"wrote {cells.n_obs} cells x {cells.n_vars} genes")
    if not np.isfinite(values).all() or (values < 0).any() or (values != np.rint(values)).any():
        broken.append("wrote values that are no counts")
    if cells.n_obs and not values.sum():
        broken.append("wrote empty cells only")
    if not cells.obs_names.is_unique or len(cells.obs.columns) == 0:
        broken.append("wrote cells without names or conditions")
    return broken


def _of_model(folder: Path) -> list[str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(["inspect", str(folder)])
    return [] if code == 0 else [f"wrote a model that does not load: {err.getvalue()}"]

"""What work costs: wall time, CPU time and peak memory of a phase or a process, steps of a fit, and the machine.

Nothing here imports the package, so that peers are measured by the same code in an environment of their own.
"""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

_KIB_PER_MIB = 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """What a phase cost."""

    seconds: float
    """Wall time."""

    cpu_seconds: float
    """User and system time of the process and its ended children."""

    peak_mib: float
    """Largest resident memory of the process during the phase, in MiB, interpreter and libraries included."""

    def to_json(self) -> dict[str, float]:
        """Return the numbers by name, rounded to what they mean."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


class Meter:
    """Measure the block it surrounds; read ``cost`` afterwards."""

    cost: Cost

    def __enter__(self) -> Meter:
        """Start the clocks."""
        _reset_peak()
        self._cpu = _cpu_seconds()
        self._start = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the clocks."""
        seconds = time.perf_counter() - self._start
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / _KIB_PER_MIB
        self.cost = Cost(seconds, _cpu_seconds() - self._cpu, max(_peak_mib(), children))


@contextlib.contextmanager
def clocked(clock: Callable[[], float] = time.perf_counter) -> Iterator[list[list[float]]]:
    """Time each step of the fits in this block, from the end of one to the end of the next.

    What stands between two steps, such as a validation, counts to the later one, and the set-up of a stage to its
    first. Medians over steps see neither.

    Parameters
    ----------
    clock
        Tells the time in seconds.

    Yields
    ------
    Seconds of each step, a list for each optimiser in their order; `by_stage` names those of the two networks.
    """
    from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

    taken: list[list[float]] = []
    seen: list[Optimizer] = []
    last = clock()

    def ended(optimiser: Optimizer, *_: object) -> None:
        nonlocal last
        if not seen or seen[-1] is not optimiser:
            seen.append(optimiser)
            taken.append([])
        now = clock()
        taken[-1].append(now - last)
        last = now

    hook = register_optimizer_step_post_hook(ended)
    try:
        yield taken
    finally:
        hook.remove()


def by_stage(taken: list[list[float]]) -> dict[str, list[float]]:
    """Name the seconds of the steps of one fit: the autoencoder is trained first, and the diffusion last."""
    return {"autoencoder": taken[0], "diffusion": taken[-1]}


@dataclass(frozen=True, slots=True)
class Finished:
    """How a child process ended."""

    exit_code: int
    timed_out: bool
    cost: Cost


def run_process(
    argv: Sequence[str], *, log: Path, environment: Mapping[str, str], timeout: float | None = None
) -> Finished:
    """Run a command in its own session, its output in ``log``, and measure it.

    Parameters
    ----------
    argv
        Command and arguments.
    log
        File that receives standard output and error.
    environment
        Variables set on top of those of this process.
    timeout
        Seconds after which the command and all it started are killed; ``None`` never.

    Returns
    -------
    Exit code, whether it ran out of time, and cost; the peak memory is that of the largest process.
    """
    start = time.perf_counter()
    with log.open("wb") as stream:
        child = subprocess.Popen(
            argv, stdout=stream, stderr=subprocess.STDOUT, env={**os.environ, **environment}, start_new_session=True
        )
        timed_out = False
        try:
            while True:
                pid, status, usage = os.wait4(child.pid, os.WNOHANG)
                if pid:
                    break
                if not timed_out and timeout is not None and time.perf_counter() - start > timeout:
                    timed_out = True
                    os.killpg(child.pid, signal.SIGKILL)
                time.sleep(0.02)
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
        child.returncode = os.waitstatus_to_exitcode(status)
    cost = Cost(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / _KIB_PER_MIB)
    return Finished(child.returncode, timed_out, cost)


def thread_environment(n_threads: int) -> dict[str, str]:
    """Return the variables that hold every numeric library to ``n_threads``."""
    names = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "NUMBA")
    # As on the command line: threads that spin for long are ten times slower beside another busy process, and those
    # that sleep at once are slower than one alone.
    return {f"{name}_NUM_THREADS": str(n_threads) for name in names} | {"GOMP_SPINCOUNT": "3000"}


def machine() -> str:
    """Describe the machine in words: CPU, cores, memory, system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    n_cores = len(os.sched_getaffinity(0))
    return f"{_processor()}, {n_cores} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}"


def today() -> str:
    """Return the date, UTC."""
    return datetime.now(tz=UTC).date().isoformat()


def versions(*packages: str) -> dict[str, str]:
    """Return Python's and the installed packages' versions."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown CPU"


def _cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _reset_peak() -> None:
    # Linux: "5" resets VmHWM to the memory held now, so that phases of one process are measured apart.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_mib() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            # Unlike ru_maxrss, VmHWM does not inherit the peak of the process that started this one.
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / _KIB_PER_MIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB_PER_MIB

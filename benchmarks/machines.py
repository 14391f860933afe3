"""Two machines that are one: ``python -m benchmarks.machines``, as root, with ``ip`` and ``unshare`` at hand.

Two network namespaces with host names of their own are joined by a virtual cable, and ``torchrun --nnodes 2`` runs one
process in each. A fit and its cells are compared with those of one process alone; then one of the machines, or both,
are killed at random moments, and the fit is resumed by both. What this cannot show is a real network's speed, and
folders that only one machine sees.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cost import machine, today
from benchmarks.processes import largest_difference, weights_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MACHINES_FILE = "machines.json"
_HERE = Path(__file__).resolve().parent
_NAMES = ("scd1", "scd2")
_ADDRESSES = ("10.77.0.1", "10.77.0.2")
_HOSTS = Path("/etc/netns")
_N_CELLS = 2_000


@contextmanager
def two_machines() -> Iterator[None]:
    """Set the namespaces up, and take them away again."""
    hosts = "127.0.0.1 localhost\n" + "".join(f"{at} {name}\n" for at, name in zip(_ADDRESSES, _NAMES, strict=True))
    try:
        for name in _NAMES:
            _call("ip", "netns", "add", name)
            (_HOSTS / name).mkdir(parents=True)
            (_HOSTS / name / "hosts").write_text(hosts, encoding="utf-8")
        _call("ip", "link", "add", "cable1", "netns", _NAMES[0], "type", "veth", "peer", "cable2", "netns", _NAMES[1])
        for at, (name, address) in enumerate(zip(_NAMES, _ADDRESSES, strict=True), 1):
            _call("ip", "-n", name, "addr", "add", f"{address}/24", "dev", f"cable{at}")
            for link in ("lo", f"cable{at}"):
                _call("ip", "-n", name, "link", "set", link, "up")
        yield
    finally:
        for name in _NAMES:
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)
            (_HOSTS / name / "hosts").unlink(missing_ok=True)
            if (_HOSTS / name).exists():
                (_HOSTS / name).rmdir()


def _call(*words: str) -> None:
    subprocess.run(words, check=True)


def start(port: int, words: Sequence[str], log: Path) -> list[subprocess.Popen[bytes]]:
    """Start a command on both machines, each with a group of processes of its own."""
    running = []
    for name, address in zip(_NAMES, _ADDRESSES, strict=True):
        job = ["--nnodes=2", "--nproc-per-node=1", f"--local-addr={address}", f"--rdzv-id=job{port}"]
        job += ["--rdzv-backend=c10d", f"--rdzv-endpoint={_ADDRESSES[0]}:{port}", "-m", "scdiffusion", *words]
        inside = ["sh", "-c", 'hostname "$0" && exec "$@"', name, sys.executable, "-m", "torch.distributed.run", *job]
        with log.open("ab") as out:
            running.append(
                subprocess.Popen(
                    ["ip", "netns", "exec", name, "unshare", "--uts", *inside],
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=os.environ | {"OMP_NUM_THREADS": "1"},
                )
            )
    return running


def end(running: Sequence[subprocess.Popen[bytes]], log: Path) -> None:
    """Wait for both, which have to succeed."""
    codes = [one.wait() for one in running]
    if any(codes):
        raise SystemExit(log.read_text(encoding="utf-8"))


def measure(n_kills: int, *, epochs: int, seed: int) -> dict[str, Any]:
    """Fit and generate on both machines and on one, then kill and resume."""
    import scdiffusion

    draw = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder, two_machines():
        place = Path(folder)
        cells, log = place / "cells.h5ad", place / "log"
        scdiffusion.datasets.pbmc68k().write_h5ad(cells)
        fit = ("fit", str(cells), "-c", "cell_type", "--max-epochs", str(epochs), "--no-progress")
        begin = time.monotonic()
        end(start(29_541, [*fit, "-o", str(place / "both")], log), log)
        seconds = time.monotonic() - begin
        _call(sys.executable, "-m", "scdiffusion", *fit, "-o", str(place / "one"))
        made = ("generate", str(place / "both"), "-n", str(_N_CELLS), "--no-progress")
        end(start(29_542, [*made, "-o", str(place / "both.h5ad")], log), log)
        _call(sys.executable, "-m", "scdiffusion", *made, "-o", str(place / "one.h5ad"))
        kills = [_kill(at, fit, place, wait=float(draw.uniform(0.4, 1.0)) * seconds) for at in range(n_kills)]
        return {
            "fit_differs_from_one_process_by": _difference(place / "both", place / "one"),
            "cells_are_those_of_one_process": _same_cells(place),
            "kills": kills,
            "machine": machine(),
            "date": today(),
        }


def _kill(at: int, fit: Sequence[str], place: Path, *, wait: float) -> dict[str, Any]:
    """Kill one machine, or both, and go on with both."""
    folder, log, port = place / f"killed{at}", place / f"log{at}", 29_550 + 2 * at
    running = start(port, [*fit, "-o", str(folder)], log)
    time.sleep(wait)
    killed = running if at % 2 else running[at // 2 % 2 :][:1]
    for one in killed:
        os.killpg(one.pid, signal.SIGKILL)
    begin = time.monotonic()
    for one in running:
        one.wait()
    noticed = time.monotonic() - begin
    held = json.loads((folder / "config.json").read_text(encoding="utf-8")) if folder.exists() else {}
    words = [*fit, "-o", str(folder), *(["--resume"] if held else [])]
    end(start(port + 1, words, log), log)
    difference = _difference(folder, place / "both")
    sys.stdout.write(f"killed {len(killed)} machines after {wait:.1f} s: differs by {difference}\n")
    sys.stdout.flush()
    return {
        "machines": len(killed),
        "seconds": round(wait, 1),
        "seconds_to_notice": round(noticed, 1),
        "had_begun": bool(held),
        "difference": difference,
    }


def _difference(one: Path, other: Path) -> float:
    return largest_difference(weights_of(one), weights_of(other))


def _same_cells(place: Path) -> bool:
    import anndata

    parts = [anndata.read_h5ad(place / f"both.rank{rank}.h5ad") for rank in (0, 1)]
    both, one = anndata.concat(parts), anndata.read_h5ad(place / "one.h5ad")
    return bool((both.X != one.X).nnz == 0 and (both.obs_names == one.obs_names).all())


def section(results: Path) -> str:
    """Write the section of the results page; nothing before the first measurement."""
    path = results / MACHINES_FILE
    if not path.exists():
        return ""
    held = json.loads(path.read_text(encoding="utf-8"))
    kills = held["kills"]
    exact = sum(one["difference"] == 0 for one in kills)
    return (
        "## Several machines\n\n"
        f"`python -m benchmarks.machines`, on {held['machine']}, {held['date']}: `torchrun --nnodes 2` in two network "
        "namespaces with host names of their own, one process each. The fit differs from that of one process by "
        f"{held['fit_differs_from_one_process_by']:.1e} at most, and the cells that both generate, each into its file, "
        f"are {'the same as' if held['cells_are_those_of_one_process'] else 'NOT THE SAME AS'} those of one process. "
        f"{len(kills)} fits were killed by signal 9 at random moments, one machine or both in turn; resumed by both, "
        f"{exact} have bit for bit the weights of the fit never killed. The other machine noticed within "
        f"{max(one['seconds_to_notice'] for one in kills):.0f} s."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.machines", description=__doc__)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=20, help="passes over the cells of a fit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=_HERE / "results")
    options = parser.parse_args(argv)
    if os.geteuid() != 0:
        msg = "Network namespaces take root, and this is another user; run it as root."
        raise SystemExit(msg)
    record = measure(options.kills, epochs=options.epochs, seed=options.seed)
    (options.out / MACHINES_FILE).write_text(json.dumps(record, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

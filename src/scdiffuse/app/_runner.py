"""Runs the commands of a job one after the other, in a process of its own that outlives the server.

``python -m scdiffuse.app._runner FOLDER`` reads ``commands.json`` and writes ``exit.json`` at the end. The lock of the
folder is held meanwhile, so that who starts later sees whether it lives. A file ``stop`` asks it to end.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from scdiffuse._core.files import locked
from scdiffuse.app._saved import read_json, write_json

__all__ = ["COMMANDS", "EXIT", "LOG", "STOP", "is_running", "run_commands"]

COMMANDS, EXIT, LOG, STOP = "commands.json", "exit.json", "log.txt", "stop"
_SECONDS_BETWEEN_LOOKS = 0.1
_PATIENCE = 60.0
"""Seconds for a fit to end its step and to save what it has learnt."""


def run_commands(folder: Path) -> int:
    """Run the commands of a job until one fails.

    Parameters
    ----------
    folder
        Folder of the job.

    Returns
    -------
    The exit code of the last command.
    """
    commands = read_json(folder / COMMANDS)
    code = 0
    with locked(folder), (folder / LOG).open("a", encoding="utf-8") as log:
        for words in commands:
            code = _run(words, folder, log.fileno())
            if code:
                break
        write_json(folder / EXIT, {"code": code})
    return code


def _run(words: list[str], folder: Path, log: int) -> int:
    """Run one command, and stop it when asked to: first with Ctrl-C, which saves, then without mercy."""
    child = subprocess.Popen(
        [sys.executable, "-m", "scdiffuse", *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL
    )
    asked = 0.0
    while child.poll() is None:
        if not asked and (folder / STOP).exists():
            asked = time.monotonic()
            child.send_signal(signal.SIGINT)
        if asked and time.monotonic() - asked > _PATIENCE:
            child.kill()
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return child.returncode


def is_running(folder: Path) -> bool:
    """Return whether a process runs the commands of a job.

    Parameters
    ----------
    folder
        Folder of the job.
    """
    with locked(folder, wait=False) as is_free:
        return not is_free


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a server in the background ignores Ctrl-C, which a fit must hear
    raise SystemExit(run_commands(Path(sys.argv[1])))

"""Make the environment of the peers, ``benchmarks/.venv-peers``: ``python -m benchmarks.setup_peers``."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

# torch is pinned beside its dependants: unpinned, pip takes a build with gigabytes of CUDA libraries.
REQUIREMENTS = ("torch==2.13.0", "scvi-tools==1.4.2", "scdesigner==0.0.25")


def main() -> None:
    """Create the environment if it is missing and install the peers into it."""
    folder = Path(__file__).resolve().parent / ".venv-peers"
    if not folder.exists():
        venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    # torch first and alone, so that no dependant can choose its build.
    for wanted in (REQUIREMENTS[:1], REQUIREMENTS):
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    subprocess.run([python, "-c", "import scvi, scdesigner.simulators"], check=True)
    sys.stdout.write("The peers' environment is ready.\n")


if __name__ == "__main__":
    main()

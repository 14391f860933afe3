"""``python -m benchmarks`` lists the studies, ``python -m benchmarks STUDY`` runs one."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import cell_eval
from benchmarks.cost import thread_environment
from benchmarks.data import DATA_VARIABLE, data_folder
from benchmarks.records import Store, source_name
from benchmarks.studies import NAMES, STUDIES, study_named
from benchmarks.study import Context, say
from benchmarks.worker import HERE, PEERS_PYTHON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.study import Study

PEERS = ("torch==2.13.0", "scvi-tools==1.4.2", "scdesigner==0.0.25")
"""Packages of the peers. torch is pinned beside its dependants: unpinned, pip takes gigabytes of CUDA libraries."""
_TABLES, _PEERS = "tables", "peers"


def main(argv: Sequence[str], *, anew: bool = False) -> int:
    """Do what the command line says.

    Parameters
    ----------
    argv
        The words after ``python -m benchmarks``.
    anew
        Start the interpreter again where its environment does not hold the numeric libraries to the threads asked for,
        which they read once.

    Returns
    -------
    Exit status.
    """
    if not argv:
        show()
        return 0
    options = parser_of(argv[0] if argv[0] in NAMES else None).parse_args(argv)
    if options.study == _TABLES:
        from benchmarks import page

        page.write(options.results, options.page)
        say(str(options.page))
    elif options.study == _PEERS:
        set_up_peers()
    else:
        threads = thread_environment(options.threads)
        if anew and not threads.items() <= os.environ.items():
            os.execve(sys.executable, [sys.executable, "-m", "benchmarks", *argv], os.environ | threads)
        measure(study_named(options.study), options)
    return 0


def show() -> None:
    """List the studies with a line each."""
    width = max(map(len, NAMES))
    for chapter, names in STUDIES.items():
        say(chapter)
        for name in names:
            say(f"  {name:<{width}}  {study_named(name).summary}")
    say(f"\n  {_TABLES:<{width}}  Write RESULTS.md and its figures from the records; nothing is measured.")
    say(f"  {_PEERS:<{width}}  Make the environments of scVI and scDesign3, and of cell-eval: benchmarks/.venv-*.")
    say("\npython -m benchmarks STUDY --help shows the options of a study.")


def parser_of(name: str | None) -> argparse.ArgumentParser:
    """Make the parser of all commands, with the options of one study."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="study", metavar="STUDY", required=True)
    for one in NAMES:
        if one != name:
            commands.add_parser(one)
            continue
        study = study_named(one)
        chosen = commands.add_parser(
            one, description=study.summary, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        add_common(chosen)
        study.add_arguments(chosen)
    tables = commands.add_parser(
        _TABLES, help="write RESULTS.md from the records", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    tables.add_argument("--results", type=Path, default=HERE / "results", help="folder of records and figures")
    tables.add_argument("--page", type=Path, default=HERE / "RESULTS.md", help="file to write")
    commands.add_parser(_PEERS, help="make the environments of the peers")
    return parser


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options that every study has."""
    common = parser.add_argument_group("options of every study")
    common.add_argument("--data", type=Path, help=f"folder of the data sets; without it the variable {DATA_VARIABLE}")
    common.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds of fits, cells and scores")
    common.add_argument("--device", default="cpu", help="where networks are computed, where a study leaves the choice")
    common.add_argument("--threads", type=int, default=1, help="threads of each process")
    common.add_argument("--results", type=Path, default=HERE / "results", help="folder of the records")
    common.add_argument("--work", type=Path, default=HERE / "work", help="folder of splits, models and cells")
    common.add_argument("--overwrite", action="store_true", help="measure again what is done")


def measure(study: Study, options: argparse.Namespace) -> None:
    """Run a study, and write each record as soon as it is known."""
    store = Store(options.results, study.name, study.unit)
    work = options.work.resolve() / source_name()
    for record in study.run(Context(options=options, store=store, data=data_folder(options.data), work=work)):
        store.write(record)


def set_up_peers() -> None:
    """Create the environments of the peers if they are missing, and install them; cell-eval has its own."""
    for python in (PEERS_PYTHON, cell_eval.PYTHON):
        if not python.exists():
            venv.create(python.parents[1], with_pip=True)
    # torch first and alone, so that no dependant can choose its build.
    for wanted in (PEERS[:1], PEERS):
        subprocess.run([str(PEERS_PYTHON), "-m", "pip", "install", "-q", *wanted], check=True)
    subprocess.run([str(PEERS_PYTHON), "-c", "import scvi, scdesigner.simulators"], check=True)
    subprocess.run([str(cell_eval.PYTHON), "-m", "pip", "install", "-q", cell_eval.CELL_EVAL], check=True)
    say("The environments of the peers are ready.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], anew=True))

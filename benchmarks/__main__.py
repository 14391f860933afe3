"""``python -m benchmarks run|table|list|faults``; without a word, everything: all runs, then the table and the page."""

from __future__ import annotations

import argparse
import sys
from itertools import groupby
from pathlib import Path

from benchmarks import runs
from benchmarks.data import DATA_SETS, DATA_VARIABLE, data_folder
from benchmarks.protocol import GENERATORS

_HERE = Path(__file__).resolve().parent


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and do what it says."""
    options = _parser().parse_args(argv)
    if options.command == "list":
        _list(options)
        return 0
    if options.command == "faults":
        _faults(options)
        return 0
    if options.command in {"run", "all"}:
        _run(options)
    if options.command in {"table", "all"}:
        _table(options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    defaults = vars(_run_options().parse_args([])) | vars(_table_options().parse_args([]))
    parser.set_defaults(command="all", **defaults)
    commands = parser.add_subparsers(metavar="run|table|list|faults")
    run = commands.add_parser("run", parents=[_run_options()], help="carry out the runs that are not done yet")
    run.set_defaults(command="run")
    table = commands.add_parser(
        "table", parents=[_table_options()], help="write results/runs.csv, RESULTS.md and the figures anew"
    )
    table.set_defaults(command="table")
    listing = commands.add_parser("list", parents=[_run_options()], help="show the runs and how they stand")
    listing.set_defaults(command="list")
    faults = commands.add_parser("faults", help="plant faults into real cells and tell which metrics catch them")
    faults.add_argument("--data", type=Path, help=f"folder of the data sets (default: the variable {DATA_VARIABLE})")
    faults.add_argument("--set", default="pbmc68k", choices=list(DATA_SETS), help="data set to plant them into")
    faults.add_argument("--out", type=Path, default=_HERE, help="folder of results/")
    faults.set_defaults(command="faults")
    return parser


def _run_options() -> argparse.ArgumentParser:
    options = _common_options()
    options.add_argument("--data", type=Path, help=f"folder of the data sets (default: the variable {DATA_VARIABLE})")
    options.add_argument("--only", action="append", default=[], help="data sets or generators to take; may be repeated")
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--threads", type=int, default=1, help="threads of each process")
    options.add_argument("--timeout", type=float, default=1800.0, help="seconds after which a run is killed")
    options.add_argument(
        "--seconds", type=float, default=90.0, help="processor seconds of a fit, where a peer can be held to them"
    )
    options.add_argument(
        "--suite", choices=("headline", "quick", "full"), default="headline", help="`headline`: what the page shows"
    )
    options.add_argument("--rescore", action="store_true", help="score again what is already scored")
    options.add_argument("--retry", action="store_true", help="run again what failed")
    return options


def _table_options() -> argparse.ArgumentParser:
    options = _common_options()
    options.add_argument("--out", type=Path, default=_HERE, help="folder of RESULTS.md and results/")
    return options


def _common_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--work", type=Path, default=_HERE / "work", help="folder of splits, cells and scores")
    options.add_argument("--cells", type=int, help="draw this many cells from each data set, for a trial")
    return options


def _plan(options: argparse.Namespace) -> list[runs.Run]:
    names = [name for given in options.only for name in given.split(",")]
    planned = runs.plan(names, options.seeds)
    if data_folder(options.data) is not None:
        return planned
    without_file = [run for run in planned if run.data_set.embedded]
    if len(without_file) < len(planned):
        sys.stderr.write(
            f"No folder of data sets: {len(planned) - len(without_file)} of {len(planned)} runs are left out. "
            f"Pass `--data FOLDER` or set `{DATA_VARIABLE}`.\n"
        )
    return without_file


def _settings(options: argparse.Namespace) -> runs.Settings:
    return runs.Settings(
        work=options.work.resolve(),
        data=data_folder(options.data),
        max_cells=options.cells,
        n_threads=options.threads,
        timeout=options.timeout,
        seconds=options.seconds,
        suite=options.suite,
        rescore=options.rescore,
        retry=options.retry,
    )


def _run(options: argparse.Namespace) -> None:
    settings, planned = _settings(options), _plan(options)
    number = 0
    for _, group in groupby(planned, key=lambda run: (run.seed, run.data_set.name)):
        together = list(group)
        for run in together:
            number += 1
            _say(f"[{number}/{len(planned)}] {run}: {runs.carry_out(run, settings)}")
        _say(f"{together[0].data_set.name} seed {together[0].seed}: {runs.score(together, settings)}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _table(options: argparse.Namespace) -> None:
    from benchmarks import figures, page, table

    rows = table.update(options.out / "results" / "runs.csv", work=options.work.resolve(), max_cells=options.cells)
    figures.draw_all(rows, options.out / "results")
    page.write(rows, options.out)
    sys.stdout.write(f"{options.out / 'RESULTS.md'}\n")


def _faults(options: argparse.Namespace) -> None:
    from benchmarks import faults

    faults.run(options.out / "results", data_set=options.set, data=data_folder(options.data))
    _say(str(options.out / "results" / faults.FAULTS_FILE))


def _list(options: argparse.Namespace) -> None:
    settings = _settings(options)
    sys.stdout.write(f"Data sets:  {', '.join(DATA_SETS)}\nGenerators: {', '.join(GENERATORS)}\n")
    for run in runs.plan([name for given in options.only for name in given.split(",")], options.seeds):
        folder = run.folder(settings)
        record = runs.read_record(folder)
        state = "to do" if record is None else record["status"]
        if state == "done" and not (folder / runs.SCORES_FILE).exists():
            state = "not scored"
        sys.stdout.write(f"{run}: {state}\n")


if __name__ == "__main__":
    sys.exit(main())

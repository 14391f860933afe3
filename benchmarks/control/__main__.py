"""``python -m benchmarks.control STUDY --data FOLDER --work FOLDER [--seeds 0 1 2]``: fits, then scores."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.control import records
from benchmarks.control.models import is_fitted, model_of
from benchmarks.data import DATA_VARIABLE, data_folder

if TYPE_CHECKING:
    from benchmarks.control.models import Fit

STUDIES = ("unseen", "times", "embryo", "start_cell", "branches", "classifiers", "rare")
_HERE = Path(__file__).resolve().parents[1]


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and do what it says."""
    options = _parser().parse_args(argv)
    data = data_folder(options.data)
    if data is None:
        msg = f"No folder of data sets. Pass `--data FOLDER` or set `{DATA_VARIABLE}`."
        raise SystemExit(msg)
    work = options.work.resolve()
    for study in STUDIES if options.study == "all" else (options.study,):
        module = import_module(f"benchmarks.control.{study}")
        for seed in options.seeds:
            missing = [fit for fit in module.fits(data, seed) if not is_fitted(fit, work=work)]
            _fit(missing[: options.most], data=data, work=work)
            found = [] if options.fit_only else module.run(data, work, seed)
            if found:
                records.write(study, found, seed=seed, folder=options.out / "results")
            sys.stdout.write(f"{study}, seed {seed}: {len(found)} records\n")
            sys.stdout.flush()
        scored = records.read(study, options.out / "results")
        if scored and hasattr(module, "draw"):
            module.draw(scored, options.out / "results")
    return 0


def _fit(missing: list[Fit], *, data: Path, work: Path) -> None:
    for fit in missing:
        model_of(fit, data=data, work=work)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.control", description=__doc__)
    parser.add_argument("study", choices=(*STUDIES, "all"))
    parser.add_argument("--data", type=Path, help=f"folder of the data sets (default: the variable {DATA_VARIABLE})")
    parser.add_argument("--work", type=Path, default=_HERE / "work" / "control", help="folder of the fitted models")
    parser.add_argument("--out", type=Path, default=_HERE, help="folder whose `results/` is written")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--fit-only", action="store_true", help="fit what is missing, score nothing")
    parser.add_argument("--most", type=int, help="fit at most this many models and score those that are there")
    return parser


if __name__ == "__main__":
    sys.exit(main())

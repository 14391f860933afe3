"""Thousands of odd inputs to the commands, each held to one law by a process of its own.

The inputs and the law are those of ``tests/attack``: damaged files of cells, altered model folders, odd values, names,
settings and places. A command ends with exit code 0 and valid output, or with 2 and one message that names what was
given; it never changes a file that was there, and never takes much more time or memory than a valid input of that size.
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import resource
import tempfile
import warnings
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.layout import grid
from benchmarks.records import rows_of
from benchmarks.study import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from tests.attack.law import Attempt, Verdict
    from tests.attack.place import Place
    from tests.attack.table import Family

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "attack"
title = "Odd inputs"
summary = "Whether each of thousands of odd inputs is handled, or refused by a message that names it."
unit = ("family",)

Row = dict[str, Any]
_HUNG = "hung"
_LIBRARY = "/h5py/"
"""Folder of what wraps the HDF5 library, which is not ours to mend."""
_MOST_BYTES = 3 * 2**30
"""Of the address space that a command may add, far beyond what the law allows."""


_MOST_WAIT = 30.0
"""Seconds after which a command that hangs is ended."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the number of inputs and the families."""
    parser.add_argument("--inputs", type=int, default=2_400, help="number of inputs of all families together")
    parser.add_argument("--families", nargs="+", help="only these families")
    parser.add_argument("--log", type=Path, help="file for what broke the law, a line of JSON each")


def run(context: Context) -> Iterator[Record]:
    """Attack with each family, a record each."""
    from tests.attack.place import make_place
    from tests.attack.table import FAMILIES

    options = context.options
    with tempfile.TemporaryDirectory() as root:
        warnings.simplefilter("ignore")
        place = make_place(Path(root))
        for family in FAMILIES:
            if options.families and family.name not in options.families:
                continue
            about = {"family": family.name, "inputs": round(options.inputs * family.share), "seed": options.seeds[0]}
            call = partial(_attack, family, place, n=about["inputs"], seed=about["seed"], log=options.log)
            yield from context.measure(about, call)


def _attack(family: Family, place: Place, *, n: int, seed: int, log: Path | None) -> Row:
    """Draw inputs of a family, judge each, and count."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from hypothesis import strategies as st

    found: list[Verdict] = []

    @seeded(seed)
    @settings(
        max_examples=n, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(st.data())
    def attack(data: st.DataObject) -> None:
        with place.fresh() as folder:
            verdict = isolated(family.draw(data.draw, place, folder))
        found.append(verdict)
        if verdict.broken:
            say(f"{family.name}: {verdict}")
            if log:
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"family": family.name, **vars(verdict)}) + "\n")

    attack()
    codes = Counter(verdict.code for verdict in found)
    return {
        "what": family.what,
        "n": len(found),
        "n_distinct": len({(*verdict.words, verdict.note) for verdict in found}),
        "n_done": codes[0],
        "n_refused": codes[2],
        "n_library": sum(_is_of_library(verdict) for verdict in found),
        "n_bad": sum(bool(verdict.broken) and not _is_of_library(verdict) for verdict in found),
        "most_seconds": max(verdict.seconds for verdict in found),
    }


def _is_of_library(verdict: Verdict) -> bool:
    """Whether the HDF5 library hung, crashed or took memory of a damaged size while it read a file."""
    if verdict.code == 2 and "Can't synchronously" in verdict.message:
        return bool(verdict.broken) and all(one.endswith(" MiB") for one in verdict.broken)
    return verdict.code is None and _LIBRARY in " ".join(verdict.broken)


def isolated(attempt: Attempt) -> Verdict:
    """Judge in a process of its own, so that a crash of a library is one more verdict."""
    from tests.attack.law import Verdict, judge

    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace") as answer:
        child = os.fork()
        if not child:
            faulthandler.enable(answer)
            faulthandler.dump_traceback_later(_MOST_WAIT, exit=True, file=answer)
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + _MOST_BYTES, used + _MOST_BYTES))
            try:
                json.dump(vars(judge(attempt)), answer)
            except BaseException as error:  # noqa: BLE001 - nothing of this process may go on
                answer.write(f"the judge failed: {error!r}")
                answer.flush()
                os._exit(1)
            answer.flush()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        answer.seek(0)
        text = answer.read()
    if not status:
        return Verdict(**json.loads(text))
    if "the judge failed" in text:
        return Verdict(words=list(attempt.words), note=attempt.note, broken=[text[text.index("the judge failed") :]])
    end = _HUNG if not os.WIFSIGNALED(status) else f"ended by signal {os.WTERMSIG(status)}"
    frame = re.search(r'File "(.*?)", line \d+ in (\w+)', text)
    where = f" in {frame.group(2)} of {frame.group(1)}" if frame else ""
    return Verdict(words=list(attempt.words), note=attempt.note, broken=[end + where])


def lines(records: Sequence[Record]) -> list[str]:
    """Count inputs by family, and what became of them."""
    rows = rows_of(records)
    total = {
        key: sum(row[key] for row in rows) for key in ("n", "n_distinct", "n_done", "n_refused", "n_library", "n_bad")
    }
    head = ["inputs", "number", "distinct", "done", "refused by name", "failed in HDF5", "bad", "longest, CPU s"]
    body = [
        [row["what"], *(f"{row[key]:,}" for key in total), f"{row['most_seconds']:.1f}"]
        for row in [*rows, {"what": "all", **total, "most_seconds": max(row["most_seconds"] for row in rows)}]
    ]
    return [
        f"{total['n']:,} odd inputs, drawn by the strategies of `tests/attack`, each in a process of its own. Done is "
        "exit code 0 with a valid output, refused by name exit code 2 with one message that names what was given. In "
        "HDF5, a library in C, fail damaged bytes that make it loop, crash or reserve memory of a damaged size. Bad "
        "is all else: another exit code, a file changed or left behind, control characters on the terminal, a crash, "
        "more than 10 s or 400 MiB.",
        grid(head, body),
    ]

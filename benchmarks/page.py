"""``RESULTS.md``, written from the records of all studies; nothing is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.records import Store
from benchmarks.studies import STUDIES, study_named
from benchmarks.study import DrawnStudy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from benchmarks.records import Record
    from benchmarks.study import Study

UNKNOWN = "measured before commits were recorded"
_OPENING = """# Benchmark results

`python -m benchmarks tables` writes this page from `results/STUDY.json`; nothing is measured for it.
`python -m benchmarks` lists the studies, `python -m benchmarks STUDY --help` their options. Each record names commit,
version, machine, date and settings. A record of another commit never counts as done.

The *real-vs-real reference* is what a measure gives for other real cells in the place of generated ones. AUCs are of
classifier two-sample tests: 0.5 is indistinguishable."""


def write(results: Path, page: Path) -> None:
    """Draw the figures into the folder of the records, and write the page beside it."""
    parts = [_OPENING]
    for chapter, names in STUDIES.items():
        studies = [(study_named(name), results) for name in names]
        sections = [part for study, folder in studies for part in section(study, folder)]
        parts += [f"## {chapter}", *sections] if sections else []
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def section(study: Study, results: Path) -> list[str]:
    """Write the section of a study from its records; nothing before the first."""
    records = Store(results, study.name, study.unit).read()
    if not records:
        return []
    if isinstance(study, DrawnStudy):
        study.draw(records, results)
    return [f"### {study.title}", _origin(study, records), *study.lines(records)]


def _origin(study: Study, records: Sequence[Record]) -> str:
    """Say how, where, when and at which commit records were made."""
    dates = sorted({record.date for record in records})
    days = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    commits = _listed(f"at {record.commit[:12]}" if record.commit else UNKNOWN for record in records)
    machines = _listed(record.machine for record in records)
    return f"{study.summary} `python -m benchmarks {study.name}`, on {machines}, {days}, {commits}."


def _listed(words: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(words))

"""The one form of a record, and the files that hold them: ``results/STUDY.json``."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.cost import machine, today

ROOT = Path(__file__).resolve().parents[1]
DIRTY = "-dirty"
_DIGITS = 7


@dataclass(frozen=True, kw_only=True)
class Record:
    """One unit of work of a study."""

    study: str

    commit: str | None
    """Of the checkout that was measured, with ``-dirty`` where `src` differed from it; none where it is not known."""

    version: str | None
    """Of the package."""

    machine: str
    date: str

    settings: dict[str, Any]
    """All that decided what was measured."""

    values: Any
    """What was found: rows of a table, or one object."""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The values as rows, with the settings that they do not name themselves."""
        rows = self.values if isinstance(self.values, list) else [self.values]
        return [{**self.settings, **row} for row in rows]


class Store:
    """Records of one study in a folder.

    Parameters
    ----------
    folder
        Folder of the files.
    study
        Name of the study.
    unit
        Settings that its tables tell apart.
    at
        Commit of new records; that of the checkout if not given.
    """

    def __init__(self, folder: Path, study: str, unit: tuple[str, ...], *, at: str | None = None) -> None:
        self.path = folder / f"{study}.json"
        self._study, self._unit, self._at = study, unit, at

    def read(self) -> list[Record]:
        """Read all records; none if there are none."""
        if not self.path.exists():
            return []
        return [Record(**one) for one in json.loads(self.path.read_text(encoding="utf-8"))]

    def is_done(self, settings: Mapping[str, Any]) -> bool:
        """Tell whether the same settings were measured at the present commit; a changed `src` is never done."""
        wanted, now = plain(settings), self._at or commit()
        if now is None or now.endswith(DIRTY):
            return False
        return any(one.commit == now and one.settings == wanted for one in self.read())

    def record(self, settings: Mapping[str, Any], values: object) -> Record:
        """Make a record of the present commit, machine and day."""
        about = {"commit": self._at or commit(), "version": version(), "machine": machine(), "date": today()}
        return Record(study=self._study, **about, settings=plain(settings), values=plain(values))  # type: ignore[arg-type]

    def write(self, new: Record) -> None:
        """Put a record in the place of those of the same unit."""
        kept = [one for one in self.read() if self._place(one) != self._place(new)]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(as_text([*kept, new]), encoding="utf-8")

    def _place(self, record: Record) -> list[Any]:
        return [record.settings.get(name) for name in self._unit]


def as_text(records: Iterable[Record]) -> str:
    """Write records as JSON, one line for each row, so that differences are legible."""
    return "[\n" + ",\n".join(_lines(asdict(record)) for record in records) + "\n]\n"


def _lines(record: dict[str, Any]) -> str:
    values = record.pop("values")
    if not isinstance(values, list):
        return json.dumps(record | {"values": values})
    rows = ",\n ".join(json.dumps(row) for row in values)
    return f'{json.dumps(record)[:-1]}, "values": [\n {rows}\n]}}'


def rows_of(records: Iterable[Record]) -> list[dict[str, Any]]:
    """List the rows of several records."""
    return [row for record in records for row in record.rows]


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Turn numbers and containers into those of JSON; what is not a number becomes none."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, bool | str | None):
        return value
    if hasattr(value, "item"):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value


@lru_cache(maxsize=1)
def commit() -> str | None:
    """Name the commit of the checkout, with ``-dirty`` where `src` differs from it; none outside of a checkout."""
    head = _git("rev-parse", "HEAD").strip()
    return f"{head}{DIRTY if _changes() else ''}" if head else None


def version() -> str:
    """Return the version of the package."""
    import scdiffuse

    return scdiffuse.__version__


def source_name() -> str:
    """Name what is measured, as a folder: the commit, and a digest of what differs from it in `src`."""
    head, changes = _git("rev-parse", "--short=12", "HEAD").strip() or "unknown", _changes()
    return f"{head}-{hashlib.sha256(changes.encode()).hexdigest()[:8]}" if changes else head


def _changes() -> str:
    return _git("status", "--porcelain", "--", "src") and (
        _git("status", "--porcelain", "--", "src") + _git("diff", "HEAD", "--", "src")
    )


def _git(*words: str) -> str:
    try:
        return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""

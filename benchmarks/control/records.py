"""Records of the studies in ``results/control_STUDY.json``: plain dictionaries, one seed replaced at a time."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Record = dict[str, Any]


def path_of(study: str, folder: Path) -> Path:
    """Return the file of a study."""
    return folder / f"control_{study}.json"


def read(study: str, folder: Path) -> list[Record]:
    """Read the records of a study; none if there are none."""
    path = path_of(study, folder)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def write(study: str, new: Sequence[Record], *, seed: int, folder: Path) -> None:
    """Replace the records of a seed."""
    kept = [record for record in read(study, folder) if record["seed"] != seed]
    rounded = [{key: _short(value) for key, value in record.items()} for record in [*kept, *new]]
    folder.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(record) for record in rounded)
    path_of(study, folder).write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def seeds_of(found: Iterable[Record]) -> list[int]:
    """List the seeds that records come from."""
    return sorted({int(record["seed"]) for record in found})


def mean(found: Iterable[Record], measure: str) -> float:
    """Average a measure over the records that have it."""
    values = [record[measure] for record in found if record.get(measure) is not None]
    return float(np.mean(values)) if values else math.nan


def _short(value: object) -> object:
    """Round numbers; what is not a number becomes none, as JSON has no word for it."""
    if isinstance(value, float | np.floating):
        return None if math.isnan(value) else float(f"{float(value):.5g}")
    return int(value) if isinstance(value, np.integer) else value

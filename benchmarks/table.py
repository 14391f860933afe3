"""One tidy table of all runs: a row for each data set, generator, seed and metric."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmarks.data import DATA_SETS, slug
from benchmarks.protocol import GENERATORS
from benchmarks.runs import RUN_FILE, SCORES_FILE, read_record
from scdiffusion.metrics import get_metric

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN_KEY = ["data_set", "generator", "seed"]
COLUMNS = [
    *RUN_KEY,
    "n_fit",
    "n_held_out",
    "n_genes",
    "group",
    "metric",
    "better",
    "value",
    "low",
    "high",
    "floor",
    "skill",
    "status",
    "machine",
    "date",
]
COST_GROUP, STATUS_METRIC, NOT_SCORED, BASELINE = "cost", "status", "not scored", "baseline"
_SIGNIFICANT = "%.5g"


def update(table_file: Path, *, work: Path, max_cells: int | None = None) -> pd.DataFrame:
    """Put the runs of a work folder into the table, in the place of older rows of the same runs.

    Parameters
    ----------
    table_file
        CSV that is read if it exists, and written.
    work
        Folder of the runs.
    max_cells
        The ``--cells`` of the runs to take.

    Returns
    -------
    The table.
    """
    fresh = pd.DataFrame(_rows_of_all(work, max_cells), columns=COLUMNS)
    tables = [fresh]
    if table_file.exists():
        old = read(table_file)
        replaced = pd.MultiIndex.from_frame(old[RUN_KEY]).isin(pd.MultiIndex.from_frame(fresh[RUN_KEY]))
        tables = [part for part in (old[~replaced], fresh) if len(part)] or [fresh]
    table = pd.concat(tables, ignore_index=True)
    order = {name: place for place, name in enumerate((*DATA_SETS, *GENERATORS))}
    table = table.sort_values(RUN_KEY, kind="stable", key=lambda column: column.map(lambda name: order.get(name, name)))
    table_file.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(table_file, index=False, float_format=_SIGNIFICANT)
    return table.reset_index(drop=True)


def read(table_file: Path) -> pd.DataFrame:
    """Read the table."""
    return pd.read_csv(table_file, dtype={"status": str, "better": str, "date": str}, keep_default_na=True)


def _rows_of_all(work: Path, max_cells: int | None) -> Iterator[dict[str, Any]]:
    for data_set in DATA_SETS:
        folder = work / slug(data_set, max_cells)
        for generator in GENERATORS:
            for record_file in sorted((folder / generator).glob(f"seed*/{RUN_FILE}")):
                yield from _rows_of_run(record_file.parent)
        scored = {scores.parent.name: scores.parent for scores in sorted(folder.glob(f"*/seed*/{SCORES_FILE}"))}
        for run_folder in scored.values():
            yield from _rows_of_baselines(run_folder)


def _rows_of_run(folder: Path) -> Iterator[dict[str, Any]]:
    record = read_record(folder)
    if record is None:
        return
    shared = _shared(record)
    if record["status"] != "done":
        reason = f"{record['status']}: {record['reason']}"
        yield {**shared, "group": COST_GROUP, "metric": STATUS_METRIC, "status": reason}
        return
    for metric, value in _costs(record["cost"]).items():
        yield {**shared, "group": COST_GROUP, "metric": metric, "better": "lower", "value": value}
    scores_file = folder / SCORES_FILE
    if not scores_file.exists():
        yield {**shared, "group": COST_GROUP, "metric": STATUS_METRIC, "status": NOT_SCORED}
        return
    scores = json.loads(scores_file.read_text(encoding="utf-8"))
    for metric, score in scores["metrics"].items():
        known = {name: score.get(name) for name in ("group", "better", "value", "low", "high", "floor", "skill")}
        yield {**shared, "metric": metric, **known}


def _rows_of_baselines(folder: Path) -> Iterator[dict[str, Any]]:
    """Read the baselines that were scored beside a run; they are the same beside every run of its seed."""
    record = read_record(folder)
    if record is None:
        return
    scores = json.loads((folder / SCORES_FILE).read_text(encoding="utf-8"))["metrics"]
    for entry in GENERATORS.values():
        if entry.baseline is None:
            continue
        shared = _shared(record) | {"generator": entry.name, "status": BASELINE}
        for metric, score in scores.items():
            value = score["baselines"].get(entry.baseline)
            if value is None:
                continue
            known = {name: score[name] for name in ("group", "better", "floor")}
            yield {
                **shared,
                "metric": metric,
                **known,
                "value": value,
                "skill": _skill_of_baseline(metric, score, value),
            }


def _skill_of_baseline(metric: str, score: dict[str, Any], value: float) -> float | None:
    """Place a baseline on the run's own scale, where the metric has one."""
    if score["skill"] is None:
        return None
    return get_metric(metric).skill(value, floor=score["floor"], trivial=score["baselines"][score["trivial"]])


def _shared(record: dict[str, Any]) -> dict[str, Any]:
    split = record["split"]
    return {
        **{name: record[name] for name in (*RUN_KEY, "machine", "date")},
        "n_fit": split["fit"],
        "n_held_out": split["held_out"],
        "n_genes": split["genes"],
        "status": record["status"],
    }


def _costs(cost: dict[str, Any]) -> dict[str, float]:
    phases = {f"{phase}_{name}": value for phase in ("fit", "generate") for name, value in cost[phase].items()}
    return phases | {"generate_cells_per_second": cost["n_generated"] / max(cost["generate"]["seconds"], 1e-3)}

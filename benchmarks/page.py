"""``RESULTS.md``, written from the tidy table and the records of the main job."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pandas as pd

from benchmarks.control.page import section as control_section
from benchmarks.curves import section as curves_section
from benchmarks.data import DATA_SETS, MIN_CELLS_PER_GENE, MIN_CELLS_PER_LABEL
from benchmarks.evaluation_speed import section as speed_section
from benchmarks.faults import section as faults_section
from benchmarks.figures import FIGURES
from benchmarks.fit_speed import section as fit_speed_section
from benchmarks.generate_speed import section as generate_speed_section
from benchmarks.headline import BIOLOGY, MAIN, PAPER, REALISM, present
from benchmarks.lisi_check import section as mixing_section
from benchmarks.machines import section as machines_section
from benchmarks.pretraining import section as pretraining_section
from benchmarks.processes import section as processes_section
from benchmarks.protocol import GENERATORS
from benchmarks.scale import section as scale_section
from benchmarks.scaling import section as scaling_section
from benchmarks.shuffle import section as shuffle_section
from benchmarks.small_jobs import section as small_jobs_section
from benchmarks.step_settings import section as step_settings_section
from benchmarks.steps import section as steps_section
from benchmarks.table import COST_GROUP, STATUS_METRIC

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

MAIN_JOB_FILE = "main_job.json"
_FLOOR = "*real cells (floor)*"
_COSTS = {
    "fit_seconds": "fit, s",
    "fit_cpu_seconds": "fit, CPU s",
    "fit_peak_mib": "fit, peak MiB",
    "generate_seconds": "generate, s",
    "generate_cpu_seconds": "generate, CPU s",
    "generate_peak_mib": "generate, peak MiB",
    "generate_cells_per_second": "cells/s",
}
_INTRODUCTION = f"""# Benchmark results

Written by `python -m benchmarks table` from `results/runs.csv` (every metric of every run) and
`results/{MAIN_JOB_FILE}`; run the runs with `python -m benchmarks run --data FOLDER`.

Each data set is split once (seed 0, stratified by the cell type; cells without a type are a type of their own; types
of fewer than {MIN_CELLS_PER_LABEL} cells are left out): 60 % to fit, 20 % reference, 20 % held out. Genes are those
seen in at least {MIN_CELLS_PER_GENE} cells of the fit part. A generator sees the fit part and makes one cell for each
held-out cell, of its type. `scdiffusion.evaluate` compares them with the held-out cells; gene choice, components and
the floor come from the reference part. Values are means over seeds (of fitting, generating and scoring), with the
standard deviation over seeds behind `±`. The first row of every table is the floor: other real cells in the place of
generated ones. The four trivial generators are the baselines of `scdiffusion.evaluate`, scored in the same process.
Peers that can be held to a budget (`--seconds`) had as many processor seconds to fit as their costs show. Costs are
those of one process; peak memory includes interpreter, libraries and the data.
"""


def write(table: pd.DataFrame, folder: Path) -> None:
    """Write ``RESULTS.md`` into a folder whose ``results/`` holds the rest."""
    results = folder / "results"
    parts = [_INTRODUCTION, _provenance(table), _missing(table), _main_job(read_records(results / MAIN_JOB_FILE))]
    parts += [_generators(), _overview(table)]
    parts += [_data_set(table[table["data_set"] == name]) for name in table["data_set"].unique()]
    parts += [_costs(table), _failures(table), curves_section(results), faults_section(results), speed_section(results)]
    parts += [
        fit_speed_section(results),
        generate_speed_section(results),
        steps_section(results),
        step_settings_section(results),
        small_jobs_section(results),
        processes_section(results),
        machines_section(results),
        scaling_section(results),
        scale_section(results),
        shuffle_section(results),
        mixing_section(results),
        control_section(results),
        pretraining_section(),
        _figures(results),
    ]
    text = "\n".join(part.rstrip() + "\n" for part in parts if part)
    (folder / "RESULTS.md").write_text(text, encoding="utf-8")


def read_records(path: Path) -> list[dict[str, object]]:
    """Read the records of the main job; none if there are none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def _provenance(table: pd.DataFrame) -> str:
    if table.empty:
        return "No run has been carried out yet."
    machines = "; ".join(sorted(table["machine"].dropna().unique()))
    dates = sorted(table["date"].dropna().unique())
    span = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    n_runs = len(table[["data_set", "generator", "seed"]].drop_duplicates())
    return f"{n_runs} runs, {span}, on {machines}."


def _missing(table: pd.DataFrame) -> str:
    """Name what was not scored: whole data sets, and generators that lack some of their seeds."""
    scored = table[table["metric"] == MAIN].drop_duplicates(["data_set", "generator", "seed"])
    most = scored["seed"].nunique()
    sizes = scored.groupby(["data_set", "generator"]).size()
    lines = []
    for name in DATA_SETS:
        found = {entry: int(sizes.get((name, entry), 0)) for entry in GENERATORS}
        short = [f"`{entry}` ({n} of {most})" for entry, n in found.items() if n < most]
        if not any(found.values()):
            lines.append(f"- {name}: not scored yet")
        elif short:
            lines.append(f"- {name}: fewer seeds than elsewhere for {', '.join(short)}")
    return "Missing so far:\n\n" + "\n".join(lines) if lines else ""


def _main_job(records: Sequence[dict[str, object]]) -> str:
    if not records:
        return ""
    rows = [
        [
            record["name"],
            f"{_number(record['value'])} {record['unit']}".strip(),
            record["goal"] or "",
            record["threads"],
            record["date"],
        ]
        for record in records
    ]
    machines = "; ".join(sorted({str(record["machine"]) for record in records}))
    lines = _grid(["measure", "value", "goal", "threads", "date"], rows)
    return f"## The main job\n\n`python -m benchmarks.main_job all --data FOLDER`, on {machines}.\n\n{lines}"


def _generators() -> str:
    lines = [f"- `{entry.name}`: {entry.about}" for entry in GENERATORS.values()]
    return "## Generators\n\n" + "\n".join(lines)


def _overview(table: pd.DataFrame) -> str:
    """Median skill by group of metrics, over all data sets, metrics and seeds."""
    scored = table[table["skill"].notna()]
    if scored.empty:
        return ""
    medians = scored.groupby(["generator", "group"])["skill"].median().unstack()
    medians = medians.loc[_in_order(medians.index)]
    rows = [[f"`{name}`", *(_number(value) for value in medians.loc[name])] for name in medians.index]
    words = (
        "1 is as close to held-out cells as other real cells are, 0 is the best trivial baseline (for privacy:\n"
        "the copier), below 0 is worse. "
        "Median over data sets, metrics of the group, and seeds.\n"
    )
    return f"## Skill by group\n\n{words}\n{_grid(['generator', *medians.columns], rows)}"


def _data_set(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    title = (
        f"## {first['data_set']}\n\n{first['n_fit']:,} cells to fit, {first['n_held_out']:,} held out, "
        f"{first['n_genes']:,} genes.\n"
    )
    grids = [_scores(table, present(table, columns)) for columns in (REALISM, BIOLOGY, PAPER)]
    held = [grid for grid in grids if grid]
    return "\n\n".join([title.rstrip(), *held]) if held else ""


def _scores(table: pd.DataFrame, metrics: dict[str, str]) -> str:
    """Lay out some metrics of one data set, the floor above all generators."""
    if not metrics:
        return ""
    floors = table.drop_duplicates(["seed", "metric"]).groupby("metric")["floor"].agg(["mean", "std"])
    rows = [[_FLOOR, *(_spread(floors, metric) for metric in metrics)]]
    for name in _in_order(table["generator"].unique()):
        values = table[table["generator"] == name].groupby("metric")["value"].agg(["mean", "std"])
        if values.index.isin(list(metrics)).any():
            rows.append([f"`{name}`", *(_spread(values, metric) for metric in metrics)])
    return _grid(["generator", *metrics.values()], rows)


def _costs(table: pd.DataFrame) -> str:
    costs = table[(table["group"] == COST_GROUP) & table["metric"].isin(list(_COSTS))]
    if costs.empty:
        return ""
    means = costs.groupby(["data_set", "generator", "metric"], sort=False)["value"].mean().unstack()
    means = means[[name for name in _COSTS if name in means]]
    rows = [[data_set, f"`{name}`", *map(_number, means.loc[(data_set, name)])] for data_set, name in means.index]
    return f"## Costs\n\n{_grid(['data set', 'generator', *(_COSTS[str(name)] for name in means)], rows)}"


def _failures(table: pd.DataFrame) -> str:
    failed = table[table["metric"] == STATUS_METRIC]
    if failed.empty:
        return ""
    rows = [
        [run.data_set, f"`{run.generator}`", run.seed, str(run.status).replace("|", "/")]
        for run in failed.itertuples(index=False)
    ]
    return f"## Runs without scores\n\n{_grid(['data set', 'generator', 'seed', 'why'], rows)}"


def _figures(results: Path) -> str:
    drawn = [
        f"![{caption}](results/{name})\n\n{caption}" for name, caption in FIGURES.items() if (results / name).exists()
    ]
    return "## Figures\n\n" + "\n\n".join(drawn) if drawn else ""


def _in_order(names: Iterable[str]) -> list[str]:
    known = list(GENERATORS)
    return sorted(names, key=lambda name: known.index(name) if name in known else len(known))


def _spread(values: pd.DataFrame, metric: str) -> str:
    if metric not in values.index:
        return ""
    mean, deviation = float(values["mean"][metric]), float(values["std"][metric])
    return _number(mean) if math.isnan(deviation) else f"{_number(mean)} ± {_number(deviation)}"


def _number(value: object) -> str:
    if isinstance(value, str):
        return value
    number = float("nan") if value is None else float(str(value))
    if math.isnan(number):
        return ""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3f}" if abs(number) >= 1e-3 or number == 0 else f"{number:.1e}"


def _grid(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)

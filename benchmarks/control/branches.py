"""From endocrine progenitors to two fates: do the cells arrive, and do their markers rise on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.control import figures, records, spaces
from benchmarks.control.models import Fit, is_fitted, model_of, read

if TYPE_CHECKING:
    from pathlib import Path

Array = Any
DATA_SET = "pancreas_endocrinogenesis"
START = "Ngn3 high EP"
FATES = ("Beta", "Alpha")
MARKERS = {"Beta": ("Ins1", "Ins2", "Iapp", "Pdx1"), "Alpha": ("Gcg", "Arx", "Ttr", "Peg10")}
OF_START = ("Neurog3", "Hes6")
FIGURE = "control_branches.png"
WAYS: dict[str, dict[str, Any]] = {
    "noising": {"via": "noising", "keep": 0.3},
    "inversion": {"via": "inversion", "keep": 0.7},
}
DRAWN = "inversion"
N_STEPS = 10
REAL = "real cells"
_SPLITS = 2


def fits(data: Path, seed: int) -> list[Fit]:
    """List the one fit, on all cells."""
    return [Fit(name="all", data_set=DATA_SET, conditions=("cell_type",), seed=seed)]


def run(data: Path, work: Path, seed: int) -> list[dict[str, Any]]:
    """Walk to both fates; one record a fate and step, beside real cells of fate and start."""
    fit = fits(data, seed)[0]
    if not is_fitted(fit, work=work):
        return []
    model = model_of(fit, data=data, work=work)
    adata, genes = read(DATA_SET, data), model.genes
    logs, labels = spaces.log_normalise(adata, genes), adata.obs["cell_type"].astype(str).to_numpy()
    judges = [_judge(logs, labels, split) for split in range(_SPLITS)]
    starts = adata[labels == START].copy()
    found = []
    for fate in FATES:
        about = {"data_set": DATA_SET, "fate": fate, "seed": seed}
        ends = [judge(logs[test][labels[test] == fate]) for judge, test in judges]
        expressed = _expression(logs[labels == fate], genes) | {
            f"start_{name}": value for name, value in _expression(logs[labels == START], genes).items()
        }
        arrived = float(np.mean([(end == fate).mean() for end in ends]))
        found.append(about | {"answer": REAL, "step": None, "arrived": arrived, **expressed})
        for way, settings in WAYS.items():
            made = model.trajectory(starts, {"cell_type": fate}, n_steps=N_STEPS, seed=seed, progress=False, **settings)
            cells, steps = spaces.log_normalise(made, genes), made.obs["step"].to_numpy(dtype=int)
            for step in np.unique(steps):
                here = cells[steps == step]
                shares = _shares([judge(here) for judge, _ in judges], fate)
                found.append(about | {"answer": way, "step": int(step), **shares, **_expression(here, genes)})
    return found


def _shares(named: list[Array], fate: str) -> dict[str, float]:
    """Average over classifiers how many cells they take for the fate, and for the start."""
    return {
        name: float(np.mean([(one == label).mean() for one in named]))
        for name, label in (("arrived", fate), ("as_start", START))
    }


def _judge(logs: Array, labels: Array, split: int) -> tuple[Any, Array]:
    """Train a classifier on half of the real cells; the other half tells how well it recognises."""
    train, test = spaces.halves(labels, seed=split)
    components = spaces.Components.of(logs[train])
    trained = spaces.classifier(components(logs[train]), labels[train])
    return (lambda cells: trained.predict(components(cells))), test


def _expression(logs: Array, genes: Array) -> dict[str, float]:
    """Average log expression of all markers that the model knows."""
    wanted = [gene for known in (*MARKERS.values(), OF_START) for gene in known]
    return {gene: float(logs[:, np.flatnonzero(genes == gene)[0]].mean()) for gene in wanted if gene in genes}


def draw(found: list[dict[str, Any]], folder: Path) -> None:
    """Draw markers along the way, with the levels of real cells of the fate at the end."""
    figure, axes = figures.grid(1, len(FATES) + 1, size=(4.0 * (len(FATES) + 1), 3.6))
    for axis, fate in zip(axes, FATES, strict=False):
        mine = [record for record in found if record["fate"] == fate and record["answer"] == DRAWN]
        real = [record for record in found if record["fate"] == fate and record["answer"] == REAL]
        steps = sorted({record["step"] for record in mine})
        for number, gene in enumerate([*MARKERS[fate], OF_START[0]]):
            if gene not in mine[0]:
                continue
            along = [records.mean([one for one in mine if one["step"] == step], gene) for step in steps]
            (line,) = axis.plot(steps, along, marker="os^Dv"[number], markersize=3, linewidth=1, label=gene)
            axis.plot(steps[-1] + 0.6, records.mean(real, gene), "_", markersize=12, color=line.get_color())
        axis.set(title=f"{START} to {fate}", xlabel="step (bars: real cells of the fate)", ylabel="mean log expression")
        axis.legend(frameon=False, fontsize=7)
    for fate, style in zip(FATES, ("-", "--"), strict=True):
        mine = [record for record in found if record["fate"] == fate and record["answer"] == DRAWN]
        steps = sorted({record["step"] for record in mine})
        for measure, color in (("arrived", "black"), ("as_start", "grey")):
            along = [records.mean([one for one in mine if one["step"] == step], measure) for step in steps]
            word = f"as {fate}" if measure == "arrived" else f"as {START}, to {fate}"
            axes[-1].plot(steps, along, style, color=color, linewidth=1, label=word)
    axes[-1].set(xlabel="step", ylabel="recognised", ylim=(-0.02, 1.02))
    axes[-1].legend(frameon=False, fontsize=7)
    figures.save(figure, folder / FIGURE)

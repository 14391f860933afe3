"""The section of the results page: each study with its goals, floors and trivial answers, and what falls short."""

from __future__ import annotations

import math
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.control import branches, classifiers, embryo, rare, start_cell, times, unseen
from benchmarks.control.records import mean, read, seeds_of
from benchmarks.control.tables import grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Record = dict[str, Any]
_RESULTS = Path(__file__).resolve().parents[1] / "results"


def section(folder: Path = _RESULTS) -> str:
    """Write the section from ``control_*.json``; studies that were not run are left out."""
    parts = []
    for study, write in _STUDIES.items():
        found = read(study, folder)
        if found:
            seeds = ", ".join(map(str, seeds_of(found)))
            title, text = write(found)
            parts.append(f"### {title}\n\n{text}\n\nSeeds: {seeds}.")
            parts += [f"![{title}](results/{name})" for name in _FIGURES.get(study, ()) if (folder / name).exists()]
    if not parts:
        return ""
    opening = (
        "## Control\n\n"
        "Written from `results/control_*.json`; `python -m benchmarks.control all --data FOLDER` runs the studies, on "
        "models that never saw the cells they are compared with. Energy distances are squared and unbiased, in the 30 "
        "first components of one half of the real cells, towards the other half: 0 is no difference, and the row "
        "*real cells* is one half against the other. Means over seeds. Where a goal is missed, the line says so."
    )
    return "\n\n".join([opening, *parts]) + "\n"


def said(*, goal: str, value: float, met: bool) -> str:
    """State a goal, what was reached, and whether that is enough."""
    reached = "not measured" if math.isnan(value) else f"{value:.2f}"
    return f"- {goal}: {reached}, **{'met' if met else 'missed'}**."


def _of(found: Iterable[Record], **wanted: object) -> list[Record]:
    return [record for record in found if all(record.get(key) == value for key, value in wanted.items())]


def _answers(found: Iterable[Record]) -> list[str]:
    return list(dict.fromkeys(str(record["answer"]) for record in found))


def _unseen(found: list[Record]) -> tuple[str, str]:
    measures = ("recognised", "recognised_level", "recognised_type", "energy", "pearson", "slope")
    header = ["answer", "both right", "level", "type", "energy distance", "Pearson of 200 changes", "slope"]
    lines = []
    for design in unseen.DESIGNS:
        mine = _of(found, data_set=design.data_set)
        if not mine:
            continue
        rows = [[name, *(mean(_of(mine, answer=name), measure) for measure in measures)] for name in _answers(mine)]
        n_types = len({record["type"] for record in mine})
        lines.append(
            f"`{design.data_set}`: {design.target} cells of each of {n_types} types left out in turn; means over "
            f"types. *Autoencoder alone* decodes the encoded real cells: what no diffusion could improve on.\n\n"
            f"{grid(header, rows)}\n\n{_unseen_goals(mine)}\n\n{_by_type(mine)}"
        )
    return "Unseen combinations", "\n\n".join(lines)


def _unseen_goals(mine: list[Record]) -> str:
    ours, real = _of(mine, answer="ours"), _of(mine, answer=unseen.REAL)
    share = mean(ours, "recognised") / mean(real, "recognised")
    trivial = {name: mean(_of(mine, answer=name), "energy") for name in unseen.TRIVIAL}
    best = min(trivial, key=lambda name: trivial[name])
    ratio = mean(ours, "energy") / trivial[best]
    pearson, slope = mean(ours, "pearson"), mean(ours, "slope")
    return "\n".join(
        [
            said(goal="recognised, as a share of real cells (goal .95)", value=share, met=share >= 0.95),
            said(goal=f"energy distance over that of *{best}* (goal .5)", value=ratio, met=ratio <= 0.5),
            said(goal="Pearson of changes (goal .9)", value=pearson, met=pearson >= 0.9),
            said(goal="slope of changes (goal .8 to 1.2)", value=slope, met=0.8 <= slope <= 1.2),
        ]
    )


def _by_type(mine: list[Record]) -> str:
    shown = ("ours", *unseen.TRIVIAL, unseen.REAL)
    header = ["energy distance", *shown]
    labels = dict.fromkeys(record["type"] for record in mine)
    rows = [[label, *(mean(_of(mine, type=label, answer=name), "energy") for name in shown)] for label in labels]
    return grid(header, rows)


def _times(found: list[Record]) -> tuple[str, str]:
    names = _answers(found)
    header = ["left out", "hour", *names, "hour that the cells look like: ours", "real"]
    places = dict.fromkeys((record["without"], record["time"]) for record in found)
    rows = []
    for without, time in places:
        mine = _of(found, without=without, time=time)
        distances = [mean(_of(mine, answer=name), "energy") for name in names]
        hours = [mean(_of(mine, answer=name), "hour") for name in ("ours", times.REAL)]
        rows.append([without, time, *distances, *hours])
    goals = []
    for name in times.TRIVIAL:
        at = names.index(name) + 2
        better = sum(row[2 + names.index("ours")] < row[at] for row in rows)
        goals.append(
            said(goal=f"hours (of {len(rows)}) nearer to real cells than {name}", value=better, met=better == len(rows))
        )
    return "Hours left out", (
        f"`{times.DATA_SET}` fitted with time as a number, without some hours; energy distance of cells generated at "
        f"those hours.\n\n{grid(header, rows)}\n\n" + "\n".join(goals)
    )


def _embryo(found: list[Record]) -> tuple[str, str]:
    rows = [
        [
            record["without"],
            record["seed"],
            record["answer"],
            record["passed"].replace(" ", " - "),
            "yes" if record["in_order"] else "no",
            record["spearman"],
            record["spearman_of_means"],
        ]
        for record in found
    ]
    header = ["left out", "seed", "way", "nearest stages along the steps", "in order, through what was left out"]
    ours = _of(found, answer="ours")
    spearman = mean(ours, "spearman")
    in_order = mean([{"value": float(record["in_order"])} for record in ours], "value")
    goals = [
        said(goal="trajectories in order through the stages left out (goal 1)", value=in_order, met=in_order == 1.0),
        said(goal="Spearman of step with diffusion pseudotime (goal .95)", value=spearman, met=spearman >= 0.95),
    ]
    return "Stages left out", (
        f"`{embryo.DATA_SET}`: from real 4-cell cells to the time of the late blastocyst, `keep` {embryo.KEEP}.\n\n"
        f"{grid([*header, 'Spearman of cells', 'of step means'], rows)}\n\n" + "\n".join(goals)
    )


def _start_cell(found: list[Record]) -> tuple[str, str]:
    measures = ("first", "first_latent", "ahead_of", "same_type", "arrived")
    header = ["keep", "true start first", "first, in latents", "nearer than", "type kept", "stimulated"]
    rows = [[keep, *(mean(_of(found, keep=keep), measure) for measure in measures)] for keep in start_cell.KEEPS]
    for_goal = [row[1] for row in rows]
    latent = [row[2] for row in rows]
    monotone = all(now <= after + 0.02 for now, after in pairwise(for_goal))
    goals = [
        said(goal="found first among 100 at `keep` 1 (goal .9)", value=for_goal[-1], met=for_goal[-1] > 0.9),
        said(goal="the same, in latents", value=latent[-1], met=latent[-1] > 0.9),
        said(goal="found first at `keep` 0 (chance .01)", value=for_goal[0], met=for_goal[0] <= 0.05),
        said(goal="never falls by more than .02 along `keep`", value=float(monotone), met=monotone),
    ]
    return "Start cell", (
        f"`{start_cell.DATA_SET}`: 100 control cells of all types on their way to stimulated ones; the last step is "
        f"looked up among the 100 starts.\n\n{grid(header, rows)}\n\n" + "\n".join(goals)
    )


def _branches(found: list[Record]) -> tuple[str, str]:
    rows, goals = [], []
    for fate in branches.FATES:
        mine = _of(found, fate=fate)
        steps = sorted({record["step"] for record in mine if record["step"] is not None})
        real, last = _of(mine, answer=branches.REAL), _of(mine, step=steps[-1])
        first = _of(mine, step=steps[0])
        arrived = mean(last, "arrived")
        rows.append([fate, mean(first, "arrived"), arrived, mean(real, "arrived")])
        goals.append(said(goal=f"arrive at {fate} (goal .9)", value=arrived, met=arrived > 0.9))
        for gene in branches.MARKERS[fate]:
            if gene in mine[0]:
                ends = mean(first, gene), mean(last, gene)
                goals.append(
                    said(goal=f"{gene} rises by (from {ends[0]:.2f})", value=ends[1] - ends[0], met=ends[1] > ends[0])
                )
    return "Branches", (
        f"`{branches.DATA_SET}` from {branches.START} cells, `keep` {branches.KEEP}.\n\n"
        f"{grid(['fate', 'recognised at the first step', 'at the last', 'real held-out cells'], rows)}\n\n"
        + "\n".join(goals)
    )


def _classifiers(found: list[Record]) -> tuple[str, str]:
    rows = []
    for keys in classifiers.SETS:
        mine = _of(found, classifiers=" + ".join(keys))
        for strength in (*classifiers.STRENGTHS, None):
            at = _of(mine, strength=strength)
            word = "real cells" if strength is None else f"{strength:g}"
            each = ", ".join(f"{mean(at, f'recognised_{key}'):.2f}" for key in keys)
            rows.append([" + ".join(keys), word, mean(at, "recognised"), each, mean(at, "energy")])
    return "Several classifiers", (
        f"`{classifiers.DATA_SET}`: a model fitted without any condition, and classifiers attached afterwards; "
        "strength 0 is no guidance. Means over all combinations that real cells have.\n\n"
        + grid(["classifiers", "strength", "all right", "each", "energy distance"], rows)
    )


def _rare(found: list[Record]) -> tuple[str, str]:
    measures = ("forest_macro_f1", "forest_rare_recall", "logistic_macro_f1", "logistic_rare_recall")
    names = _answers(found)
    lines, goals = [], []
    places = dict.fromkeys((record["data_set"], record["k"]) for record in found)
    for data_set, k in places:
        mine = _of(found, data_set=data_set, k=k)
        for name in names:
            of_name = _of(mine, answer=name)
            lines.append([data_set, k, mine[0]["rare"], name, *(mean(of_name, measure) for measure in measures)])
        if k <= 25:
            lead = [_lead(mine, names, measure) for measure in measures]
            goals.append(
                said(
                    goal=f"`{data_set}`, K = {k}: smallest lead of ours over the best other way, of the four measures",
                    value=min(lead),
                    met=min(lead) > 0,
                )
            )
    header = ["data set", "K", "rare types", "training cells", "forest: macro-F1", "rare recall"]
    return "Rare types", (
        "Classifiers trained on K real cells of each rare type and the others in their proportions, brought to the "
        "median size of types where cells are added; tested on real held-out cells (of held-out donors in "
        f"`kang_ctrl_8donors`).\n\n{grid([*header, 'logistic: macro-F1', 'rare recall'], lines)}\n\n" + "\n".join(goals)
    )


def _lead(mine: list[Record], names: list[str], measure: str) -> float:
    others = [mean(_of(mine, answer=name), measure) for name in names if name != rare.OURS]
    return mean(_of(mine, answer=rare.OURS), measure) - max(others)


_STUDIES: dict[str, Callable[[list[Record]], tuple[str, str]]] = {
    "unseen": _unseen,
    "times": _times,
    "embryo": _embryo,
    "start_cell": _start_cell,
    "branches": _branches,
    "classifiers": _classifiers,
    "rare": _rare,
}
_FIGURES: dict[str, tuple[str, ...]] = {
    "start_cell": (start_cell.FIGURE,),
    "branches": (branches.FIGURE,),
    "classifiers": (classifiers.FIGURE,),
}


if __name__ == "__main__":
    sys.stdout.write(section())

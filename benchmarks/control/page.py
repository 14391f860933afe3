"""The section of the results page: each study with its goals, floors and trivial answers, and what falls short."""

from __future__ import annotations

import math
import sys
from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.control import branches, classifiers, copying, embryo, rare, start_cell, times, unseen
from benchmarks.control.records import mean, read, seeds_of
from benchmarks.control.tables import grid, number

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
            f"types. *Autoencoder alone* decodes the encoded real cells. *Shift of counts* puts the mean change of the "
            f"other types onto real cells of the type, *best weights* the weighing of their changes that comes nearest "
            f"to the real one: it sees the answer.\n\n"
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
            f"- energy distance over that of *{unseen.BEST_SHIFT}*, which sees the answer: "
            f"{number(mean(ours, 'energy') / mean(_of(mine, answer=unseen.BEST_SHIFT), 'energy'))}.",
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
    header = ["left out", "seed", "way", "nearest stages along the steps", "in order, through what was left out"]
    rows = []
    for one in found:
        named = [one["without"], one["seed"], one["answer"], one["passed"].replace(" ", " - ")]
        rows.append([*named, "yes" if one["in_order"] else "no", one["spearman"], one["spearman_of_means"]])
    goals = []
    for way in embryo.WAYS:
        ours = _of(found, answer=way)
        order = mean([{"value": float(record["in_order"])} for record in ours], "value")
        spearman = mean(ours, "spearman")
        goals += [
            said(goal=f"{way}: share in order through the stages left out (goal 1)", value=order, met=order == 1.0),
            said(goal=f"{way}: Spearman of step and pseudotime (goal .95)", value=spearman, met=spearman >= 0.95),
        ]
    return "Stages left out", (
        f"`{embryo.DATA_SET}`: from real 4-cell cells to the time of the late blastocyst; {_ways(embryo.WAYS)}. "
        "Diffusion pseudotime is that of all real cells together with those of the way. The row *real cells* has the "
        "stage in place of the step, and the pseudotime of real cells alone: what it is worth on these few.\n\n"
        f"{grid([*header, 'Spearman of cells', 'of step means'], rows)}\n\n" + "\n".join(goals)
    )


def _ways(ways: dict[str, dict[str, Any]]) -> str:
    return ", ".join(f"{name} with `keep` {settings['keep']}" for name, settings in ways.items())


def _start_cell(found: list[Record]) -> tuple[str, str]:
    measures = ("first", "ahead_of", "first_counts", "ahead_of_counts", "ahead_of_genes", "same_type", "arrived")
    header = ["way", "keep", "first, latents", "nearer, latents", "first, counts", "nearer, counts"]
    rows, goals = [], []
    for via in start_cell.VIAS:
        mine = _of(found, answer=via)
        lines = [[mean(_of(mine, keep=keep), measure) for measure in measures] for keep in start_cell.KEEPS]
        rows += [[via, keep, *line] for keep, line in zip(start_cell.KEEPS, lines, strict=True)]
        first, nearer = ([line[place] for line in lines] for place in (0, 1))
        monotone = all(now <= after + 0.02 for along in (first, nearer) for now, after in pairwise(along))
        goals += [
            said(goal=f"{via}: found first at `keep` 1 (goal .9)", value=first[-1], met=first[-1] > 0.9),
            said(goal=f"{via}: nearer than others at `keep` 1 (goal .9)", value=nearer[-1], met=nearer[-1] > 0.9),
            said(goal=f"{via}: nearer at `keep` 0 (chance .5)", value=nearer[0], met=abs(nearer[0] - 0.5) <= 0.1),
            said(goal=f"{via}: neither falls by more than .02 along `keep`", value=float(monotone), met=monotone),
        ]
    rows.append(["chance", "", 0.01, 0.5, 0.01, 0.5, 0.5, "", ""])
    rows.append([start_cell.REAL, *[""] * 6, mean(_of(found, answer=start_cell.REAL), "same_type"), ""])
    return "Start cell", (
        f"`{start_cell.DATA_SET}`: 100 control cells of one type on their way to stimulated ones, for "
        f"{len(start_cell.TYPES)} types; the last step is looked up among the 100 starts: how often the true one is "
        "first, and the share of the others that lie farther. In the latents of the trajectory, in latents of its "
        "counts encoded again (counts are drawn, which costs what a second sequencing would), and in components of "
        "genes.\n\n"
        f"{grid([*header, 'nearer, components', 'type kept', 'stimulated'], rows)}\n\n" + "\n".join(goals)
    )


def _branches(found: list[Record]) -> tuple[str, str]:
    rows, goals = [], []
    for fate, way in product(branches.FATES, branches.WAYS):
        mine = _of(found, fate=fate, answer=way)
        steps = sorted({record["step"] for record in mine})
        first, last = _of(mine, step=steps[0]), _of(mine, step=steps[-1])
        real, arrived = _of(found, fate=fate, answer=branches.REAL), mean(last, "arrived")
        markers = [gene for gene in branches.MARKERS[fate] if gene in mine[0]]
        levels = ", ".join(
            f"{gene} {mean(first, gene):.2f} to {mean(last, gene):.2f} (real {mean(real, gene):.2f})"
            for gene in markers
        )
        rows.append([fate, way, mean(first, "arrived"), arrived, mean(real, "arrived"), levels])
        rise = min(mean(last, gene) - mean(first, gene) for gene in markers)
        goals += [
            said(goal=f"{way}: arrive at {fate} (goal .9)", value=arrived, met=arrived > 0.9),
            said(goal=f"{way}: smallest rise of a marker of {fate}", value=rise, met=rise > 0),
        ]
    header = ["fate", "way", "recognised at the first step", "at the last", "real held-out cells", "markers"]
    return "Branches", (
        f"`{branches.DATA_SET}` from {branches.START} cells; {_ways(branches.WAYS)}.\n\n"
        f"{grid(header, rows)}\n\n" + "\n".join(goals)
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
    places = sorted(
        dict.fromkeys((record["data_set"], record["k"]) for record in found),
        key=lambda place: (list(rare.DONOR_KEYS).index(place[0]), place[1]),
    )
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
    "copying": copying.describe,
}
_FIGURES: dict[str, tuple[str, ...]] = {
    "start_cell": (start_cell.FIGURE,),
    "branches": (branches.FIGURE,),
    "classifiers": (classifiers.FIGURE,),
}


if __name__ == "__main__":
    sys.stdout.write(section())

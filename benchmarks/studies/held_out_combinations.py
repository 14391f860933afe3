"""Out-of-distribution combinations of conditions: generated, and compared with the real cells held out of the fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import spaces
from benchmarks.layout import REAL, distinct, goal, grid, mean, number, only
from benchmarks.models import Fit, model_of, read
from benchmarks.records import rows_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse import CellGenerator

name = "held_out_combinations"
title = "Held-out combinations"
summary = "Cell types under a condition in which no training cell of the type was."
unit = ("seed",)

Array = Any
Row = dict[str, Any]
N_CELLS = 400
_SPLITS = 2
_STRONGER = 1.5


@dataclass(frozen=True)
class Design:
    """A condition that changes cells, and the level of it that is left out for one type after the other."""

    data_set: str
    key: str
    target: str
    base: str


DESIGNS = (
    Design("kang_ifnb", "condition", "stimulated", "control"),
    Design("mouse_gut_organs", "organ", "intestine", "stomach"),
)


def types_of(design: Design, adata: AnnData) -> list[str]:
    """List the types found at both levels."""
    found = [set(adata.obs.loc[adata.obs[design.key] == level, "cell_type"]) for level in (design.base, design.target)]
    return sorted(found[0] & found[1])


def fit_of(design: Design, label: str, seed: int) -> Fit:
    """Describe the fit without the target level of one type."""
    word = "".join(letter for letter in label.replace(" ", "_") if letter.isalnum() or letter == "_")
    return Fit(
        name=f"no_{design.target}_{word}",
        data_set=design.data_set,
        conditions=(design.key, "cell_type"),
        without=({design.key: design.target, "cell_type": label},),
        seed=seed,
    )


@dataclass(frozen=True)
class Question:
    """One combination left out, with the model that never saw it."""

    design: Design
    label: str
    adata: AnnData
    model: CellGenerator
    seed: int

    @property
    def where(self) -> dict[str, str]:
        """The combination."""
        return {self.design.key: self.design.target, "cell_type": self.label}

    def rows(self, level: str, label: str | None = None) -> AnnData:
        """Return the real cells of a level and a type."""
        marks = (self.adata.obs[self.design.key] == level) & (self.adata.obs["cell_type"] == (label or self.label))
        return self.adata[marks.to_numpy()]

    @cached_property
    def others(self) -> list[str]:
        """Types that the model saw at both levels."""
        return [label for label in types_of(self.design, self.adata) if label != self.label]


def _generated(question: Question) -> AnnData:
    return question.model.generate(N_CELLS, where=question.where, seed=question.seed, progress=False)


def _stronger(question: Question) -> AnnData:
    asked = {question.design.key: _STRONGER}
    return question.model.generate(N_CELLS, where=question.where, guidance=asked, seed=question.seed, progress=False)


def _stronger_in_all(question: Question) -> AnnData:
    return question.model.generate(
        N_CELLS, where=question.where, guidance=_STRONGER, seed=question.seed, progress=False
    )


def _additive(question: Question) -> AnnData:
    from scdiffuse import Guidance

    return question.model.generate(
        N_CELLS, where=question.where, guidance=Guidance(composition="additive"), seed=question.seed, progress=False
    )


def _predicted(question: Question) -> AnnData:
    base = question.rows(question.design.base).copy()
    asked = {question.design.key: question.design.target}
    return question.model.predict(base, asked, seed=question.seed, progress=False)


def _latent_arithmetic(question: Question) -> AnnData:
    from benchmarks.inside import decode

    model, design = question.model, question.design
    shifts = [
        model.encode(question.rows(design.target, label).copy()).mean(axis=0)
        - model.encode(question.rows(design.base, label).copy()).mean(axis=0)
        for label in question.others
    ]
    base = question.rows(design.base).copy()
    moved = model.encode(base) + np.mean(shifts, axis=0)
    return decode(model, moved, like=base, seed=question.seed)


def _reconstructed(question: Question) -> AnnData:
    from benchmarks.inside import decode

    real = question.rows(question.design.target).copy()
    return decode(question.model, question.model.encode(real), like=real, seed=question.seed)


ANSWERS: dict[str, Callable[[Question], AnnData]] = {
    "ours": _generated,
    "ours, additive": _additive,
    "ours, guidance 1.5": _stronger,
    "ours, guidance 1.5 of all": _stronger_in_all,
    "ours, predict": _predicted,
    "latent arithmetic": _latent_arithmetic,
    "autoencoder alone": _reconstructed,
}
AVERAGE, AVERAGE_OF_COUNTS = "average effect, log expression", "average effect, pseudobulk counts"
TRIVIAL = ("same type, other level", "latent arithmetic", AVERAGE, AVERAGE_OF_COUNTS)
ORACLE = "oracle combination of effects"


def answers(question: Question, genes: list[str]) -> Iterator[tuple[str, Array]]:
    """Answer the question in every way, as log-normalised cells."""
    for one, answer in ANSWERS.items():
        yield one, spaces.log_normalise(answer(question), genes)
    design = question.design
    base = spaces.log_normalise(question.rows(design.base), genes)
    yield "same type, other level", base
    yield AVERAGE, np.maximum(0, base + mean_shift(question, genes))
    for one, cells in _effects_on_counts(question, genes):
        yield one, spaces.log_normalise(cells, genes)


def _effects_on_counts(question: Question, genes: list[str]) -> Iterator[tuple[str, AnnData]]:
    """Put onto real cells the average effect of the other types, and the oracle combination of their effects."""
    levels = (question.design.target, question.design.base)

    def change(label: str) -> Array:
        return spaces.log_change(*(spaces.fractions(question.rows(level, label)[:, genes]) for level in levels))

    base, changes = question.rows(question.design.base)[:, genes], [change(label) for label in question.others]
    yield AVERAGE_OF_COUNTS, spaces.shifted(base, np.mean(changes, axis=0), seed=question.seed)
    target = question.rows(question.design.target)[:, genes]
    weights = spaces.best_weights(
        changes, change(question.label), weigh=np.sqrt(spaces.fractions(base) + spaces.fractions(target))
    )
    yield ORACLE, spaces.shifted(base, np.stack(changes, axis=1) @ weights, seed=question.seed)


def mean_shift(question: Question, genes: list[str]) -> Array:
    """Average over the other types what the target level adds to mean log expression."""
    design = question.design
    return np.mean(
        [
            spaces.log_normalise(question.rows(design.target, label), genes).mean(axis=0)
            - spaces.log_normalise(question.rows(design.base, label), genes).mean(axis=0)
            for label in question.others
        ],
        axis=0,
    )


class Targets:
    """Real cells in halves: one trains classifiers and components, and generated cells are compared with the other."""

    def __init__(self, design: Design, adata: AnnData, genes: list[str]) -> None:
        self.design = design
        self.logs = spaces.log_normalise(adata, genes)
        self.levels = adata.obs[design.key].astype(str).to_numpy()
        self.labels = adata.obs["cell_type"].astype(str).to_numpy()
        both = np.char.add(np.char.add(self.levels, "|"), self.labels)
        pairs = [spaces.halves(both, seed=seed) for seed in range(_SPLITS)]
        self.parts = [self._train(*order) for pair in pairs for order in (pair, pair[::-1])]

    def _train(self, train: Array, test: Array) -> tuple[Array, Array, Any, Any, Any]:
        components = spaces.Components.of(self.logs[train])
        features = components(self.logs[train])
        classifiers = [spaces.classifier(features, labels[train]) for labels in (self.levels, self.labels)]
        return train, test, components, *classifiers

    def score(self, label: str, cells: Array | None) -> dict[str, float]:
        """Score cells meant for a type at the target level; real held-out ones if none are given."""
        found = [self._score(part, label, cells) for part in self.parts]
        numbers = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
        if cells is not None:
            base, target = (self.logs[self._rows(level, label)] for level in (self.design.base, self.design.target))
            real = spaces.log_fold_change(target, base)
            numbers |= spaces.agreement(real, spaces.log_fold_change(cells, base))
        return numbers

    def _rows(self, level: str, label: str) -> Array:
        return np.flatnonzero((self.levels == level) & (self.labels == label))

    def _score(self, part: tuple[Array, Array, Any, Any, Any], label: str, cells: Array | None) -> dict[str, float]:
        train, test, components, level_classifier, label_classifier = part
        target = self._rows(self.design.target, label)
        real = components(self.logs[np.intersect1d(target, test)])
        features = real if cells is None else components(cells)
        of_level = level_classifier.predict(features) == self.design.target
        of_label = label_classifier.predict(features) == label
        numbers = {
            "accuracy": float((of_level & of_label).mean()),
            "accuracy_level": float(of_level.mean()),
            "accuracy_type": float(of_label.mean()),
            "energy": spaces.energy_of_halves(real) if cells is None else spaces.energy(features, real),
        }
        if cells is None:
            base = self._rows(self.design.base, label)
            changes = [
                spaces.log_fold_change(self.logs[np.intersect1d(target, half)], self.logs[np.intersect1d(base, half)])
                for half in (test, train)
            ]
            numbers |= spaces.agreement(*changes)
        return numbers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Set the seeds."""
    parser.set_defaults(seeds=[0, 1, 2])


def run(context: Context) -> Iterator[Record]:
    """Measure each seed."""
    for seed in context.seeds:
        yield from context.measure({"seed": seed}, partial(measure, context, seed))


def measure(context: Context, seed: int) -> list[Row]:
    """Score all combinations of a seed; one row each and answer."""
    rows = []
    for design in DESIGNS:
        adata = read(design.data_set, context)
        models = {label: model_of(fit_of(design, label, seed), context) for label in types_of(design, adata)}
        genes = sorted(set.intersection(*(set(model.genes.tolist()) for model in models.values())))
        targets = Targets(design, adata, genes)
        for label, model in models.items():
            question = Question(design, label, adata, model, seed)
            scores = {REAL: targets.score(label, None)}
            scores |= {one: targets.score(label, cells) for one, cells in answers(question, genes)}
            about = {"data_set": design.data_set, "type": label}
            rows += [about | {"answer": one, **numbers} for one, numbers in scores.items()]
    return rows


def lines(records: Sequence[Record]) -> list[str]:
    """Write answers, goals, and energy distances by type, for each design."""
    measures = ("accuracy", "accuracy_level", "accuracy_type", "energy", "pearson", "slope")
    header = ["answer", "both right", "level", "type", "energy distance", "Pearson of 200 changes", "slope"]
    parts = [
        "*Autoencoder alone* decodes the encoded real cells. The *average effect* of the other types is added to log "
        "expression, or put onto the counts of real cells of the type (pseudobulk). The *oracle combination* weighs "
        "the effects of the other types with the real effect in view."
    ]
    for design in DESIGNS:
        mine = only(rows_of(records), data_set=design.data_set)
        if mine:
            names = distinct(mine, "answer")
            rows = [[one, *(mean(only(mine, answer=one), measure) for measure in measures)] for one in names]
            n_types = len(distinct(mine, "type"))
            said = (
                f"`{design.data_set}`: {design.target} cells of each of {n_types} types held out in turn; means over "
                "types."
            )
            parts += [said, grid(header, rows), _goals(mine), _by_type(mine)]
    return parts


def _goals(mine: list[Row]) -> str:
    ours, real = only(mine, answer="ours"), only(mine, answer=REAL)
    fraction = mean(ours, "accuracy") / mean(real, "accuracy")
    trivial = {one: mean(only(mine, answer=one), "energy") for one in TRIVIAL}
    best = min(trivial, key=lambda one: trivial[one])
    ratio = mean(ours, "energy") / trivial[best]
    pearson, slope = mean(ours, "pearson"), mean(ours, "slope")
    oracle = number(mean(ours, "energy") / mean(only(mine, answer=ORACLE), "energy"))
    return "\n".join(
        [
            goal("both labels right, as a fraction of real cells (goal .95)", value=fraction, met=fraction >= 0.95),
            goal(f"energy distance over that of *{best}* (goal .5)", value=ratio, met=ratio <= 0.5),
            f"- energy distance over that of the *{ORACLE}*: {oracle}.",
            goal("Pearson of changes (goal .9)", value=pearson, met=pearson >= 0.9),
            goal("slope of changes (goal .8 to 1.2)", value=slope, met=0.8 <= slope <= 1.2),
        ]
    )


def _by_type(mine: list[Row]) -> str:
    shown = ("ours", *TRIVIAL, REAL)
    rows = [
        [label, *(mean(only(mine, type=label, answer=one), "energy") for one in shown)]
        for label in distinct(mine, "type")
    ]
    return grid(["energy distance", *shown], rows)

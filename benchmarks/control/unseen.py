"""Combinations of conditions that no training cell had: generated, and compared with the real cells left out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.control import latents, shifts, spaces
from benchmarks.control.models import Fit, is_fitted, model_of, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from anndata import AnnData

    from scdiffusion import CellGenerator

Array = Any
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
    name = "".join(letter for letter in label.replace(" ", "_") if letter.isalnum() or letter == "_")
    return Fit(
        name=f"no_{design.target}_{name}",
        data_set=design.data_set,
        conditions=(design.key, "cell_type"),
        without=({design.key: design.target, "cell_type": label},),
        seed=seed,
    )


def fits(data: Path, seed: int) -> list[Fit]:
    """List all fits of the study."""
    return [
        fit_of(design, label, seed) for design in DESIGNS for label in types_of(design, read(design.data_set, data))
    ]


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
    return question.model.generate(
        N_CELLS, where=question.where, composition="additive", seed=question.seed, progress=False
    )


def _transferred(question: Question) -> AnnData:
    base = question.rows(question.design.base).copy()
    asked = {question.design.key: question.design.target}
    return question.model.transfer(base, where=asked, seed=question.seed, progress=False)


def _latent_arithmetic(question: Question) -> AnnData:
    model, design = question.model, question.design
    shifts = [
        model.encode(question.rows(design.target, label).copy()).mean(axis=0)
        - model.encode(question.rows(design.base, label).copy()).mean(axis=0)
        for label in question.others
    ]
    base = question.rows(design.base).copy()
    return latents.decode(model, model.encode(base) + np.mean(shifts, axis=0), like=base, seed=question.seed)


def _reconstructed(question: Question) -> AnnData:
    real = question.rows(question.design.target).copy()
    return latents.decode(question.model, question.model.encode(real), like=real, seed=question.seed)


ANSWERS: dict[str, Callable[[Question], AnnData]] = {
    "ours": _generated,
    "ours, additive": _additive,
    "ours, guidance 1.5": _stronger,
    "ours, guidance 1.5 of all": _stronger_in_all,
    "ours, transfer": _transferred,
    "latent arithmetic": _latent_arithmetic,
    "autoencoder alone": _reconstructed,
}
TRIVIAL = ("same type, other level", "latent arithmetic", "shift of expression", "shift of counts")
BEST_SHIFT = "shift of counts, best weights"
REAL = "real cells"


def answers(question: Question, genes: list[str]) -> Iterator[tuple[str, Array]]:
    """Answer the question in every way, as log-normalised cells."""
    for name, answer in ANSWERS.items():
        yield name, spaces.log_normalise(answer(question), genes)
    design = question.design
    base = spaces.log_normalise(question.rows(design.base), genes)
    yield "same type, other level", base
    yield "shift of expression", np.maximum(0, base + mean_shift(question, genes))
    for name, cells in _shifts_of_counts(question, genes):
        yield name, spaces.log_normalise(cells, genes)


def _shifts_of_counts(question: Question, genes: list[str]) -> Iterator[tuple[str, AnnData]]:
    """Put onto real cells the mean change of the other types, and the best weighing of their changes."""
    levels = (question.design.target, question.design.base)

    def change(label: str) -> Array:
        return shifts.log_change(*(shifts.shares(question.rows(level, label)[:, genes]) for level in levels))

    base, changes = question.rows(question.design.base)[:, genes], [change(label) for label in question.others]
    yield "shift of counts", shifts.shifted(base, np.mean(changes, axis=0), seed=question.seed)
    target = question.rows(question.design.target)[:, genes]
    weights = shifts.best_weights(
        changes, change(question.label), weigh=np.sqrt(shifts.shares(base) + shifts.shares(target))
    )
    yield BEST_SHIFT, shifts.shifted(base, np.stack(changes, axis=1) @ weights, seed=question.seed)


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


class Judges:
    """Real cells in halves: one half trains classifiers and components, the other is what is to be met."""

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
        judges = [spaces.classifier(features, labels[train]) for labels in (self.levels, self.labels)]
        return train, test, components, *judges

    def score(self, label: str, cells: Array | None) -> dict[str, float]:
        """Judge cells meant for a type at the target level; real held-out ones if none are given."""
        found = [self._score(part, label, cells) for part in self.parts]
        numbers = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
        if cells is not None:
            base, target = (self.logs[self._rows(level, label)] for level in (self.design.base, self.design.target))
            real = spaces.log_fold_change(target, base)
            numbers |= spaces.agreement(real, spaces.log_fold_change(cells, base))
        return numbers

    def _rows(self, level: str, label: str) -> Array:
        return np.flatnonzero((self.levels == level) & (self.labels == label))

    def _score(self, part: tuple[Array, Array, Any, Any, Any], label: str, cells: Array | None) -> dict[str, float]:
        train, test, components, level_judge, label_judge = part
        target = self._rows(self.design.target, label)
        held_out = self.logs[np.intersect1d(target, test)]
        made = held_out if cells is None else cells
        features = components(made)
        of_level = level_judge.predict(features) == self.design.target
        of_label = label_judge.predict(features) == label
        seen = components(self.logs[np.intersect1d(target, train)]) if cells is None else features
        numbers = {
            "recognised": float((of_level & of_label).mean()),
            "recognised_level": float(of_level.mean()),
            "recognised_type": float(of_label.mean()),
            "energy": spaces.energy(seen, components(held_out)),
        }
        if cells is None:
            base = self._rows(self.design.base, label)
            changes = [
                spaces.log_fold_change(self.logs[np.intersect1d(target, half)], self.logs[np.intersect1d(base, half)])
                for half in (test, train)
            ]
            numbers |= spaces.agreement(*changes)
        return numbers


def run(data: Path, work: Path, seed: int) -> list[dict[str, Any]]:
    """Score the combinations of a seed whose fits are there; one record each and way of answering."""
    records = []
    for design in DESIGNS:
        adata = read(design.data_set, data)
        labels = [label for label in types_of(design, adata) if is_fitted(fit_of(design, label, seed), work=work)]
        if not labels:
            continue
        models = {label: model_of(fit_of(design, label, seed), data=data, work=work) for label in labels}
        genes = sorted(set.intersection(*(set(model.genes.tolist()) for model in models.values())))
        judges = Judges(design, adata, genes)
        for label in labels:
            question = Question(design, label, adata, models[label], seed)
            scores = {REAL: judges.score(label, None)}
            scores |= {name: judges.score(label, cells) for name, cells in answers(question, genes)}
            records += [
                {"data_set": design.data_set, "type": label, "seed": seed, "answer": name, **numbers}
                for name, numbers in scores.items()
            ]
    return records

"""Guidance for one model: checked against its conditions and classifiers, and turned into a guided denoiser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError, UnknownNameError, did_you_mean
from scdiffuse._core.slots import OBS_SOURCE, OBS_SUPPORT, OBS_UNSEEN
from scdiffuse.cells import Conditions, ConditionTable
from scdiffuse.diffusion import Denoiser
from scdiffuse.guidance import ClassifierFreeGuide, ClassifierGuide, NegativeTarget, inside, wrap_in_guides
from scdiffuse.model import AttachedClassifier
from scdiffuse.sampling._checks import warn_column
from scdiffuse.sampling._guidance import Guidance, is_per_cell, single_value, split_target
from scdiffuse.sampling._targets import Targets

__all__ = ["BoundGuidance"]

_TAKEN = {OBS_SOURCE, OBS_SUPPORT, OBS_UNSEEN, "state", "weight", "branch", "start_cell", "pseudotime", "_index"}
"""Columns of generated cells that mean something else."""


@dataclass(frozen=True, kw_only=True)
class BoundGuidance:
    """What a `Guidance` means for the conditions and classifiers of one model."""

    guidance: Guidance
    conditions: Conditions
    classifiers: Mapping[str, AttachedClassifier]

    @property
    def least_scale(self) -> float:
        """The smallest scale of a condition, at most 1; 0 is as if that condition had not been asked for."""
        return min([1.0, *self.guidance.scales])

    def guided_conditions(self) -> NDArray[np.bool_]:
        """Tell which conditions guide: those of a scale other than 0, shape ``(C,)``."""
        guided: NDArray[np.bool_] = np.asarray(self._scale()) != 0
        return np.broadcast_to(guided, len(self.conditions.names))

    def away(self) -> tuple[NegativeTarget, ...]:
        """List the conditions that cells keep away from; a label that only a classifier knows is left to it.

        Raises
        ------
        UnknownNameError
            A name is neither condition nor classifier, or a label is unknown.
        SettingError
            A scale is out of range.
        """
        found, conditions = [], self.conditions
        for name, target in (self.guidance.away or {}).items():
            value, scale = split_target(name, target, "away")
            value = single_value(name, value, "away")
            if name in self.classifiers and value not in conditions.categorical.get(name, ()):
                continue
            known = [*conditions.names, *self.classifiers]
            if name not in known:
                msg = f"`away` names {name!r}, which is no condition or classifier; expected one of {known}."
                raise UnknownNameError(msg + did_you_mean(name, known))
            table = conditions.encode(pd.DataFrame({name: pd.Series([value], dtype=object)}), partial=True)
            numbers = np.concatenate([table.codes[0], table.values[0]])
            at = conditions.names.index(name)
            found.append(NegativeTarget(at, float(numbers[at]), scale))
        return tuple(found)

    def classifier_free(self, plain: Denoiser, *, away: bool = True) -> Denoiser:
        """Wrap a denoiser in the guidance that needs no classifier.

        Parameters
        ----------
        plain
            The denoiser of the model.
        away
            Whether negative guidance is part of it.
        """
        if not self.conditions.names:
            return plain
        kept_from = self.away() if away else ()
        targets = tuple(one for one in kept_from if self.conditions.names[one.condition] not in self.classifiers)
        interval = (float(self.guidance.interval[0]), float(self.guidance.interval[1]))
        return ClassifierFreeGuide(plain, self._scale(), interval, self.guidance.composition, targets)

    def with_classifiers(self, denoiser: Denoiser, *, interval: tuple[float, float] | None = None) -> Denoiser:
        """Wrap a denoiser in the classifiers asked for, if any.

        Parameters
        ----------
        denoiser
            Such as `classifier_free` returns.
        interval
            Times in which the classifiers guide, if not those asked for.

        Raises
        ------
        UnknownNameError
            A classifier is unknown.
        """
        asked = self._asked()
        if not asked:
            return denoiser
        networks = tuple(self.classifiers[name].network for name, _, _ in asked)
        low, high = interval or self.guidance.interval
        return ClassifierGuide(denoiser, networks, tuple(away for _, _, away in asked), (float(low), float(high)))

    def denoiser(self, plain: Denoiser, *, away: bool = True) -> Denoiser:
        """Wrap a denoiser in all guides asked for; see `classifier_free`, `with_classifiers` and `wrap_in_guides`."""
        classifier_free = self.classifier_free(plain, away=away)
        return wrap_in_guides(self.with_classifiers(classifier_free), self.guidance.guides or {})

    def targets(self, *, n_cells: int) -> Targets | None:
        """Find the targets of the classifiers for each cell.

        Parameters
        ----------
        n_cells
            Number of cells.

        Returns
        -------
        Targets; `None` where no classifier is asked for.

        Raises
        ------
        UnknownNameError
            A classifier, or a label of one, is unknown.
        SettingError
            There is neither one label nor one a cell, or a scale is out of range.
        ConditionError
            Text stands where a classifier knows numbers, or several labels are kept away from.
        """
        columns, scales = [], []
        for name, target, away in self._asked():
            argument = "away" if away else "toward"
            value, scale = split_target(name, target, argument)
            listed = list(value) if is_per_cell(value) and not away else [single_value(name, value, argument)]
            if is_per_cell(value) and len(listed) != n_cells:
                msg = (
                    f"`toward` gives {name!r} {len(listed)} values for {n_cells} cells; give one value, or one a cell."
                )
                raise SettingError(msg)
            one = self.classifiers[name]
            if away and not one.is_categorical:
                msg = f"`away` names {name!r}, which predicts numbers; expected a classifier of labels or a condition."
                raise SettingError(msg + f" Use `toward={{{name!r}: ...}}` with another number.")
            column = one.encode(listed)
            numbers = ConditionTable(np.empty((len(column), 0), np.int64), column[:, None])
            warn_column(one.conditions, numbers, argument, outcome="What cells become beyond is a guess")
            columns.append(column)
            scales.append(scale)
        return Targets(tuple(columns), tuple(scales)) if columns else None

    def own_targets(self, obs: pd.DataFrame) -> Targets | None:
        """Find where the classifiers asked for guide given cells to keep them what they are.

        Parameters
        ----------
        obs
            Columns of the cells: of the name of a classifier, or of the column that it was learnt from.

        Returns
        -------
        The cells' own labels at scale 1; no target where `obs` does not have them, and for what is kept away from.
        `None` where no classifier is asked for.
        """
        columns, scales = [], []
        for name, target, away in self._asked():
            found = [key for key in (name, self.classifiers[name].metadata["obs_key"]) if key in obs]
            nowhere = np.full(1, np.nan, dtype=np.float32)
            columns.append(self.classifiers[name].encode_known(obs[found[0]]) if found and not away else nowhere)
            scales.append(float(split_target(name, target, "toward")[1] > 0.0))
        return Targets(tuple(columns), tuple(scales)) if columns else None

    def labels(self, targets: Targets | None, cells: NDArray[np.int64]) -> pd.DataFrame:
        """Write what classifiers guide cells toward as columns of `obs`.

        Parameters
        ----------
        targets
            What `targets` or `own_targets` returned.
        cells
            Indices of the cells, shape ``(B,)``.

        Returns
        -------
        One row a cell, numbered from 0, and a column for each entry of ``toward``: of its name, with ``guided_`` before
        it where a condition or a column of generated cells has that name. Missing where nothing guides; an entry that
        guides no cell has no column.
        """
        columns: dict[str, Any] = {}
        numbers = np.empty((len(cells), 0), np.float32) if targets is None else targets.guided(cells)
        for at, (name, _, away) in enumerate([] if targets is None else self._asked()):
            if not away and targets is not None and targets.guides(at):
                columns[self._column(name)] = self.classifiers[name].decode(numbers[:, at])
        return pd.DataFrame(columns, index=pd.RangeIndex(len(cells)))

    def _column(self, name: str) -> str:
        """Name the column of `obs` with the labels that a classifier guides toward."""
        plain = name.replace("/", "|")  # HDF5 reads a name as a path
        return f"guided_{plain}" if plain in {*self.conditions.names, *_TAKEN} else plain

    def require_steps(self, times: Sequence[float]) -> None:
        """Refuse an interval in which nothing would be guided.

        Parameters
        ----------
        times
            Times at which the solver asks for a denoised mean.

        Raises
        ------
        SettingError
            None of them lies in the interval.
        """
        low, high = (float(bound) for bound in self.guidance.interval)
        if not self.guidance.is_plain and times and not bool(inside(torch.tensor(times), (low, high)).any()):
            msg = f"No step of the solver lies in the `interval` {self.guidance.interval}, so that nothing would be"
            msg += f" guided; expected one of the {len(times)} times {max(times):.3g} to {min(times):.3g} within."
            raise SettingError(msg + " Widen the interval, or ask for more `solver_steps`.")

    def to_uns(self) -> dict[str, Any]:
        """Describe the guidance, and the classifiers that take part by their fingerprints."""
        used = {name: self.classifiers[name].fingerprint() for name, _, _ in self._asked()}
        return {**self.guidance.to_uns(), "classifiers": used}

    def _scale(self) -> float | tuple[float, ...]:
        scale = self.guidance.scale
        if not isinstance(scale, Mapping):
            return scale
        for name in scale:
            self.conditions.require(name)
        return tuple(float(scale.get(name, 1.0)) for name in self.conditions.names)

    def _asked(self) -> list[tuple[str, Any, bool]]:
        """List the name of a classifier, its target and whether it leads away."""
        for name in self.guidance.toward or {}:
            if name not in self.classifiers:
                msg = f"{name!r} is not a classifier of this model; expected one of {list(self.classifiers)}."
                raise UnknownNameError(msg + (did_you_mean(name, self.classifiers) or " Add it with `add_classifier`."))
        return [one for one in self.guidance.targets if not one[2] or one[0] in self.classifiers]

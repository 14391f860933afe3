"""Development that is left out of fits: windows of time and whole states, with the cells before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.studies.held_out_stages import STAGES

if TYPE_CHECKING:
    import pandas as pd

Array = Any


@dataclass(frozen=True, kw_only=True)
class Branch:
    """One way of development."""

    labels: tuple[str, ...]
    """Cell types along the way, in order."""
    stages: tuple[float, ...] | None = None
    """Times between stages, where stages are no labels."""

    def is_of(self, obs: pd.DataFrame) -> Array:
        """Mark the cells of the way."""
        return obs["cell_type"].isin(self.labels).to_numpy()

    def stage(self, obs: pd.DataFrame) -> Array:
        """Give each cell the number of its stage, -1 for none."""
        if self.stages is not None:
            return np.where(self.is_of(obs), np.searchsorted(self.stages, obs["time"], side="right"), -1)
        number = {label: at for at, label in enumerate(self.labels)}
        return obs["cell_type"].astype(object).map(number).fillna(-1).to_numpy(dtype=int)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Left-out cells that are regenerated together, and the cells next to them."""

    name: str
    branches: tuple[str, ...]
    before: tuple[float, float]
    """Times of the neighbours before, both ends included."""
    after: tuple[float, float]
    starts: tuple[str, ...]
    """Labels of the neighbours before."""
    ends: tuple[str, ...]
    """Labels of the neighbours after."""
    held: tuple[str, ...]
    """Labels of the left-out cells."""
    times: tuple[float, float] = (-np.inf, np.inf)
    """Times of the left-out cells."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is left out of a fit."""

    data_set: str
    conditions: tuple[str, ...]
    labels: tuple[str, ...] = ()
    """Cell types left out."""
    times: tuple[float, float] | None = None
    """Times left out, both ends included."""
    must: tuple[int, ...]
    """Stages of each way that lie among the left-out cells."""
    branches: dict[str, Branch]
    groups: tuple[Group, ...]

    def left_out(self, obs: pd.DataFrame) -> Array:
        """Mark the cells that no fit sees."""
        out = obs["cell_type"].isin(self.labels).to_numpy()
        return out if self.times is None else out | obs["time"].between(*self.times).to_numpy()


_ADL = ("ADL_parent", "ADL")
_FATES = ("ASG", "AWA")
_NEUROBLAST = "Neuroblast_ASG_AWA"
_WINDOW = (300.0, 345.0, 392.0, 500.0)
_BESIDE = {"before": (265.0, 297.0), "after": (392.0, 430.0)}
_WAYS = {"ADL": _ADL} | {fate: (_NEUROBLAST, "ASG_AWA", fate) for fate in _FATES}
CASES = {
    "300-390 min": Case(
        data_set="worm_embryo",
        conditions=("cell_type",),
        times=(300.0, 390.0),
        must=(1, 2),
        branches={one: Branch(labels=labels, stages=_WINDOW) for one, labels in _WAYS.items()},
        groups=(
            Group(name="ADL", branches=("ADL",), starts=_ADL, ends=_ADL, held=_ADL, times=(300.0, 390.0), **_BESIDE),
            Group(
                name="ASG, AWA",
                branches=_FATES,
                starts=(_NEUROBLAST,),
                ends=_FATES,
                held=(_NEUROBLAST, "ASG_AWA", *_FATES),
                times=(300.0, 390.0),
                **_BESIDE,
            ),
        ),
    ),
    "ASG_AWA": Case(
        data_set="worm_embryo",
        conditions=("cell_type",),
        labels=("ASG_AWA",),
        must=(1,),
        branches={fate: Branch(labels=_WAYS[fate]) for fate in _FATES},
        groups=(
            Group(
                name="ASG_AWA",
                branches=_FATES,
                starts=(_NEUROBLAST,),
                ends=_FATES,
                held=("ASG_AWA",),
                before=(280.0, 375.0),
                after=(360.0, 450.0),
            ),
        ),
    ),
    "16cell, midblast": Case(
        data_set="embryo_deng",
        conditions=(),
        labels=("16cell", "midblast"),
        must=(2, 4),
        branches={"lateblast": Branch(labels=STAGES)},
        groups=tuple(
            Group(
                name=stage,
                branches=("lateblast",),
                before=(time - 1, time - 1),
                after=(time + 1, time + 1),
                starts=STAGES,
                ends=STAGES,
                held=(stage,),
            )
            for stage, time in (("16cell", 6.0), ("midblast", 8.0))
        ),
    ),
}

"""What a user asks of a model when generating."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from scdiffusion._core.errors import SettingError
from scdiffusion._core.slots import UNS_KEY
from scdiffusion._core.version import __version__
from scdiffusion.cells import plan_conditions
from scdiffusion.diffusion import Denoiser, SolverName, solver_named
from scdiffusion.guidance import ConditionFree
from scdiffusion.model._depth import LibrarySize, plan_sizes
from scdiffusion.model._facts import Known
from scdiffusion.model._generate import Order
from scdiffusion.model._parts import Parts

__all__ = ["Request"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `CellGenerator.generate` that shape the cells."""

    n: int | None
    where: Mapping[str, Any] | pd.DataFrame | None
    guidance: float
    seed: int
    library_size: LibrarySize | None
    steps: int | None
    solver: SolverName | None
    chunk: int

    def __post_init__(self) -> None:
        if self.chunk < 1:
            msg = f"`chunk` must be at least 1, got {self.chunk}; 4096 suits most machines."
            raise SettingError(msg)

    def order(self, known: Known, parts: Parts) -> Order:
        """Check the request and settle what it leaves open.

        Parameters
        ----------
        known, parts
            The fitted model.

        Returns
        -------
        What to generate and how.
        """
        n = self.n
        if n is None and not isinstance(self.where, pd.DataFrame):
            n = int(parts.conditions_counts.sum())
        plan = plan_conditions(known.conditions, parts.trained_on, n=n, where=self.where, seed=self.seed)
        guided = ConditionFree(parts.denoiser, self.guidance)
        denoiser: Denoiser = guided if known.conditions.names else parts.denoiser
        return Order(
            plan=plan,
            conditions=known.conditions,
            denoiser=denoiser,
            solver=solver_named(self.solver or known.config.diffusion.solver),
            n_steps=known.config.diffusion.n_steps if self.steps is None else self.steps,
            seed=self.seed,
            sizes=plan_sizes(self.library_size, n=plan.n, seed=self.seed),
            chunk=self.chunk,
        )

    def to_uns(self, known: Known, parts: Parts, *, n: int) -> dict[str, Any]:
        """Tell in `uns` where the cells come from.

        Parameters
        ----------
        known, parts
            The fitted model.
        n
            Number of cells.
        """
        settings = {
            "n": n,
            "where": _short(self.where),
            "guidance": self.guidance,
            "steps": known.config.diffusion.n_steps if self.steps is None else self.steps,
            "solver": self.solver or known.config.diffusion.solver,
            "library_size": _short(self.library_size),
        }
        told = {"version": __version__, "model_hash": known.fingerprint(parts), "seed": self.seed}
        return {UNS_KEY: told | {"settings": json.dumps(settings, default=str)}}


def _short(asked: Mapping[str, Any] | pd.DataFrame | LibrarySize | None) -> object:
    """Tell what was asked for without writing out a table."""
    if asked is None or isinstance(asked, Mapping | tuple | int | float):
        return asked
    return f"a table of {len(asked)} rows" if isinstance(asked, pd.DataFrame) else f"{len(asked)} numbers"

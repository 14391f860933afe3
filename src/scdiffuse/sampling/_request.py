"""What a user asks of a model when generating."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from scdiffuse._core.errors import SettingError
from scdiffuse.cells import plan_conditions
from scdiffuse.diffusion import Denoiser, Euler, Solver, SolverName, solver_named
from scdiffuse.model import AttachedClassifier, DistilledSampler, ModelMetadata, Networks, gene_factor_table
from scdiffuse.sampling._checks import call_times, require_none_avoided, warn_beyond, without_avoided
from scdiffuse.sampling._generate import GenerationPlan
from scdiffuse.sampling._guidance import Steering
from scdiffuse.sampling._library_size import LibrarySize, plan_sizes
from scdiffuse.sampling._provenance import tell

__all__ = ["Request"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `CellGenerator.generate` that shape the cells."""

    n: int | None
    where: Mapping[str, Any] | pd.DataFrame | None
    steering: Steering
    seed: int
    library_size: LibrarySize | None
    steps: int | None
    solver: SolverName | Literal["distilled"] | None
    chunk: int

    def __post_init__(self) -> None:
        if self.chunk < 1:
            msg = f"`chunk` must be at least 1, got {self.chunk}; 4096 suits most machines."
            raise SettingError(msg)

    def order(
        self,
        metadata: ModelMetadata,
        networks: Networks,
        classifiers: Mapping[str, AttachedClassifier],
        *,
        distilled: DistilledSampler | None,
    ) -> GenerationPlan:
        """Check the request and settle what it leaves open.

        Parameters
        ----------
        metadata, networks, classifiers, distilled
            The fitted model.

        Returns
        -------
        What to generate and how.
        """
        n = self.n
        if n is None and not isinstance(self.where, pd.DataFrame):
            n = int(networks.conditions_counts.sum())
        denoiser, solver, n_steps = self._way(metadata, networks, classifiers, distilled=distilled)
        avoided = self.steering.avoided(metadata.conditions, classifiers)
        training = without_avoided(networks.trained_on, avoided, metadata.conditions)
        plan = plan_conditions(metadata.conditions, training, n=n, where=self.where, seed=self.seed)
        require_none_avoided(plan.requests, avoided, metadata.conditions)
        warn_beyond(metadata.conditions, plan.requests)
        return GenerationPlan(
            plan=plan,
            conditions=metadata.conditions,
            denoiser=denoiser,
            targets=self.steering.targets(classifiers, n=plan.n),
            guided_conditions=self.steering.guided_conditions(metadata.conditions),
            solver=solver,
            n_steps=n_steps,
            seed=self.seed,
            sizes=plan_sizes(self.library_size, n=plan.n, seed=self.seed),
            chunk=self.chunk,
            factor_table=gene_factor_table(networks, power=self.steering.least),
        )

    def _way(
        self,
        metadata: ModelMetadata,
        networks: Networks,
        classifiers: Mapping[str, AttachedClassifier],
        *,
        distilled: DistilledSampler | None,
    ) -> tuple[Denoiser, Solver, int]:
        """Choose the denoiser, the solver and its steps."""
        if self.solver == "distilled":
            taught = self._taught(distilled)
            return taught.network, Euler(), taught.n_steps
        n_steps = metadata.config.diffusion.n_steps if self.steps is None else self.steps
        solver = solver_named(self.solver or metadata.config.diffusion.solver)
        denoiser = self.steering.denoiser(networks.denoiser, metadata.conditions, classifiers)
        self.steering.require_steps(call_times(solver, n_steps))
        return denoiser, solver, n_steps

    def _taught(self, distilled: DistilledSampler | None) -> DistilledSampler:
        """Refuse what a student cannot do."""
        if distilled is None:
            msg = "`solver` is 'student', and this model has none; expected one that was taught. Call `distill` first,"
            raise SettingError(msg + " or leave `solver` out.")
        if self.steering.is_guided:
            msg = "A student makes cells as the model learnt them; expected no `guide`, `avoid`, `composition` or"
            raise SettingError(msg + " `guidance` other than 1 beside it. Leave them out, or `solver='distilled'`.")
        if self.steps not in {None, distilled.n_steps}:
            msg = f"`steps` is {self.steps}, and the student was taught {distilled.n_steps}; expected the same. Leave"
            raise SettingError(msg + " `steps` out, or call `distill` with other `n_steps`.")
        return distilled

    def to_uns(
        self,
        metadata: ModelMetadata,
        networks: Networks,
        *,
        classifiers: Mapping[str, AttachedClassifier],
        order: GenerationPlan,
    ) -> dict[str, Any]:
        """Tell in `uns` where the cells come from.

        Parameters
        ----------
        metadata, networks, classifiers
            The fitted model.
        order
            What `order` returned.
        """
        settings = {
            "n": order.plan.n,
            "where": _short(self.where),
            **self.steering.to_json(classifiers),
            "steps": order.n_steps,
            "solver": self.solver or metadata.config.diffusion.solver,
            "library_size": _short(self.library_size),
        }
        return tell(metadata, networks, seed=self.seed, settings=settings)


def _short(asked: Mapping[str, Any] | pd.DataFrame | LibrarySize | None) -> object:
    """Tell what was asked for without writing out a table."""
    if asked is None or isinstance(asked, Mapping | tuple | int | float):
        return asked
    return f"a table of {len(asked)} rows" if isinstance(asked, pd.DataFrame) else f"{len(asked)} numbers"

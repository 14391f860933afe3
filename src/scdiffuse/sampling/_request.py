"""What a user asks of a model when generating."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from scdiffuse._core.errors import SettingError
from scdiffuse.cells import ConditionPlan, plan_conditions
from scdiffuse.diffusion import Denoiser, Euler, Solver, SolverName, solver_named
from scdiffuse.model import DistilledSampler, FittedModel, gene_factor_table
from scdiffuse.sampling._bound_guidance import BoundGuidance
from scdiffuse.sampling._checks import call_times, require_not_away, warn_beyond, without_away
from scdiffuse.sampling._generate import GenerationPlan
from scdiffuse.sampling._guidance import Guidance
from scdiffuse.sampling._library_size import LibrarySize, plan_sizes
from scdiffuse.sampling._provenance import provenance, shorten
from scdiffuse.sampling._verdicts import Verdicts

__all__ = ["Request"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `CellGenerator.generate` that decide the cells."""

    n_cells: int | None = None
    where: Mapping[str, Any] | pd.DataFrame | None = None
    guidance: Guidance
    seed: int = 0
    library_size: LibrarySize | None = None
    solver_steps: int | None = None
    solver: SolverName | None = None
    batch_size: int = 4096

    def plan(self, model: FittedModel) -> GenerationPlan:
        """Check the request and decide what it leaves open.

        Parameters
        ----------
        model
            The fitted model.

        Returns
        -------
        What to generate and how.
        """
        n_cells, conditions = self.n_cells, model.conditions
        if n_cells is None and not isinstance(self.where, pd.DataFrame):
            n_cells = int(model.trained_on.counts.sum())
        guidance = BoundGuidance(guidance=self.guidance, conditions=conditions, classifiers=model.classifiers)
        denoiser, solver, solver_steps = self._sampler(model, guidance)
        away = guidance.away()
        training = without_away(model.trained_on, away, conditions)
        plan = plan_conditions(conditions, training, n_cells=n_cells, where=self.where, seed=self.seed)
        require_not_away(plan.requests, away, conditions)
        warn_beyond(conditions, plan.requests)
        return GenerationPlan(
            conditions_plan=plan,
            denoiser=denoiser,
            guidance=guidance,
            targets=guidance.targets(n_cells=plan.n_cells),
            guided_conditions=guidance.guided_conditions(),
            solver=solver,
            solver_steps=solver_steps,
            seed=self.seed,
            call=self._call(model, plan, guidance, solver=type(solver).__name__, solver_steps=solver_steps),
            library_sizes=plan_sizes(self.library_size, n=plan.n_cells, seed=self.seed),
            batch_size=self.batch_size,
            factor_table=gene_factor_table(model.networks, seed=model.seed, power=guidance.least_scale),
            verdicts=Verdicts(model),
        )

    def to_uns(self, model: FittedModel, plan: GenerationPlan) -> dict[str, Any]:
        """Describe in `uns` where the cells come from.

        Parameters
        ----------
        model
            The fitted model.
        plan
            What `plan` returned.
        """
        bound = BoundGuidance(guidance=self.guidance, conditions=model.conditions, classifiers=model.classifiers)
        sampler = "distilled" if model.distilled else self.solver or model.metadata.config.diffusion.solver
        settings = {
            "n_cells": plan.conditions_plan.n_cells,
            "where": shorten(self.where),
            "guidance": bound.to_uns(),
            "solver_steps": plan.solver_steps,
            "solver": sampler,
            "library_size": shorten(self.library_size),
        }
        return provenance(model, seed=self.seed, settings=settings)

    def _call(
        self, model: FittedModel, plan: ConditionPlan, guidance: BoundGuidance, *, solver: str, solver_steps: int
    ) -> bytes:
        """Digest what decides the cells of a call beside their indices and the conditions asked for."""
        size = self.library_size
        words = [
            model.metadata.fingerprint(model.networks),
            self.seed,
            guidance.to_uns(),
            [solver, solver_steps, model.distilled is not None],
            size if size is None or isinstance(size, int | tuple) else "one a cell",
            plan.drawn_codes.tolist(),
            plan.drawn_values.tolist(),
        ]
        return hashlib.blake2b(json.dumps(words, default=repr).encode(), digest_size=16).digest()

    def _sampler(self, model: FittedModel, guidance: BoundGuidance) -> tuple[Denoiser, Solver, int]:
        """Choose the denoiser, the solver and its steps."""
        if model.distilled is not None:
            self._require_plain(model.distilled)
            return model.distilled.network, Euler(), model.distilled.solver_steps
        settings = model.metadata.config.diffusion
        solver_steps = settings.solver_steps if self.solver_steps is None else self.solver_steps
        solver = solver_named(self.solver or settings.solver)
        denoiser = guidance.denoiser(model.networks.denoiser)
        guidance.require_steps(call_times(solver, solver_steps))
        return denoiser, solver, solver_steps

    def _require_plain(self, distilled: DistilledSampler) -> None:
        """Refuse what a distilled sampler cannot do."""
        if not self.guidance.is_plain:
            msg = "A distilled model makes cells as the model learnt them; expected `guidance` of 1 and nothing else."
            raise SettingError(msg + " Leave `guidance` out, or generate from the model that this one is made of.")
        if self.solver is not None or self.solver_steps not in {None, distilled.solver_steps}:
            msg = f"`solver` is {self.solver!r} and `solver_steps` {self.solver_steps}; a distilled model takes the"
            msg += f" {distilled.solver_steps} steps that it was trained for. Leave both out, or call `distill` with"
            raise SettingError(msg + " other `solver_steps`.")

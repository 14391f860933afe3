"""Latents of given cells along the deterministic path between data and noise (the probability-flow ODE)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse._core.random import cell_normals
from scdiffuse.autoencoder import GeneFactors
from scdiffuse.calibration import GeneFactorTable
from scdiffuse.cells import ConditionTable, build_anndata
from scdiffuse.diffusion import Denoiser, Heun, Solver, condition_tensors, sample, solver_named
from scdiffuse.guidance import ALWAYS
from scdiffuse.model import FittedModel, decode, gene_factor_table
from scdiffuse.nn import ConditionTensors
from scdiffuse.sampling._bound_guidance import BoundGuidance
from scdiffuse.sampling._checks import FarCells, call_times
from scdiffuse.sampling._guidance import Guidance
from scdiffuse.sampling._provenance import provenance
from scdiffuse.sampling._targets import Targets

__all__ = ["Transport"]


@dataclass(frozen=True, kw_only=True)
class Transport:
    """Moves cells of one model from data to noise and back."""

    model: FittedModel
    seed: int
    guidance: BoundGuidance
    solver_steps: int
    """Steps of the solver from pure noise to data."""
    own: Targets | None = None
    """Labels that classifiers know of the given cells."""
    target: Targets | None = None
    """Labels that classifiers guide the cells to."""

    @classmethod
    def of(cls, model: FittedModel, guidance: Guidance, *, seed: int, solver_steps: int | None) -> Transport:
        """Bind guidance to a model.

        Parameters
        ----------
        model
            The fitted model.
        guidance
            Guidance on the way back from noise.
        seed
            Seed of all noise.
        solver_steps
            Steps of the solver; those of the settings if not given.
        """
        bound = BoundGuidance(guidance=guidance, conditions=model.conditions, classifiers=model.classifiers)
        steps = model.metadata.config.diffusion.ode_steps if solver_steps is None else solver_steps
        return cls(model=model, seed=seed, guidance=bound, solver_steps=steps)

    def for_cells(self, obs: pd.DataFrame) -> Transport:
        """Find where classifiers guide given cells, and which labels these have.

        Parameters
        ----------
        obs
            Columns of the cells.

        Raises
        ------
        UnknownNameError
            A classifier, or a label of one, is unknown.
        SettingError
            There is neither one label nor one a cell, or a scale is out of range.
        """
        return replace(self, target=self.guidance.targets(n_cells=len(obs)), own=self.guidance.own_targets(obs))

    @property
    def unguided(self) -> Denoiser:
        """The denoiser as learnt, with the labels of classifiers by Bayes' rule; for conditions with `own` targets."""
        return self.guidance.with_classifiers(self.model.networks.denoiser, interval=ALWAYS)

    @property
    def classifier_free(self) -> Denoiser:
        """The denoiser with guidance, without negative guidance and without classifiers."""
        return self.guidance.classifier_free(self.model.networks.denoiser, away=False)

    @property
    def at_start(self) -> Denoiser:
        """The denoiser with all guidance asked for but negative guidance, for conditions with `own` targets."""
        return self.guidance.denoiser(self.model.networks.denoiser, away=False)

    @property
    def at_target(self) -> Denoiser:
        """The denoiser with all guidance asked for, for conditions with `target` targets."""
        return self.guidance.denoiser(self.model.networks.denoiser)

    @cached_property
    def _factor_table(self) -> GeneFactorTable | None:
        return gene_factor_table(self.model.networks, seed=self.model.seed, power=self.guidance.least_scale)

    @property
    def solver(self) -> Solver:
        """The solver of the settings."""
        return solver_named(self.model.metadata.config.diffusion.solver)

    def tensors(
        self, table: ConditionTable, cells: NDArray[np.int64], *, targets: Targets | None = None
    ) -> ConditionTensors:
        """Put conditions, within what was measured, and targets of some cells on the device of the networks."""
        bound = condition_tensors(self.model.conditions.within(table))
        bound = bound if targets is None else targets.beside(bound, cells)
        return bound.to(self.model.networks.latent_mean.device)

    def gene_factors(self, table: ConditionTable, *, given: ConditionTable | None = None) -> GeneFactors | None:
        """Find the gene factors of cells, as `GeneFactorTable.of` does, of numbers within what was measured."""
        found = self._factor_table
        return None if found is None else found.of(self.model.conditions.within(table), given=given)

    def require_steps(self, solver: Solver | None = None, *, start: float = 1.0) -> None:
        """Refuse an interval of guidance in which no step of the solver lies."""
        self.guidance.require_steps(call_times(solver or self.solver, self.solver_steps, start=start))

    def noise(self, stream: str, cells: NDArray[np.integer]) -> Tensor:
        """Draw the standard normals of some cells, shape ``(B, D + 1)``."""
        scale = self.model.networks.latent_mean
        return torch.from_numpy(cell_normals(self.seed, stream, cells, len(scale))).to(scale.device)

    def integrate(
        self,
        denoiser: Denoiser,
        latents: Tensor,
        conditions: ConditionTensors,
        *,
        start: float = 1.0,
        end: float = 0.0,
        solver: Solver | None = None,
    ) -> Tensor:
        """Integrate latents between two times with the solver of the model, or another one."""
        return sample(
            denoiser,
            latents,
            conditions,
            solver=solver or self.solver,
            solver_steps=self.solver_steps,
            start=start,
            end=end,
        )

    def invert(self, denoiser: Denoiser, latents: Tensor, conditions: ConditionTensors) -> Tensor:
        """Find the noise that clean latents come from (ODE inversion), which takes a solver of second order."""
        return self.integrate(denoiser, latents, conditions, start=0.0, end=1.0, solver=Heun())

    def draw_counts(
        self,
        latents: Tensor,
        noise_ids: NDArray[np.integer],
        *,
        library_sizes: NDArray[np.int64] | None,
        stream: str,
        gene_factors: GeneFactors | None = None,
    ) -> sp.csr_matrix:
        """Draw counts of clean latents, shape ``(B, G)``, with the library sizes given or generated."""
        return decode(
            self.model.networks,
            latents,
            seed=self.seed,
            stream=stream,
            noise_ids=noise_ids,
            library_sizes=library_sizes,
            gene_factors=gene_factors,
        )

    def warn_far(self, latents: Tensor) -> None:
        """Warn where guidance has driven clean latents, shape ``(N, D + 1)``, further than any training cell lies."""
        if not self.guidance.guidance.is_plain:
            far = FarCells()
            far.count(latents[:, :-1].cpu().numpy())
            far.warn()

    def to_anndata(
        self, counts: sp.csr_matrix, obs: pd.DataFrame, latents: Tensor, *, settings: Mapping[str, object]
    ) -> ad.AnnData:
        """Put counts, columns and latents together, with where they come from.

        Parameters
        ----------
        counts
            Shape ``(N, G)``.
        obs
            Columns, ``N`` rows; its index becomes the names.
        latents
            Clean latents, shape ``(N, D + 1)``.
        settings
            What to write into `uns` beside version, model, seed, guidance (unless it is among them) and solver steps.

        Returns
        -------
        The cells.
        """
        asked = {"guidance": self.guidance.to_uns(), **settings, "solver_steps": self.solver_steps}
        uns = provenance(self.model, seed=self.seed, settings=asked)
        found = latents[:, :-1].cpu().numpy().astype(np.float32)
        return build_anndata(counts, obs, self.model.metadata.var, uns, latents=found)

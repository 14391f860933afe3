"""Latents of cells carried along the deterministic path, and turned into counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse._core.random import cell_keys, cell_normals
from scdiffuse._core.slots import OBSM_LATENT
from scdiffuse.autoencoder import GeneFactors
from scdiffuse.calibration import GeneFactorTable
from scdiffuse.cells import ConditionTable, build_anndata
from scdiffuse.diffusion import Denoiser, Heun, Solver, condition_tensors, sample, solver_named
from scdiffuse.guidance import ALWAYS
from scdiffuse.model import AttachedClassifier, ModelMetadata, Networks, gene_factor_table
from scdiffuse.nn import ConditionTensors
from scdiffuse.sampling._checks import call_times
from scdiffuse.sampling._guidance import Steering
from scdiffuse.sampling._library_size import Depth, Sizes, plan_sizes
from scdiffuse.sampling._provenance import tell
from scdiffuse.sampling._targets import Targets

__all__ = ["Transport"]


@dataclass(frozen=True, kw_only=True)
class Transport:
    """What it takes to carry cells of one model from data to noise and back."""

    networks: Networks
    metadata: ModelMetadata
    seed: int
    steering: Steering = field(default_factory=Steering)
    classifiers: Mapping[str, AttachedClassifier] = field(default_factory=dict)
    steps: int | None = None
    own: Targets | None = None
    """What classifiers find the cells to be."""
    wanted: Targets | None = None
    """Where classifiers guide the cells."""

    def aimed(self, obs: pd.DataFrame) -> Transport:
        """Settle where classifiers guide given cells, and what these are.

        Parameters
        ----------
        obs
            Columns of the cells.

        Raises
        ------
        UnknownNameError
            A classifier, or a label of one, is unknown.
        SettingError
            There is not one label, or one a cell, or a strength is out of range.
        """
        wanted = self.steering.targets(self.classifiers, n=len(obs))
        return replace(self, wanted=wanted, own=self.steering.own_targets(self.classifiers, obs))

    @property
    def n_steps(self) -> int:
        """Steps of the solver from pure noise to data."""
        return self.metadata.config.diffusion.n_steps_carried if self.steps is None else self.steps

    @property
    def resting(self) -> Denoiser:
        """The denoiser as learnt, with what classifiers find by Bayes' rule; for conditions with `own` targets."""
        return self.steering.classified(self.networks.denoiser, self.classifiers, interval=ALWAYS)

    @cached_property
    def factor_table(self) -> GeneFactorTable | None:
        """What combinations never or hardly seen shall differ in from what is decoded."""
        return gene_factor_table(self.networks, power=self.steering.least)

    @property
    def free(self) -> Denoiser:
        """The denoiser with the guidance asked for, which avoids nothing and knows no classifiers."""
        return self.steering.free(self.networks.denoiser, self.metadata.conditions, self.classifiers, avoids=False)

    @property
    def leaving(self) -> Denoiser:
        """The same with classifiers, for conditions with `own` targets."""
        return self.arriving if not self.steering.avoid else self.steering.classified(self.free, self.classifiers)

    @property
    def arriving(self) -> Denoiser:
        """The denoiser with all that was asked for, for conditions with `wanted` targets."""
        return self.steering.denoiser(self.networks.denoiser, self.metadata.conditions, self.classifiers)

    def tensors(
        self, table: ConditionTable, cells: NDArray[np.int64], *, targets: Targets | None = None
    ) -> ConditionTensors:
        """Hand conditions and targets of some cells to the network, on its device."""
        device = self.networks.latent_mean.device
        held = condition_tensors(table)
        held = held if targets is None else targets.beside(held, cells)
        return held.to(device)

    def require_steps(self, solver: Solver | None = None, *, start: float = 1.0) -> None:
        """Refuse an interval of guidance in which no step of the solver lies."""
        self.steering.require_steps(call_times(solver or self._solver, self.n_steps, start=start))

    @property
    def _solver(self) -> Solver:
        return solver_named(self.metadata.config.diffusion.solver)

    def noise(self, stream: str, cells: NDArray[np.integer]) -> Tensor:
        """Draw the standard normals of some cells, shape ``(B, D + 1)``."""
        width = self.networks.latent_mean.numel()
        return torch.from_numpy(cell_normals(self.seed, stream, cells, width)).to(self.networks.latent_mean.device)

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
        """Carry latents between two times with the solver of the model, or another one."""
        rule = solver or self._solver
        return sample(denoiser, latents, conditions, solver=rule, n_steps=self.n_steps, start=start, end=end)

    def invert(self, denoiser: Denoiser, latents: Tensor, conditions: ConditionTensors) -> Tensor:
        """Carry clean latents to the noise that they come from, which takes a solver of second order."""
        return self.integrate(denoiser, latents, conditions, start=0.0, end=1.0, solver=Heun())

    def draw_counts(
        self,
        latents: Tensor,
        cells: NDArray[np.integer],
        *,
        sizes: NDArray[np.int64] | None,
        stream: str,
        gene_factors: GeneFactors | None = None,
    ) -> sp.csr_matrix:
        """Draw counts of clean latents, shape ``(B, G)``, with the library sizes given or generated."""
        codes, own = self.networks.to_latent(latents)
        sizes = own if sizes is None else sizes
        return self.networks.autoencoder.decode(
            codes, sizes, cell_keys(self.seed, stream, cells), gene_factors=gene_factors
        )

    def finish(
        self, counts: sp.csr_matrix, obs: pd.DataFrame, latents: Tensor, *, settings: Mapping[str, Any]
    ) -> ad.AnnData:
        """Put counts, columns and latents together and tell where they come from.

        Parameters
        ----------
        counts
            Shape ``(N, G)``.
        obs
            Columns, ``N`` rows; its index becomes the names.
        latents
            Clean latents, shape ``(N, D + 1)``.
        settings
            What to write into `uns` beside version, model and seed.

        Returns
        -------
        The cells.
        """
        settings = {**settings, **self.steering.to_json(self.classifiers), "steps": self.n_steps}
        uns = tell(self.metadata, self.networks, seed=self.seed, settings=settings)
        made = build_anndata(counts, obs, self.metadata.var, uns)
        made.obs_names = obs.index.astype(str)
        made.obsm[OBSM_LATENT] = latents[:, :-1].cpu().numpy().astype(np.float32)
        return made

    def own_or(self, depth: Depth, given: NDArray[np.int64] | None, *, n: int) -> Sizes:
        """Settle the library sizes of ``n`` cells.

        Parameters
        ----------
        depth
            What the user asked for.
        given
            Library sizes of the cells at hand.
        n
            Number of cells.

        Returns
        -------
        Sizes by cell and the generated ones.

        Raises
        ------
        SettingError
            A word other than "own", or a number out of range.
        """
        if isinstance(depth, str):
            if depth != "own":
                msg = f"`library_size` must be 'own', a number, a tuple, numbers or None; got {depth!r}."
                raise SettingError(msg + " 'own' keeps the counts of each cell, None generates them.")
            return Sizes(given)
        if depth is None:
            return Sizes(None)
        cells = np.arange(n, dtype=np.int64)
        return Sizes(plan_sizes(depth, n=n, seed=self.seed)(cells, np.zeros(n, dtype=np.int64)))

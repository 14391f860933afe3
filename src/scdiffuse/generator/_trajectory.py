"""Cells on their way from one state to others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np

from scdiffuse._core.errors import SettingError
from scdiffuse._core.random import generator
from scdiffuse._core.resources import explain_memory
from scdiffuse._core.scalars import whole_number
from scdiffuse.cells import plan_conditions
from scdiffuse.generator._base import GeneratorBase
from scdiffuse.generator._checks import MEMORY_ADVICE, require_batch_size
from scdiffuse.model import FittedModel, GivenCells, read_given
from scdiffuse.sampling import (
    Branch,
    CellLibrarySizes,
    GivenLibrarySize,
    Guidance,
    Scale,
    TrajectoryMethod,
    TrajectoryPlan,
    Transport,
    follow,
    generate_start,
    read_target,
    shorten,
    warn_beyond,
)

__all__ = ["TrajectoryMixin"]

_START_CELLS = 100


class TrajectoryMixin(GeneratorBase):
    """The part of `CellGenerator` that follows cells on their way."""

    def trajectory(  # noqa: PLR0913 - everything that can be asked of a path
        self,
        start: ad.AnnData | str | Path | Mapping[str, Any],
        to: Mapping[str, Any] | None = None,
        *,
        along: str | None = None,
        n_states: int = 10,
        keep: float = 0.5,
        n_cells: int | None = None,
        method: TrajectoryMethod = "inversion",
        guidance: Scale | Guidance | Mapping[str, Guidance] = 1.0,
        seed: int = 0,
        layer: str | None = None,
        library_size: GivenLibrarySize = None,
        solver_steps: int | None = None,
        batch_size: int = 4096,
        progress: bool = True,
    ) -> ad.AnnData:
        r"""Follow start cells on their way to one state or several: Gradient Interpolation.

        Each start cell is inverted to the noise :math:`\varepsilon_0` that it comes from, as in `predict`. That noise
        is mixed with fresh noise, :math:`k\, \varepsilon_0 + (1 - k)\, \varepsilon`, where :math:`k` is `keep`, brought
        to unit variance and denoised towards a blend of two targets: the cell's own conditions, and those with `to` put
        in. The weight of the second grows from 0 to 1 along the states. A start cell has the same noise at every
        state, so that its path is continuous, and conditions that `to` does not name stay its own. A continuous
        condition that both ends have is interpolated.

        Parameters
        ----------
        start
            Cells with raw counts, whose conditions are read from `obs`; or conditions as in `generate`, and then the
            start cells are generated.
        to
            Conditions to change, with their new label or number; may be left out where `guidance` has something to go
            toward. For several targets from the same start, a mapping of such mappings by the name of the branch.
        along
            Number that the states follow, such as the time, which `to` names too. Each state is then conditioned on its
            own number. Labels change where those of the training cells do, instead of evenly, and a number between two
            that were measured is a blend of both.
        n_states
            States along the way, start and target among them.
        keep
            How much of the start cell is kept beside its conditions, from 0 (forget it) to 1.
        n_cells
            Number of start cells; with `adata` a random choice, all of them if not given. 100 if they are generated.
        method
            ``"inversion"`` as above, which arrives at the target (DDIM inversion). ``"partial_noising"`` noises the
            start cell to :math:`z_t = k\, z + (1 - k)\, \varepsilon` and denoises from exactly this level (SDEdit), as
            Luo et al. do: the more is kept, the less of the way is gone.
        guidance
            Guidance at both ends of the way, as in `generate`, or a mapping of `Guidance` by branch. At the start each
            classifier guides a cell, at scale 1, to the cell's own label, if `obs` has it under the classifier's name
            or where it was learnt, and nowhere otherwise.
        seed
            Seed of noise and counts.
        layer
            Layer with raw counts; if not given, ``X``, or the one place that holds counts.
        library_size
            ``None`` lets the library size move with the state; ``"own"`` keeps that of the start cell; or numbers as in
            `generate`, one number a start cell.
        solver_steps
            Steps of the solver at each state; the default of the settings if not given.
        batch_size
            Start cells followed at once; memory grows with it, the cells stay the same.
        progress
            Show a bar.

        Returns
        -------
        One cell for each branch, state and start cell. ``obs``: the conditions where they are defined (between two
        labels there is none), the labels of classifiers likewise, ``state``, ``weight``, ``branch``, ``start_cell`` and
        ``pseudotime``, the fraction of its own path in latents that the cell has gone; a name that is a condition has
        ``trajectory_`` before it.
        ``obsm["X_scdiffuse"]``: latents. `scdiffuse.plot_trajectory` draws it.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        GenesError
            Genes of the model are missing from the data.
        CountsError
            The values are not raw counts, or a cell has none.
        UnknownNameError
            `to` or `obs` names an untrained condition or label, or there is no such classifier.
        ConditionError
            The model has no conditions, or a number is asked for in text.
        SettingError
            A number is out of range, nothing is asked for, a cell is asked to be what it keeps away from, or no step of
            the solver lies in the guidance interval.

        Warns
        -----
        UserWarning
            Paths do not arrive at their target, or guidance has driven cells further than any training cell lies.

        References
        ----------
        Luo et al. 2024, https://doi.org/10.1093/bioinformatics/btae518 (Gradient Interpolation); Song et al. 2021,
        https://arxiv.org/abs/2010.02502 (inversion); Meng et al. 2022, https://arxiv.org/abs/2108.01073 (SDEdit).
        """
        model = self._fitted("trajectory")
        require_batch_size(batch_size)
        asked = _by_branch(to, guidance)
        targets = {name: read_target(model, one, name="to") for name, (one, _) in asked.items()}
        transports = {
            name: Transport.of(model, one, seed=seed, solver_steps=solver_steps) for name, (_, one) in asked.items()
        }
        first = next(iter(transports.values()))
        with explain_memory(MEMORY_ADVICE):
            begin = _start(model, first, start, n_cells=n_cells, layer=layer)
            for target in targets.values():
                warn_beyond(model.conditions, target.requests, argument="to")
            branches = {name: Branch(target, transports[name].for_cells(begin.obs)) for name, target in targets.items()}
            plan = TrajectoryPlan(branches=branches, n_states=n_states, keep=keep, method=method, along=along)
            library_sizes = CellLibrarySizes.plan(library_size, begin.library_sizes, n_cells=len(begin), seed=seed)
            settings = {"trajectory": dict(to or {}), "library_size": shorten(library_size)}
            return follow(
                begin,
                plan,
                library_sizes=library_sizes,
                settings=settings,
                batch_size=batch_size,
                progress=progress,
            )


def _start(
    model: FittedModel,
    transport: Transport,
    start: ad.AnnData | str | Path | Mapping[str, Any],
    *,
    n_cells: int | None,
    layer: str | None,
) -> GivenCells:
    """Read or generate the start cells."""
    if isinstance(start, Mapping):
        n = _START_CELLS if n_cells is None else n_cells
        plan = plan_conditions(model.conditions, model.trained_on, n_cells=n, where=start, seed=transport.seed)
        return generate_start(transport, plan)
    given = read_given(start, model.networks, model.metadata, layer=layer)
    if n_cells is None:
        return given
    n_cells = whole_number(n_cells, "n_cells")
    if not 1 <= n_cells <= len(given):
        msg = f"`n_cells` is {n_cells}, but there are {len(given)} start cells; expected a number from 1 to"
        raise SettingError(msg + f" {len(given)}. Leave `n_cells` out to follow all of them.")
    return given.take(np.sort(generator(transport.seed, "start cells").permutation(len(given))[:n_cells]))


def _by_branch(
    to: Mapping[str, Any] | None, guidance: Scale | Guidance | Mapping[str, Guidance]
) -> dict[str, tuple[Any, Guidance]]:
    """Divide what is asked for by branch; what is not by branch is asked of all."""
    targets = {str(name): one for name, one in to.items()} if to and _is_by_branch(to) else None
    guides = (
        {str(name): one for name, one in guidance.items() if isinstance(one, Guidance)}
        if isinstance(guidance, Mapping) and any(isinstance(one, Guidance) for one in guidance.values())
        else None
    )
    if guides is not None and isinstance(guidance, Mapping) and len(guides) < len(guidance):
        msg = "`guidance` mixes scales and `Guidance`; expected scales by condition, or one `Guidance` for each branch."
        raise SettingError(msg + " Put the scales into the `Guidance` of each branch.")
    if targets is None and guides is None:
        return {"target": (to, Guidance.of(guidance))}  # type: ignore[arg-type]
    names = [*(targets or {}), *(name for name in guides or {} if name not in (targets or {}))]
    every = None if guides is not None else Guidance.of(guidance)  # type: ignore[arg-type]
    return {
        name: (
            to if targets is None else targets.get(name),
            every or (guides or {}).get(name, Guidance()),
        )
        for name in names
    }


def _is_by_branch(asked: object) -> bool:
    return isinstance(asked, Mapping) and all(isinstance(one, Mapping) for one in asked.values())

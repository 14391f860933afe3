"""What a fitted model does with given cells: support, transfer, trajectories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np

from scdiffuse._core.errors import SettingError
from scdiffuse._core.random import generator
from scdiffuse._core.resources import explain_memory
from scdiffuse.cells import ConditionPlan, plan_conditions
from scdiffuse.generator._base import ModelState
from scdiffuse.model import GivenCells, read_given
from scdiffuse.sampling import (
    Blending,
    Branch,
    Depth,
    GuideTarget,
    Steering,
    Support,
    TrajectoryPlan,
    Transport,
    Via,
    find_support,
    follow,
    generate_start,
    predict_cells,
    read_wanted,
    warn_beyond,
)

__all__ = ["Controls"]

_MEMORY = "Lower `chunk`, or pass fewer cells at a time."
_START_CELLS = 100


class Controls(ModelState):
    """The part of `CellGenerator` that moves given cells and judges requests."""

    def support(self, where: Mapping[str, Any]) -> Support:
        """Tell how much of a combination of conditions was seen in training.

        Parameters
        ----------
        where
            Conditions and what they shall be, as in `generate`.

        Returns
        -------
        Training cells of the combination (``n_cells``) and of each label alone (``marginals``), the combinations that
        were trained with the labels they share (``nearest``, a table), and for each number the range and the nearest
        measured values (``numbers``). ``print`` says it in plain sentences, and ``is_unseen`` in a word.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        UnknownNameError
            `where` names an untrained condition or label.
        ConditionError
            The model has no conditions, or a number is asked for in text.
        """
        networks = self._fitted("support")
        plan = read_wanted(self._metadata, networks, where, name="where")
        return find_support(self.conditions, networks.trained_on, plan)

    def transfer(  # noqa: PLR0913 - everything that can be asked of cells
        self,
        adata: ad.AnnData | str | Path,
        where: Mapping[str, Any] | None = None,
        *,
        layer: str | None = None,
        guidance: float | Mapping[str, float] = 1.0,
        guide: Mapping[str, GuideTarget] | None = None,
        avoid: Mapping[str, GuideTarget] | None = None,
        interval: tuple[float, float] = (0.0, 1.0),
        seed: int = 0,
        library_size: Depth = "own",
        steps: int | None = None,
        chunk: int = 4096,
        progress: bool = True,
    ) -> ad.AnnData:
        """Show given cells as they would be under other conditions.

        Each cell is encoded and carried to the noise that it comes from, under its own conditions, and that noise is
        carried back under those of `where`: what makes the cell itself stays, and what belongs to the changed
        conditions changes. So control cells become stimulated ones, or all cells those of one batch.

        Parameters
        ----------
        adata
            Cells with raw counts of the model's genes; the conditions that they have now are read from `obs`. A column
            or label that is missing counts as not known.
        where
            Conditions to change and what they shall be; all others stay the cell's own. ``None`` asks for no label.
            May be left out where `guide` or `avoid` says what to change.
        layer
            Layer with raw counts; ``X`` if not given.
        guidance
            How strongly conditions steer on the way back, as in `generate`.
        guide
            Classifiers and what they shall find, as in `generate`. On the way to the noise each guides a cell, at
            strength 1, to the cell's own label, if `obs` has it under the classifier's name or where it was learnt.
        avoid, interval
            What cells shall not be, and when all that steers, as in `generate`.
        seed
            Seed of what the counts leave open: the draw of latents and of new counts.
        library_size
            ``"own"`` keeps the counts of each cell, so that only the composition changes; ``None`` lets the
            depth change with the conditions too; or numbers as in `generate`.
        steps
            Solver steps in each direction; the default of the settings if not given.
        chunk
            Cells carried at once; memory grows with it, the cells stay the same.
        progress
            Show a bar.

        Returns
        -------
        One cell for each, with its name and its own columns of `obs` but for the changed conditions;
        ``obsm["X_scdiffuse"]`` holds its latents.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        GenesError
            Genes of the model are missing from the data.
        CountsError
            The values are not raw counts, or a cell has none.
        UnknownNameError
            `where` or `obs` names an untrained condition or label, or there is no such classifier.
        ConditionError
            The model has no conditions, or a number is asked for in text.
        SettingError
            A number is out of range, nothing is asked for, a cell shall be what it avoids, or no step of the solver
            lies in `interval`.
        """
        networks = self._fitted("transfer")
        if where is None and not guide and not avoid:
            msg = "Neither `where` nor `guide` nor `avoid` is given; expected one of them to say what cells shall be."
            raise SettingError(msg + " Write such as `where={'donor': 'd3'}`.")
        _require_chunk(chunk)
        steering = Steering(guidance=guidance, guide=guide, avoid=avoid, interval=interval)
        wanted = read_wanted(self._metadata, networks, where, name="where")
        transport = self._transport(steering, seed=seed, steps=steps)
        with explain_memory(_MEMORY):
            given = read_given(adata, networks, self._metadata, layer=layer)
            self._warn(wanted)
            sizes = transport.own_or(library_size, given.sizes, n=len(given))
            settings = {"transfer": dict(where or {}), "library_size": _short(library_size)}
            return predict_cells(
                transport, given, wanted, sizes=sizes, settings=settings, chunk=chunk, progress=progress
            )

    def trajectory(  # noqa: PLR0913 - everything that can be asked of a way
        self,
        start: ad.AnnData | str | Path | Mapping[str, Any],
        to: Mapping[str, Any] | None = None,
        *,
        n_steps: int = 10,
        keep: float = 0.5,
        n: int | None = None,
        via: Via = "noising",
        blend: Blending = "conditions",
        guidance: float | Mapping[str, float] = 1.0,
        guide: Mapping[str, Any] | None = None,
        avoid: Mapping[str, GuideTarget] | None = None,
        interval: tuple[float, float] = (0.0, 1.0),
        seed: int = 0,
        layer: str | None = None,
        library_size: Depth = None,
        steps: int | None = None,
        chunk: int = 4096,
        progress: bool = True,
    ) -> ad.AnnData:
        r"""Follow start cells on their way to one state or several: Gradient Interpolation.

        Each start cell is encoded and noised to :math:`z_t = k\, z + (1 - k)\, \varepsilon`, where :math:`k` is `keep`,
        and denoised from exactly this level towards a blend of two targets: its own conditions, and those with `to` put
        in. The weight of the second grows from 0 to 1 along the steps. A start cell has the same noise at every step,
        so that its path is continuous, and conditions that `to` does not name stay its own. To arrive at the target and
        find the start cell again all the same, take ``via="inversion"``.

        Parameters
        ----------
        start
            Cells with raw counts, whose conditions are read from `obs`; or conditions as in `generate`, and then the
            start cells are generated.
        to
            Conditions to change and what they shall become; may be left out where `guide` says it. For several targets
            from the same start, a mapping of such mappings by the name of the branch.
        n_steps
            States along the way, start and target among them.
        keep
            How much of the start cell is kept, from 0 (forget it) to 1 (stay there: nothing moves).
        n
            Number of start cells; with `adata` a random choice, all of them if not given. 100 if they are generated.
        via
            ``"noising"`` as above. ``"inversion"`` carries the start cell to the noise :math:`\varepsilon_0` that it
            comes from, as `transfer` does, and mixes that with fresh noise in the same proportion: then `keep` says how
            much of the cell stays beside its conditions, and the state moves in full whatever `keep` is.
        blend
            ``"conditions"`` gives both targets the interpolated number of a continuous condition and blends the
            estimates for labels; ``"estimates"`` blends for numbers too.
        guidance
            How strongly conditions steer at both ends of the way, as in `generate`.
        guide
            Classifiers and what they shall find at the target, as in `generate`, or such mappings by branch. At the
            start each guides a cell, at strength 1, to the cell's own label, if `obs` has it under the classifier's
            name or where it was learnt, and nowhere otherwise.
        avoid, interval
            What the target shall not be, and when all that steers, as in `generate`.
        seed
            Seed of noise and counts.
        layer
            Layer with raw counts; ``X`` if not given.
        library_size
            ``None`` lets the depth move with the state; ``"own"`` keeps that of the start cell; or numbers as in
            `generate`, one number a start cell.
        steps
            Solver steps at each state; the default of the settings if not given.
        chunk
            Start cells followed at once; memory grows with it, the cells stay the same.
        progress
            Show a bar.

        Returns
        -------
        One cell for each branch, step and start cell. ``obs``: the conditions where they are defined (between two
        labels there is none), ``step``, ``weight``, ``branch``, ``start_cell`` and ``pseudotime``, the share of its own
        way in latents that the cell has gone; a name that is a condition has ``trajectory_`` before it.
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
            A number is out of range, nothing is asked for, a cell shall be what it avoids, or no step of the solver
            lies in `interval`.

        References
        ----------
        Luo et al. 2024, https://doi.org/10.1093/bioinformatics/btae518 (Gradient Interpolation).
        """
        networks = self._fitted("trajectory")
        _require_chunk(chunk)
        asked = _branches(to, guide)
        steerings = {
            name: Steering(guidance=guidance, guide=one, avoid=avoid, interval=interval)
            for name, (_, one) in asked.items()
        }
        plans = {name: read_wanted(self._metadata, networks, one, name="to") for name, (one, _) in asked.items()}
        first = self._transport(next(iter(steerings.values())), seed=seed, steps=steps)
        with explain_memory(_MEMORY):
            begin = self._start(first, start, n, layer=layer)
            for plan in plans.values():
                self._warn(plan)
            ways = {
                name: Branch(plan, replace(first, steering=steerings[name]).aimed(begin.obs))
                for name, plan in plans.items()
            }
            trajectory = TrajectoryPlan(branches=ways, n_steps=n_steps, keep=keep, blend=blend, via=via)
            sizes = first.own_or(library_size, begin.sizes, n=len(begin))
            settings = {"trajectory": dict(to or {}), "library_size": _short(library_size)}
            return follow(begin, trajectory, sizes=sizes, settings=settings, chunk=chunk, progress=progress)

    def _transport(self, steering: Steering, *, seed: int, steps: int | None) -> Transport:
        """Say what it takes to carry cells of this model."""
        networks = self._fitted("control")
        return Transport(
            networks=networks,
            metadata=self._metadata,
            steering=steering,
            classifiers=self._classifiers,
            seed=seed,
            steps=steps,
        )

    def _warn(self, plan: ConditionPlan) -> None:
        """Warn of numbers out of range, in the name of the method that the user called."""
        warn_beyond(self.conditions, plan.requests)

    def _start(
        self,
        transport: Transport,
        start: ad.AnnData | str | Path | Mapping[str, Any],
        n: int | None,
        *,
        layer: str | None,
    ) -> GivenCells:
        """Read or generate the start cells."""
        if isinstance(start, Mapping):
            n = _START_CELLS if n is None else n
            training = transport.networks.trained_on
            return generate_start(
                transport, plan_conditions(self.conditions, training, n=n, where=start, seed=transport.seed)
            )
        given = read_given(start, transport.networks, self._metadata, layer=layer)
        if n is None:
            return given
        if not 1 <= n <= len(given):
            msg = f"`n` is {n}, but there are {len(given)} start cells; expected a number from 1 to {len(given)}."
            raise SettingError(msg + " Leave `n` out to follow all of them.")
        return given.take(np.sort(generator(transport.seed, "start cells").permutation(len(given))[:n]))


def _branches(to: object, guide: object) -> dict[str, tuple[Any, Any]]:
    """Tell one target from several: what conditions shall be, and what classifiers shall find, by branch."""
    if not (_is_by_branch(to) or _is_by_branch(guide)):
        return {"target": (to, guide)}
    names = [str(name) for one in (to, guide) if _is_by_branch(one) for name in one]  # type: ignore[attr-defined]
    return {name: (_of_branch(to, name), _of_branch(guide, name)) for name in names}


def _of_branch(asked: object, name: str) -> object:
    """Find what is asked of one branch; what is not by branch is asked of all."""
    return {str(key): one for key, one in asked.items()}.get(name) if _is_by_branch(asked) else asked  # type: ignore[attr-defined]


def _is_by_branch(asked: object) -> bool:
    return isinstance(asked, Mapping) and bool(asked) and all(isinstance(one, Mapping) for one in asked.values())


def _require_chunk(chunk: int) -> None:
    if chunk < 1:
        msg = f"`chunk` must be at least 1, got {chunk}; 4096 suits most machines."
        raise SettingError(msg)


def _short(asked: Depth) -> object:
    return asked if asked is None or isinstance(asked, str | tuple | int | float) else f"{len(asked)} numbers"

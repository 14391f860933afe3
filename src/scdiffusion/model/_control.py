"""What a fitted model does with given cells: support, transfer, trajectories, augmentation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from scdiffusion._core.errors import SettingError
from scdiffusion._core.random import generator
from scdiffusion.cells import ConditionPlan, check_counts, open_source, plan_conditions
from scdiffusion.model._augment import Wanted, combine, plan_numbers
from scdiffusion.model._carry import Carrier, Depth, read_wanted, tell
from scdiffusion.model._given import GivenCells, read_given
from scdiffusion.model._memory import explain_memory
from scdiffusion.model._state import ModelState
from scdiffusion.model._steering import warn_beyond
from scdiffusion.model._support import Support, find_support
from scdiffusion.model._trajectory import Blending, Course, Via, follow, generate_start
from scdiffusion.model._transfer import transfer_cells

__all__ = ["Controls"]

_MEMORY = "Pass fewer cells at a time."
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
        parts = self._fitted("support")
        plan = read_wanted(self._known, parts, where, name="where")
        return find_support(self.conditions, parts.trained_on, plan)

    def transfer(
        self,
        adata: ad.AnnData | str | Path,
        where: Mapping[str, Any],
        *,
        layer: str | None = None,
        guidance: float = 1.0,
        seed: int = 0,
        library_size: Depth = "own",
        steps: int | None = None,
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
        layer
            Layer with raw counts; ``X`` if not given.
        guidance
            How strongly conditions steer on the way back, as in `generate`.
        seed
            Seed of what the counts leave open: the draw of latents and of new counts.
        library_size
            ``"own"`` keeps the counts of each cell, so that only the composition changes; ``None`` lets the
            depth change with the conditions too; or numbers as in `generate`.
        steps
            Solver steps in each direction; the default of the settings if not given.
        progress
            Show a bar.

        Returns
        -------
        One cell for each, with its name and its own columns of `obs` but for the changed conditions;
        ``obsm["X_scdiffusion"]`` holds its latents.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        GenesError
            Genes of the model are missing from the data.
        CountsError
            The values are not raw counts, or a cell has none.
        UnknownNameError
            `where` or `obs` names an untrained condition or label.
        ConditionError
            The model has no conditions, or a number is asked for in text.
        SettingError
            A number is out of range.
        """
        parts = self._fitted("transfer")
        wanted = read_wanted(self._known, parts, where, name="where")
        carrier = Carrier(parts=parts, known=self._known, seed=seed, guidance=guidance, steps=steps)
        with explain_memory(_MEMORY):
            given = read_given(adata, parts, self._known, layer=layer)
            self._warn(wanted)
            sizes = carrier.own_or(library_size, given.sizes, n=len(given))
            settings = {"transfer": dict(where), "library_size": _short(library_size)}
            return transfer_cells(carrier, given, wanted, sizes=sizes, settings=settings, progress=progress)

    def trajectory(  # noqa: PLR0913 - everything that can be asked of a way
        self,
        start: ad.AnnData | str | Path | Mapping[str, Any],
        to: Mapping[str, Any],
        *,
        n_steps: int = 10,
        keep: float = 0.5,
        n: int | None = None,
        via: Via = "noising",
        blend: Blending = "conditions",
        guidance: float = 1.0,
        seed: int = 0,
        layer: str | None = None,
        library_size: Depth = None,
        steps: int | None = None,
        progress: bool = True,
    ) -> ad.AnnData:
        r"""Follow start cells on their way to one state or several: Gradient Interpolation.

        Each start cell is encoded and noised to :math:`z_t = k\, z + (1 - k)\, \varepsilon`, where :math:`k` is `keep`,
        and denoised from exactly this level towards a blend of two targets: its own conditions, and those with `to` put
        in. The weight of the second grows from 0 to 1 along the steps. A start cell has the same noise at every step,
        so that its path is continuous, and conditions that `to` does not name stay its own.

        Parameters
        ----------
        start
            Cells with raw counts, whose conditions are read from `obs`; or conditions as in `generate`, and then the
            start cells are generated.
        to
            Conditions to change and what they shall become. For several targets from the same start, a mapping of
            such mappings by the name of the branch.
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
            How strongly conditions steer, as in `generate`.
        seed
            Seed of noise and counts.
        layer
            Layer with raw counts; ``X`` if not given.
        library_size
            ``None`` lets the depth move with the state; ``"own"`` keeps that of the start cell; or numbers as in
            `generate`, one number a start cell.
        steps
            Solver steps at each state; the default of the settings if not given.
        progress
            Show a bar.

        Returns
        -------
        One cell for each branch, step and start cell. ``obs``: the conditions where they are defined (between two
        labels there is none), ``step``, ``weight``, ``branch``, ``start_cell`` and ``pseudotime``, the share of its own
        way in latents that the cell has gone; a name that is a condition has ``trajectory_`` before it.
        ``obsm["X_scdiffusion"]``: latents. `scdiffusion.plot_trajectory` draws it.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        GenesError
            Genes of the model are missing from the data.
        CountsError
            The values are not raw counts, or a cell has none.
        UnknownNameError
            `to` or `obs` names an untrained condition or label.
        ConditionError
            The model has no conditions, or a number is asked for in text.
        SettingError
            A number is out of range, or `to` names nothing.

        References
        ----------
        Luo et al. 2024, https://doi.org/10.1093/bioinformatics/btae518 (Gradient Interpolation).
        """
        parts = self._fitted("trajectory")
        branches = {name: read_wanted(self._known, parts, one, name="to") for name, one in _branches(to).items()}
        course = Course(branches=branches, n_steps=n_steps, keep=keep, blend=blend, via=via)
        carrier = Carrier(parts=parts, known=self._known, seed=seed, guidance=guidance, steps=steps)
        with explain_memory(_MEMORY):
            begin = self._start(carrier, start, n, layer=layer)
            for plan in branches.values():
                self._warn(plan)
            sizes = carrier.own_or(library_size, begin.sizes, n=len(begin))
            settings = {"trajectory": dict(to), "library_size": _short(library_size)}
            return follow(carrier, begin, course, sizes=sizes, settings=settings, progress=progress)

    @abstractmethod
    def generate(
        self, n: int | None = None, *, where: pd.DataFrame, guidance: float, seed: int, progress: bool
    ) -> ad.AnnData | Path:
        """Generate cells."""

    def augment(
        self,
        adata: ad.AnnData | str | Path,
        *,
        by: str,
        to: Wanted = "max",
        guidance: float = 1.0,
        seed: int = 0,
        layer: str | None = None,
        progress: bool = True,
    ) -> ad.AnnData:
        """Add generated cells to real ones, until each label has enough.

        Parameters
        ----------
        adata
            Cells with raw counts of the model's genes, such as those it was fitted to. None of them is taken away.
        by
            A condition with labels, such as ``"cell_type"``. Other conditions of the generated cells are drawn as the
            training cells of that label have them. Real cells without a label stay and are not counted.
        to
            How many cells each label shall have at least: as the largest (``"max"``) or the median label has, a number,
            or numbers by label; labels that are not named then stay as they are.
        guidance
            How strongly conditions steer, as in `generate`.
        seed
            Seed of the generated cells.
        layer
            Layer with raw counts; ``X`` if not given.
        progress
            Show a bar.

        Returns
        -------
        Real cells first, then generated ones, told apart by ``obs["source"]``: ``"real"`` or ``"generated"``. ``X`` is
        CSR ``int32`` with the genes of the model, which are all that both kinds have. Columns of `obs` are those of
        the real cells; where generated cells have none, they are missing.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        UnknownNameError
            `by` or a label is not known to the model or the cells.
        ConditionError
            `by` has numbers instead of labels, or ``obs["source"]`` is taken.
        GenesError
            Genes of the model are missing from the data.
        CountsError
            The values are not raw counts.
        SettingError
            `to` is no whole number of at least 1, or no such word.

        Warns
        -----
        UserWarning
            Genes of the cells that the model does not know are left out, with their number.
        """
        parts = self._fitted("augment")
        with explain_memory(_MEMORY):
            source = open_source(adata, layer=layer, genes=[str(gene) for gene in self.genes])
            numbers = plan_numbers(source.obs, by=by, to=to, conditions=self.conditions)
            n_left_out = check_counts(adata, layer=layer).n_genes - source.n_genes
            made: ad.AnnData | Path | None = None
            if len(numbers):
                where = pd.DataFrame({by: pd.Series(list(numbers.index), dtype=object), "n": numbers.to_numpy()})
                made = self.generate(where=where, guidance=guidance, seed=seed, progress=progress)
            settings = {"augment": by, "to": to, "generated": int(numbers.sum()), "genes_left_out": n_left_out}
            uns = tell(self._known, parts, seed=seed, settings={**settings, "guidance": guidance})
            generated = made if isinstance(made, ad.AnnData) else None
            return combine(source, generated, uns=uns, n_left_out=n_left_out)

    def _warn(self, plan: ConditionPlan) -> None:
        """Warn of numbers out of range, in the name of the method that the user called."""
        warn_beyond(self.conditions, plan.requests)

    def _start(
        self, carrier: Carrier, start: ad.AnnData | str | Path | Mapping[str, Any], n: int | None, *, layer: str | None
    ) -> GivenCells:
        """Read or generate the start cells."""
        if isinstance(start, Mapping):
            n = _START_CELLS if n is None else n
            training = carrier.parts.trained_on
            return generate_start(
                carrier, plan_conditions(self.conditions, training, n=n, where=start, seed=carrier.seed)
            )
        given = read_given(start, carrier.parts, self._known, layer=layer)
        if n is None:
            return given
        if not 1 <= n <= len(given):
            msg = f"`n` is {n}, but there are {len(given)} start cells; expected a number from 1 to {len(given)}."
            raise SettingError(msg + " Leave `n` out to follow all of them.")
        return given.take(np.sort(generator(carrier.seed, "start cells").permutation(len(given))[:n]))


def _branches(to: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Tell one target from several."""
    if isinstance(to, Mapping) and to and all(isinstance(one, Mapping) for one in to.values()):
        return {str(name): one for name, one in to.items()}
    return {"target": to}


def _short(asked: Depth) -> object:
    return asked if asked is None or isinstance(asked, str | tuple | int | float) else f"{len(asked)} numbers"

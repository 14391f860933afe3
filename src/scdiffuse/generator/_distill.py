"""A distilled sampler: few steps from noise to cells."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from scdiffuse._core.errors import SettingError
from scdiffuse._core.resources import explain_memory
from scdiffuse._core.scalars import whole_number
from scdiffuse.fitting import distill_sampler
from scdiffuse.generator._base import GeneratorBase
from scdiffuse.model import DistillationRecord

__all__ = ["DistillMixin"]

_FEWEST_PATHS = 20


class DistillMixin(GeneratorBase):
    """The part of `CellGenerator` that learns to take fewer steps."""

    @property
    def distillation(self) -> DistillationRecord | None:
        """How the sampler was distilled and how close it comes; `None` for a model that was not.

        ``solver_steps``, ``n_paths``, ``n_train_steps``, ``seed``, ``stopped``, and ``distance``: the root mean square
        distance of its latents to those of the model it was distilled from, from the same noise, in standard deviations
        of a latent.
        """
        return self._model.distilled.record if self._model and self._model.distilled else None

    def distill(
        self,
        *,
        solver_steps: int = 2,
        n_paths: int = 16_384,
        max_epochs: int | None = None,
        seed: int = 0,
        progress: bool = True,
    ) -> Self:
        """Distill a faster model, whose `generate` goes from noise to data in few steps.

        The sampler learns from paths that this model integrates, so no cells are needed; this model does not change.
        Conditions work as before; guidance does not. `predict` and `trajectory` of the new model take the full solver,
        as those of this one. Call `save` to keep the new model.

        Parameters
        ----------
        solver_steps
            Steps that the sampler takes.
        n_paths
            Paths of the model to learn from; a tenth of them stops the training.
        max_epochs
            Passes over the paths at most.
        seed
            Seed of everything drawn.
        progress
            Show bars.

        Returns
        -------
        A new model, which shares the networks of this one.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        SettingError
            `solver_steps` or `max_epochs` is below 1, there are too few paths, or one of these or `seed` is no whole
            number.
        """
        model = self._fitted("distill")
        solver_steps, n_paths = whole_number(solver_steps, "solver_steps"), whole_number(n_paths, "n_paths")
        seed = whole_number(seed, "seed")
        max_epochs = None if max_epochs is None else whole_number(max_epochs, "max_epochs")
        if solver_steps < 1 or n_paths < _FEWEST_PATHS or (max_epochs is not None and max_epochs < 1):
            msg = f"`solver_steps` is {solver_steps}, `n_paths` {n_paths} and `max_epochs` {max_epochs}; expected at"
            msg += f" least 1, {_FEWEST_PATHS} and 1."
            raise SettingError(msg + " Leave them out for what suits most models.")
        with explain_memory("Lower `n_paths`."):
            sampler = distill_sampler(
                model.networks,
                self.config,
                solver_steps=solver_steps,
                n_paths=n_paths,
                max_epochs=max_epochs,
                seed=seed,
                progress=progress,
            )
        return self._with_model(replace(model, distilled=sampler))

"""A student of the model: few steps from noise to cells."""

from __future__ import annotations

from typing import Any, Self

from scdiffuse._core.errors import SettingError
from scdiffuse._core.resources import explain_memory
from scdiffuse.fitting import distill_sampler
from scdiffuse.generator._base import ModelState

__all__ = ["WithStudent"]

_FEWEST_PATHS = 20


class WithStudent(ModelState):
    """The part of `CellGenerator` that learns to take fewer steps."""

    @property
    def distilled(self) -> dict[str, Any] | None:
        """How the student was taught and how close it comes; `None` where there is none.

        ``n_steps``, ``n_paths``, ``n_train_steps``, ``seed``, ``stopped``, and ``distance``: the root mean square
        distance of its latents to those of its teacher from the same noise, in standard deviations of a latent.
        """
        return dict(self._distilled.facts) if self._distilled else None

    def distill(
        self,
        *,
        n_steps: int = 2,
        n_paths: int = 16_384,
        max_epochs: int | None = None,
        seed: int = 0,
        progress: bool = True,
    ) -> Self:
        """Teach a student to walk from noise to data in few steps, for `generate` with ``solver="distilled"``.

        It learns from paths that the model itself walks, so no cells are needed; the model does not change. Conditions
        work as before; guidance does not. Call `save` to keep the student with the model.

        Parameters
        ----------
        n_steps
            Steps that the student takes.
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
        The same object, with a student in the place of an earlier one.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        SettingError
            `n_steps` or `max_epochs` is below 1, or there are too few paths.
        """
        networks = self._fitted("distill")
        if n_steps < 1 or n_paths < _FEWEST_PATHS or (max_epochs is not None and max_epochs < 1):
            msg = f"`n_steps` is {n_steps}, `n_paths` {n_paths} and `max_epochs` {max_epochs}; expected at least 1,"
            raise SettingError(msg + f" {_FEWEST_PATHS} and 1. Leave them out for what suits most models.")
        with explain_memory("Lower `n_paths`."):
            self._distilled = distill_sampler(
                networks, n_steps=n_steps, n_paths=n_paths, max_epochs=max_epochs, seed=seed, progress=progress
            )
        return self

"""Fitting."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import torch

from scdiffuse._core.errors import NotFittedError
from scdiffuse._core.folders import MODEL, discard_folder
from scdiffuse._core.processes import Processes
from scdiffuse._core.resources import explain_memory, require_device, require_single_precision
from scdiffuse._core.scalars import whole_number
from scdiffuse._core.slots import FITTING_FOLDER
from scdiffuse.fitting import FitOptions, Origin, compare_models, fit_model, require_startable
from scdiffuse.generator._base import GeneratorBase
from scdiffuse.model import read_folder
from scdiffuse.nn import require_compiler

__all__ = ["FitMixin"]


class FitMixin(GeneratorBase):
    """The part of `CellGenerator` that learns from cells."""

    def fit(
        self,
        folder: str | Path | None = None,
        *,
        resume: bool = False,
        overwrite: bool = False,
        init_from: GeneratorBase | str | Path | None = None,
        max_epochs: int | None = None,
        seed: int = 0,
        device: str = "cpu",
        progress: bool = True,
    ) -> Self:
        """Fit both networks; stops by itself.

        Ctrl-C ends the fit early and keeps the best so far (`was_stopped` says so). Inside of an initialised
        ``torch.distributed`` group the processes share the fit; all call this alike, and the first writes the folder.

        Parameters
        ----------
        folder
            Where to save the model, and its state every 20 seconds on the way; it loads even when the fit was killed.
        resume
            Go on where the fit in `folder` stopped; the result is that of a fit never interrupted. Where nothing has
            been saved yet, the fit begins.
        overwrite
            Replace the model in `folder` when the new one is done, and no sooner; the state on the way is in its
            subfolder ``.fitting``. Other files in the folder stay. With `resume`, what is there is continued if it is
            this fit.
        init_from
            A fitted model, or its folder, to begin with: what it has learnt of genes and labels of the same names, and
            all that belongs to neither, is carried over. To resume such a fit, give it again.
        max_epochs
            Passes over the cells at most, for each of the two networks.
        seed
            Seed of everything drawn in the fit.
        device
            ``"cpu"``, or what PyTorch calls an accelerator, such as ``"cuda"``.
        progress
            Show bars.

        Returns
        -------
        The same object, fitted.

        Raises
        ------
        NotFittedError
            The model was loaded from a folder and holds no cells to fit.
        OutputExistsError
            `folder` holds something and neither `resume` nor `overwrite` is true, or it holds other things than a
            model.
        ModelFolderError
            What is in `folder` cannot be continued, or it belongs to other data or settings.
        SettingError
            `max_epochs` is below 1, it or `seed` is no whole number, there is no such `device`, `resume` is without a
            `folder`, the networks of `init_from` are of other widths, or several processes were given different things.
        GenesError
            `init_from` has too few genes in common with the data.
        LostProcessError
            One of several processes has ended; `resume` goes on, also with another number of them.
        """
        if self._data is None:
            msg = "This model was loaded or distilled and holds no training cells. To go on with a fit, build"
            raise NotFittedError(msg + " `CellGenerator(adata, ...)` as before and call `fit(folder, resume=True)`.")
        seed = whole_number(seed, "seed")
        max_epochs = None if max_epochs is None else whole_number(max_epochs, "max_epochs")
        place = Path(folder) if folder is not None else None
        require_startable(place, resume=resume, overwrite=overwrite, max_epochs=max_epochs)
        require_single_precision()
        processes = Processes.present()
        device = processes.place(device)
        require_device(device)
        if self.config.autoencoder_training.compiled or self.config.diffusion_training.compiled:
            require_compiler(torch.device(device))
        metadata, origin = replace(self._metadata, started_from=None), None
        if init_from is not None:
            origin = _read_origin(init_from)
            metadata = replace(metadata, started_from=compare_models(origin, metadata))
        options = FitOptions(
            folder=place,
            resume=resume,
            overwrite=overwrite,
            origin=origin,
            max_epochs=max_epochs,
            seed=seed,
            device=device,
            progress=progress,
            processes=processes,
        )
        with explain_memory("Lower `batch_size` or `n_hidden` in `config`, or raise `min_cells` to fit fewer genes."):
            result = fit_model(self._data, metadata, options)
        self._metadata, self._model = metadata, result.model
        self.history, self.was_stopped, self._scores = result.history, result.was_stopped, result.scores
        self.seed, self._max_epochs = seed, max_epochs
        self._fitted_on = datetime.now(UTC).date().isoformat()
        if place is not None and not self.was_stopped and processes.is_first:
            self.save(place, overwrite=True)
            discard_folder(place / FITTING_FOLDER, kind=MODEL)
        processes.barrier()
        return self


def _read_origin(given: GeneratorBase | str | Path) -> Origin:
    """Take a model in memory, or read one from its folder."""
    if isinstance(given, GeneratorBase):
        if given._model is None:
            msg = "The model given as `init_from` is not fitted; expected a fitted one or its folder. Call `fit` on it."
            raise NotFittedError(msg)
        return Origin(given._model.networks, given._metadata)
    saved = read_folder(Path(given))
    return Origin(saved.model.networks, saved.model.metadata)

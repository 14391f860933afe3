"""The object that users hold: fit it to cells, generate cells from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import anndata as ad
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from scdiffuse._core.errors import NotFittedError
from scdiffuse._core.processes import Processes
from scdiffuse._core.resources import explain_memory, require_device
from scdiffuse.cells import MIN_CELLS, Cells, check_counts, open_source
from scdiffuse.diffusion import SolverName
from scdiffuse.fitting import fit_networks, inherit, read_data, require_startable, tell_start
from scdiffuse.foundation import Foundation
from scdiffuse.generator._augment import Augments
from scdiffuse.generator._base import ModelState, read_origin
from scdiffuse.generator._classifiers import WithClassifiers
from scdiffuse.generator._control import Controls
from scdiffuse.generator._distill import WithStudent
from scdiffuse.guidance import Composition
from scdiffuse.model import ModelConfig, ModelMetadata, read_classifiers, read_distilled
from scdiffuse.nn import require_compiler
from scdiffuse.sampling import GuideTarget, LibrarySize, Request, Steering, gather, write_together

__all__ = ["CellGenerator"]

_BLOCK = 1024
_PATIENCE = timedelta(days=1)  # the last process to generate may be hours behind the first


class CellGenerator(Controls, Augments, WithClassifiers, WithStudent):
    """Learn what cells look like and generate new ones, as integer counts, under any of their conditions.

    Parameters
    ----------
    adata
        Cells with raw counts: in memory or backed, the path of a ``.h5ad`` file, a ``.zarr`` store or a folder of
        shards, or several of these, of which the genes are kept that all have.
    conditions
        Columns of `obs` with labels, such as ``"cell_type"``. Missing labels are fine.
    continuous
        Columns of `obs` with numbers, such as ``"day"``. Missing numbers are fine.
    layer
        Layer with raw counts; ``X`` if not given.
    min_cells
        Genes found in fewer cells are left out; `summary` says how many.
    config
        Settings of the networks and their training.
    latent
        Latents that were learnt elsewhere, one of `scdiffuse.foundation`; the model learns its own if not given.

    Raises
    ------
    CountsError
        The values are not raw counts, there are too few cells, or names occur twice.
    UnknownNameError
        A column, or an entry of `obsm`, does not exist.
    GenesError
        `latent` knows too few of the genes.
    ConditionError
        A label has one cell only, or a continuous column holds text.
    DataFileError
        The path does not lead to readable cells.

    Warns
    -----
    UserWarning
        Genes that only some of several files have, or cells without counts, are left out, with their number.

    Examples
    --------
    >>> import scdiffuse as scd
    >>> model = scd.CellGenerator(scd.datasets.pbmc68k(), conditions=["cell_type"])
    >>> len(model.genes)
    748
    """

    def __init__(
        self,
        adata: Cells,
        *,
        conditions: Sequence[str] = (),
        continuous: Sequence[str] = (),
        layer: str | None = None,
        min_cells: int = MIN_CELLS,
        config: ModelConfig | None = None,
        latent: Foundation | None = None,
    ) -> None:
        with explain_memory("Pass the path of a `.h5ad` file; its cells are then read as they are needed."):
            data = read_data(
                adata, conditions=conditions, continuous=continuous, layer=layer, min_cells=min_cells, latent=latent
            )
            summary = data.summary()
        config = config or ModelConfig()
        if latent is not None:
            config = config.with_latent(latent.describe(data.source))
        metadata = ModelMetadata(config=config, conditions=data.conditions, var=data.var, data=summary)
        self._begin(metadata, data)

    def fit(
        self,
        folder: str | Path | None = None,
        *,
        resume: bool = False,
        init_from: ModelState | str | Path | None = None,
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
            Go on where the fit in `folder` stopped; the result is that of a fit never interrupted.
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
            `folder` holds something and `resume` is false.
        ModelFolderError
            There is nothing in `folder` to go on with, or it belongs to other data or settings.
        SettingError
            `max_epochs` is below 1, there is no such `device`, `resume` is without a `folder`, or the networks of
            `init_from` are of other widths.
        GenesError
            `init_from` has too few genes in common with the data.
        LostProcessError
            One of several processes has ended; `resume` goes on, also with another number of them.
        """
        if self._data is None:
            msg = "This model was loaded and holds no training cells. To go on with a fit, build"
            raise NotFittedError(msg + " `CellGenerator(adata, ...)` as before and call `fit(folder, resume=True)`.")
        place = Path(folder) if folder is not None else None
        require_startable(place, resume=resume, max_epochs=max_epochs)
        processes = Processes.present()
        device = processes.place(device)
        require_device(device)
        if self.config.autoencoder_training.compiled or self.config.diffusion_training.compiled:
            require_compiler(torch.device(device))
        data, metadata = self._data, replace(self._metadata, started_from=None)
        if init_from is not None:
            origin = read_origin(init_from)
            metadata = replace(metadata, started_from=tell_start(origin, metadata))
            data = replace(data, start=partial(inherit, origin=origin, metadata=metadata))
        with explain_memory("Lower `batch_size` or `n_hidden` in `config`, or raise `min_cells` to fit fewer genes."):
            fitted = fit_networks(
                data,
                metadata,
                folder=place,
                resume=resume,
                max_epochs=max_epochs,
                seed=seed,
                device=device,
                progress=progress,
                processes=processes,
            )
        self._metadata = metadata
        self._networks, self.history, self.was_stopped, self._scores = fitted
        self.seed, self._max_epochs = seed, max_epochs
        self._classifiers = read_classifiers(place) if place is not None and resume else {}  # others know other latents
        for one in self._classifiers.values():
            one.network.to(device)
        self._distilled = read_distilled(place, self._networks) if place is not None and resume else None
        if place is not None and not self.was_stopped and processes.is_first:
            self.save(place, overwrite=True)
        processes.wait()
        return self

    def generate(  # noqa: PLR0913 - everything that can be asked of cells
        self,
        n: int | None = None,
        *,
        where: Mapping[str, Any] | pd.DataFrame | None = None,
        guidance: float | Mapping[str, float] = 1.0,
        guide: Mapping[str, GuideTarget] | None = None,
        avoid: Mapping[str, GuideTarget] | None = None,
        interval: tuple[float, float] = (0.0, 1.0),
        composition: Composition = "joint",
        seed: int = 0,
        library_size: LibrarySize | None = None,
        steps: int | None = None,
        solver: SolverName | Literal["distilled"] | None = None,
        chunk: int = 4096,
        to: str | Path | None = None,
        overwrite: bool = False,
        progress: bool = True,
    ) -> ad.AnnData | Path:
        """Generate cells; each depends on the seed, its index and its conditions alone.

        Parameters
        ----------
        n
            Number of cells; as many as were fitted if not given. May be left out when `where` is a table.
        where
            Conditions: a mapping of names to one label or number each (`None` for the model's own mix), or a table
            with one row a cell, or rows with a column ``n``. What is left open follows the training cells.
        guidance
            How strongly conditions steer: 0 not at all, 1 as learnt, above 1 cells become more typical. One number for
            all, or names with one each; those not named have 1.
        guide
            Names of classifiers and the label or number that each shall find probable: one for all cells or a list
            with one a cell, and with a strength in a tuple: ``{"organ": ("Spleen", 2.0), "cell_type": "B cell"}``.
        avoid
            Names of classifiers or conditions and the label to keep away from, with a strength in a tuple if not 1.
        interval
            Times, from low to high within 0 (data) to 1 (noise), in which guidance acts.
        composition
            ``"joint"`` as learnt, or ``"additive"``: what each condition does alone, added up.
        seed
            Seed of the cells.
        library_size
            Counts a cell: one number, a tuple of mean and standard deviation, or one number a cell. Not given, sizes
            are generated with the cells.
        steps
            Solver steps; the default of the settings if not given.
        solver
            ``"euler"``, ``"heun"``, ``"multistep"``, or ``"distilled"`` once `distill` has taught one.
        chunk
            Cells made at once; memory grows with it, the cells stay the same.
        to
            A ``.h5ad`` to write as the cells are made, in memory that does not grow with `n`. Inside of an initialised
            ``torch.distributed`` group each process makes a range of the cells; over several machines each leaves its
            own file, ``cells.rank0.h5ad`` and so on.
        overwrite
            Replace the file that is there.
        progress
            Show a bar.

        Returns
        -------
        Cells with ``X`` as CSR ``int32``, the conditions in `obs` with categories in the training order,
        ``obs["source"]``, and version, model hash, seed and settings in ``uns["scdiffuse"]``; or the path `to`.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        UnknownNameError
            A condition, label or classifier is not metadata.
        SettingError
            A number is out of range, the same label is asked for and avoided, or there is no student for it.

        Warns
        -----
        ExtrapolationWarning
            A number lies outside of what was measured.
        """
        networks = self._fitted("generate")
        steering = Steering(guidance=guidance, guide=guide, avoid=avoid, interval=interval, composition=composition)
        request = Request(
            n=n,
            where=where,
            steering=steering,
            seed=seed,
            library_size=library_size,
            steps=steps,
            solver=solver,
            chunk=chunk,
        )
        order = request.order(self._metadata, networks, self._classifiers, distilled=self._distilled)
        uns = request.to_uns(self._metadata, networks, classifiers=self._classifiers, order=order)
        var = self._metadata.var
        with explain_memory("Lower `chunk`, or write to a file with `to`."):
            if to is None:
                return gather(networks, order, var=var, uns=uns, progress=progress)
            return write_together(
                networks,
                order,
                Path(to),
                var=var,
                uns=uns,
                overwrite=overwrite,
                progress=progress,
                processes=Processes.present(patience=_PATIENCE),
            )

    def encode(self, adata: ad.AnnData | str | Path, *, layer: str | None = None) -> NDArray[np.float32]:
        """Infer the latents of cells.

        Parameters
        ----------
        adata
            Cells with raw counts of the model's genes; other genes are ignored.
        layer
            Layer with raw counts; ``X`` if not given.

        Returns
        -------
        Posterior means, shape ``(N, D)``, in units of the training cells' standard deviation.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        GenesError
            Genes of the model are missing from the data.
        CountsError
            The values are not raw counts.
        """
        networks = self._fitted("encode")
        source = open_source(adata, layer=layer, genes=list(self.genes), obsm_key=self.config.obsm_key)
        check_counts(adata, layer=layer)
        mean, std = networks.latent_mean[:-1], networks.latent_std[:-1]
        with explain_memory("Encode fewer cells at a time."):
            blocks = [(networks.autoencoder.encode(rows).mean - mean) / std for _, rows in source.blocks(_BLOCK)]
        latents: NDArray[np.float32] = torch.cat(blocks).cpu().numpy()
        return latents

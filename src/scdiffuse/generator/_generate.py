"""Generating cells."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd

from scdiffuse._core.endings import CELLS, require_ending
from scdiffuse._core.processes import Processes
from scdiffuse._core.resources import explain_memory
from scdiffuse.diffusion import SolverName
from scdiffuse.generator._base import GeneratorBase
from scdiffuse.generator._checks import require_batch_size
from scdiffuse.sampling import Guidance, LibrarySize, Request, Scale, gather, write_together

__all__ = ["GenerateMixin"]

_PATIENCE = timedelta(days=1)  # the last process to generate may be hours behind the first


class GenerateMixin(GeneratorBase):
    """The part of `CellGenerator` that makes new cells."""

    def generate(  # noqa: PLR0913 - everything that can be asked of cells
        self,
        n_cells: int | None = None,
        *,
        where: Mapping[str, Any] | pd.DataFrame | None = None,
        guidance: Scale | Guidance = 1.0,
        seed: int = 0,
        library_size: LibrarySize | None = None,
        solver_steps: int | None = None,
        solver: SolverName | None = None,
        batch_size: int = 4096,
        path: str | Path | None = None,
        overwrite: bool = False,
        progress: bool = True,
    ) -> ad.AnnData | Path:
        """Generate cells; each depends on the seed, its index and its conditions alone.

        Parameters
        ----------
        n_cells
            Number of cells; as many as were fitted if not given. May be left out when `where` is a table.
        where
            Conditions: a mapping of names to one label or number each (`None` for the model's own mix), or a table
            with one row a cell, or rows with a column ``n_cells``. What is left open follows the training cells.
        guidance
            Guidance scale of the conditions: 0 ignores them, 1 is the model as learnt, and above 1 cells become more
            typical. One number for all, or names with one each; those not named have 1. A `Guidance` adds classifiers
            to go toward or away from, an interval of times, and composition.
        seed
            Seed of the cells.
        library_size
            Counts a cell: one number, a tuple of mean and standard deviation, or one number a cell. Not given, library
            sizes are generated with the cells.
        solver_steps
            Steps of the solver from noise to data; the default of the settings if not given.
        solver
            ``"euler"``, ``"heun"`` or ``"multistep"``; that of the settings if not given.
        batch_size
            Cells made at once; memory grows with it, the cells stay the same.
        path
            A ``.h5ad`` to write as the cells are made, in memory that does not grow with `n_cells`. Inside of an
            initialised ``torch.distributed`` group each process makes a range of the cells; over several machines each
            leaves its own file, ``cells.rank0.h5ad`` and so on.
        overwrite
            Replace the file that is there.
        progress
            Show a bar.

        Returns
        -------
        Cells with ``X`` as CSR ``int32``, the conditions in `obs` with categories in the training order, labels that
        classifiers guided toward under the name of the classifier, ``obs["source"]``, latents in
        ``obsm["X_scdiffuse"]``, and version, model hash, seed and settings in ``uns["scdiffuse"]``; or the path. With
        two conditions or more, or unseen labels, ``obs["unseen"]`` and ``obs["support"]`` say how far to trust a cell.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        UnknownNameError
            A condition, label or classifier is not known.
        SettingError
            A number is out of range, `path` has another ending, cells are asked to be what they keep away from, or a
            distilled model is asked for guidance or for other steps than its own.

        Warns
        -----
        ExtrapolationWarning
            A number lies outside of what was measured.
        ScdiffuseWarning
            Guidance has driven cells further than any training cell lies.
        """
        model = self._fitted("generate")
        require_batch_size(batch_size)
        if path is not None:
            require_ending(path, CELLS)
        request = Request(
            n_cells=n_cells,
            where=where,
            guidance=Guidance.of(guidance),
            seed=seed,
            library_size=library_size,
            solver_steps=solver_steps,
            solver=solver,
            batch_size=batch_size,
        )
        plan = request.plan(model)
        uns = request.to_uns(model, plan)
        with explain_memory("Lower `batch_size`, or write to a file with `path`."):
            if path is None:
                return gather(model, plan, uns=uns, progress=progress)
            return write_together(
                model,
                plan,
                Path(path),
                uns=uns,
                overwrite=overwrite,
                progress=progress,
                processes=Processes.present(patience=_PATIENCE),
            )

"""The object that users hold: fit it to cells, generate cells from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import anndata as ad
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from scdiffusion import __version__
from scdiffusion._core.errors import NotFittedError, SettingError
from scdiffusion._core.files import refuse_existing
from scdiffusion._core.progress import Progress
from scdiffusion._core.slots import CARD_FILE, GENES_FILE, UNS_KEY, VOCABULARY_FILE
from scdiffusion.cells import MIN_CELLS, Conditions, H5adWriter, build_anndata, open_source, plan_conditions
from scdiffusion.diffusion import Denoiser, SolverName, solver_named
from scdiffusion.guidance import ConditionFree
from scdiffusion.model._card import write_card, write_summary
from scdiffusion.model._config import ModelConfig
from scdiffusion.model._depth import LibrarySize, plan_sizes
from scdiffusion.model._fitting import Data, fit_parts, read_data
from scdiffusion.model._folder import Held, read_folder, var_to_json, write_finished
from scdiffusion.model._generate import Order, make_chunks
from scdiffusion.model._memory import explain_memory
from scdiffusion.model._parts import Parts

__all__ = ["CellGenerator", "load"]

_BLOCK = 1024


class CellGenerator:
    """Learn what cells look like and generate new ones, as integer counts, under any of their conditions.

    Parameters
    ----------
    adata
        Cells with raw counts, in memory or backed, or the path of a ``.h5ad`` file.
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

    Raises
    ------
    CountsError
        The values are not raw counts, there are too few cells, or names occur twice.
    UnknownNameError
        A column does not exist.
    ConditionError
        A label has one cell only, or a continuous column holds text.
    DataFileError
        The file is not a readable ``.h5ad``.

    Examples
    --------
    >>> import scdiffusion as scd
    >>> model = scd.CellGenerator(scd.datasets.pbmc68k(), conditions=["cell_type"])
    >>> len(model.genes)
    765
    """

    def __init__(  # noqa: PLR0913 - one argument for each thing a user may say of the data
        self,
        adata: ad.AnnData | str | Path,
        *,
        conditions: Sequence[str] = (),
        continuous: Sequence[str] = (),
        layer: str | None = None,
        min_cells: int = MIN_CELLS,
        config: ModelConfig | None = None,
    ) -> None:
        data = read_data(adata, conditions=conditions, continuous=continuous, layer=layer, min_cells=min_cells)
        self._begin(data.conditions, data.var, config or ModelConfig())
        self._data: Data | None = data
        self._summary = data.summary()

    def _begin(self, conditions: Conditions, var: pd.DataFrame, config: ModelConfig) -> None:
        self.conditions = conditions
        """Names, labels and ranges of the conditions."""
        self.config = config
        """Settings."""
        self.history: dict[str, list[tuple[int, float, float]]] = {}
        """Step, training loss and validation loss along each stage of the fit."""
        self.was_stopped = False
        """Whether the fit ended before it was done."""
        self.seed = 0
        """Seed of the fit."""
        self._var = var
        self._parts: Parts | None = None
        self._scores: dict[str, Any] | None = None

    @property
    def genes(self) -> NDArray[np.str_]:
        """Names of the genes that the model knows, shape ``(G,)``."""
        return self._var.index.to_numpy(dtype=str)

    @property
    def n_parameters(self) -> int:
        """Trained numbers of both networks; 0 before the fit."""
        return sum(weight.numel() for weight in self._parts.parameters()) if self._parts else 0

    def fit(
        self,
        folder: str | Path | None = None,
        *,
        resume: bool = False,
        max_epochs: int | None = None,
        seed: int = 0,
        device: str = "cpu",
        progress: bool = True,
    ) -> Self:
        """Fit both networks; stops by itself.

        Ctrl-C ends the fit early and keeps the best so far (`was_stopped` says so).

        Parameters
        ----------
        folder
            Where to save the model, and its state every 20 seconds on the way; it loads even when the fit was killed.
        resume
            Go on where the fit in `folder` stopped; the result is that of a fit never interrupted.
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
        """
        if self._data is None:
            msg = "This model was loaded and holds no training cells. To go on with a fit, build"
            raise NotFittedError(msg + " `CellGenerator(adata, ...)` as before and call `fit(folder, resume=True)`.")
        if max_epochs is not None and max_epochs < 1:
            msg = f"`max_epochs` must be at least 1, got {max_epochs}; leave it out to let the fit stop by itself."
            raise SettingError(msg)
        if resume and folder is None:
            msg = "`resume` needs the `folder` of the interrupted fit, got None. Pass the folder given to `fit` then."
            raise SettingError(msg)
        place = Path(folder) if folder is not None else None
        if place is not None and not resume:
            refuse_existing(place, overwrite=place.is_dir() and not any(place.iterdir()))
        self.seed = seed
        with explain_memory("Lower `batch_size` or `n_hidden` in `config`, or raise `min_cells` to fit fewer genes."):
            fitted = fit_parts(
                self._data, self.config, folder=place, described=self._described(seed), resume=resume,
                max_epochs=max_epochs, seed=seed, device=device, progress=progress,
            )  # fmt: skip
        self._parts, self.history, self.was_stopped = fitted
        if place is not None and not self.was_stopped:
            self.save(place, overwrite=True)
        return self

    def generate(  # noqa: PLR0913 - everything that can be asked of cells
        self,
        n: int | None = None,
        *,
        where: Mapping[str, Any] | pd.DataFrame | None = None,
        guidance: float = 1.0,
        seed: int = 0,
        library_size: LibrarySize | None = None,
        steps: int | None = None,
        solver: SolverName | None = None,
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
            How strongly conditions steer: 0 not at all, 1 as learnt, above 1 cells become more typical.
        seed
            Seed of the cells.
        library_size
            Counts a cell: one number, a tuple of mean and standard deviation, or one number a cell. Not given, sizes
            are generated with the cells.
        steps
            Solver steps; the default of the settings if not given.
        solver
            ``"euler"``, ``"heun"`` or ``"multistep"``.
        chunk
            Cells made at once; memory grows with it, the cells stay the same.
        to
            A ``.h5ad`` to write as the cells are made, in memory that does not grow with `n`.
        overwrite
            Replace the file that is there.
        progress
            Show a bar.

        Returns
        -------
        Cells with ``X`` as CSR ``int32``, the conditions in `obs` with categories in the training order,
        ``obs["source"]``, and version, model hash, seed and settings in ``uns["scdiffusion"]``; or the path `to`.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        UnknownNameError
            `where` names an untrained condition or label.
        SettingError
            A number is out of range.
        """
        parts = self._fitted("generate")
        if chunk < 1:
            msg = f"`chunk` must be at least 1, got {chunk}; 4096 suits most machines."
            raise SettingError(msg)
        if n is None and not isinstance(where, pd.DataFrame):
            n = int(parts.conditions_counts.sum())
        plan = plan_conditions(self.conditions, parts.trained_on, n=n, where=where, seed=seed)
        denoiser: Denoiser = parts.denoiser if not self.conditions.names else ConditionFree(parts.denoiser, guidance)
        order = Order(
            plan=plan,
            conditions=self.conditions,
            denoiser=denoiser,
            solver=solver_named(solver or self.config.diffusion.solver),
            n_steps=self.config.diffusion.n_steps if steps is None else steps,
            seed=seed,
            sizes=plan_sizes(library_size, n=plan.n, seed=seed),
            chunk=chunk,
        )
        asked = {"n": plan.n, "guidance": guidance, "steps": order.n_steps, "solver": solver, "library_size": str(library_size)}
        uns = {UNS_KEY: self._provenance(seed, asked)}
        with explain_memory("Lower `chunk`, or write to a file with `to`."):
            return self._collect(parts, order, uns, to=to, overwrite=overwrite, progress=progress)

    def _collect(  # noqa: PLR0913 - the outcome of an order
        self, parts: Parts, order: Order, uns: dict[str, Any], *, to: str | Path | None, overwrite: bool, progress: bool
    ) -> ad.AnnData | Path:
        """Gather the chunks in memory or in a file."""
        import scipy.sparse as sp

        with Progress("generate", order.plan.n, enabled=progress) as bar:
            if to is not None:
                with H5adWriter(to, self._var, overwrite=overwrite) as writer:
                    for counts, obs in make_chunks(parts, order):
                        writer.append(counts, obs)
                        bar.advance(len(obs))
                    writer.close(uns)
                return Path(to)
            made = []
            for counts, obs in make_chunks(parts, order):
                made.append((counts, obs))
                bar.advance(len(obs))
        obs = pd.concat([obs for _, obs in made], ignore_index=True) if made[0][1].shape[1] else pd.DataFrame(index=range(order.plan.n))
        return build_anndata(sp.vstack([counts for counts, _ in made], format="csr"), obs, self._var, uns)

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
        """
        parts = self._fitted("encode")
        source = open_source(adata, layer=layer, genes=list(self.genes))
        mean, std = parts.latent_mean[:-1], parts.latent_std[:-1]
        blocks = [(parts.autoencoder.encode(rows).mean - mean) / std for _, rows in source.blocks(_BLOCK)]
        latents: NDArray[np.float32] = torch.cat(blocks).cpu().numpy()
        return latents

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Save the model: weights as safetensors, the rest as JSON, and a model card.

        Parameters
        ----------
        folder
            Where; it appears whole or not at all.
        overwrite
            Replace the model that is there.

        Returns
        -------
        The folder.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        OutputExistsError
            Something is there and `overwrite` is false.
        """
        parts = self._fitted("save")
        facts = self._facts()
        texts = self._texts() | {CARD_FILE: write_card(facts)}
        write_finished(Path(folder), parts, described=facts, texts=texts, overwrite=overwrite)
        return Path(folder)

    def record_scores(self, scores: Mapping[str, Any] | str) -> None:
        """Keep the scores of an evaluation, for the model card.

        Parameters
        ----------
        scores
            What ``Report.to_json`` gives.
        """
        self._scores = json.loads(scores) if isinstance(scores, str) else dict(scores)

    def summary(self) -> str:
        """Say in a few lines what the model knows."""
        if self._parts is None:
            return f"Not fitted. {self._summary['genes']}"
        return write_summary(self._facts())

    def __repr__(self) -> str:
        state = "fitted" if self._parts else "not fitted"
        return f"CellGenerator({len(self.genes):,} genes, conditions {list(self.conditions.names)}, {state})"

    def _fitted(self, verb: str) -> Parts:
        if self._parts is None:
            msg = f"`{verb}` needs a fitted model, and this one is not fitted. Call `fit()` first."
            raise NotFittedError(msg)
        return self._parts

    def _texts(self) -> dict[str, str]:
        return {GENES_FILE: var_to_json(self._var), VOCABULARY_FILE: self.conditions.to_json()}

    def _described(self, seed: int) -> dict[str, Any]:
        """Tell what is known before any training."""
        return {
            "version": __version__,
            "settings": self.config.to_dict(),
            "data": self._summary,
            "seed": seed,
            "texts": self._texts(),
        }

    def _facts(self) -> dict[str, Any]:
        parts = self._fitted("save")
        described = self._described(self.seed)
        words = "".join(described.pop("texts").values())
        return described | {
            "model_hash": parts.fingerprint(words),
            "n_parameters": self.n_parameters,
            "stopped": self.was_stopped,
            "history": self.history,
            "scores": self._scores,
        }

    def _provenance(self, seed: int, asked: Mapping[str, Any]) -> dict[str, Any]:
        parts = self._fitted("generate")
        return {
            "version": __version__,
            "model_hash": parts.fingerprint("".join(self._texts().values())),
            "seed": seed,
            "settings": json.dumps(dict(asked)),
        }

    @classmethod
    def _from_held(cls, held: Held) -> Self:
        model = cls.__new__(cls)
        model._begin(held.conditions, held.var, held.config)
        model._data = None
        model._parts = held.parts
        model._summary = held.facts["data"]
        model._scores = held.facts.get("scores")
        model.history = {stage: [tuple(point) for point in curve] for stage, curve in held.facts["history"].items()}
        model.was_stopped = bool(held.facts.get("stopped", not held.finished))
        model.seed = held.facts["seed"]
        return model


def load(folder: str | Path, *, device: str = "cpu") -> CellGenerator:
    """Load a model from its folder, also one whose fit was interrupted.

    Parameters
    ----------
    folder
        Written by `CellGenerator.save` or `CellGenerator.fit`.
    device
        Where to put it.

    Returns
    -------
    The model; it generates the same cells as the one that was saved.

    Raises
    ------
    ModelFolderError
        A file is missing, altered or damaged, or was written by a newer version.
    """
    held = read_folder(Path(folder))
    held.parts.to(device)
    return CellGenerator._from_held(held)  # noqa: SLF001 - its own constructor

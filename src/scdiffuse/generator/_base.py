"""What a generator holds, apart from what it does: a model, the cells to fit, curves and scores."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import NotFittedError, ScdiffuseWarning
from scdiffuse._core.resources import require_single_precision
from scdiffuse.cells import Conditions, describe_origin
from scdiffuse.fitting import TrainingData
from scdiffuse.generator._repr import history_table, model_card_html
from scdiffuse.model import (
    FittedModel,
    History,
    Json,
    ModelConfig,
    ModelMetadata,
    ModelRecord,
    write_finished,
    write_summary,
)

__all__ = ["GeneratorBase"]

_NEED_DIFFUSION = {"generate", "predict", "trajectory"}


class GeneratorBase:
    """The state of `CellGenerator`, its folder and its summary.

    Parameters
    ----------
    metadata
        Settings, conditions and genes.
    data
        Cells to fit; `None` for a model from its folder.
    model
        What was learnt; `None` before the fit.
    """

    history: History
    """Step, training loss and validation loss along each stage of the fit."""
    was_stopped: bool
    """Whether the fit ended before it was done."""
    seed: int
    """Seed of the fit."""

    def __init__(
        self, metadata: ModelMetadata, *, data: TrainingData | None = None, model: FittedModel | None = None
    ) -> None:
        self.history = {}
        self.was_stopped = False
        self.seed = 0
        self._metadata = metadata
        self._data = data
        self._model = model
        self._max_epochs: int | None = None
        self._scores: Json | None = None
        self._fitted_on = ""

    @classmethod
    def _from_model(cls, model: FittedModel, *, history: History, was_stopped: bool, max_epochs: int | None) -> Self:
        """Build a generator without cells to fit, past the constructor of `CellGenerator`, which reads cells."""
        generator = cls.__new__(cls)
        GeneratorBase.__init__(generator, model.metadata, model=model)
        generator.history, generator.was_stopped = history, was_stopped
        generator.seed, generator._max_epochs = model.seed, max_epochs
        return generator

    def _with_model(self, model: FittedModel) -> Self:
        """Build a generator around a model that was made from this one; neither gets the other's new classifiers."""
        own = replace(model, classifiers=dict(model.classifiers))
        made = self._from_model(
            own, history=dict(self.history), was_stopped=self.was_stopped, max_epochs=self._max_epochs
        )
        made._fitted_on = self._fitted_on
        return made

    @property
    def conditions(self) -> Conditions:
        """Names, labels and ranges of the conditions."""
        return self._metadata.conditions

    @property
    def config(self) -> ModelConfig:
        """Settings."""
        return self._metadata.config

    @property
    def genes(self) -> NDArray[np.str_]:
        """Names of the genes that the model knows, shape ``(G,)``."""
        return self._metadata.var.index.to_numpy(dtype=str)

    @property
    def n_parameters(self) -> int:
        """Trained numbers of both networks; 0 before the fit."""
        return sum(weight.numel() for weight in self._model.networks.parameters()) if self._model else 0

    @property
    def history_frame(self) -> pd.DataFrame:
        """`history` as a table, one row for each validation.

        ``stage``, ``step``, ``training_loss`` and ``validation_loss``; `scdiffuse.plot_history` draws it.
        """
        return history_table(self.history)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Save the model: weights as safetensors, the rest as JSON, and a model card.

        Parameters
        ----------
        folder
            Where to save it; the folder appears whole or not at all.
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
        model = self._fitted("save")
        write_finished(Path(folder), model, record=self._record(model), overwrite=overwrite)
        return Path(folder)

    def record_scores(self, scores: Mapping[str, object] | str) -> None:
        """Keep the scores of an evaluation, for the model card.

        Parameters
        ----------
        scores
            What ``Report.to_json`` gives.
        """
        self._scores = json.loads(scores) if isinstance(scores, str) else dict(scores)

    def set_origin(self, *, organism: str | None = None, source: str | None = None, licence: str | None = None) -> Self:
        """Say where the training cells come from, for the model card.

        What is not given stays as ``uns`` of the cells says: ``uns["source"]``, text or a mapping with ``name``,
        ``organism`` and ``licence``.

        Parameters
        ----------
        organism
            Such as ``"human"``.
        source
            Study, publication or collection.
        licence
            Licence of the cells, which users of the model have to follow too.

        Returns
        -------
        The same object.
        """
        given = {"organism": organism, "source": source, "licence": licence}
        known = self._metadata.origin | {name: text for name, text in given.items() if text is not None}
        self._metadata = replace(self._metadata, origin=describe_origin(known))
        if self._model is not None:
            self._model.metadata = self._metadata
        return self

    def summary(self) -> str:
        """Describe in a few lines what the model knows."""
        if self._model is None:
            return f"Not fitted. {self._metadata.data['genes']}"
        return write_summary(self._record(self._model))

    def __repr__(self) -> str:
        state = "fitted" if self._model else "not fitted"
        return f"CellGenerator({len(self.genes):,} genes, conditions {list(self.conditions.names)}, {state})"

    def _repr_html_(self) -> str:
        """Show a card in a notebook."""
        return model_card_html(self._metadata, self._model, self.history)

    def _fitted(self, verb: str) -> FittedModel:
        if self._model is None:
            msg = f"`{verb}` needs a fitted model, and this one is not fitted. Call `fit()` first."
            raise NotFittedError(msg)
        require_single_precision()
        has_learnt = bool(self.history.get("diffusion")) or self._metadata.started_from is not None
        if verb in _NEED_DIFFUSION and self.was_stopped and not has_learnt:
            msg = f"`{verb}` takes a model whose fit stopped before the diffusion learnt anything;"
            msg += " expect cells unlike real ones. Continue the fit with `resume` first."
            warnings.warn(msg, ScdiffuseWarning, stacklevel=3)
        return self._model

    def _record(self, model: FittedModel) -> ModelRecord:
        record = self._metadata.record(seed=self.seed, max_epochs=self._max_epochs)
        record["model_hash"] = self._metadata.fingerprint(model.networks)
        record["n_parameters"] = self.n_parameters
        if rate := model.networks.duplication_rate:
            record["duplication_rate"] = rate
        record["stopped"] = self.was_stopped
        record["fitted_on"] = self._fitted_on
        record["history"] = self.history
        record["scores"] = self._scores
        record["classifiers"] = {name: one.to_json() for name, one in model.classifiers.items()}
        record["distilled"] = model.distilled.record if model.distilled else None
        return record

"""What a model holds, apart from what it can do: networks, vocabulary, curves, classifiers, and its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import NotFittedError
from scdiffuse.cells import Conditions
from scdiffuse.fitting import Data, Origin
from scdiffuse.model import (
    AttachedClassifier,
    DistilledSampler,
    History,
    ModelConfig,
    ModelMetadata,
    Networks,
    read_folder,
    write_finished,
    write_summary,
)

__all__ = ["ModelState", "read_origin"]


class ModelState:
    """The part of `CellGenerator` that knows; its other bases and itself act on it."""

    history: History
    """Step, training loss and validation loss along each stage of the fit."""
    was_stopped: bool
    """Whether the fit ended before it was done."""
    seed: int
    """Seed of the fit."""

    _metadata: ModelMetadata
    _data: Data | None
    _max_epochs: int | None
    _networks: Networks | None
    _scores: dict[str, Any] | None
    _classifiers: dict[str, AttachedClassifier]
    _distilled: DistilledSampler | None

    def _begin(self, metadata: ModelMetadata, data: Data | None) -> None:
        self.history = {}
        self.was_stopped = False
        self.seed = 0
        self._metadata = metadata
        self._data = data
        self._max_epochs = None
        self._networks = None
        self._scores = None
        self._classifiers = {}
        self._distilled = None

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
        return sum(weight.numel() for weight in self._networks.parameters()) if self._networks else 0

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
        networks = self._fitted("save")
        write_finished(
            Path(folder),
            networks,
            facts=self._facts(networks),
            texts=self._metadata.texts(),
            classifiers=self._classifiers,
            distilled=self._distilled,
            overwrite=overwrite,
        )
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
        if self._networks is None:
            return f"Not fitted. {self._metadata.data['genes']}"
        return write_summary(self._facts(self._networks))

    def __repr__(self) -> str:
        state = "fitted" if self._networks else "not fitted"
        return f"CellGenerator({len(self.genes):,} genes, conditions {list(self.conditions.names)}, {state})"

    def _fitted(self, verb: str) -> Networks:
        if self._networks is None:
            msg = f"`{verb}` needs a fitted model, and this one is not fitted. Call `fit()` first."
            raise NotFittedError(msg)
        return self._networks

    def _facts(self, networks: Networks) -> dict[str, Any]:
        return self._metadata.facts(seed=self.seed, max_epochs=self._max_epochs) | {
            "model_hash": self._metadata.fingerprint(networks),
            "n_parameters": self.n_parameters,
            "stopped": self.was_stopped,
            "history": self.history,
            "scores": self._scores,
            "classifiers": {name: one.told() for name, one in self._classifiers.items()},
            "distilled": dict(self._distilled.facts) if self._distilled else None,
        }


def read_origin(model: ModelState | str | Path) -> Origin:
    """Take a model in memory, or read one from its folder.

    Parameters
    ----------
    model
        The model or its folder.

    Raises
    ------
    NotFittedError
        The model in memory is not fitted.
    ModelFolderError
        The folder does not hold one.
    """
    if isinstance(model, ModelState):
        if model._networks is None:
            msg = "The model given as `init_from` is not fitted; expected a fitted one or its folder. Call `fit` on it."
            raise NotFittedError(msg)
        return Origin(model._networks, model._metadata)
    held = read_folder(Path(model))
    return Origin(held.networks, held.metadata)

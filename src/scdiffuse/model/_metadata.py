"""What is known of a model beside its networks, in the form that ``config.json`` keeps."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

import numpy as np
import pandas as pd

from scdiffuse._core.slots import GENES_FILE, VOCABULARY_FILE
from scdiffuse._core.version import __version__
from scdiffuse.cells import Conditions, DataOrigin
from scdiffuse.model._config import ModelConfig
from scdiffuse.model._networks import Networks

__all__ = [
    "ClassifierRecord",
    "DataSummary",
    "DistillationRecord",
    "History",
    "ModelMetadata",
    "ModelRecord",
    "SavedClassifier",
    "WarmStartRecord",
    "var_from_json",
    "var_to_json",
]

Json = dict[str, Any]
"""A tree of plain dictionaries, lists, text, numbers, true, false and null."""
History = dict[str, list[tuple[int, float, float]]]
"""Step, training loss and validation loss along each stage of a fit."""


class FeatureRecord(TypedDict):
    """Features by which a model knows labels that no training cell has."""

    n_unseen: int
    """Number of these labels."""
    sha256: str
    """The first digits of the checksum of the features of all labels."""


class DataSummary(TypedDict):
    """The training cells in a few numbers."""

    n_cells: int
    n_genes: int
    n_counts: int
    """Counts of all cells together."""
    median_counts: int
    """Median library size."""
    genes: str
    """What the gene filter kept and dropped, in one sentence."""
    labels: dict[str, dict[str, int]]
    """Cells of each trained label of each categorical condition."""
    ranges: dict[str, tuple[float, float]]
    """Smallest and largest number of each continuous condition."""
    features: NotRequired[dict[str, FeatureRecord]]
    """Of each condition that has labels known by features."""
    round_counts: NotRequired[bool]
    """Whether counts with decimals were rounded, as they are then wherever the model reads cells."""
    embedding: NotRequired[str]
    """Digest of the latents of the training cells, where they are an entry of `obsm`."""
    mapped: NotRequired[dict[str, dict[str, int]]]
    """Cells of each mapped label, by condition."""


class WarmStartRecord(TypedDict):
    """The model that a fit began with, and what both have in common."""

    model_hash: str
    n_cells: int
    n_genes: int
    n_shared: int
    """Genes of both."""
    diffusion: bool
    """Whether the denoiser was carried over too."""


class ClassifierRecord(TypedDict):
    """What a classifier of noisy latents was trained on, and how well it does."""

    kind: str
    """``"categorical"`` or ``"continuous"``."""
    obs_key: str
    """Column of `obs` that it learnt."""
    n_cells: int
    labels: NotRequired[dict[str, int]]
    """Cells of each label."""
    range: NotRequired[list[float]]
    """Smallest and largest number."""
    accuracy: dict[str, float]
    """Held-out cells that get the right label (numbers: variance explained), by time from 0, no noise, to 1."""
    chance: float
    """Accuracy of always naming the most frequent label."""
    n_held_out: int
    library_size: bool
    """Whether it sees the library size."""
    n_steps: int
    seed: int
    stopped: bool


class SavedClassifier(ClassifierRecord):
    """What ``config.json`` holds of a classifier."""

    vocabulary: str
    """Its labels or range, as `Conditions.to_json` writes them."""
    settings: Json
    """The tree of `ClassifierConfig`."""


class DistillationRecord(TypedDict):
    """How a distilled sampler was trained, and how close it comes to the model that it was distilled from."""

    solver_steps: int
    n_paths: int
    n_train_steps: int
    seed: int
    stopped: bool
    distance: float
    """Root mean square distance of its latents to those of the model, in standard deviations of a latent."""


class ModelRecord(TypedDict):
    """What ``config.json`` holds beside format and checksums."""

    version: str
    settings: Json
    """The tree of `ModelConfig`."""
    data: DataSummary
    seed: int
    max_epochs: int | None
    started_from: WarmStartRecord | None
    origin: NotRequired[DataOrigin]
    """Organism, source and licence of the cells, as far as they were given."""
    fitted_on: NotRequired[str]
    """Day when the fit ended, such as ``"2026-11-28"``."""
    model_hash: NotRequired[str]
    n_parameters: NotRequired[int]
    duplication_rate: NotRequired[float]
    """How many more times than once a molecule of the training cells is counted on average; left out where it is 0."""
    stopped: NotRequired[bool]
    history: NotRequired[History]
    scores: NotRequired[Json | None]
    classifiers: NotRequired[dict[str, SavedClassifier]]
    distilled: NotRequired[DistillationRecord | None]


@dataclass(frozen=True, kw_only=True)
class ModelMetadata:
    """What is known of a model before any training."""

    config: ModelConfig
    conditions: Conditions
    var: pd.DataFrame
    """The genes."""
    data: DataSummary
    started_from: WarmStartRecord | None = None
    origin: DataOrigin = field(default_factory=lambda: DataOrigin(organism="", source="", licence=""))
    """Organism, source and licence of the training cells."""

    def texts(self) -> dict[str, str]:
        """Write genes and vocabulary, by the names of their files."""
        return {GENES_FILE: var_to_json(self.var), VOCABULARY_FILE: self.conditions.to_json()}

    def record(self, *, seed: int, max_epochs: int | None) -> ModelRecord:
        """Return the content of ``config.json`` at the beginning of a fit.

        Parameters
        ----------
        seed, max_epochs
            As in `CellGenerator.fit`.
        """
        return {
            "version": __version__,
            "settings": self.config.to_dict(),
            "data": self.data,
            "seed": seed,
            "max_epochs": max_epochs,
            "started_from": self.started_from,
            "origin": self.origin,
        }

    def fingerprint(self, networks: Networks) -> str:
        """Return 16 hexadecimal digits that change with any weight, gene or label.

        Parameters
        ----------
        networks
            All tensors.
        """
        return networks.fingerprint("".join(self.texts().values()))


def var_to_json(var: pd.DataFrame) -> str:
    """Write gene names and the columns of `var` that JSON can hold.

    Parameters
    ----------
    var
        One row a gene.
    """
    columns = {
        str(name): _of_one_type(column.astype(object).where(column.notna(), None).tolist())
        for name, column in var.items()
        if column.dropna().map(lambda value: isinstance(value, str | bool | int | float | np.generic)).all()
    }
    return json.dumps({"names": [str(name) for name in var.index], "columns": columns}, default=_plain)


def var_from_json(text: str) -> pd.DataFrame:
    """Read what `var_to_json` wrote.

    Parameters
    ----------
    text
        JSON.

    Returns
    -------
    The table. Each column can be written to a file: one with texts and gaps is categorical, one of several types text.

    Raises
    ------
    ValueError
        A value is neither text, a number nor missing.
    """
    saved: Json = json.loads(text)
    columns = {name: _column(name, values) for name, values in saved["columns"].items()}
    return pd.DataFrame(columns, index=pd.Index(saved["names"], dtype=str))


def _column(name: str, values: list[Any]) -> object:
    """Give a column of JSON one type that anndata can write."""
    kinds = {type(value) for value in values} - {type(None)}
    if not kinds <= {str, bool, int, float}:
        msg = f"column {name!r} of the genes holds a {kinds.pop().__name__}; expected texts or numbers"
        raise ValueError(msg)
    if None not in values or kinds <= {int, float}:
        return pd.Series(_of_one_type(values), dtype=None if kinds else float).to_numpy()
    return pd.array(values, dtype="boolean") if kinds == {bool} else pd.Categorical(_of_one_type(values))


def _of_one_type(values: list[Any]) -> list[Any]:
    """Write values of several types as text; whole numbers and fractions are one type."""
    kinds = {int if isinstance(value, float | np.number) else type(value) for value in values if value is not None}
    return [None if value is None else str(value) for value in values] if len(kinds) > 1 else values


def _plain(value: np.generic) -> object:
    return value.item()

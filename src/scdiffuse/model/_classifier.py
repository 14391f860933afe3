"""A classifier that belongs to a model: its network, its vocabulary, and how well it does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse.cells import Conditions, ConditionTable
from scdiffuse.guidance import ClassifierConfig, LabelClassifier, NumberRegressor
from scdiffuse.model._metadata import ClassifierRecord, SavedClassifier
from scdiffuse.model._restore import build_like, require_depth, require_finite

__all__ = ["AttachedClassifier", "join_tensors", "new_network", "split_tensors"]


@dataclass(frozen=True, kw_only=True)
class AttachedClassifier:
    """A trained classifier or regressor of noisy latents."""

    conditions: Conditions
    """Its labels or range, under its name alone."""
    network: LabelClassifier | NumberRegressor
    metadata: ClassifierRecord

    @property
    def name(self) -> str:
        """What users call it."""
        return self.conditions.names[0]

    @property
    def is_categorical(self) -> bool:
        """Whether it knows labels and not numbers."""
        return bool(self.conditions.categorical)

    def encode(self, values: Iterable[object]) -> NDArray[np.float32]:
        """Turn labels into codes, or numbers into standardised ones.

        Parameters
        ----------
        values
            Labels or numbers; missing ones become NaN.

        Returns
        -------
        Targets, shape ``(N,)``.

        Raises
        ------
        UnknownNameError
            It does not know a label.
        ConditionError
            Text stands where it knows numbers.
        """
        column = pd.DataFrame({self.name: pd.Series(list(values), dtype=object)})
        table = self.conditions.encode(column, partial=True)  # it may be named as a column of generated cells
        if not self.is_categorical:
            return table.values[:, 0]
        codes = table.codes[:, 0].astype(np.float32)
        return np.where(codes < 0, np.float32(np.nan), codes)

    def decode(self, numbers: NDArray[np.float32]) -> pd.Series[Any]:
        """Turn numbers back into labels: what `encode` returned, NaN where missing.

        Parameters
        ----------
        numbers
            One a cell, shape ``(B,)``.

        Returns
        -------
        Categories in the training order, or numbers in the user's units; numbered from 0.
        """
        column, none = numbers[:, None], np.empty((len(numbers), 0), np.float32)
        codes = np.where(np.isnan(column), -1, column).astype(np.int64)
        table = ConditionTable(codes, none) if self.is_categorical else ConditionTable(none.astype(np.int64), column)
        return self.conditions.decode(table).iloc[:, 0]

    def encode_known(self, values: pd.Series[Any]) -> NDArray[np.float32]:
        """Do as `encode` does, but where a label is not known, or a number is none, return NaN."""
        if not self.is_categorical:
            return self.encode(pd.to_numeric(values, errors="coerce"))
        known = {str(label) for label in self.conditions.categorical[self.name]}
        return self.encode([value if str(value) in known else None for value in values])

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name, copied to main memory."""
        return {name: one.detach().cpu().clone().contiguous() for name, one in self.network.state_dict().items()}

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that change with any weight or label."""
        digest = hashlib.sha256(self.conditions.to_json().encode())
        for name, tensor in sorted(self.tensors().items()):
            digest.update(name.encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()[:16]

    def to_json(self) -> SavedClassifier:
        """Return everything that is not a tensor, ready for JSON."""
        settings = asdict(self.network.config)
        return {**self.metadata, "vocabulary": self.conditions.to_json(), "settings": settings}

    @classmethod
    def restore(cls, saved: SavedClassifier, tensors: Mapping[str, Tensor]) -> AttachedClassifier:
        """Build a classifier from what was saved.

        Parameters
        ----------
        saved, tensors
            What `to_json` and `tensors` returned.
        """
        conditions, config = Conditions.from_json(saved["vocabulary"]), ClassifierConfig(**saved["settings"])
        require_depth(config.depth, tensors)
        network = build_like(tensors, lambda: new_network(conditions, tensors["basis"].shape[0], config))
        require_finite(network)
        network.requires_grad_(requires_grad=False)
        record = {name: value for name, value in saved.items() if name not in {"vocabulary", "settings"}}
        return cls(conditions=conditions, network=network, metadata=cast(ClassifierRecord, record))


def new_network(conditions: Conditions, n_latent: int, config: ClassifierConfig) -> LabelClassifier | NumberRegressor:
    """Build the network for one column.

    Parameters
    ----------
    conditions
        The column alone.
    n_latent
        Width of the latents.
    config
        Width and depth.
    """
    for labels in conditions.categorical.values():
        return LabelClassifier(n_latent, len(labels), config)
    return NumberRegressor(n_latent, config)


def join_tensors(classifiers: Mapping[str, AttachedClassifier]) -> dict[str, Tensor]:
    """Put the tensors of several classifiers under names of their own.

    Parameters
    ----------
    classifiers
        Classifiers, in the order in which `split_tensors` gives their tensors back.
    """
    return {
        f"{at}.{name}": tensor for at, one in enumerate(classifiers.values()) for name, tensor in one.tensors().items()
    }


def split_tensors(tensors: Mapping[str, Tensor], saved: Mapping[str, SavedClassifier]) -> dict[str, AttachedClassifier]:
    """Build several classifiers from what was saved.

    Parameters
    ----------
    tensors
        What `join_tensors` returned.
    saved
        What `AttachedClassifier.to_json` returned, by name, in the same order.

    Raises
    ------
    KeyError
        A tensor is missing.
    ValueError
        Tensors do not fit what was saved beside them.
    """
    found = {}
    for at, (name, one) in enumerate(saved.items()):
        own = {key.removeprefix(f"{at}."): tensor for key, tensor in tensors.items() if key.startswith(f"{at}.")}
        found[name] = AttachedClassifier.restore(one, own)
    return found

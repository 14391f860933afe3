"""What is told of a model: in its folder and on its card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scdiffuse._core.slots import GENES_FILE, VOCABULARY_FILE
from scdiffuse._core.version import __version__
from scdiffuse.cells import Conditions
from scdiffuse.model._config import ModelConfig
from scdiffuse.model._networks import Networks

__all__ = ["ModelMetadata", "var_from_json", "var_to_json"]


@dataclass(frozen=True, kw_only=True)
class ModelMetadata:
    """What is known of a model before any training."""

    config: ModelConfig
    conditions: Conditions
    var: pd.DataFrame
    """The genes."""
    data: Mapping[str, Any]
    """Summary of the training cells."""
    started_from: Mapping[str, Any] | None = None
    """The model that the fit began with, and what it had in common with this one."""

    def texts(self) -> dict[str, str]:
        """Write genes and vocabulary, by the names of their files."""
        return {GENES_FILE: var_to_json(self.var), VOCABULARY_FILE: self.conditions.to_json()}

    def facts(self, *, seed: int, max_epochs: int | None) -> dict[str, Any]:
        """Return what ``config.json`` says from the beginning.

        Parameters
        ----------
        seed, max_epochs
            As in `CellGenerator.fit`.
        """
        started_from = None if self.started_from is None else dict(self.started_from)
        return {
            "version": __version__,
            "settings": self.config.to_dict(),
            "data": dict(self.data),
            "seed": seed,
            "max_epochs": max_epochs,
            "started_from": started_from,
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
        str(name): column.astype(object).where(column.notna(), None).tolist()
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
    """
    held = json.loads(text)
    return pd.DataFrame(held["columns"], index=pd.Index(held["names"], dtype=str))


def _plain(value: np.generic) -> object:
    return value.item()

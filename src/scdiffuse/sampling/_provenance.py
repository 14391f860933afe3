"""Where generated cells come from, as `uns` keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any

import numpy as np

from scdiffuse._core.slots import UNS_KEY
from scdiffuse._core.version import __version__
from scdiffuse.model import FittedModel

__all__ = ["provenance", "shorten"]


def provenance(model: FittedModel, *, seed: int, settings: Mapping[str, object]) -> dict[str, Any]:
    """Write where cells come from: version, model hash, seed and settings, as plain dictionaries that ``.h5ad`` keeps.

    Parameters
    ----------
    model
        The fitted model.
    seed
        Seed of the cells.
    settings
        What was asked for; entries that are `None` are left out.

    Returns
    -------
    The entry of `uns`.
    """
    source = {"version": __version__, "model_hash": model.metadata.fingerprint(model.networks), "seed": seed}
    given = {name: one for name, one in settings.items() if one is not None}
    return {UNS_KEY: source | {"settings": _plain(given)}}


def shorten(asked: object) -> object:
    """Describe an argument without writing out a table, or one number for each cell."""
    if asked is None or isinstance(asked, Mapping | tuple | str | int | float):
        return asked
    n = len(asked) if isinstance(asked, Sized) else 1
    return f"a table of {n} rows" if hasattr(asked, "columns") else f"{n} numbers"


def _plain(value: object) -> Any:  # noqa: ANN401 - a tree of what files keep
    """Turn a tree into what ``.h5ad`` keeps: dictionaries without slashes in names, text, numbers, arrays."""
    if isinstance(value, Mapping):
        return {str(name).replace("/", "|"): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        is_numeric = all(isinstance(one, int | float | np.number) for one in value)
        return np.asarray(value, dtype=float) if is_numeric else np.asarray([str(one) for one in value])
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, bool | int | float | str) else str(value)

"""Where generated cells come from, as `uns` keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from scdiffuse._core.slots import UNS_KEY
from scdiffuse._core.version import __version__
from scdiffuse.model import ModelMetadata, Networks

__all__ = ["tell"]


def tell(metadata: ModelMetadata, networks: Networks, *, seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Write what cells come from, as `uns` keeps it.

    Parameters
    ----------
    metadata, networks
        The fitted model.
    seed
        Seed of the cells.
    settings
        What was asked for.
    """
    told = {"version": __version__, "model_hash": metadata.fingerprint(networks), "seed": seed}
    return {UNS_KEY: told | {"settings": json.dumps(settings, default=str)}}

"""The table of attacks: families of odd inputs, each a function that draws one and returns the command to run on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.attack.files import Draw, attack_bytes, attack_counts, attack_frames, attack_shards, attack_structure
from tests.attack.law import Attempt
from tests.attack.models import attack_models
from tests.attack.place import Place
from tests.attack.words import attack_options, attack_places, attack_settings, attack_tables

__all__ = ["FAMILIES", "Family"]


class Family(NamedTuple):
    """Odd inputs of one kind."""

    name: str
    what: str
    """In the words of the table."""
    draw: Callable[[Draw, Place, Path], Attempt]
    """Makes an input in an empty folder."""
    share: float
    """Fraction of all inputs."""


FAMILIES = (
    Family("bytes", "cells with damaged bytes", attack_bytes, 0.12),
    Family("shards", "damaged folders of shards", attack_shards, 0.08),
    Family("structure", "HDF5 of another structure", attack_structure, 0.16),
    Family("frames", "columns of `obs` of any kind and name", attack_frames, 0.12),
    Family("counts", "counts, sizes and gene names", attack_counts, 0.12),
    Family("options", "values of options", attack_options, 0.14),
    Family("tables", "tables of conditions", attack_tables, 0.04),
    Family("settings", "settings of a fit", attack_settings, 0.06),
    Family("models", "altered model folders", attack_models, 0.12),
    Family("places", "places for outputs", attack_places, 0.04),
)
"""All families. A new one is a function and a line."""

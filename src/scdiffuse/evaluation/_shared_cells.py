"""Cells that are in two samples which should hold different cells."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import combinations

from scdiffuse._core.errors import ScdiffuseWarning, SettingError
from scdiffuse.evaluation._reading import Sample
from scdiffuse.metrics._copies import Fingerprints, fingerprints, shared_cells

__all__ = ["note_shared_cells", "refuse_training_cells"]

_REAL = ("real", "reference", "train")
_MOST_SHARED = 0.5  # of the held-out cells; beyond that an audit has nothing to compare with


def note_shared_cells(samples: Mapping[str, Sample]) -> list[str]:
    """Find the cells that are in two of the real samples, and warn of them.

    Parameters
    ----------
    samples
        Cells by role, on the same genes.

    Returns
    -------
    Notes for the report.
    """
    given = [role for role in _REAL if role in samples]
    if len(given) < 2:
        return []
    prints = {role: fingerprints(samples[role].counts) for role in given}
    notes = []
    for one, other in combinations(given, 2):
        n = shared_cells(prints[one], prints[other])
        notes += [_warn(n, len(prints[one].hashes), (one, other))] if n else []
    return notes


def refuse_training_cells(held_out: Fingerprints, train: Fingerprints) -> list[str]:
    """Stop an audit whose held-out cells are training cells, and warn where some are.

    Parameters
    ----------
    held_out, train
        Fingerprints of all cells, on the same genes.

    Returns
    -------
    Notes for the report.

    Raises
    ------
    SettingError
        Most held-out cells are training cells.
    """
    n, n_cells = shared_cells(held_out, train), len(held_out.hashes)
    if n > _MOST_SHARED * n_cells:
        msg = f"{n:,} of {n_cells:,} `held_out` cells are training cells, count for count; expected other cells."
        raise SettingError(msg + " Pass cells held out of the fit, such as held_out.h5ad of `scdiffuse split`.")
    return [_warn(n, n_cells, ("held_out", "train"))] if n else []


def _warn(n: int, n_cells: int, roles: tuple[str, str]) -> str:
    one, other = roles
    text = f"{n:,} of {n_cells:,} `{one}` cells are `{other}` cells too, count for count; expected different cells."
    text += " The results look better than they are. Leave these cells out of one of them."
    warnings.warn(text, ScdiffuseWarning, stacklevel=4)
    return text

"""A model from its folder."""

from __future__ import annotations

from pathlib import Path

from scdiffuse._core.resources import require_device
from scdiffuse.generator._generator import CellGenerator
from scdiffuse.model import SavedModel, read_folder

__all__ = ["load"]


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
    SettingError
        There is no such `device`.
    """
    require_device(device)
    held = read_folder(Path(folder))
    held.networks.to(device)
    for one in held.classifiers.values():
        one.network.to(device)
    if held.distilled is not None:
        held.distilled.network.to(device)
    return _restored(held)


def _restored(held: SavedModel) -> CellGenerator:
    """Build the object without cells to fit."""
    model = CellGenerator.__new__(CellGenerator)
    model._begin(held.metadata, None)
    model._networks = held.networks
    model.history = held.history
    model.was_stopped = bool(held.facts.get("stopped", not held.finished))
    model.seed, model._max_epochs = held.facts["seed"], held.facts["max_epochs"]
    model._scores = held.facts.get("scores")
    model._classifiers = held.classifiers
    model._distilled = held.distilled
    return model

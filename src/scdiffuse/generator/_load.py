"""A model from its folder."""

from __future__ import annotations

from pathlib import Path

from scdiffuse._core.resources import require_device, require_single_precision
from scdiffuse.generator._generator import CellGenerator
from scdiffuse.model import read_folder

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
    require_single_precision()
    require_device(device)
    saved = read_folder(Path(folder))
    generator = CellGenerator._from_model(
        saved.model.to(device),
        history=saved.history,
        was_stopped=bool(saved.config.get("stopped", not saved.config["finished"])),
        max_epochs=saved.config["max_epochs"],
    )
    generator._scores = saved.config.get("scores")
    generator._fitted_on = saved.config.get("fitted_on", "")
    return generator

"""Where a fit keeps its state: in its folder, or inside of the model that it replaces at the end."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import NamedTuple

from scdiffuse._core.errors import ModelFolderError, OutputExistsError, SettingError
from scdiffuse._core.folders import MODEL, is_free
from scdiffuse._core.outputs import require_folder
from scdiffuse._core.slots import FITTING_FOLDER
from scdiffuse.model import Json, ModelMetadata, ModelRecord, SavedModel, read_folder

__all__ = ["FitPlace", "find_place", "require_startable", "state_folder"]


class FitPlace(NamedTuple):
    """Where a fit keeps its state, and what is there to go on with."""

    folder: Path | None
    """`None` keeps nothing."""
    saved: SavedModel | None
    """`None` begins anew."""


def require_startable(folder: Path | None, *, resume: bool, overwrite: bool, max_epochs: int | None) -> None:
    """Refuse a fit that cannot begin, before anything costly.

    Parameters
    ----------
    folder, resume, overwrite, max_epochs
        As in `CellGenerator.fit`.

    Raises
    ------
    SettingError
        `max_epochs` is below 1, or `resume` has no `folder`.
    OutputExistsError
        `folder` holds something, and neither `resume` nor `overwrite` is true; or it holds other things than a model.
    """
    if max_epochs is not None and max_epochs < 1:
        msg = f"`max_epochs` must be at least 1, got {max_epochs}; leave it out to let the fit stop by itself."
        raise SettingError(msg)
    if resume and folder is None:
        msg = "`resume` needs the `folder` of the interrupted fit, got None. Pass the folder given to `fit` then."
        raise SettingError(msg)
    if folder is None:
        return
    if not (resume or overwrite or is_free(folder)):
        msg = f"{str(folder)!r} already exists; expected a new or empty folder. Choose another one, or pass"
        raise OutputExistsError(
            msg + " `resume=True` to go on with the fit that is in it, or `overwrite=True` to replace the model."
        )
    if not resume or MODEL.files(folder) is not None:
        require_folder(folder, kind=MODEL, overwrite=True)


def state_folder(folder: Path) -> Path:
    """Return the folder with the state of the fit that was begun last in a folder.

    Parameters
    ----------
    folder
        As given to `CellGenerator.fit`.
    """
    inside = folder / FITTING_FOLDER
    return inside if MODEL.files(inside) is not None else folder


def find_place(
    folder: Path | None, metadata: ModelMetadata, record: ModelRecord, *, resume: bool, overwrite: bool
) -> FitPlace:
    """Find the fit to go on with, if there is one, and choose where to keep the state.

    Parameters
    ----------
    folder
        As in `CellGenerator.fit`.
    metadata, record
        The fit that is about to run.
    resume, overwrite
        As in `CellGenerator.fit`; `require_startable` has accepted them.

    Raises
    ------
    ModelFolderError
        What is in the folder cannot be continued, or belongs to other data or settings.
    """
    if folder is None or is_free(folder):
        return FitPlace(folder, None)
    inside = folder / FITTING_FOLDER
    if not resume:
        return FitPlace(inside, None)
    place = state_folder(folder)
    try:
        return FitPlace(place, _read_same(place, metadata, record))
    except ModelFolderError as error:
        if place == inside or not overwrite:
            raise
        warnings.warn(f"{error} As `overwrite` is given, the fit begins anew and replaces it when done.", stacklevel=2)
        return FitPlace(inside, None)


def _read_same(folder: Path, metadata: ModelMetadata, record: ModelRecord) -> SavedModel:
    """Read the fit in a folder and make sure that it is this one."""
    saved = read_folder(folder)
    if saved.model.metadata.config != metadata.config:  # as read: settings newer than the folder have their defaults
        raise _other(folder, "settings")
    given: Json = json.loads(json.dumps(record))
    kept: Json = dict(saved.config)
    words = {"data": "data", "seed": "`seed`", "max_epochs": "`max_epochs`", "started_from": "`init_from`"}
    for name, word in words.items():
        if kept.get(name) != given[name]:
            raise _other(folder, word)
    if saved.model.metadata.texts() != metadata.texts():
        raise _other(folder, "genes or labels")
    if saved.config["finished"] and saved.config["stopped"]:
        msg = f"The fit in {str(folder)!r} was stopped and then saved without its state; expected one to go on with."
        raise ModelFolderError(msg + " Fit into another folder.")
    return saved


def _other(folder: Path, name: str) -> ModelFolderError:
    msg = f"The fit in {str(folder)!r} was begun with other {name} than are given now; expected the same."
    return ModelFolderError(msg + " Give the data, settings and seed of then, or choose another folder.")

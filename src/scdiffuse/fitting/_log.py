"""The folder of a running fit, which loads at any moment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scdiffuse._core.slots import FITTING_FOLDER
from scdiffuse.model import (
    Checkpoint,
    History,
    ModelMetadata,
    ModelRecord,
    Networks,
    Stage,
    read_training,
    write_start,
    write_training,
)
from scdiffuse.train import TrainState

__all__ = ["FitLog"]


@dataclass
class FitLog:
    """Keeps where a fit stands, beside a model that generates."""

    folder: Path | None
    """Where to keep it; `None` keeps nothing."""
    networks: Networks
    metadata: ModelMetadata
    record: ModelRecord
    begun: bool
    """Whether the folder holds this fit already."""

    def write(self, stage: Stage, state: TrainState, history: History) -> None:
        """Keep where the fit stands, beside a model with the averaged weights.

        Parameters
        ----------
        stage, state, history
            The stage, its training state and the curves of the stages before.
        """
        if self.folder is None:
            return
        with state.average.swap():
            weights = self.networks.copies()
        checkpoint = Checkpoint(stage=stage, progress=state.progress(), tensors=state.tensors(), history=history)
        if self.begun:
            write_training(self.folder, checkpoint, weights)
        else:
            inside = self.folder.name == FITTING_FOLDER
            write_start(self.folder, checkpoint, weights, record=self.record, metadata=self.metadata, overwrite=inside)
            self.begun = True

    def keep_stopped(self) -> None:
        """Put the model that the user holds after stopping the fit in place of the averaged one."""
        if self.folder is not None:
            write_training(self.folder, read_training(self.folder), self.networks.copies())

"""The one training loop, its settings and its state."""

from scdiffusion.train._config import TrainConfig as TrainConfig
from scdiffusion.train._loop import Run as Run
from scdiffusion.train._loop import TrainingError as TrainingError
from scdiffusion.train._loop import train as train
from scdiffusion.train._sharing import step_rows as step_rows
from scdiffusion.train._state import Task as Task
from scdiffusion.train._state import TrainState as TrainState

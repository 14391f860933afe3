"""The one training loop, its settings and its state."""

from scdiffuse.train._config import TrainConfig as TrainConfig
from scdiffuse.train._loop import Run as Run
from scdiffuse.train._loop import TrainingError as TrainingError
from scdiffuse.train._loop import train as train
from scdiffuse.train._sharing import step_rows as step_rows
from scdiffuse.train._state import Task as Task
from scdiffuse.train._state import TrainState as TrainState

"""The training loop that all stages run, its settings and its state.

A `Task` is what a stage minimises. `train` takes the steps of a `Run` on a `TrainState` by the settings of a
`TrainConfig`: it updates weights and their average, validates, saves checkpoints and stops early. Several processes
divide each step into slices of cells and sum their gradients; results do not depend on the number of processes
but for rounding.
"""

from scdiffuse.train._config import TrainConfig as TrainConfig
from scdiffuse.train._loop import Run as Run
from scdiffuse.train._loop import TrainingError as TrainingError
from scdiffuse.train._loop import train as train
from scdiffuse.train._slices import step_rows as step_rows
from scdiffuse.train._state import Task as Task
from scdiffuse.train._state import TrainState as TrainState

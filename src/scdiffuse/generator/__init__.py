"""The object that users hold: `CellGenerator`, and `load`, which reads one from its folder."""

from scdiffuse.generator._generator import CellGenerator as CellGenerator
from scdiffuse.generator._history_figure import plot_history as plot_history
from scdiffuse.generator._load import load as load

"""The object that users hold: `CellGenerator`, and `load`, which reads one from its folder."""

from scdiffuse.generator._generator import CellGenerator as CellGenerator
from scdiffuse.generator._load import load as load

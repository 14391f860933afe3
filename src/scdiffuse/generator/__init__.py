"""The object that users hold: `CellGenerator`, and `load`, which reads one from its folder.

`inspect_cells` and `sample_cells` look at cells before a fit, `Guidance` is what is asked of generated ones, and
`plan_numbers` says how many an augmentation makes: with these, command line and app need no lower layer.
"""

from scdiffuse.generator._compile_drawing import compile_drawing as compile_drawing
from scdiffuse.generator._coverage import coverage_table as coverage_table
from scdiffuse.generator._describe import describe_generator as describe_generator
from scdiffuse.generator._generator import CellGenerator as CellGenerator
from scdiffuse.generator._history_figure import plot_history as plot_history
from scdiffuse.generator._inspect_cells import holds_cells as holds_cells
from scdiffuse.generator._inspect_cells import inspect_cells as inspect_cells
from scdiffuse.generator._inspect_cells import list_places as list_places
from scdiffuse.generator._load import load as load
from scdiffuse.generator._sample_cells import Renamed as Renamed
from scdiffuse.generator._sample_cells import SampledCells as SampledCells
from scdiffuse.generator._sample_cells import rename_labels as rename_labels
from scdiffuse.generator._sample_cells import sample_cells as sample_cells
from scdiffuse.sampling import Guidance as Guidance
from scdiffuse.sampling import plan_numbers as plan_numbers

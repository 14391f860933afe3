"""From a fitted model to cells.

1. `Guidance` is what a user asks of conditions and classifiers; `BoundGuidance` turns it into a guided denoiser.
2. A `Request` becomes a `GenerationPlan`; `gather` and `write_together` make its cells, in memory or in a file.
3. `Transport` moves latents of given cells along the probability-flow ODE, to noise and back.
4. `predict_cells` predicts given cells under other conditions, `follow` makes the states on the way there.
5. `find_support` looks up the training coverage of a request, `expect` its expected expression; `provenance` records
   where cells come from.
"""

from scdiffuse.sampling._augment import CellsPerLabel as CellsPerLabel
from scdiffuse.sampling._augment import combine as combine
from scdiffuse.sampling._augment import plan_numbers as plan_numbers
from scdiffuse.sampling._checks import read_target as read_target
from scdiffuse.sampling._checks import warn_beyond as warn_beyond
from scdiffuse.sampling._coverage import Support as Support
from scdiffuse.sampling._coverage import find_support as find_support
from scdiffuse.sampling._expect import expect as expect
from scdiffuse.sampling._generate import gather as gather
from scdiffuse.sampling._guidance import Guidance as Guidance
from scdiffuse.sampling._guidance import Scale as Scale
from scdiffuse.sampling._library_size import CellLibrarySizes as CellLibrarySizes
from scdiffuse.sampling._library_size import GivenLibrarySize as GivenLibrarySize
from scdiffuse.sampling._library_size import LibrarySize as LibrarySize
from scdiffuse.sampling._predict import predict_cells as predict_cells
from scdiffuse.sampling._processes import write_together as write_together
from scdiffuse.sampling._provenance import provenance as provenance
from scdiffuse.sampling._provenance import shorten as shorten
from scdiffuse.sampling._request import Request as Request
from scdiffuse.sampling._screen import read_screen as read_screen
from scdiffuse.sampling._trajectory import Branch as Branch
from scdiffuse.sampling._trajectory import TrajectoryMethod as TrajectoryMethod
from scdiffuse.sampling._trajectory import TrajectoryPlan as TrajectoryPlan
from scdiffuse.sampling._trajectory import follow as follow
from scdiffuse.sampling._trajectory import generate_start as generate_start
from scdiffuse.sampling._trajectory_figure import plot_trajectory as plot_trajectory
from scdiffuse.sampling._transport import Transport as Transport

"""From cells to a fitted model.

1. `read_data` checks cells, chooses genes and reads conditions.
2. `fit_networks` fits the networks, stage by stage, and keeps the folder of the run loadable on the way.
3. `read_origin`, `tell_start` and `inherit` begin a fit with what another model has learnt.
4. `read_labelled` and `learn_classifier` add a classifier of noisy latents to a fitted model.
5. `distill_sampler` teaches a sampler of few steps.
"""

from scdiffuse.fitting._classifier import Kind as Kind
from scdiffuse.fitting._classifier import learn_classifier as learn_classifier
from scdiffuse.fitting._classifier import read_labelled as read_labelled
from scdiffuse.fitting._data import Data as Data
from scdiffuse.fitting._data import read_data as read_data
from scdiffuse.fitting._distillation import distill_sampler as distill_sampler
from scdiffuse.fitting._fit import fit_networks as fit_networks
from scdiffuse.fitting._fit import require_startable as require_startable
from scdiffuse.fitting._warm_start import Origin as Origin
from scdiffuse.fitting._warm_start import inherit as inherit
from scdiffuse.fitting._warm_start import tell_start as tell_start

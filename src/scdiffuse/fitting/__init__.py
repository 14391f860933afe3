"""From cells to a fitted model.

1. `read_data` checks cells, chooses genes and adds counts up, in one pass.
2. `fit_model` fits the networks, stage by stage, and keeps the folder of the fit loadable on the way.
3. `compare_models` and `inherit` begin a fit with what another model has learnt.
4. `read_labelled` and `learn_classifier` add a classifier of noisy latents to a fitted model.
5. `distill_sampler` trains a sampler of few steps.
6. `map_query` adds labels, known by some of their cells, to a fitted model.
7. `gene_loadings` and `sum_features` describe labels, so that a model knows some that no training cell has.
"""

from scdiffuse.fitting._classifier import Kind as Kind
from scdiffuse.fitting._classifier import learn_classifier as learn_classifier
from scdiffuse.fitting._classifier import read_labelled as read_labelled
from scdiffuse.fitting._data import TrainingData as TrainingData
from scdiffuse.fitting._data import read_data as read_data
from scdiffuse.fitting._distillation import distill_sampler as distill_sampler
from scdiffuse.fitting._fit import FitOptions as FitOptions
from scdiffuse.fitting._fit import fit_model as fit_model
from scdiffuse.fitting._gene_loadings import gene_loadings as gene_loadings
from scdiffuse.fitting._gene_loadings import sum_features as sum_features
from scdiffuse.fitting._map_query import map_query as map_query
from scdiffuse.fitting._place import require_startable as require_startable
from scdiffuse.fitting._place import state_folder as state_folder
from scdiffuse.fitting._warm_start import Origin as Origin
from scdiffuse.fitting._warm_start import compare_models as compare_models

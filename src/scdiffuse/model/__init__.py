"""What a fitted model is: its settings, networks and metadata, and the folder that keeps them.

1. `ModelConfig` holds every number that decides a cell; it is saved in ``config.json``.
2. `Networks` holds every tensor: autoencoder, denoiser, library-size score, calibration.
3. `encode` is the way from counts to latents, `decode` the way from latents to counts.
4. `FittedModel` puts networks, `ModelMetadata`, classifiers and a distilled sampler together.
5. `write_finished` and `read_folder` keep a model on disk, `Checkpoint` an interrupted fit; `write_card` describes it.
"""

from scdiffuse.autoencoder import AutoencoderConfig as AutoencoderConfig
from scdiffuse.autoencoder import DispersionConfig as DispersionConfig
from scdiffuse.calibration import CalibrationConfig as CalibrationConfig
from scdiffuse.diffusion import DiffusionConfig as DiffusionConfig
from scdiffuse.model._card import write_card as write_card
from scdiffuse.model._card import write_summary as write_summary
from scdiffuse.model._checkpoint import Checkpoint as Checkpoint
from scdiffuse.model._checkpoint import Stage as Stage
from scdiffuse.model._classifier import AttachedClassifier as AttachedClassifier
from scdiffuse.model._classifier import new_network as new_network
from scdiffuse.model._config import ModelConfig as ModelConfig
from scdiffuse.model._decode import decode as decode
from scdiffuse.model._decode import gene_factor_table as gene_factor_table
from scdiffuse.model._decode import mean_expression as mean_expression
from scdiffuse.model._distilled import DistilledSampler as DistilledSampler
from scdiffuse.model._encode import ENCODED_AT_ONCE as ENCODED_AT_ONCE
from scdiffuse.model._encode import EncodedCells as EncodedCells
from scdiffuse.model._encode import GivenCells as GivenCells
from scdiffuse.model._encode import encode as encode
from scdiffuse.model._encode import open_given as open_given
from scdiffuse.model._encode import read_given as read_given
from scdiffuse.model._fitted import FittedModel as FittedModel
from scdiffuse.model._folder import write_finished as write_finished
from scdiffuse.model._folder import write_start as write_start
from scdiffuse.model._folder import write_training as write_training
from scdiffuse.model._metadata import ClassifierRecord as ClassifierRecord
from scdiffuse.model._metadata import DataSummary as DataSummary
from scdiffuse.model._metadata import DistillationRecord as DistillationRecord
from scdiffuse.model._metadata import History as History
from scdiffuse.model._metadata import Json as Json
from scdiffuse.model._metadata import ModelMetadata as ModelMetadata
from scdiffuse.model._metadata import ModelRecord as ModelRecord
from scdiffuse.model._metadata import SavedClassifier as SavedClassifier
from scdiffuse.model._metadata import WarmStartRecord as WarmStartRecord
from scdiffuse.model._networks import Networks as Networks
from scdiffuse.model._reading import SavedModel as SavedModel
from scdiffuse.model._reading import read_classifiers as read_classifiers
from scdiffuse.model._reading import read_folder as read_folder
from scdiffuse.model._reading import read_training as read_training
from scdiffuse.train import TrainConfig as TrainConfig

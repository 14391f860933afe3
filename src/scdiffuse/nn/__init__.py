"""Parts of networks that autoencoder, diffusion, guidance and calibration have in common.

`ConditionTensors` holds the conditions of cells; `ConditionEmbedding` embeds them for a network, `ConditionalMean`
regresses latents on them, and `ConditionPrior` is the prior of the autoencoder given them. `UnseenLabels` stand for
labels that no training cell has. `ModulatedBlock` and
`TimeEmbedding` build the networks of the diffusion. `WeightAverage` averages weights over training. `computing_in` and
`compiled_steps` change precision and compilation within a context.
"""

from scdiffuse.nn._averages import WeightAverage as WeightAverage
from scdiffuse.nn._compiled import compiled_steps as compiled_steps
from scdiffuse.nn._compiled import require_compiler as require_compiler
from scdiffuse.nn._conditional_mean import ConditionalMean as ConditionalMean
from scdiffuse.nn._conditional_mean import ConditionalMeanConfig as ConditionalMeanConfig
from scdiffuse.nn._conditions import ConditionEmbedding as ConditionEmbedding
from scdiffuse.nn._conditions import ConditionTensors as ConditionTensors
from scdiffuse.nn._draws import draw_tensors as draw_tensors
from scdiffuse.nn._precision import Precision as Precision
from scdiffuse.nn._precision import computing_in as computing_in
from scdiffuse.nn._prior import ConditionPrior as ConditionPrior
from scdiffuse.nn._residual import ModulatedBlock as ModulatedBlock
from scdiffuse.nn._residual import Modulation as Modulation
from scdiffuse.nn._time import TimeEmbedding as TimeEmbedding
from scdiffuse.nn._time import fourier_features as fourier_features
from scdiffuse.nn._unseen_labels import UnseenLabels as UnseenLabels

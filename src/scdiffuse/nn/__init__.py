"""Pieces of networks: residual blocks, embeddings of time and conditions, weight averages."""

from scdiffuse.nn._averages import WeightAverage as WeightAverage
from scdiffuse.nn._compiled import compiled_steps as compiled_steps
from scdiffuse.nn._compiled import require_compiler as require_compiler
from scdiffuse.nn._conditional_mean import ConditionalMean as ConditionalMean
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

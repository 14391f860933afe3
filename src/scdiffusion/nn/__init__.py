"""Pieces of networks: residual blocks, embeddings of time and conditions, weight averages."""

from scdiffusion.nn._averages import WeightAverage as WeightAverage
from scdiffusion.nn._centre import ConditionCentre as ConditionCentre
from scdiffusion.nn._compiled import compiled_steps as compiled_steps
from scdiffusion.nn._compiled import require_compiler as require_compiler
from scdiffusion.nn._conditions import ConditionEmbedding as ConditionEmbedding
from scdiffusion.nn._conditions import ConditionTensors as ConditionTensors
from scdiffusion.nn._draws import draw_tensors as draw_tensors
from scdiffusion.nn._precision import Precision as Precision
from scdiffusion.nn._precision import computing_in as computing_in
from scdiffusion.nn._prior import ConditionPrior as ConditionPrior
from scdiffusion.nn._residual import ModulatedBlock as ModulatedBlock
from scdiffusion.nn._residual import Modulation as Modulation
from scdiffusion.nn._time import TimeEmbedding as TimeEmbedding
from scdiffusion.nn._time import fourier_features as fourier_features

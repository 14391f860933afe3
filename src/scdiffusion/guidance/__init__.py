"""Guides: they wrap a denoiser and are one, so that every solver takes them."""

from scdiffusion.guidance._blend import Blend as Blend
from scdiffusion.guidance._blend import beside as beside
from scdiffusion.guidance._classified import ClassifierGuide as ClassifierGuide
from scdiffusion.guidance._classified import with_targets as with_targets
from scdiffusion.guidance._free import Avoided as Avoided
from scdiffusion.guidance._free import Composition as Composition
from scdiffusion.guidance._free import ConditionFree as ConditionFree
from scdiffusion.guidance._interval import ALWAYS as ALWAYS
from scdiffusion.guidance._interval import require_interval as require_interval
from scdiffusion.guidance._interval import require_strength as require_strength
from scdiffusion.guidance._noisy import Classifier as Classifier
from scdiffusion.guidance._noisy import ClassifierConfig as ClassifierConfig
from scdiffusion.guidance._noisy import LabelClassifier as LabelClassifier
from scdiffusion.guidance._noisy import NumberRegressor as NumberRegressor
from scdiffusion.guidance._task import LEVELS as LEVELS
from scdiffusion.guidance._task import ClassifierTask as ClassifierTask
from scdiffusion.guidance._task import NoisyCells as NoisyCells

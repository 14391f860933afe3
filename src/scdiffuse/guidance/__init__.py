"""Guides: they wrap a denoiser and are one, so that every solver takes them."""

from scdiffuse.guidance._classifier_free import Avoided as Avoided
from scdiffuse.guidance._classifier_free import Composition as Composition
from scdiffuse.guidance._classifier_free import ConditionFree as ConditionFree
from scdiffuse.guidance._classifier_guide import ClassifierGuide as ClassifierGuide
from scdiffuse.guidance._classifier_guide import with_targets as with_targets
from scdiffuse.guidance._classifiers import Classifier as Classifier
from scdiffuse.guidance._classifiers import ClassifierConfig as ClassifierConfig
from scdiffuse.guidance._classifiers import LabelClassifier as LabelClassifier
from scdiffuse.guidance._classifiers import NumberRegressor as NumberRegressor
from scdiffuse.guidance._interpolation import Blend as Blend
from scdiffuse.guidance._interpolation import beside as beside
from scdiffuse.guidance._interval import ALWAYS as ALWAYS
from scdiffuse.guidance._interval import require_interval as require_interval
from scdiffuse.guidance._interval import require_strength as require_strength
from scdiffuse.guidance._task import LEVELS as LEVELS
from scdiffuse.guidance._task import ClassifierTask as ClassifierTask
from scdiffuse.guidance._task import NoisyCells as NoisyCells

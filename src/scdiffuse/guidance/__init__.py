"""Guidance: steer generation towards conditions, classifier labels or two targets at once.

A guide wraps a `Denoiser` and is one, so that every solver takes it and guides can be nested. `ClassifierFreeGuide`
strengthens conditions and leads away from others (negative guidance); `ClassifierGuide` follows the gradients of
`LabelClassifier` and `NumberRegressor`, which `ClassifierTask` trains on noisy latents; `GradientInterpolation` leads
to cells between two targets. A new guide is one class in a file of its own and one line in `GUIDES`, the registry of
`wrap_in_guides`.
"""

from scdiffuse.guidance._classifier_free import ClassifierFreeGuide as ClassifierFreeGuide
from scdiffuse.guidance._classifier_free import Composition as Composition
from scdiffuse.guidance._classifier_free import NegativeTarget as NegativeTarget
from scdiffuse.guidance._classifier_guide import ClassifierGuide as ClassifierGuide
from scdiffuse.guidance._classifier_guide import with_targets as with_targets
from scdiffuse.guidance._classifiers import Classifier as Classifier
from scdiffuse.guidance._classifiers import ClassifierConfig as ClassifierConfig
from scdiffuse.guidance._classifiers import LabelClassifier as LabelClassifier
from scdiffuse.guidance._classifiers import NumberRegressor as NumberRegressor
from scdiffuse.guidance._guides import GUIDES as GUIDES
from scdiffuse.guidance._guides import Guide as Guide
from scdiffuse.guidance._guides import wrap_in_guides as wrap_in_guides
from scdiffuse.guidance._interpolation import GradientInterpolation as GradientInterpolation
from scdiffuse.guidance._interpolation import pair_conditions as pair_conditions
from scdiffuse.guidance._interval import ALWAYS as ALWAYS
from scdiffuse.guidance._interval import inside as inside
from scdiffuse.guidance._interval import require_interval as require_interval
from scdiffuse.guidance._interval import require_scale as require_scale
from scdiffuse.guidance._task import NOISE_LEVELS as NOISE_LEVELS
from scdiffuse.guidance._task import ClassifierTask as ClassifierTask
from scdiffuse.guidance._task import NoisyCells as NoisyCells

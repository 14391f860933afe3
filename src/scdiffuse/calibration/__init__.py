"""Expression of genes in combinations of conditions never or hardly seen in training.

1. `ConditionGrid` lists the combinations of labels, and of the grid values of numbers, that were trained.
2. `Pseudobulk` holds the counts of the training cells, added up within each of them.
3. `ExpectedExpression` learns from these sums what each label does to each gene.
4. `GeneFactorTable` brings what the model decodes for a combination towards what is expected of it.
5. `shrunk_factors` and `factor_variance` measure gene factors on counts.
6. `weigh_labels` predicts the effects of labels that no training cell has, from features.
7. `CalibrationConfig` has an off-switch for each of these corrections, and every number that they use.
"""

from scdiffuse.calibration._config import CalibrationConfig as CalibrationConfig
from scdiffuse.calibration._expected import ExpectedExpression as ExpectedExpression
from scdiffuse.calibration._gene_factors import GeneFactorTable as GeneFactorTable
from scdiffuse.calibration._grid import ConditionGrid as ConditionGrid
from scdiffuse.calibration._label_features import LabelWeights as LabelWeights
from scdiffuse.calibration._label_features import weigh_labels as weigh_labels
from scdiffuse.calibration._pseudobulk import Pseudobulk as Pseudobulk
from scdiffuse.calibration._shrinkage import factor_variance as factor_variance
from scdiffuse.calibration._shrinkage import shrunk_factors as shrunk_factors

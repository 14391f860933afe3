"""Evaluation of predicted perturbations: the field's own numbers, beside baselines that anybody can compute.

1. `evaluate_perturbations` reads real, training and predicted cells by condition: a perturbation, of a cell type.
2. Half of the real cells of a held-out condition are the question, the other half the ceiling; many draws of halves.
3. Baselines are computed from what the predictor was fitted to (``_rows.py``), and all rows are measured alike.
4. A score is 0 at the best baseline and 1 at the other half; its interval and level say whether it is ahead.
5. A `PerturbationReport` holds verdict and numbers, and writes them as a table, JSON or a page.
"""

from __future__ import annotations

from scdiffuse.evaluation.perturbations._evaluate import evaluate_perturbations
from scdiffuse.evaluation.perturbations._measures import MEASURES
from scdiffuse.evaluation.perturbations._report import PerturbationReport
from scdiffuse.evaluation.perturbations._rows import TITLES
from scdiffuse.evaluation.perturbations._summary import LEVEL_WORDS, RowRecord

__all__ = ["LEVEL_WORDS", "MEASURES", "TITLES", "PerturbationReport", "RowRecord", "evaluate_perturbations"]

"""Evaluation of generated single cells of any generator against held-out real cells.

1. `evaluate` scores one sample, `Benchmark` several generators on the same real cells, and `audit` privacy alone.
2. Real cells are split, mapped into feature spaces, and compared at equal numbers of cells.
3. Each metric is measured for generated cells, for the real-vs-real reference and for the trivial `baselines`.
4. A `Verdict` sums up each group: as close as real cells, differs, or too few cells to tell. `power_curve` says how
   many cells it takes, and `parametric_bootstrap` what finite training costs by itself.
5. A `Report` holds all numbers and writes them as a table, JSON, or one self-contained page.
"""

from __future__ import annotations

from scdiffuse.evaluation import baselines
from scdiffuse.evaluation._audit import audit
from scdiffuse.evaluation._augmentation import AugmentationGain, augmentation_gain
from scdiffuse.evaluation._benchmark import Benchmark, evaluate
from scdiffuse.evaluation._bootstrap import Bootstrap, parametric_bootstrap
from scdiffuse.evaluation._cell_map import CellMap
from scdiffuse.evaluation._differential import Differential, compare_groups, paired_changes, split_in_halves
from scdiffuse.evaluation._power import power_curve, power_summary
from scdiffuse.evaluation._report import Report
from scdiffuse.evaluation._umap_figure import plot_umap
from scdiffuse.evaluation._verdicts import Verdict
from scdiffuse.evaluation.perturbations import PerturbationReport, evaluate_perturbations

__all__ = [
    "AugmentationGain",
    "Benchmark",
    "Bootstrap",
    "CellMap",
    "Differential",
    "PerturbationReport",
    "Report",
    "Verdict",
    "audit",
    "augmentation_gain",
    "baselines",
    "compare_groups",
    "evaluate",
    "evaluate_perturbations",
    "paired_changes",
    "parametric_bootstrap",
    "plot_umap",
    "power_curve",
    "power_summary",
    "split_in_halves",
]

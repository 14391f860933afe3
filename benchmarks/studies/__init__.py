"""The studies, one module each, in the order of ``RESULTS.md``. A new study is one more file and one more line."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from benchmarks.study import Study

STUDIES: dict[str, tuple[str, ...]] = {
    "Realism": (
        "comparison",
        "realism_by_size",
        "pretraining",
        "corrections",
        "duplicates",
        "evaluation",
        "power",
        "within_types",
        "correlations",
        "leaks",
        "agreement",
    ),
    "Control": (
        "held_out_combinations",
        "perturbations",
        "expected_expression",
        "unseen_labels",
        "query_sets",
        "held_out_times",
        "held_out_stages",
        "development",
        "start_cell",
        "branches",
        "classifiers",
        "rare_types",
        "rare_variety",
        "memorisation",
    ),
    "Speed and memory": (
        "main_job",
        "fit_speed",
        "generation_speed",
        "screen",
        "solvers",
        "step_settings",
        "parallel",
        "cost_law",
        "on_disk",
    ),
    "Robustness": (
        "kills",
        "crash_points",
        "attack",
        "user_files",
        "shuffling",
        "digests",
    ),
}
"""Chapters of the page, and the modules of their studies."""

NAMES = tuple(name for names in STUDIES.values() for name in names)


def study_named(name: str) -> Study:
    """Import a study."""
    return cast("Study", import_module(f"benchmarks.studies.{name}"))

"""Scores of anybody's generated cells beside floors and baselines, reports of them, and the privacy audit."""

from __future__ import annotations

from scdiffuse.evaluation import baselines
from scdiffuse.evaluation._report import Report
from scdiffuse.evaluation._suite import Benchmark, audit, evaluate
from scdiffuse.evaluation._verdicts import Verdict

__all__ = ["Benchmark", "Report", "Verdict", "audit", "baselines", "evaluate"]

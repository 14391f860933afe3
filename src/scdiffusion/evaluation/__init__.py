"""Scores of anybody's generated cells beside floors and baselines, reports of them, and the privacy audit."""

from __future__ import annotations

from scdiffusion.evaluation import baselines
from scdiffusion.evaluation._report import Report
from scdiffusion.evaluation._suite import Benchmark, audit, evaluate
from scdiffusion.evaluation._verdicts import Verdict

__all__ = ["Benchmark", "Report", "Verdict", "audit", "baselines", "evaluate"]

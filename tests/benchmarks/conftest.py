"""The harness stands beside `src`, so the repository's root has to be importable."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from benchmarks.records import Record
from scipy import sparse

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


@pytest.fixture
def toy() -> anndata.AnnData:
    """Ninety cells of two types with opposite genes, four of a type too rare, eight without a type."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "rare", ""], [50, 40, 4, 8])
    rates = np.where(labels[:, None] == "a", np.linspace(1, 5, 20), np.linspace(5, 1, 20))
    counts = sparse.csr_matrix(rng.poisson(rates), dtype=np.float32)
    obs = pd.DataFrame({"cell_type": pd.Categorical(labels, categories=["a", "b", "rare"])})
    obs.index = obs.index.map(lambda row: f"cell-{row}")
    return anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"gene-{column}" for column in range(20)]))


def record(study: str, values: object, **settings: Any) -> Record:
    """Make a record of some machine and day."""
    about = {"commit": "a" * 40, "version": "1.0", "machine": "a machine", "date": "2026-01-01"}
    return Record(study=study, settings=settings, values=values, **about)

"""Tiny cells that every package can test with."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from tests.fitted_model import bare, fitted, folder, normal, simulated, small  # noqa: F401 - fixtures

N_CELLS, N_GENES = 60, 30
_SET = re.compile(r"\{[^{}:,]+(, [^{}:,]+)+\}")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Refuse a name that shows a set: processes order it differently, and then refuse to share the tests."""
    if _SET.search(item.name):
        msg = f"{item.nodeid} is named after a set, whose order changes; give it an `id`."
        raise pytest.UsageError(msg)


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """Set how many threads torch has, for as long as a test lasts."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def counts() -> sp.csr_matrix:
    """Raw counts, shape ``(60, 30)``; every cell and gene has some."""
    draw = np.random.default_rng(0)
    means = draw.gamma(1.0, 2.0, N_GENES)
    matrix = draw.poisson(means * draw.gamma(5.0, 0.2, (N_CELLS, 1)))
    matrix[:, 0] += 1
    matrix[0] += 1
    return sp.csr_matrix(matrix, dtype=np.float32)


@pytest.fixture
def obs() -> pd.DataFrame:
    """Labels of all kinds: text with an unused level and gaps, whole numbers, booleans, numbers with gaps."""
    at = np.arange(N_CELLS)
    types = pd.Series(np.array(["T", "B", "NK"])[at % 3], index=[f"cell-{i}" for i in at])
    types[at % 20 == 19] = None
    return pd.DataFrame(
        {
            "cell_type": pd.Categorical(types, categories=["T", "NK", "absent", "B"]),
            "donor": at % 4 + 10,
            "treated": at % 2 == 0,
            "day": np.where(at % 10 == 7, np.nan, at % 5).astype(float),
            "note": [f"text {i % 6}" for i in at],
        },
        index=types.index,
    )


@pytest.fixture
def adata(counts: sp.csr_matrix, obs: pd.DataFrame) -> ad.AnnData:
    """Sixty cells with raw counts in `X`."""
    var = pd.DataFrame(index=[f"gene-{i}" for i in range(N_GENES)])
    return ad.AnnData(X=counts, obs=obs, var=var)


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> None:
    """Undo what a shell does to what it starts in the background, where Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)

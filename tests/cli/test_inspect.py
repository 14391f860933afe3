"""What ``inspect`` finds in a file of cells."""

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from scdiffuse.cli import run

N_CELLS, N_GENES = 60, 40


@pytest.fixture
def cells() -> ad.AnnData:
    numbers = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical(["B"] * 40 + ["T"] * 20),
            "day": numbers.uniform(0, 5, N_CELLS),
            "plate": ["p1"] * 59 + ["p2"],
        },
        index=pd.Index([f"cell-{at}" for at in range(N_CELLS)]),
    )
    var = pd.DataFrame(index=pd.Index([f"gene-{at}" for at in range(N_GENES)]))
    counts = sp.csr_matrix(numbers.poisson(1.0, (N_CELLS, N_GENES)).astype(np.float32))
    return ad.AnnData(X=counts, obs=obs, var=var)


def _inspect(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert run(["inspect", str(path), "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_good_cells_show_their_size_counts_and_candidates(
    cells: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells.write_h5ad(tmp_path / "cells.h5ad")
    found = _inspect(tmp_path / "cells.h5ad", capsys)
    assert (found["n_cells"], found["n_genes"], found["counts"]) == (N_CELLS, N_GENES, [None])
    assert found["conditions"] == {"cell_type": {"B": 40, "T": 20}}
    assert list(found["continuous"]) == ["day"]  # type: ignore[call-overload]


def test_a_label_with_one_cell_is_among_the_problems(
    cells: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells.write_h5ad(tmp_path / "cells.h5ad")
    assert run(["inspect", str(tmp_path / "cells.h5ad")]) == 0
    printed = capsys.readouterr().out
    assert "60 cells x 40 genes" in printed
    assert "Column 'plate': 1 of the 2 labels in 'plate' have one cell only" in printed


def test_counts_are_found_in_a_layer(cells: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells.layers["raw_counts"] = cells.X.copy()
    cells.X = cells.X.log1p()
    cells.write_h5ad(tmp_path / "cells.h5ad")
    assert _inspect(tmp_path / "cells.h5ad", capsys)["counts"] == ["raw_counts"]


def test_normalised_cells_are_named_as_the_problem(
    cells: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells.X = cells.X.log1p()
    cells.write_h5ad(tmp_path / "cells.h5ad")
    assert run(["inspect", str(tmp_path / "cells.h5ad")]) == 0
    printed = capsys.readouterr().out
    assert "Raw counts: none found" in printed
    assert "`X` looks log-normalised" in printed


def test_a_file_of_another_kind_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cells.h5ad").write_text("gene,count\n")
    assert run(["inspect", str(tmp_path / "cells.h5ad")]) == 2
    assert "is not a `.h5ad` file" in capsys.readouterr().err


def test_a_path_that_does_not_exist_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(tmp_path / "absent")]) == 2
    assert "does not exist; expected the folder of a model or a `.h5ad` file" in capsys.readouterr().err

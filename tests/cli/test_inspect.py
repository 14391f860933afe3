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


def test_a_label_with_one_cell_is_among_the_notes(
    cells: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells.write_h5ad(tmp_path / "cells.h5ad")
    assert run(["inspect", str(tmp_path / "cells.h5ad")]) == 0
    printed = capsys.readouterr().out
    assert "60 cells x 40 genes" in printed
    assert "Column 'plate': 1 cell has a label of 'plate' of its own ('p2'); its label counts as missing." in printed


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
    assert run(["inspect", str(tmp_path / "cells.h5ad")]) == 2
    printed = capsys.readouterr().out
    assert "no model can be fitted" in printed
    assert "`X` looks log-normalised" in printed


def test_a_file_of_another_kind_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cells.h5ad").write_text("gene,count\n")
    assert run(["inspect", str(tmp_path / "cells.h5ad")]) == 2
    assert "is not a `.h5ad` file" in capsys.readouterr().err


def test_a_path_that_does_not_exist_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(tmp_path / "absent")]) == 2
    assert "does not exist; expected the folder of a model or a `.h5ad` file" in capsys.readouterr().err


def test_the_command_that_fits_is_shown(cells: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells.write_h5ad(tmp_path / "cells.h5ad")
    found = _inspect(tmp_path / "cells.h5ad", capsys)
    assert found["command"] == f"scdiffuse fit {tmp_path / 'cells.h5ad'} -o cells.scd --condition cell_type"
    assert 5 < float(str(found["fit_seconds"])) < 60


def test_missing_values_and_numbers_taken_for_labels_are_shown(
    cells: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells.obs["cell_type"] = cells.obs["cell_type"].where(np.arange(N_CELLS) > 6)
    cells.obs["hour"] = np.arange(N_CELLS) % 3
    cells.obs["dose"] = pd.Categorical([str(at % 3) for at in range(N_CELLS)])
    cells.write_h5ad(tmp_path / "cells.h5ad")
    assert run(["inspect", str(tmp_path / "cells.h5ad")]) == 0
    printed = capsys.readouterr().out
    assert "cell_type: B (33), T (20); missing for 7 cells" in printed
    for name in ("hour", "dose"):
        assert (
            f"Column {name!r} holds numbers as labels; if they are amounts, such as days, use --continuous." in printed
        )


def test_counts_in_raw_and_in_several_layers_are_named(
    cells: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells.raw = cells.copy()
    cells.X = cells.X.log1p()
    cells.write_h5ad(tmp_path / "cells.h5ad")
    assert run(["inspect", str(tmp_path / "cells.h5ad")]) == 0
    assert "Raw counts: raw (pass --use-raw)" in capsys.readouterr().out
    cells.layers["spliced"], cells.layers["unspliced"] = cells.raw.X * 2, cells.raw.X * 3
    cells.write_h5ad(tmp_path / "cells.h5ad")
    assert run(["inspect", str(tmp_path / "cells.h5ad")]) == 2
    assert "pass `--layer spliced` or pass `--layer unspliced`" in capsys.readouterr().out


def test_too_few_cells_end_with_2(cells: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells[:20].copy().write_h5ad(tmp_path / "cells.h5ad")
    assert run(["inspect", str(tmp_path / "cells.h5ad")]) == 2
    assert "There are 20 cells; a fit needs 30" in capsys.readouterr().out


def test_tables_of_text_are_inspected(cells: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells.to_df().astype(int).rename_axis("cell").to_csv(tmp_path / "cells.csv")
    assert _inspect(tmp_path / "cells.csv", capsys)["counts"] == [None]


def test_a_problem_beside_the_counts_does_not_deny_them(
    cells: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells.obs_names = ["cell-1", *cells.obs_names[1:]]
    cells.write_h5ad(tmp_path / "cells.h5ad")
    assert run(["inspect", str(tmp_path / "cells.h5ad")]) == 2
    printed = capsys.readouterr().out
    assert "repeat an earlier one" in printed
    assert "none found" not in printed

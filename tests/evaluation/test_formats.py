"""Cells of every format are evaluated, with the numbers of the same cells in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from benchmarks.studies.user_files import _10x_folder, _10x_h5, _loom, _table, cells

from scdiffuse._core.errors import CountsError, DataFileError, ScdiffuseWarning, SettingError, UnknownNameError
from scdiffuse.cli import run
from scdiffuse.evaluation import evaluate
from scdiffuse.evaluation._opening import open_cells

METRICS = ["mean_error", "composition"]


@pytest.fixture(scope="module")
def both() -> tuple[ad.AnnData, ad.AnnData]:
    """Real and generated cells."""
    whole = cells()
    return whole[::2].copy(), whole[1::2].copy()


def _score(real: Any, made: Any, **options: Any) -> float:
    report = evaluate(real, made, metrics=METRICS[:1], n_seeds=1, progress=False, **options)
    return report.metrics["mean_error"]["value"]


@pytest.mark.parametrize(
    "make", [_10x_h5, _10x_folder, _loom, _table(".csv.gz", genes_in_rows=True), _table(".tsv", genes_in_rows=False)]
)
def test_formats_of_other_tools_give_the_numbers_of_cells_in_memory(
    make: Callable[[ad.AnnData, Path], Path], both: tuple[ad.AnnData, ad.AnnData], tmp_path: Path
) -> None:
    paths = []
    for name, part in zip(("real", "generated"), both, strict=True):
        (tmp_path / name).mkdir()
        paths.append(make(part.copy(), tmp_path / name))
    assert _score(*paths) == _score(*both)


def test_counts_are_found_where_they_are(both: tuple[ad.AnnData, ad.AnnData], tmp_path: Path) -> None:
    real, made = both[0].copy(), both[1]
    expected = _score(real, made)
    real.layers["counts"] = real.X.copy()
    real.X = np.log1p(real.X.toarray())
    real.write_h5ad(tmp_path / "layer.h5ad")
    for given in (real, tmp_path / "layer.h5ad"):
        with pytest.warns(ScdiffuseWarning, match="Counts are read from layer 'counts'"):
            assert _score(given, made) == expected
        assert _score(given, made, layer="counts") == expected
    with pytest.raises(UnknownNameError, match="'count' is not a layer"):
        _score(real, made, layer="count")


def test_raw_and_decimals_are_read_when_asked_for(
    both: tuple[ad.AnnData, ad.AnnData], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, made = both[0].copy(), both[1]
    expected = _score(real, made)
    real.raw = real.copy()
    real.X = real.X * 0.999
    real.write_h5ad(tmp_path / "real.h5ad")
    made.write_h5ad(tmp_path / "made.h5ad")
    words = ["evaluate", "--real", str(tmp_path / "real.h5ad"), "--generated", str(tmp_path / "made.h5ad"), "--json"]
    words += ["--metric", "mean_error", "--n-seeds", "1", "--no-progress"]
    assert run([*words, "--use-raw"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["mean_error"]["value"] == expected
    small = ad.AnnData(real.X, obs=real.obs, var=real.var)
    with pytest.raises(CountsError, match="expected raw counts"):
        _score(small, made)
    rounded = open_cells(small, "real", round_counts=True)
    assert (rounded.X != both[0].X).nnz == 0


def test_generated_cells_are_taken_as_they_are(both: tuple[ad.AnnData, ad.AnnData]) -> None:
    made = both[1].copy()
    made.layers["counts"] = made.X.copy()
    made.X = made.X * 0.5
    assert open_cells(made, "generated", round_counts=True) is made


def test_what_is_no_cells_is_refused() -> None:
    with pytest.raises(SettingError, match=r"The cells are of type NoneType; expected an AnnData"):
        open_cells(None, "generated")


def test_a_file_that_is_not_there_is_named_with_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "made.h5ad").write_bytes(b"")
    with pytest.raises(DataFileError, match=r"mde.h5ad' is not a file; .* Did you mean 'made.h5ad'"):
        open_cells(tmp_path / "mde.h5ad", "generated")


def test_real_cells_among_generated_ones_are_warned_of(both: tuple[ad.AnnData, ad.AnnData]) -> None:
    made = both[1].copy()
    made.obs["source"] = pd.Categorical(["real"] * 3 + ["generated"] * (made.n_obs - 3))
    with pytest.warns(ScdiffuseWarning, match=r"3 of \d+ `generated` cells are real, says `obs\['source'\]`"):
        open_cells(made, "generated")
    open_cells(made, "real")

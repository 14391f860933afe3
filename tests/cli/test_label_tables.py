"""Labels in a table beside the cells: every command that reads real cells takes the files that ``fit`` takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import scdiffuse.evaluation
from scdiffuse._core.errors import UserError
from scdiffuse.cli import run
from scdiffuse.evaluation._opening import open_cells

COUNTS = np.arange(48, dtype=np.float32).reshape(8, 6) % 5
CELLS, GENES = [f"cell{at}" for at in range(8)], [f"gene{at}" for at in range(6)]
LABELS = pd.DataFrame({"cell_type": list("BBTTBBTT"), "donor": list("aabbaabb")}, index=CELLS)
PARTS = {"real": slice(0, 4), "train": slice(4, 8)}

Calls = list[dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write cells as tables of counts, and their labels as another table."""
    for name, part in PARTS.items():
        pd.DataFrame(COUNTS[part], CELLS[part], GENES).to_csv(tmp_path / f"{name}.csv", index_label="cell")
    LABELS.to_csv(tmp_path / "labels.csv")
    (tmp_path / "generated.h5ad").touch()
    return tmp_path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Take what the commands pass to the Python API, and evaluate nothing."""
    calls: Calls = []

    def taken(names: tuple[str, ...]) -> Any:
        def call(*cells: object, **settings: object) -> None:
            calls.append(dict(zip(names, cells, strict=True)) | settings)
            msg = "enough"
            raise UserError(msg)

        return call

    monkeypatch.setattr(scdiffuse.evaluation, "evaluate", taken(("real", "generated")))
    monkeypatch.setattr(scdiffuse.evaluation, "audit", taken(("train", "held_out", "generated")))
    return calls


def is_whole(adata: ad.AnnData, part: str, layer: str | None = None) -> bool:
    """Whether cells have the counts of a part where the evaluation reads them, and the labels of the table."""
    opened = open_cells(adata, "real", layer=layer)
    counts = opened.layers[layer] if layer is not None else opened.X
    assert counts is not None
    return np.array_equal(sp.csr_matrix(counts).toarray(), COUNTS[PARTS[part]]) and opened.obs.astype(str).equals(
        LABELS.iloc[PARTS[part]]
    )


def words(folder: Path, ending: str = "csv", *, first: str = "real", second: str = "train") -> list[str]:
    """Name the cells of a command."""
    given = [f"--{first}", str(folder / f"real.{ending}"), f"--{second}", str(folder / f"train.{ending}")]
    return [*given, "--generated", str(folder / "generated.h5ad")]


def test_real_cells_get_the_columns_of_the_table(
    folder: Path, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["evaluate", *words(folder), "--obs", str(folder / "labels.csv"), "--by", "cell_type", "--donor", "donor"])
    run(["audit", *words(folder, first="held-out"), "--obs", str(folder / "labels.csv"), "--by", "cell_type"])
    assert len(calls) == 2
    assert is_whole(calls[0]["real"], "real")
    assert is_whole(calls[0]["train"], "train")
    assert is_whole(calls[1]["held_out"], "real")
    assert is_whole(calls[1]["train"], "train")
    assert [call["by"] for call in calls] == ["cell_type", "cell_type"]
    assert [call["generated"] for call in calls] == [folder / "generated.h5ad"] * 2
    assert "table of labels" not in capsys.readouterr().err


def test_without_a_table_cells_stay_in_their_files(folder: Path, calls: Calls) -> None:
    run(["evaluate", *words(folder)])
    assert calls[0]["real"] == folder / "real.csv"
    assert calls[0]["reference"] is None


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.parametrize("ending", ["h5ad", "zarr"])
def test_counts_of_a_layer_are_read_with_labels_from_a_table(folder: Path, calls: Calls, ending: str) -> None:
    if ending == "zarr":
        pytest.importorskip("zarr")
    for name, part in PARTS.items():
        adata = ad.AnnData(COUNTS[part] / 2, obs=pd.DataFrame(index=CELLS[part]), var=pd.DataFrame(index=GENES))
        adata.layers["umi"] = COUNTS[part]
        getattr(adata, f"write_{ending}")(folder / f"{name}.{ending}")
    run(["evaluate", *words(folder, ending), "--obs", str(folder / "labels.csv"), "--layer", "umi"])
    assert calls[0]["layer"] == "umi"
    assert is_whole(calls[0]["real"], "real", "umi")
    assert is_whole(calls[0]["train"], "train", "umi")


def test_cells_that_the_table_does_not_name_keep_their_columns(
    folder: Path, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    LABELS[:4].to_csv(folder / "labels.csv")
    run(["evaluate", *words(folder), "--obs", str(folder / "labels.csv")])
    assert is_whole(calls[0]["real"], "real")
    assert list(calls[0]["train"].obs_names) == CELLS[4:]
    assert not list(calls[0]["train"].obs.columns)
    assert "No cell of `--train` has a row in the table of labels" in " ".join(capsys.readouterr().err.split())


def test_a_table_of_other_cells_is_refused(folder: Path, calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    LABELS.rename(index=str.upper).to_csv(folder / "labels.csv")
    assert run(["evaluate", *words(folder), "--obs", str(folder / "labels.csv")]) == 2
    assert "No cell has a row in the table of labels" in " ".join(capsys.readouterr().err.split())
    assert not calls


@pytest.mark.parametrize(("command", "first"), [("evaluate", "real"), ("audit", "held-out")])
def test_the_report_does_not_replace_the_table(folder: Path, calls: Calls, command: str, first: str) -> None:
    page = folder / "labels.html"
    page.write_text("cell,cell_type\n")
    told = ["--obs", str(page), "-o", str(page), "--overwrite"]
    assert run([command, *words(folder, first=first), *told]) == 2
    assert page.read_text() == "cell,cell_type\n"
    assert not calls


def test_inspect_shows_the_columns_of_the_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, table = folder / "whole.csv", folder / "labels.csv"
    cells = [f"cell{at}" for at in range(40)]
    pd.DataFrame(np.tile(COUNTS, (5, 1)), cells, GENES).to_csv(whole, index_label="cell")
    pd.DataFrame({"cell_type": list("BT") * 20}, index=cells).to_csv(table)
    assert run(["inspect", str(whole), "--obs", str(table), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["conditions"] == {"cell_type": {"B": 20, "T": 20}}
    assert found["command"] == f"scdiffuse fit {whole} -o whole.scd --condition cell_type --obs {table}"


def test_inspect_refuses_a_table_for_a_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(folder), "--obs", str(folder / "labels.csv")]) == 2
    assert "`--obs` is given, but" in " ".join(capsys.readouterr().err.split())


def test_shards_have_the_columns_of_the_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(folder / f"{name}.csv") for name in PARTS]
    LABELS.assign(day=range(8), sick=[True, False] * 4)[:6].to_csv(folder / "labels.csv")
    command = ["shard", *files, "-o", str(folder / "shards"), "--obs", str(folder / "labels.csv"), "--no-progress"]
    assert run(command) == 0
    assert "2 of 8 cells have no row in the table" in " ".join(capsys.readouterr().err.split())
    obs = ad.read_h5ad(folder / "shards" / "shard-00000.h5ad").obs.loc[CELLS]
    assert obs["cell_type"].tolist()[:6] == list("BBTTBB")
    assert obs["day"].tolist()[:6] == list(range(6))
    assert obs["sick"].tolist()[:6] == [True, False] * 3
    assert obs[6:].isna().all(axis=None)

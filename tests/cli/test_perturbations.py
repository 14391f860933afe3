"""``scdiffuse evaluate --perturbation-key`` on planted effects."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import scdiffuse as scd
from scdiffuse.cli import run

WORDS = ["--perturbation-key", "condition", "--control", "control", "--by", "cell_type", "--n-genes", "120"]
FEW = ["--n-draws", "2", "--max-cells", "40", "--no-progress"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write real cells, stimulated monocytes in the place of predicted ones, and their means."""
    folder = tmp_path_factory.mktemp("perturbations")
    adata = scd.datasets.pbmc68k_planted()
    wanted = adata[(adata.obs["cell_type"] == "CD14+ Monocyte") & (adata.obs["condition"] == "stimulated")].copy()
    adata.write_h5ad(folder / "real.h5ad")
    wanted.write_h5ad(folder / "predicted.h5ad")
    counts = wanted.X.toarray()
    means = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True)).mean(axis=0)
    index = pd.MultiIndex.from_tuples([("CD14+ Monocyte", "stimulated")], names=["cell_type", "condition"])
    pd.DataFrame([means], index=index, columns=wanted.var_names).to_csv(folder / "means.csv")
    return folder


def command(folder: Path, predicted: str = "predicted.h5ad") -> list[str]:
    return ["evaluate", "--real", str(folder / "real.h5ad"), "--generated", str(folder / predicted)]


def test_cells_get_a_verdict_a_table_and_a_page(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command(folder), *WORDS, *FEW, "-o", str(tmp_path / "page.html")]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Ahead of every baseline in ")
    assert "E-distance" in shown
    assert "Another half of the real cells" in (tmp_path / "page.html").read_text()


def test_means_are_read_from_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command(folder, "means.csv"), *WORDS, *FEW, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["measures"]["pearson_delta"]["rows"]["prediction"]["value"] > 0.9
    assert found["measures"]["energy_distance"]["rows"]["prediction"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--control", "control"], "`--control` is given without `--perturbation-key`"),
        (["--perturbation-key", "condition"], "`--perturbation-key` is given without `--control`"),
        ([*WORDS, "--donor", "batch"], "`--donor` is given with `--perturbation-key`"),
        ([*WORDS[:4], "--by", "celltype"], "`--by` 'celltype' is not a column of the `obs` of `--real`"),
    ],
)
def test_a_mistake_ends_with_2_and_the_option_as_typed(
    folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command(folder), *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_names_in_a_table_of_means_stay_as_they_are_written(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adata = scd.datasets.pbmc68k_planted()
    adata.obs["condition"] = adata.obs["condition"].astype(object).replace({"stimulated": "005", "control": "00"})
    adata.obs["cell_type"] = adata.obs["cell_type"].astype(object).replace({"CD14+ Monocyte": "NA"})
    adata.write_h5ad(tmp_path / "real.h5ad")
    means = pd.read_csv(folder / "means.csv")
    means[["cell_type", "condition"]] = [["NA", "005"]]
    means.to_csv(tmp_path / "means.tsv", index=False, sep="\t")
    assert run([*command(tmp_path, "means.tsv"), *WORDS[:3], "00", *WORDS[4:], *FEW, "--json"]) == 0
    (held,) = json.loads(capsys.readouterr().out)["held_out"]
    assert (held["cell_type"], held["perturbation"]) == ("NA", "005")


def test_notes_stand_below_the_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command(folder), *WORDS, *FEW]) == 0
    assert "Not computed: " in capsys.readouterr().out.split("E-distance")[-1]

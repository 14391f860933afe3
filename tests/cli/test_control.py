"""`predict`, `trajectory` and `augment` with a small model of simulated cells."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from scdiffuse.cli import run
from scdiffuse.generator import CellGenerator
from scdiffuse.model import AutoencoderConfig, DiffusionConfig, ModelConfig, TrainConfig


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write cells of two types and a small model of them."""
    folder, draw = tmp_path_factory.mktemp("control"), np.random.default_rng(0)
    types = np.repeat([0, 1], [60, 20])
    counts = sp.csr_matrix(draw.poisson(draw.gamma(1.0, 3.0, (2, 20))[types] + 0.3), dtype=np.float32)
    obs = pd.DataFrame({"cell_type": np.array(["T", "B"])[types], "day": np.arange(80) % 4 * 1.0})
    cells = ad.AnnData(counts, obs.set_axis([f"c{at}" for at in range(80)]))
    cells.var_names = [f"gene-{at}" for at in range(20)]
    cells.write_h5ad(folder / "cells.h5ad")
    training = TrainConfig(batch_size=32, min_steps=16, n_validations=2, learning_rate=0.02, decay=0.8)
    config = ModelConfig(
        autoencoder=AutoencoderConfig(n_latent=3, n_hidden=12),
        autoencoder_training=training,
        diffusion=DiffusionConfig(width=16, depth=1, embedding_width=8, solver_steps=4, ode_steps=4),
        diffusion_training=training,
    )
    model = CellGenerator(cells, conditions=["cell_type"], continuous=["day"], min_cells=1, config=config)
    model.fit(folder / "model", max_epochs=2, progress=False)
    return folder


def _run(folder: Path, command: str, *words: str) -> int:
    return run([command, str(folder / "model"), *words, "--no-progress", "--overwrite"])


def test_cells_are_predicted_under_other_conditions(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5ad"
    words = [str(folder / "cells.h5ad"), "--to", "cell_type=B", "--to", "day=2", "-o", str(out)]
    assert _run(folder, "predict", *words, "--library-size", "generated") == 0
    made = ad.read_h5ad(out)
    assert set(made.obs["cell_type"]) == {"B"}
    assert set(made.obs["day"]) == {2.0}
    assert _run(folder, "predict", *words, "--library-size", "30") == 0
    assert set(np.asarray(ad.read_h5ad(out).X.sum(axis=1)).ravel()) == {30}


@pytest.mark.parametrize("begin", ["--start", "--from"])
def test_trajectories_are_written_and_drawn(folder: Path, tmp_path: Path, begin: str) -> None:
    source = {"--start": str(folder / "cells.h5ad"), "--from": "cell_type=T"}[begin]
    out, figure = tmp_path / "path.h5ad", tmp_path / "path.svg"
    words = [begin, source, "--to", "day=2.5", "-o", str(out), "--n-states", "3", "-n", "4", "--keep", "0.4"]
    assert _run(folder, "trajectory", *words, "--figure", str(figure), "--gene", "gene-1") == 0
    made = ad.read_h5ad(out)
    assert made.n_obs == 12
    assert made.obs["day"].to_numpy()[-4:].tolist() == [2.5] * 4
    assert "gene-1" in figure.read_text() or "<svg" in figure.read_text()


def test_guidance_applies_to_given_cells_too(folder: Path, tmp_path: Path) -> None:
    cells, model = str(folder / "cells.h5ad"), tmp_path / "model"
    shutil.copytree(folder / "model", model)
    options = ["--name", "kind", "--obs-key", "cell_type", "--library-size", "--max-epochs", "1", "--no-progress"]
    assert run(["add-classifier", str(model), cells, *options]) == 0
    guided = ["--toward", "kind=B:2", "--guidance", "day=1.5", "--guidance-interval", "0.1", "1"]
    guided += ["--batch-size", "9", "--no-progress"]
    for command in (["predict", str(model), cells], ["trajectory", str(model), "--start", cells, "--n-states", "2"]):
        out = tmp_path / f"{command[0]}.h5ad"
        assert run([*command, *guided, "-o", str(out)]) == 0
        saved = ad.read_h5ad(out).uns["scdiffuse"]["settings"]["guidance"]
        assert (saved["toward"]["kind"]["target"], saved["scale"]) == ("B", {"day": 1.5})
        away = ["--away", "cell_type=T", "--to", "cell_type=B", "-o", str(out), "--overwrite", "--no-progress"]
        assert run([*command, *away]) == 0


def test_support_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["inspect", str(folder / "model"), "--where", "cell_type=B", "--where", "day=9"]
    assert run(words) == 0
    printed = capsys.readouterr().out
    assert "20 training cells have cell_type 'B'" in printed
    assert "day 9 lies outside of what was measured, 0 to 3" in printed
    assert "Nearest combinations among the training cells:" in printed
    assert run([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["is_unseen"], found["n_cells"], found["marginals"]) == (True, 20, {"cell_type": 20})
    assert found["nearest"][0] == {"cell_type": "B", "n_shared": 1, "n_cells": 20}
    assert (found["numbers"]["day"]["below"], found["numbers"]["day"]["above"]) == (3.0, None)
    assert run(["inspect", str(folder / "model"), "--where", "cell_type=C"]) == 2
    assert "'C' is not a trained label" in capsys.readouterr().err
    assert run(["inspect", str(folder / "cells.h5ad"), "--where", "cell_type=B"]) == 2
    assert "expected the folder of a model" in " ".join(capsys.readouterr().err.split())


def test_rare_labels_are_augmented(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "more.h5ad"
    words = [str(folder / "cells.h5ad"), "--by", "cell_type", "-o", str(out)]
    expected: dict[tuple[str, ...], dict[str, int]] = {
        (): {"T": 60, "B": 60},
        ("--n-per-label", "median"): {"T": 60, "B": 40},
        ("--n-per-label", "70"): {"T": 70, "B": 70},
        ("--n-per-label", "B=25"): {"T": 60, "B": 25},
    }
    for more, numbers in expected.items():
        assert _run(folder, "augment", *words, *more) == 0
        assert dict(ad.read_h5ad(out).obs["cell_type"].value_counts()) == numbers
    assert "(80 real, 5 generated)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["augment", "CELLS", "--by", "cell_type", "--n-per-label", "many"],
            "`--n-per-label` 'many' is not a number of cells",
        ),
        (["augment", "CELLS", "--by", "cell_typ"], "Did you mean 'cell_type'"),
        (["predict", "CELLS", "--to", "cell_type"], "`--to` 'cell_type' has no `=`"),
        (["predict", "CELLS", "--to", "cell_type=BB"], "'BB' is not a trained label"),
        (["predict", "CELLS"], "expected what the cells become, with `--to` or `--toward` or `--away`"),
        (["trajectory", "--to", "day=2"], "expected one of them"),
        (["trajectory", "--start", "CELLS", "--from", "day=1", "--to", "day=2"], "expected one of them"),
        (["trajectory", "--from", "day=1", "--to", "day=2", "--keep", "2"], "`--keep` must lie between 0"),
    ],
    ids=" ".join,
)
def test_mistakes_end_with_2_and_a_way_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    command, *rest = [str(folder / "cells.h5ad") if word == "CELLS" else word for word in words]
    assert _run(folder, command, *rest, "-o", str(tmp_path / "out.h5ad")) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out.h5ad").exists()


def test_a_classifier_that_is_replaced_is_the_one_that_is_shown(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells, model = str(folder / "cells.h5ad"), tmp_path / "model"
    shutil.copytree(folder / "model", model)
    options = ["--obs-key", "cell_type", "--max-epochs", "1", "--no-progress", "--overwrite"]
    for name in ("first", "second", "first"):
        assert run(["add-classifier", str(model), cells, "--name", name, *options]) == 0
        assert f"Classifier {name}: " in capsys.readouterr().err

"""Fits that are stopped, killed and resumed, and data that cannot be fitted."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tests.fitted_model import networks_of

from scdiffuse._core.errors import (
    CountsError,
    ModelFolderError,
    NotFittedError,
    OutputExistsError,
    ScdiffuseWarning,
    SettingError,
    UnknownNameError,
)
from scdiffuse.autoencoder import AutoencoderTask
from scdiffuse.diffusion import LatentTask
from scdiffuse.generator import CellGenerator, load
from scdiffuse.model import ModelConfig
from scdiffuse.model._files import _checksum

NAMES: dict[str, Any] = {"conditions": ["cell_type", "treated"], "continuous": ["day"]}
TASKS: dict[str, Any] = {"autoencoder": AutoencoderTask, "diffusion": LatentTask}
KILLED = """
import json, os, signal, sys
import scdiffuse.fitting._log as log
import scdiffuse.train._loop as loop
from scdiffuse.generator import CellGenerator
from scdiffuse.model import ModelConfig

data, folder, stage, config = sys.argv[1:]
write = log.write_training

def write_and_die(folder, checkpoint, weights):
    write(folder, checkpoint, weights)
    if checkpoint.stage == stage and checkpoint.progress["step"] == 5:
        os.kill(os.getpid(), signal.SIGKILL)

log.write_training = write_and_die
loop._CHECKPOINT_SECONDS = 0.0
config = ModelConfig.from_dict(json.loads(config))
model = CellGenerator(data, conditions=["cell_type", "treated"], continuous=["day"], config=config)
model.fit(folder, progress=False)
"""


@pytest.fixture
def model(simulated: ad.AnnData, small: ModelConfig) -> CellGenerator:
    return CellGenerator(simulated, config=small, **NAMES)


def _press_at(stage: str, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C at a step of a stage."""
    loss: Callable[..., torch.Tensor] = TASKS[stage].loss
    steps = iter(range(step))

    def pressed(*given: Any, **named: Any) -> torch.Tensor:
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return loss(*given, **named)

    monkeypatch.setattr(TASKS[stage], "loss", pressed)


def _cells(model: CellGenerator) -> sp.csr_matrix:
    with warnings.catch_warnings():
        if model.was_stopped:
            warnings.filterwarnings("ignore", "`generate` takes a model whose fit stopped before the diffusion")
        made = model.generate(40, seed=1, progress=False)
    assert isinstance(made, ad.AnnData)
    return made.X


def _assert_same_model(x: CellGenerator, y: CellGenerator) -> None:
    left, right = networks_of(x).copies(), networks_of(y).copies()
    assert left.keys() == right.keys()
    assert [name for name in left if left[name].numpy().tobytes() != right[name].numpy().tobytes()] == []
    assert x.history == y.history


def _emptied(adata: ad.AnnData, n: int) -> ad.AnnData:
    """Take all counts of the first cells away."""
    adata.X = sp.diags((np.arange(adata.n_obs) >= n).astype(np.float32)) @ adata.X
    adata.X.eliminate_zeros()
    return adata


def test_a_fit_is_repeatable_and_its_seed_matters(
    simulated: ad.AnnData, small: ModelConfig, fitted: CellGenerator
) -> None:
    again = CellGenerator(simulated, config=small, **NAMES).fit(progress=False)
    _assert_same_model(again, fitted)
    other = CellGenerator(simulated, config=small, **NAMES).fit(progress=False, seed=1)
    assert (_cells(other) != _cells(fitted)).nnz > 0


def test_a_fit_leaves_the_global_random_state_alone(model: CellGenerator) -> None:
    before = torch.random.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    model.fit(max_epochs=1, progress=False)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert str(np.random.get_state()) == before[1]  # noqa: NPY002


@pytest.mark.parametrize(
    ("stage", "step"), [("autoencoder", 0), ("autoencoder", 9), ("diffusion", 0), ("diffusion", 9)]
)
def test_ctrl_c_leaves_a_model_that_loads_and_goes_on(
    model: CellGenerator, fitted: CellGenerator, tmp_path: Path, stage: str, step: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        _press_at(stage, step, patch)
        model.fit(tmp_path / "run", progress=False)
    loaded = load(tmp_path / "run")
    assert [model.was_stopped, loaded.was_stopped] == [True, True]
    assert "stopped early" in loaded.summary()
    assert (_cells(loaded) != _cells(model)).nnz == 0
    model.fit(tmp_path / "run", resume=True, progress=False)
    assert [model.was_stopped, load(tmp_path / "run").was_stopped] == [False, False]
    _assert_same_model(model, fitted)
    _assert_same_model(load(tmp_path / "run"), fitted)


@pytest.mark.parametrize("stage", ["autoencoder", "diffusion"])
def test_a_killed_fit_loads_and_goes_on(simulated: ad.AnnData, small: ModelConfig, tmp_path: Path, stage: str) -> None:
    simulated.write_h5ad(tmp_path / "cells.h5ad")
    words = [str(tmp_path / "cells.h5ad"), str(tmp_path / "run"), stage, json.dumps(small.to_dict())]
    done = subprocess.run([sys.executable, "-c", KILLED, *words], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr
    loaded = load(tmp_path / "run")
    assert loaded.was_stopped
    assert _cells(loaded).shape == (40, len(loaded.genes))
    resumed = CellGenerator(tmp_path / "cells.h5ad", config=small, **NAMES)
    resumed.fit(tmp_path / "run", resume=True, progress=False)
    whole = CellGenerator(tmp_path / "cells.h5ad", config=small, **NAMES).fit(progress=False)
    _assert_same_model(resumed, whole)


def test_resuming_what_is_finished_gives_it_back(model: CellGenerator, tmp_path: Path) -> None:
    model.fit(tmp_path / "run", progress=False)
    model.record_scores({"metrics": {}})
    model.save(tmp_path / "run", overwrite=True)
    before, scored = _cells(model), (tmp_path / "run" / "config.json").read_bytes()
    model.fit(tmp_path / "run", resume=True, progress=False)
    assert (_cells(model) != before).nnz == 0
    assert (tmp_path / "run" / "config.json").read_bytes() == scored


@pytest.mark.parametrize("change", ["seed", "max_epochs", "settings", "counts", "genes"])
def test_resuming_refuses_another_fit(
    model: CellGenerator, simulated: ad.AnnData, small: ModelConfig, tmp_path: Path, change: str
) -> None:
    model.fit(tmp_path / "run", max_epochs=1, progress=False)
    adata, config = simulated.copy(), small
    if change == "settings":
        config = ModelConfig.from_dict(small.to_dict() | {"validation_fraction": 0.3})
    elif change == "counts":
        adata.X[3, 0] += 1
    elif change == "genes":
        adata.var_names = [f"other-{name}" for name in adata.var_names]
    other = CellGenerator(adata, config=config, **NAMES)
    with pytest.raises(ModelFolderError, match=r"was begun with other .* than are given now; expected the same. Give"):
        other.fit(
            tmp_path / "run",
            resume=True,
            seed=int(change == "seed"),
            max_epochs=2 if change == "max_epochs" else 1,
            progress=False,
        )


def test_a_folder_that_is_older_than_a_setting_can_be_resumed(model: CellGenerator, tmp_path: Path) -> None:
    model.fit(tmp_path / "run", max_epochs=1, progress=False)
    before, config = _cells(model), tmp_path / "run" / "config.json"
    record = json.loads(config.read_text())
    del record["checksum"], record["settings"]["diffusion_training"]["largest_batch_fraction"]
    config.write_text(json.dumps(record | {"checksum": _checksum(record)}))
    model.fit(tmp_path / "run", resume=True, max_epochs=1, progress=False)
    assert (_cells(model) != before).nnz == 0


def test_a_stopped_model_saved_over_its_state_cannot_go_on(
    model: CellGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _press_at("diffusion", 2, monkeypatch)
    model.fit(tmp_path / "run", progress=False)
    model.save(tmp_path / "run", overwrite=True)
    assert load(tmp_path / "run").was_stopped
    with pytest.raises(ModelFolderError, match="was stopped and then saved without its state"):
        model.fit(tmp_path / "run", resume=True, progress=False)


def test_a_damaged_state_is_told(model: CellGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _press_at("autoencoder", 2, monkeypatch)
    model.fit(tmp_path / "run", progress=False)
    state = tmp_path / "run" / "training.safetensors"
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(ModelFolderError, match=r"`training.safetensors` in .* is damaged .* Fit the model again"):
        load(tmp_path / "run")


@pytest.mark.parametrize("left", ["nothing", "folder", "partial"])
def test_resuming_where_nothing_is_saved_begins(model: CellGenerator, tmp_path: Path, left: str) -> None:
    if left != "nothing":
        (tmp_path / "run").mkdir()
    if left == "partial":
        (tmp_path / "run" / ".next.0123abcd.partial").mkdir()
    model.fit(tmp_path / "run", resume=True, max_epochs=1, progress=False)
    assert not load(tmp_path / "run").was_stopped


def test_resuming_needs_a_folder_of_a_model(model: CellGenerator, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelFolderError, match=r"has no file `config.json`"):
        model.fit(tmp_path, resume=True)
    with pytest.raises(SettingError, match="`resume` needs the `folder`"):
        model.fit(resume=True)


def test_a_fit_never_overwrites(model: CellGenerator, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        OutputExistsError, match=r"already exists; expected a new or empty folder.* `resume=True`.*`overwrite=True`"
    ):
        model.fit(folder)
    (tmp_path / "empty").mkdir()
    model.fit(tmp_path / "empty", max_epochs=1, progress=False)
    load(tmp_path / "empty")


def test_a_fit_that_overwrites_keeps_the_old_model_until_it_is_done(
    model: CellGenerator, simulated: ad.AnnData, small: ModelConfig, fitted: CellGenerator, folder: Path
) -> None:
    (folder / "notes.txt").write_text("mine")
    with pytest.MonkeyPatch.context() as patch:
        _press_at("diffusion", 3, patch)
        model.fit(folder, overwrite=True, seed=1, progress=False)
    assert model.was_stopped
    _assert_same_model(load(folder), fitted)
    assert load(folder / ".fitting").was_stopped
    model.fit(folder, resume=True, seed=1, progress=False)
    _assert_same_model(load(folder), CellGenerator(simulated, config=small, **NAMES).fit(seed=1, progress=False))
    assert not (folder / ".fitting").exists()
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_job_that_overwrites_and_resumes_can_be_started_again_at_any_time(model: CellGenerator, folder: Path) -> None:
    with pytest.warns(UserWarning, match="was begun with other .* begins anew and replaces it when done"):
        model.fit(folder, overwrite=True, resume=True, seed=1, max_epochs=1, progress=False)
    before = (folder / "config.json").read_bytes()
    model.fit(folder, overwrite=True, resume=True, seed=1, max_epochs=1, progress=False)
    assert (folder / "config.json").read_bytes() == before
    assert load(folder).seed == 1


def test_a_loaded_model_has_no_cells_to_fit(folder: Path) -> None:
    with pytest.raises(
        NotFittedError, match=r"This model was loaded or distilled and holds no training cells.*resume=True"
    ):
        load(folder).fit()


def test_max_epochs_below_one_is_refused(model: CellGenerator) -> None:
    with pytest.raises(SettingError, match="`max_epochs` must be at least 1, got 0"):
        model.fit(max_epochs=0)


def test_a_device_that_is_not_there_is_refused(model: CellGenerator) -> None:
    with pytest.raises(SettingError, match="`device` 'quantum' cannot be used"):
        model.fit(device="quantum")


def test_too_few_cells_are_refused(simulated: ad.AnnData) -> None:
    with pytest.raises(CountsError, match="There are 29 cells with counts; expected at least 30"):
        CellGenerator(simulated[:29].copy())


@pytest.mark.filterwarnings("ignore:.* cells have no count:UserWarning")
def test_empty_cells_do_not_count(simulated: ad.AnnData) -> None:
    adata = _emptied(simulated[:40].copy(), 11)
    with pytest.raises(CountsError, match="There are 29 cells with counts"):
        CellGenerator(adata, min_cells=1)


@pytest.mark.filterwarnings("ignore:.* cells have no count:UserWarning")
def test_cells_left_out_take_their_labels_with_them(simulated: ad.AnnData, small: ModelConfig) -> None:
    adata = _emptied(simulated.copy(), 5)
    adata.obs["cell_type"] = ["gone"] * 5 + ["here"] * 145
    model = CellGenerator(adata, conditions=["cell_type"], config=small)
    assert model.conditions.categorical == {"cell_type": ("here",)}
    assert "145 cells" in model.fit(max_epochs=1, progress=False).summary()


def test_counts_are_read_from_the_one_layer_that_holds_them(simulated: ad.AnnData) -> None:
    adata = simulated.copy()
    adata.layers["counts"] = adata.X.copy()
    adata.X = adata.X.log1p()
    with pytest.warns(ScdiffuseWarning, match="layer .counts., the one place that holds them"):
        found = CellGenerator(adata)
    assert len(found.genes) == len(CellGenerator(simulated).genes)
    assert len(CellGenerator(adata, layer="counts").genes) == len(CellGenerator(simulated).genes)


def test_a_mistyped_column_gets_a_guess(simulated: ad.AnnData) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'cell_type'"):
        CellGenerator(simulated, conditions=["celltype"])


def test_a_label_of_one_cell_counts_as_missing(simulated: ad.AnnData) -> None:
    adata = simulated.copy()
    adata.obs["cell_type"] = ["one"] + ["two"] * 100 + ["three"] * 49
    with pytest.warns(ScdiffuseWarning, match="1 cell has a label of 'cell_type' of its own"):
        model = CellGenerator(adata, conditions=["cell_type"])
    assert list(model.conditions.categorical["cell_type"]) == ["three", "two"]


def test_without_a_compiler_a_compiled_fit_leaves_nothing(
    simulated: ad.AnnData, small: ModelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    config = replace(small, diffusion_training=replace(small.diffusion_training, compiled=True))
    with pytest.raises(SettingError, match=r"`compiled` is True, and no compiler is installed for .cpu."):
        CellGenerator(simulated, config=config).fit(tmp_path / "model", progress=False)
    assert not (tmp_path / "model").exists()


def test_fits_in_two_threads_are_those_of_one_after_the_other(simulated: ad.AnnData, small: ModelConfig) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        model = CellGenerator(simulated, conditions=["cell_type"], config=small)
        return networks_of(model.fit(max_epochs=2, seed=seed, progress=False)).copies()

    apart = [weights(seed) for seed in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(weights, (0, 1)))
    for one, other in zip(apart, together, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)

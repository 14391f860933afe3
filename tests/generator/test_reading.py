"""Fits that read their cells from disk."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import torch
from tests.fitted_model import networks_of

import scdiffuse as scd
from scdiffuse._core.errors import SettingError
from scdiffuse.cells import Blocks
from scdiffuse.fitting import _fit as _fitting
from scdiffuse.foundation import Embedding
from scdiffuse.generator import CellGenerator
from scdiffuse.model import ModelConfig
from scdiffuse.train import TrainState


@pytest.fixture
def shards(simulated: ad.AnnData, tmp_path: Path) -> Path:
    """The simulated cells in four shards."""
    simulated.write_h5ad(tmp_path / "cells.h5ad")
    return scd.shard(tmp_path / "cells.h5ad", tmp_path / "shards", cells_per_shard=40, progress=False).folder


@pytest.fixture
def _small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several buffers an epoch, also for few cells: steps of 32 cells, two of them together."""
    monkeypatch.setattr(_fitting, "plan_blocks", lambda *_: Blocks(16, 4))


def _weights(model: CellGenerator) -> dict[str, torch.Tensor]:
    return dict(networks_of(model).state_dict())


def test_a_folder_of_shards_is_fitted_as_its_cells_in_memory(
    simulated: ad.AnnData, shards: Path, small: ModelConfig
) -> None:
    from_disk = CellGenerator(shards, conditions=["cell_type"], config=small).fit(max_epochs=1, progress=False)
    order = [name for path in sorted(shards.glob("*.h5ad")) for name in ad.read_h5ad(path).obs_names]
    in_memory = CellGenerator(simulated[order].copy(), conditions=["cell_type"], config=small)
    assert (
        from_disk.summary().splitlines()[1:] == in_memory.fit(max_epochs=1, progress=False).summary().splitlines()[1:]
    )
    assert np.allclose(from_disk.encode(shards), from_disk.encode(simulated[order].copy()), atol=1e-5)


@pytest.mark.usefixtures("_small_buffers")
def test_prefetching_changes_nothing(shards: Path, small: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = CellGenerator(shards, config=small).fit(progress=False)
    monkeypatch.setattr("scdiffuse.cells.Prefetch.rows", lambda self, indices: self._source.rows(indices))
    plain = CellGenerator(shards, config=small).fit(progress=False)
    for name, weight in _weights(plain).items():
        assert torch.equal(_weights(ahead)[name], weight), name


@pytest.mark.usefixtures("_small_buffers")
@pytest.mark.parametrize("n_steps", [3, 5, 9])
def test_a_fit_killed_in_the_middle_of_an_epoch_goes_on_exactly(
    shards: Path, small: ModelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, n_steps: int
) -> None:
    whole = CellGenerator(shards, config=small).fit(tmp_path / "whole", progress=False)
    taken = TrainState.validate

    def die(state: TrainState, *given: object, **how: object) -> None:
        taken(state, *given, **how)  # type: ignore[arg-type]
        if state.step >= n_steps:
            raise SystemExit

    monkeypatch.setattr("scdiffuse.train._loop._CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(TrainState, "validate", die)
    with pytest.raises(SystemExit):
        CellGenerator(shards, config=small).fit(tmp_path / "killed", progress=False)
    monkeypatch.setattr(TrainState, "validate", taken)
    resumed = CellGenerator(shards, config=small).fit(tmp_path / "killed", resume=True, progress=False)
    for name, weight in _weights(whole).items():
        assert torch.equal(_weights(resumed)[name], weight), name


def test_several_files_say_what_genes_they_share(simulated: ad.AnnData, small: ModelConfig, tmp_path: Path) -> None:
    simulated[:80].copy().write_h5ad(tmp_path / "one.h5ad")
    simulated[80:, 5:].copy().write_h5ad(tmp_path / "two.h5ad")
    with pytest.warns(UserWarning, match="2 files share 20 genes"):
        model = CellGenerator([tmp_path / "one.h5ad", tmp_path / "two.h5ad"], config=small)
    assert "2 files share 20 genes. 20 of 20 genes kept" in model.summary()
    assert len(model.fit(max_epochs=1, progress=False).genes) == 20


def test_shards_carry_no_embedding(shards: Path) -> None:
    with pytest.raises(SettingError, match=r"does not have; expected an AnnData or one `\.h5ad` file"):
        CellGenerator(shards, latent=Embedding("X_pca"))

"""On an accelerator: what is learnt and made is what the CPU learns and makes, up to rounding.

Skipped where PyTorch finds none; `tests/stand_in` has one that stands in for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import torch

import scdiffuse as scd
from scdiffuse.model import ModelConfig

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not torch.accelerator.is_available(), reason="PyTorch finds no accelerator"),
]
N_STEPS = 20


@pytest.fixture(scope="module")
def device() -> str:
    """Name the accelerator."""
    return str(torch.accelerator.current_accelerator())


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    """Real cells with a label and a number."""
    found = scd.datasets.pbmc68k()
    found.obs["score"] = np.asarray(found.X[:, :50].sum(axis=1), dtype=float).ravel()
    return found


def _fit(cells: ad.AnnData, device: str, **changed: object) -> scd.CellGenerator:
    config = ModelConfig()
    stages = {
        name: replace(getattr(config, name), max_steps=N_STEPS, **changed)
        for name in ("autoencoder_training", "diffusion_training")
    }
    model = scd.CellGenerator(cells, conditions=["cell_type"], continuous=["score"], config=replace(config, **stages))
    return model.fit(seed=0, device=device, progress=False)


@pytest.fixture(scope="module")
def here(cells: ad.AnnData) -> scd.CellGenerator:
    """A model of the CPU."""
    return _fit(cells, "cpu")


@pytest.fixture(scope="module")
def there(cells: ad.AnnData, device: str) -> scd.CellGenerator:
    """The same of the accelerator, with classifiers."""
    model = _fit(cells, device)
    model.add_classifier("type", cells, obs_key="cell_type", max_epochs=3, progress=False)
    return model.add_classifier("score", cells, obs_key="score", max_epochs=3, progress=False)


@pytest.fixture(scope="module")
def labels(cells: ad.AnnData) -> list[str]:
    """The labels of cells."""
    return list(cells.obs["cell_type"].cat.categories)


def _losses(model: scd.CellGenerator) -> dict[str, float]:
    return {stage: min(held for _, _, held in curve) for stage, curve in model.history.items()}


def _cells(model: scd.CellGenerator, n: int) -> ad.AnnData:
    made = model.generate(n, seed=3, progress=False)
    assert isinstance(made, ad.AnnData)
    return made


def test_it_learns_what_the_cpu_learns(here: scd.CellGenerator, there: scd.CellGenerator) -> None:
    assert _losses(there) == pytest.approx(_losses(here), rel=1e-3)


def test_bfloat16_learns_nearly_the_same(cells: ad.AnnData, there: scd.CellGenerator, device: str) -> None:
    assert _losses(_fit(cells, device, precision="bf16")) == pytest.approx(_losses(there), rel=0.01)


def test_saved_models_make_the_same_cells_anywhere(there: scd.CellGenerator, device: str, tmp_path: Path) -> None:
    there.save(tmp_path / "model.scd")
    made = [_cells(scd.load(tmp_path / "model.scd", device=where), 200) for where in ("cpu", device)]
    changed = (made[0].X != made[1].X).nnz / made[0].X.nnz
    assert changed < 0.01  # a fraction that is rounded may cross a threshold
    assert made[0].obs.equals(made[1].obs)


@pytest.mark.parametrize(
    "make",
    [
        lambda model, cells, labels: model.generate(30, where={"cell_type": labels[0]}, guidance=2.0, progress=False),
        lambda model, cells, labels: model.generate(
            30,
            where={"cell_type": labels[1]},
            guidance=scd.Guidance(toward={"type": (labels[0], 2.0), "score": (60.0, 1.0)}),
            progress=False,
        ),
        lambda model, cells, labels: model.generate(
            30, guidance=scd.Guidance(away={"type": labels[0]}), progress=False
        ),
        lambda model, cells, labels: model.predict(cells[:30].copy(), {"cell_type": labels[1]}, progress=False),
        lambda model, cells, labels: model.trajectory(
            cells[:10].copy(), {"cell_type": labels[1]}, n_states=3, keep=0.5, progress=False
        ),
        lambda model, cells, labels: model.distill(n_paths=256, max_epochs=1, progress=False).generate(
            30, progress=False
        ),
        lambda model, cells, labels: model.augment(cells, by="cell_type", n_per_label=120, progress=False),
    ],
    ids=["guidance", "classifiers", "away", "predict", "trajectory", "distilled", "augment"],
)
def test_cells_are_made_in_every_way(
    there: scd.CellGenerator,
    cells: ad.AnnData,
    labels: list[str],
    make: Callable[[scd.CellGenerator, ad.AnnData, list[str]], ad.AnnData],
) -> None:
    made = make(there, cells, labels)
    assert made.n_obs >= 30
    assert (np.asarray(made.X.sum(axis=1)) > 0).all()


def test_latents_are_those_of_the_cpu(there: scd.CellGenerator, cells: ad.AnnData, tmp_path: Path) -> None:
    there.save(tmp_path / "model.scd")
    np.testing.assert_allclose(
        there.encode(cells), scd.load(tmp_path / "model.scd").encode(cells), rtol=1e-3, atol=1e-3
    )

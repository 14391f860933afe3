"""Each correction has an off-switch: off means that cells are those of the networks alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from tests.fitted_model import networks_of

from scdiffuse.autoencoder import GeneFactors
from scdiffuse.calibration import CalibrationConfig
from scdiffuse.generator import CellGenerator
from scdiffuse.model import ModelConfig, gene_factor_table

UNSEEN = {"cell_type": "B", "treated": True}
RARE = {"cell_type": "B", "treated": False}


@pytest.fixture(scope="module")
def seen(simulated: ad.AnnData) -> ad.AnnData:
    """Cells with labels, but for treated B cells; read only."""
    labelled = simulated.obs["cell_type"].notna()
    return simulated[labelled & ~((simulated.obs["cell_type"] == "B") & simulated.obs["treated"])].copy()


def fitted_with(seen: ad.AnnData, small: ModelConfig, **settings: Any) -> CellGenerator:
    config = replace(small, calibration=CalibrationConfig(**settings))
    return CellGenerator(seen, conditions=["cell_type", "treated"], config=config).fit(progress=False)


def factors_of(model: CellGenerator, where: dict[str, Any]) -> GeneFactors | None:
    table = gene_factor_table(networks_of(model), seed=model.seed)
    return None if table is None else table.of(model.conditions.encode(pd.DataFrame([where])))


def counts_of(model: CellGenerator, where: dict[str, Any]) -> sp.csr_matrix:
    made = model.generate(60, where=where, progress=False)
    assert isinstance(made, ad.AnnData)
    return made.X


@pytest.fixture(scope="module")
def on(seen: ad.AnnData, small: ModelConfig) -> CellGenerator:
    """A model with all corrections; read only."""
    return fitted_with(seen, small)


@pytest.fixture(scope="module")
def off(seen: ad.AnnData, small: ModelConfig) -> CellGenerator:
    """The same without any; read only."""
    return fitted_with(seen, small, expected_expression=False, rare_combinations=False)


def test_corrections_change_no_network(on: CellGenerator, off: CellGenerator) -> None:
    with_factors, without = networks_of(on).copies(), networks_of(off).copies()
    assert with_factors.keys() == without.keys()
    changed = [name for name, one in with_factors.items() if not torch.equal(one, without[name])]
    assert changed == ["expected.rare_factors"]


def test_on_combinations_unseen_and_rare_have_gene_factors(on: CellGenerator) -> None:
    assert factors_of(on, UNSEEN) is not None
    assert factors_of(on, RARE) is not None


def test_off_no_combination_has_gene_factors(off: CellGenerator) -> None:
    assert factors_of(off, UNSEEN) is None
    assert factors_of(off, RARE) is None
    assert (networks_of(off).copies()["expected.rare_factors"] == 1).all()


@pytest.mark.parametrize(("switch", "where"), [("expected_expression", UNSEEN), ("rare_combinations", RARE)])
def test_each_switch_is_of_its_own_correction_alone(
    seen: ad.AnnData, small: ModelConfig, on: CellGenerator, off: CellGenerator, switch: str, where: dict[str, Any]
) -> None:
    other = RARE if where == UNSEEN else UNSEEN
    model = fitted_with(seen, small, **{switch: False})
    assert factors_of(model, where) is None
    assert factors_of(model, other) is not None
    assert (counts_of(model, where) != counts_of(off, where)).nnz == 0
    assert (counts_of(model, where) != counts_of(on, where)).nnz > 0
    assert (counts_of(model, other) != counts_of(on, other)).nnz == 0


def test_a_weight_of_zero_is_off(seen: ad.AnnData, small: ModelConfig, off: CellGenerator) -> None:
    model = fitted_with(seen, small, expected_weight=0.0)
    found = factors_of(model, UNSEEN)
    assert found is not None
    np.testing.assert_allclose(found.factors, 1.0, rtol=1e-6)
    assert (counts_of(model, UNSEEN) != counts_of(off, UNSEEN)).nnz == 0


def test_numbers_of_many_values_are_not_calibrated(simulated: ad.AnnData, small: ModelConfig) -> None:
    config = replace(small, calibration=CalibrationConfig(most_grid_values=4))
    model = CellGenerator(simulated, continuous=["day"], config=config).fit(max_epochs=1, progress=False)
    assert gene_factor_table(networks_of(model), seed=model.seed) is None


def test_settings_are_saved_with_the_model(off: CellGenerator) -> None:
    assert not off.config.calibration.expected_expression
    assert ModelConfig.from_dict(off.config.to_dict()) == off.config


def test_without_library_size_scores_generated_library_sizes_are_log_normal(
    simulated: ad.AnnData, small: ModelConfig
) -> None:
    """The score of a library size is its standardised log, and the networks see nothing else of it."""
    model = CellGenerator(simulated, config=replace(small, library_size_scores=False)).fit(max_epochs=1, progress=False)
    logs = np.log(np.asarray(simulated.X.sum(axis=1), dtype=np.float64).ravel())
    score = networks_of(model).library_size_score
    np.testing.assert_allclose(score.of(np.exp(logs)), (logs - logs.mean()) / logs.std(), atol=1e-6)
    made = score.library_sizes(torch.tensor([-1.0, 0.0, 1.0]))
    expected = np.exp(logs.mean() + np.array([-1.0, 0.0, 1.0]) * logs.std())
    np.testing.assert_allclose(made, expected, atol=0.5)


def test_gene_factors_of_an_inverted_path_go_from_those_of_its_start_to_those_of_its_target(
    seen: ad.AnnData, on: CellGenerator, off: CellGenerator
) -> None:
    here = {"cell_type": "T", "treated": False}
    start = seen[(seen.obs["cell_type"] == "T") & ~seen.obs["treated"]].copy()
    sums = []
    for model in (on, off):
        path = model.trajectory(start, to=UNSEEN, n_states=3, keep=1.0, library_size=20_000, progress=False)
        assert isinstance(path, ad.AnnData)
        sums.append([np.asarray(path[path.obs["state"] == at].X.sum(axis=0)).ravel() for at in range(3)])
    ends = []
    for where in (here, UNSEEN):
        factors = factors_of(on, where)
        assert factors is not None
        ends.append(np.log(factors.factors[0]))
    expected = (ends[0], (ends[0] + ends[1]) / 2, ends[1])
    for with_factors, without, logs in zip(*sums, expected, strict=True):
        assert np.corrcoef(np.log(with_factors / without), logs)[0, 1] > 0.95

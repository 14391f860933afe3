"""What labels never seen together express: exact where effects multiply, untouched where labels were seen together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from tests.fitted_model import networks_of

from scdiffuse.calibration import CalibrationConfig, ConditionGrid, ExpectedExpression, GeneFactorTable, Pseudobulk
from scdiffuse.cells import ConditionTable, collect_statistics, open_source
from scdiffuse.generator import CellGenerator, load
from scdiffuse.model import ModelConfig, gene_factor_table
from scdiffuse.nn import UnseenLabels

UNSEEN = {"cell_type": "B", "treated": True}


def cells_of(model: CellGenerator, n: int | None = None, **asked: Any) -> ad.AnnData:
    made = model.generate(n, progress=False, **asked)
    assert isinstance(made, ad.AnnData)
    return made


def table_of(codes: list[list[int]]) -> ConditionTable:
    return ConditionTable(np.array(codes, dtype=np.int64), np.zeros((len(codes), 0), np.float32))


def pooled_of(cells: ad.AnnData, codes: ConditionTable, grid: ConditionGrid | None) -> Pseudobulk:
    """Add the counts of cells up by the combinations of a grid."""
    groups = grid.groups(codes) if grid else None
    found = collect_statistics(open_source(cells), min_cells=0, groups=groups)
    return Pseudobulk(
        counts=found.group_counts[:-1],
        others=found.group_counts[-1],
        detected=found.n_cells_by_gene / cells.n_obs,
        n_cells=cells.n_obs,
    )


def table_from(model: CellGenerator, *, power: float = 1.0) -> GeneFactorTable:
    found = gene_factor_table(networks_of(model), seed=model.seed, power=power)
    assert found is not None
    return found


def calibrated(config: ModelConfig, **settings: Any) -> ModelConfig:
    """The same settings but for the calibration."""
    return replace(config, calibration=CalibrationConfig(**settings))


@pytest.fixture(scope="module")
def crossed(simulated: ad.AnnData) -> ad.AnnData:
    """Cells of three types, treated or not, but for treated B cells; treatment raises the first genes threefold."""
    draw, cells = np.random.default_rng(1), simulated[simulated.obs["cell_type"].notna()].copy()
    counts = cells.X.toarray()
    treated = cells.obs["treated"].to_numpy()
    counts[np.ix_(treated, np.arange(8))] += draw.poisson(2.0 * counts[np.ix_(treated, np.arange(8))])
    cells.X = sp.csr_matrix(counts, dtype=np.float32)
    return cells[~((cells.obs["cell_type"] == "B") & treated)].copy()


@pytest.fixture(scope="module")
def model(crossed: ad.AnnData, small: ModelConfig) -> CellGenerator:
    """A model of two conditions that saw all but one combination; read only."""
    return CellGenerator(crossed, conditions=["cell_type", "treated"], config=small).fit(progress=False)


@pytest.fixture(scope="module")
def uncalibrated(crossed: ad.AnnData, small: ModelConfig) -> CellGenerator:
    """The same networks with all corrections off; read only."""
    config = calibrated(small, expected_expression=False, rare_combinations=False)
    return CellGenerator(crossed, conditions=["cell_type", "treated"], config=config).fit(progress=False)


def test_counts_are_pooled_by_combination_and_the_rest_apart(simulated: ad.AnnData) -> None:
    cells = np.array([3, 4, 5, 70, 149])
    codes = table_of([[0, 1], [1, 0], [0, 1], [-1, 1], [1, 0]])
    grid = ConditionGrid.of([2, 2], codes)
    assert grid is not None
    assert grid.seen.tolist() == [[0, 1], [1, 0]]
    assert grid.n_cells.tolist() == [2, 2]
    pooled = pooled_of(simulated[cells].copy(), codes, grid)
    totals = [np.asarray(simulated.X[rows].sum(axis=0)).ravel() for rows in ([3, 5], [4, 149], [70])]
    np.testing.assert_array_equal(pooled.counts, totals[:2])
    np.testing.assert_array_equal(pooled.others, totals[2])
    fractions = np.sum(totals, axis=0) + 0.5
    np.testing.assert_allclose(pooled.fractions, fractions / fractions.sum())


def test_only_the_most_frequent_combinations_are_pooled(simulated: ad.AnnData) -> None:
    codes = table_of([[0, 0], [1, 1], [1, 1]])
    grid = ConditionGrid.of([2, 2], codes, CalibrationConfig(most_combinations=1))
    pooled = pooled_of(simulated[:3].copy(), codes, grid)
    np.testing.assert_array_equal(pooled.counts, simulated.X[1:3].sum(axis=0))
    np.testing.assert_array_equal(pooled.others, simulated.X[0].toarray().ravel())


def test_without_a_grid_all_cells_are_added_up(simulated: ad.AnnData) -> None:
    pooled = pooled_of(simulated[:10].copy(), table_of([[0]] * 10), None)
    assert pooled.counts.shape == (0, simulated.n_vars)
    np.testing.assert_array_equal(pooled.others, np.asarray(simulated.X[:10].sum(axis=0)).ravel())


@pytest.mark.parametrize(("reads", "low", "high"), [(1, 0.9, 1.3), (40, 30.0, 50.0)])
def test_counts_per_detection_tell_reads_from_umis(reads: int, low: float, high: float) -> None:
    draw = np.random.default_rng(0)
    umis = draw.poisson(draw.lognormal(-1.5, 1.0, 60), (200, 60))
    cells = ad.AnnData(sp.csr_matrix(draw.poisson(reads * umis) if reads > 1 else umis, dtype=np.float32))[:150].copy()
    pooled = pooled_of(cells, table_of([[0]] * 150), None)
    np.testing.assert_allclose(pooled.detected, np.mean(cells.X.toarray() > 0, axis=0))
    assert low < pooled.counts_per_detection < high


def test_few_rare_genes_do_not_make_reads() -> None:
    pooled = Pseudobulk(np.zeros((0, 20)), np.full(20, 900.0), detected=np.repeat([0.9, 0.01], [15, 5]), n_cells=100)
    assert pooled.counts_per_detection == 1.0


def test_a_fit_to_reads_begins_where_reads_are(crossed: ad.AnnData, small: ModelConfig) -> None:
    reads = crossed.copy()
    reads.X.data = np.random.default_rng(0).poisson(30.0 * reads.X.data).astype(np.float32)
    reads.X.eliminate_zeros()
    config = replace(small, autoencoder=replace(small.autoencoder, dispersion_fit=False))
    sizes = []
    for cells in (crossed, reads):
        model = CellGenerator(cells, conditions=["cell_type"], config=config).fit(max_epochs=1, progress=False)
        sizes.append(np.median(networks_of(model).copies()["autoencoder.likelihood.log_outlier_size"]))
    assert sizes[0] == pytest.approx(2.5, abs=1.0)
    assert sizes[1] == pytest.approx(np.log(30.0), abs=1.0)


def test_labels_never_seen_together_come_towards_what_is_expected(model: CellGenerator) -> None:
    asked = model.conditions.encode(cells_of(model, 1, where=UNSEEN).obs)
    factor_table = table_from(model)
    gene_factors = factor_table.of(asked)
    assert gene_factors is not None
    made = np.asarray(cells_of(model, 4_000, where=UNSEEN, library_size=2_000).X.sum(axis=0)).ravel()
    plain = made / gene_factors.factors[0]
    expected = factor_table.expected
    mean = expected(asked.codes)[0]
    between = expected.fractions(0.6 * mean + 0.4 * expected.transform(plain / plain.sum()))
    assert np.abs(np.log(gene_factors.factors[0])).max() > 0.05
    np.testing.assert_allclose(made / made.sum(), between / between.sum(), rtol=0.1)


def test_labels_of_enough_cells_or_missing_are_left_as_they_are(crossed: ad.AnnData, small: ModelConfig) -> None:
    config = calibrated(small, rare_cells=1)
    model = CellGenerator(crossed, conditions=["cell_type", "treated"], config=config).fit(progress=False)
    factor_table, seen = table_from(model), networks_of(model).trained_on
    assert factor_table.of(seen) is None
    assert factor_table.of(ConditionTable(np.array([[-1, 1], [2, -1]]), seen.values[:2])) is None


def test_a_cell_does_not_depend_on_the_combinations_beside_it(model: CellGenerator) -> None:
    alone = cells_of(model, 5, where=UNSEEN)
    table = alone.obs[["cell_type", "treated"]].copy()
    table.iloc[[1, 3]] = ["T", True]
    mixed = cells_of(model, where=table)
    assert mixed.obs["unseen"].tolist() == [True, False, True, False, True]
    assert (mixed.X[[0, 2, 4]] != alone.X[[0, 2, 4]]).nnz == 0
    seen = cells_of(model, 5, where={"cell_type": "T", "treated": True})
    assert (mixed.X[[1, 3]] != seen.X[[1, 3]]).nnz == 0


def test_cells_predicted_under_labels_never_seen_together_have_gene_factors_too(
    model: CellGenerator, uncalibrated: CellGenerator, crossed: ad.AnnData
) -> None:
    cells = crossed[crossed.obs["cell_type"] == "B"].copy()
    made = model.predict(cells, {"treated": True}, progress=False)
    assert made.obs["unseen"].all()
    plain = uncalibrated.predict(cells, {"treated": True}, progress=False)
    np.testing.assert_array_equal(made.obsm["X_scdiffuse"], plain.obsm["X_scdiffuse"])
    assert (made.X != plain.X).nnz > 0


def test_a_saved_model_expects_the_same(model: CellGenerator, tmp_path: Path) -> None:
    again = load(model.save(tmp_path / "model"))
    before, after = (cells_of(one, 20, where=UNSEEN) for one in (model, again))
    assert (before.X != after.X).nnz == 0


def test_factors_keep_the_sum_of_fractions() -> None:
    from scdiffuse.autoencoder import GeneFactors

    fractions = np.array([[0.5, 0.5], [0.2, 0.8], [0.9, 0.1]], np.float32)
    gene_factors = GeneFactors(np.array([[1.0, 3.0]], np.float32), np.array([5, 0, -1, 0]))
    np.testing.assert_allclose(
        gene_factors.apply(fractions, slice(1, 4)), [[0.25, 0.75], [0.2, 0.8], [0.75, 0.25]], rtol=1e-6
    )


@pytest.fixture(scope="module")
def timed(simulated: ad.AnnData, small: ModelConfig) -> CellGenerator:
    """A model of a number measured at five points, which has no rare combinations; read only."""
    config = calibrated(small, rare_combinations=False)
    return CellGenerator(simulated, continuous=["day"], config=config).fit(progress=False)


def test_between_two_times_genes_are_interpolated_and_at_measured_ones_left(timed: CellGenerator) -> None:
    factor_table = table_from(timed)
    days = pd.DataFrame({"day": [0.5, 0.75, 0.51, 1.0, 3.0, np.nan]})
    gene_factors = factor_table.of(timed.conditions.encode(days))
    assert gene_factors is not None
    assert gene_factors.row.tolist() == [-1, 1, 0, -1, -1, -1]
    nearest = factor_table._find((9,))
    assert nearest is not None
    np.testing.assert_allclose(np.log(gene_factors.factors[0]), 0.16 * np.log(nearest), atol=1e-5)
    expected, between = factor_table.expected, factor_table._find((12,))
    assert between is not None
    made = expected.transform(factor_table.generated(timed.conditions.encode(days[1:2])))
    wanted = expected.fractions(0.6 * expected(np.array([[1], [2]])).mean(axis=0) + 0.4 * made)
    np.testing.assert_allclose(between, wanted / expected.fractions(made), rtol=1e-5)


def test_the_factors_between_two_times_fade_towards_them(timed: CellGenerator) -> None:
    factor_table = table_from(timed)
    sizes = [np.abs(np.log(found)).sum() for at in (9, 10, 12) if (found := factor_table._find((at,))) is not None]
    assert len(sizes) == 3
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.filterwarnings("ignore:The paths of branch:UserWarning")
def test_a_trajectory_between_measured_times_has_gene_factors_where_the_state_moves_in_full(
    timed: CellGenerator, simulated: ad.AnnData, small: ModelConfig
) -> None:
    off = calibrated(small, expected_expression=False, rare_combinations=False)
    plain = CellGenerator(simulated, continuous=["day"], config=off).fit(progress=False)
    cells = simulated[(simulated.obs["day"] == 0.0).to_numpy()][:6].copy()

    def followed(model: CellGenerator, method: Any) -> ad.AnnData:
        return model.trajectory(cells, {"day": 2.0}, n_states=9, method=method, progress=False)

    pair = [followed(model, "inversion") for model in (timed, plain)]
    differs = np.asarray((pair[0].X != pair[1].X).sum(axis=1)).ravel() > 0
    assert set(pair[0].obs["state"][differs]) == {1, 3, 5, 7}
    assert (followed(timed, "partial_noising").X != followed(plain, "partial_noising").X).nnz == 0


def test_labels_of_few_cells_come_towards_the_counts_of_these(model: CellGenerator, crossed: ad.AnnData) -> None:
    factor_table = table_from(model)
    asked = model.conditions.encode(pd.DataFrame({"cell_type": ["B"], "treated": [False]}))
    gene_factors = factor_table.of(asked)
    assert gene_factors is not None
    own = crossed.X[((crossed.obs["cell_type"] == "B") & ~crossed.obs["treated"]).to_numpy()]
    counts, n = np.asarray(own.sum(axis=0)).ravel(), own.shape[0]
    mean = counts.sum() * factor_table.generated(asked)
    worth = 1 / (1 + mean / (2 * n))
    wanted = ((3 + worth * counts) / (3 + worth * mean)) ** (1 - n / 100)
    np.testing.assert_allclose(gene_factors.factors[0], wanted, rtol=1e-4)
    off = [np.abs(np.log(fractions / counts)) for fractions in (mean, mean * wanted)]
    assert off[1].mean() < 0.8 * off[0].mean()


def test_the_factors_of_conditions_asked_for_by_half_are_half(model: CellGenerator) -> None:
    whole, half = table_from(model), table_from(model, power=0.5)
    asked = model.conditions.encode(pd.DataFrame({"cell_type": ["B", "T"], "treated": [True, True]}))
    pair = whole.of(asked), half.of(asked)
    assert pair[0] is not None
    assert pair[1] is not None
    np.testing.assert_allclose(pair[1].factors ** 2, pair[0].factors, rtol=1e-5)
    assert gene_factor_table(networks_of(model), seed=0, power=0.0) is None


def test_without_guidance_cells_are_those_without_conditions(model: CellGenerator) -> None:
    free = cells_of(model, 30, where=UNSEEN, guidance=0.0)
    none = cells_of(model, 30, where=dict.fromkeys(UNSEEN))
    assert (free.X != none.X).nnz == 0


def test_an_unseen_label_is_as_unsure_as_its_features_leave_it() -> None:
    draw, n_genes, n_labels = np.random.default_rng(0), 300, 9
    means = np.exp(draw.normal(0, 0.5, n_genes) + draw.normal(0, 0.5, (n_labels + 1, n_genes)))
    codes = np.array([[label, 0] for label in range(n_labels)])
    table = ConditionTable(codes, np.zeros((n_labels, 0), np.float32), np.full(n_labels, 100))
    grid = ConditionGrid.of((n_labels, 1), table)
    assert grid is not None
    unseen = UnseenLabels((n_labels, 1), (1, 0))  # with equal weights: features tell nothing
    expected = ExpectedExpression(grid, n_genes, unseen=unseen)
    counts = draw.poisson(500 * means[:n_labels]).astype(float)
    expected.learn(Pseudobulk(counts, np.zeros(n_genes), np.full(n_genes, 0.9), 100 * n_labels))
    asked = np.array([[n_labels, 0]])
    missed = expected(asked)[0] - expected.transform(means[n_labels] / means[n_labels].sum())
    variance, beside = expected.variance(asked)[0], expected.unseen_variance(asked)[0]
    assert np.mean(np.abs(missed) < 1.96 * np.sqrt(variance + beside)) > 0.85
    assert np.mean(np.abs(missed) < 1.96 * np.sqrt(variance)) < 0.5
    assert not expected.unseen_variance(np.array([[0, 0]])).any()
    unseen.expected_error(0).zero_()
    assert not expected.unseen_variance(asked).any()

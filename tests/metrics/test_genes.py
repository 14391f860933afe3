"""Gene and QC metrics against numpy, closed forms and planted faults."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from scdiffuse._core.errors import GenesError, SettingError
from scdiffuse.metrics import (
    GeneProfile,
    gene_correlation,
    gene_profile,
    invalid_values,
    log_normalise,
    mean_error,
    mean_variance_trend,
    qc_features,
    variance_error,
    zero_error,
)

Forms = (sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, np.asarray)


def negative_binomial(n: int, *, dispersion: float, seed: int, n_genes: int = 300) -> np.ndarray:
    """Counts whose variance is ``mean + mean^2 / dispersion``; gene means are the same for every seed."""
    means = np.random.default_rng(0).gamma(0.5, 4.0, n_genes) + 0.05
    stream = np.random.default_rng(seed)
    return stream.poisson(means * stream.gamma(dispersion, 1 / dispersion, (n, n_genes))).astype(np.float32)


@pytest.mark.parametrize("form", Forms)
def test_the_profile_agrees_with_numpy_in_every_matrix_form(form: object) -> None:
    dense = negative_binomial(50, dispersion=2.0, seed=1).astype(np.float64)
    profile = gene_profile(form(dense))  # type: ignore[operator]
    assert np.allclose(profile.mean, dense.mean(axis=0))
    assert np.allclose(profile.variance, dense.var(axis=0, ddof=1))
    assert np.allclose(profile.zero_fraction, (dense == 0).mean(axis=0))


def test_a_variance_needs_two_cells() -> None:
    with pytest.raises(SettingError, match="a variance needs at least two"):
        gene_profile(np.ones((1, 3)))


def test_log_normalised_cells_share_their_total() -> None:
    values = log_normalise(negative_binomial(20, dispersion=2.0, seed=1))
    assert np.allclose(np.expm1(values.toarray().astype(np.float64)).sum(axis=1), 1e4, rtol=1e-5)


def test_an_empty_cell_stays_empty() -> None:
    assert log_normalise(np.array([[0.0, 0.0], [1.0, 3.0]]))[0].nnz == 0


def test_log_normalising_leaves_the_counts_alone() -> None:
    counts = sparse.csr_matrix(np.array([[1.0, 3.0]]))
    log_normalise(counts)
    assert counts.toarray().tolist() == [[1.0, 3.0]]


def test_qc_features_of_a_hand_computed_cell() -> None:
    counts = np.array([[1, 0, 5, 1, 3], [0, 0, 0, 0, 0]])
    features, names = qc_features(counts, ["RPS2", "ACTB", "MT-CO1", "Rpl3", "CD3E"])
    expected = [np.log1p(10), np.log1p(4), 0.5, 0.5, 0.2, 0.5]
    assert names == (
        "log_library_size",
        "log_genes_detected",
        "singleton_fraction",
        "top_gene_fraction",
        "ribosomal_fraction",
        "mitochondrial_fraction",
    )
    assert features[0] == pytest.approx(expected, rel=1e-6)
    assert features[1] == pytest.approx(np.zeros(6))


def test_qc_features_leave_out_gene_classes_that_are_not_there() -> None:
    assert len(qc_features(np.ones((2, 2)), ["ACTB", "CD3E"])[1]) == 4


def test_qc_features_need_one_name_a_gene() -> None:
    with pytest.raises(GenesError, match="Got 1 gene names for 2 genes"):
        qc_features(np.ones((2, 2)), ["ACTB"])


def test_doubled_means_are_one_doubling_off() -> None:
    profile = GeneProfile(np.array([10.0, 100.0]), np.array([20.0, 300.0]), np.array([0.1, 0.0]))
    doubled = profile._replace(mean=2 * profile.mean + 0.01, variance=2 * profile.variance + 0.01)
    assert mean_error(profile, doubled) == pytest.approx(1.0)
    assert variance_error(profile, doubled) == pytest.approx(1.0)


def test_zero_error_is_the_mean_difference() -> None:
    profile = GeneProfile(np.ones(2), np.ones(2), np.array([0.1, 0.5]))
    assert zero_error(profile, profile._replace(zero_fraction=np.array([0.3, 0.5]))) == pytest.approx(0.1)


@pytest.mark.parametrize("dispersion", [0.5, 1e6])
def test_the_trend_sees_over_and_under_dispersion(dispersion: float) -> None:
    real, again, wrong = (
        gene_profile(negative_binomial(800, dispersion=d, seed=s)) for d, s in ((2.0, 1), (2.0, 2), (dispersion, 3))
    )
    assert mean_variance_trend(real, wrong) > 4 * mean_variance_trend(real, again)


def test_the_trend_ignores_a_change_of_means_alone() -> None:
    real = gene_profile(negative_binomial(800, dispersion=1e6, seed=1))
    other = gene_profile(np.random.default_rng(1).permutation(negative_binomial(800, dispersion=1e6, seed=2), axis=1))
    assert mean_variance_trend(real, other) < 0.05 < mean_error(real, other)


def test_the_trend_of_empty_genes_is_unknown() -> None:
    empty = gene_profile(np.zeros((3, 4)))
    assert np.isnan(mean_variance_trend(empty, empty))


@pytest.mark.parametrize(("bad", "share"), [(-1.0, 0.25), (0.5, 0.25), (np.inf, 0.25), (np.nan, 0.25), (7.0, 0.0)])
def test_values_that_cannot_be_counts_are_counted(bad: float, share: float) -> None:
    assert invalid_values(np.array([[1.0, bad], [2.0, 3.0]])) == share


def test_no_values_are_no_fault() -> None:
    assert invalid_values(np.zeros((2, 2))) == 0.0


def test_gene_correlation_agrees_with_numpy() -> None:
    real, generated = negative_binomial(200, dispersion=1.0, seed=1), negative_binomial(200, dispersion=1.0, seed=2)
    logs = [log_normalise(side).toarray().astype(np.float64) for side in (real, generated)]
    top = np.sort(np.argsort(-(logs[0].var(axis=0) + logs[1].var(axis=0)))[:50])
    triangles = [np.corrcoef(side[:, top], rowvar=False)[np.triu_indices(50, k=1)] for side in logs]
    expected = np.corrcoef(*triangles)[0, 1]
    assert gene_correlation(real, generated, top=50).r == pytest.approx(expected, abs=1e-6)


def modules(n: int, *, seed: int, strength: float = 1.0) -> np.ndarray:
    """Counts of 60 genes in 6 modules that rise and fall together, at a constant level elsewhere."""
    stream = np.random.default_rng(seed)
    activity = np.repeat(stream.normal(size=(n, 6)), 10, axis=1)
    rates = np.exp(1.0 + 0.7 * strength * activity)
    return np.hstack([stream.poisson(rates), stream.poisson(20.0, (n, 140))]).astype(np.float32)


def test_shuffled_genes_lose_their_correlations() -> None:
    real, again = modules(600, seed=1), modules(600, seed=2)
    shuffled = np.random.default_rng(3).permuted(again, axis=0)
    faithful, lost = (gene_correlation(real, side, top=60) for side in (again, shuffled))
    assert faithful.r > 0.95
    assert faithful.slope == pytest.approx(1.0, abs=0.05)
    assert abs(lost.slope) < 0.1


def test_correlations_within_labels_do_not_come_from_the_labels() -> None:
    stream = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], 300)
    means = np.where((labels == "a")[:, None] ^ (np.arange(50) < 25), 2.0, 8.0)
    counts = np.hstack([stream.poisson(means), stream.poisson(30.0, (600, 50))]).astype(np.float32)
    again = np.hstack([stream.poisson(means), stream.poisson(30.0, (600, 50))]).astype(np.float32)
    over_all = gene_correlation(counts, again, top=50)
    within = gene_correlation(counts, again, top=50, labels=(labels, labels))
    assert over_all.r > 0.2
    assert abs(within.r) < 0.05


def test_gene_correlation_needs_the_same_genes() -> None:
    with pytest.raises(SettingError, match="expected at least 3 and the same genes"):
        gene_correlation(np.ones((5, 4)), np.ones((5, 3)))

"""Tables of genes that differ: exact against scipy, and laws of what is said of them."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy import stats

from scdiffuse._core.errors import CountsError, GenesError
from scdiffuse.evaluation import compare_groups, paired_changes, split_in_halves
from scdiffuse.metrics import log_normalise

GENES = [f"g{at}" for at in range(40)]


def _cells(n: int, *, seed: int, fold: float = 1.0, genes: list[str] = GENES, depth: float = 3.0) -> ad.AnnData:
    draw = np.random.default_rng(seed)
    means = np.full(len(genes), depth)
    means[0] *= fold
    return ad.AnnData(
        sp.csr_matrix(draw.poisson(means, (n, len(genes))).astype(np.float32)), var=pd.DataFrame(index=genes)
    )


def test_p_values_are_those_of_scipy_in_the_order_of_p() -> None:
    a, b = _cells(60, seed=0, fold=2), _cells(45, seed=1)
    found = compare_groups(a, b[:, ::-1].copy()).table
    assert found.index[0] == "g0"
    assert found["p"].is_monotonic_increasing
    logs = [log_normalise(one.X).toarray() for one in (a, b)]
    expected = stats.mannwhitneyu(*logs, axis=0, method="asymptotic", use_continuity=False).pvalue
    np.testing.assert_allclose(found.loc[GENES, "p"], expected, rtol=1e-4)
    np.testing.assert_allclose(found.loc[GENES, "q"], stats.false_discovery_control(expected), rtol=1e-4)
    assert found.loc["g0", "log2_fold_change"] == pytest.approx(1, abs=0.25)
    assert found.loc["g0", "fraction_b"] == pytest.approx((b.X[:, 0] > 0).mean())


def test_a_fold_change_is_that_of_mean_counts_in_ten_thousand() -> None:
    counts = np.array([[30, 10], [30, 10], [30, 10]], dtype=np.float32)
    cells = [ad.AnnData(sp.csr_matrix(rows), var=pd.DataFrame(index=["x", "y"])) for rows in (counts, counts[:, ::-1])]
    found = compare_groups(*cells).table
    assert found.loc["x", "log2_fold_change"] == pytest.approx(np.log2(7500.1 / 2500.1))
    assert found[["mean_a", "mean_b"]].to_numpy().tolist()[list(found.index).index("x")] == pytest.approx([7500, 2500])


def test_swapping_the_groups_turns_the_sign_alone() -> None:
    a, b = _cells(30, seed=0, fold=2), _cells(40, seed=1)
    one, other = compare_groups(a, b).table, compare_groups(b, a).table.loc
    np.testing.assert_allclose(one["log2_fold_change"], -other[one.index, "log2_fold_change"], atol=1e-9)
    np.testing.assert_allclose(one["p"], other[one.index, "p"], rtol=1e-9)


def test_the_verdict_says_what_would_have_been_found() -> None:
    few = compare_groups(_cells(4, seed=0, depth=0.3), _cells(4, seed=1, depth=0.3))
    many = compare_groups(_cells(300, seed=2), _cells(300, seed=3))
    other = compare_groups(_cells(300, seed=2, fold=2), _cells(300, seed=3))
    assert [few.level, many.level, other.level] == ["too_few", "passes", "differs"]
    assert str(few).startswith("Too few cells to tell: no gene differs")
    assert "would have been found (300 against 300 cells)" in str(many)
    assert few.detectable is not None
    assert many.detectable is not None
    assert few.detectable > 2
    assert many.detectable < 0.5


def test_a_change_of_the_stated_size_is_found_in_about_four_of_five_cases() -> None:
    detectable = compare_groups(_cells(50, seed=0), _cells(50, seed=1)).detectable
    assert detectable is not None
    found = [
        compare_groups(_cells(50, seed=2 * at, fold=2**detectable), _cells(50, seed=2 * at + 1)).table.loc["g0", "p"]
        for at in range(1, 61)
    ]
    assert 0.6 < np.mean(np.array(found) < 1e-3) <= 0.97


def test_pairs_see_a_shift_that_groups_cannot() -> None:
    before = _cells(30, seed=0)
    after = before.copy()
    counts = after.X.toarray()
    counts[:, 0] += 2
    after.X = sp.csr_matrix(counts)
    found = paired_changes(before, after)
    assert found["log2_fold_change"].idxmax() == "g0"
    assert found.loc["g0", "log2_fold_change"] == pytest.approx(np.log2(5 / 3), abs=0.2)
    assert found["q"].to_dict()["g0"] < 1e-6
    same = paired_changes(before, before)
    assert (same["log2_fold_change"] == 0).all()
    assert (same["p"] == 1).all()


def test_the_standard_error_of_pairs_is_that_of_repeated_draws() -> None:
    changes = [paired_changes(_cells(40, seed=2 * at), _cells(40, seed=2 * at + 1)) for at in range(60)]
    spread = np.std([one["log2_fold_change"].to_dict()["g1"] for one in changes])
    assert np.mean([one["standard_error"].to_dict()["g1"] for one in changes]) == pytest.approx(spread, rel=0.25)


def test_halves_are_disjoint_and_together_all_cells() -> None:
    one, other = split_in_halves(11, seed=4)
    assert sorted([*one, *other]) == list(range(11))
    assert (len(one), len(other)) == (5, 6)


def test_groups_too_small_or_without_a_common_gene_are_refused() -> None:
    with pytest.raises(CountsError, match="first group has 2 cells; expected at least 3"):
        compare_groups(_cells(2, seed=0), _cells(9, seed=1))
    with pytest.raises(GenesError, match="share no gene"):
        compare_groups(_cells(9, seed=0), _cells(9, seed=1, genes=[f"x{at}" for at in range(40)]))
    with pytest.raises(CountsError, match="expected the same cells"):
        paired_changes(_cells(9, seed=0), _cells(8, seed=1))


@pytest.mark.filterwarnings("ignore:Variable names are not unique:UserWarning")
def test_a_name_that_is_there_twice_counts_once() -> None:
    twice = [*GENES[:-1], "g3"]
    a, b = _cells(30, seed=0, genes=twice), _cells(30, seed=1, genes=twice)
    assert len(compare_groups(a, b).table) == len(paired_changes(a, b)) == 39
    with pytest.raises(GenesError, match="share no gene"):
        paired_changes(a, _cells(30, seed=1, genes=[f"x{at}" for at in range(40)]))


def test_stored_zeros_are_no_detections() -> None:
    a, b = _cells(30, seed=0), _cells(30, seed=1)
    a.X.data[a.X.indices == 5] = 0
    assert compare_groups(a, b).table.loc["g5", "fraction_a"] == 0

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from scdiffuse._core.errors import ConditionError, SettingError, UnknownNameError
from scdiffuse.cells import split


def test_parts_share_no_cell_and_miss_none(adata: ad.AnnData) -> None:
    parts = split(adata, by="cell_type")
    names = [name for part in parts for name in part.obs_names]
    assert sorted(names) == sorted(adata.obs_names)
    assert [part.n_obs for part in parts] == pytest.approx([36, 12, 12], abs=2)


def test_labels_are_divided_alike(adata: ad.AnnData) -> None:
    parts = split(adata, by="donor")
    assert [part.obs["donor"].value_counts().tolist() for part in parts] == [[9] * 4, [3] * 4, [3] * 4]


def test_missing_labels_are_divided_too(adata: ad.AnnData) -> None:
    assert split(adata, by="cell_type").fit.obs["cell_type"].isna().sum() == 2


@pytest.mark.parametrize(("n_rare", "expected"), [(1, (1, 0, 0)), (2, (2, 0, 0)), (3, (2, 1, 0)), (5, (3, 1, 1))])
def test_a_rare_label_can_be_trained_on(adata: ad.AnnData, n_rare: int, expected: tuple[int, ...]) -> None:
    adata.obs["type"] = np.where(np.arange(60) < n_rare, "rare", "common")
    parts = split(adata, by="type")
    assert tuple(int((part.obs["type"] == "rare").sum()) for part in parts) == expected


def test_the_same_seed_gives_the_same_parts(adata: ad.AnnData) -> None:
    first, again, other = (split(adata, seed=seed).held_out.obs_names.tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_parts_are_copies_in_the_original_order(adata: ad.AnnData) -> None:
    fit = split(adata).fit
    assert not fit.is_view
    assert fit.obs_names.tolist() == [name for name in adata.obs_names if name in set(fit.obs_names)]


def test_backed_cells_are_divided(adata: ad.AnnData, tmp_path: Path) -> None:
    adata.write_h5ad(tmp_path / "cells.h5ad")
    backed = split(ad.read_h5ad(tmp_path / "cells.h5ad", backed="r"), by="donor")
    assert np.array_equal(backed.fit.X.toarray(), split(adata, by="donor").fit.X.toarray())


def test_an_unknown_column_is_refused(adata: ad.AnnData) -> None:
    with pytest.raises(UnknownNameError, match=r"`by` 'doner' is not a column .* Did you mean 'donor'"):
        split(adata, by="doner")


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_fractions_that_do_not_sum_to_one_are_refused(adata: ad.AnnData, fractions: tuple[float, float, float]) -> None:
    with pytest.raises(SettingError, match=r"`fractions` must be three fractions that sum to 1, got"):
        split(adata, fractions=fractions)


def test_combinations_of_several_columns_are_in_every_part_alike() -> None:
    obs = pd.DataFrame({"a": np.repeat(["x", "y"], 50), "b": np.tile(np.repeat(["u", "v"], 25), 2)})
    adata = ad.AnnData(X=np.ones((100, 1)), obs=obs.set_axis([f"c{at}" for at in range(100)]))
    for part, n in zip(split(adata, by=["a", "b"]), (15, 5, 5), strict=True):
        assert part.obs.value_counts().tolist() == [n] * 4


def test_all_cells_of_a_donor_go_to_one_part() -> None:
    obs = pd.DataFrame({"donor": [f"d{at % 10}" for at in range(200)]}, index=[f"c{at}" for at in range(200)])
    parts = split(ad.AnnData(X=np.ones((200, 1)), obs=obs), donor="donor")
    donors = [set(part.obs["donor"]) for part in parts]
    assert [len(one) for one in donors] == [6, 2, 2]
    assert len(set.union(*donors)) == 10
    again = split(ad.AnnData(X=np.ones((200, 1)), obs=obs), donor="donor", seed=1)
    assert set(again.held_out.obs["donor"]) != donors[2]


def test_every_part_has_a_donor_however_uneven_they_are() -> None:
    obs = pd.DataFrame({"donor": ["a"] * 90 + ["b"] * 5 + ["c"] * 5}, index=[f"c{at}" for at in range(100)])
    for seed in range(5):
        assert (
            min(part.n_obs for part in split(ad.AnnData(X=np.ones((100, 1)), obs=obs), donor="donor", seed=seed)) >= 5
        )


def test_a_path_and_columns_of_one_name_are_refused(adata: ad.AnnData) -> None:
    with pytest.raises(SettingError, match=r"`adata` is of type str; expected an AnnData. Read a file first"):
        split("cells.h5ad")
    adata.obs.columns = ["donor", "donor", *adata.obs.columns[2:]]
    with pytest.raises(ConditionError, match=r"has 2 columns 'donor'; expected one. Rename or drop"):
        split(adata, by="donor")


def test_what_donors_cannot_do_is_refused() -> None:
    obs = pd.DataFrame({"donor": ["a", "b"] * 5}, index=[f"c{at}" for at in range(10)])
    adata = ad.AnnData(X=np.ones((10, 1)), obs=obs)
    with pytest.raises(SettingError, match=r"has 2 donors for 3 parts; expected a donor for each"):
        split(adata, donor="donor")
    with pytest.raises(SettingError, match=r"expected one of them. Leave `by` out"):
        split(adata, donor="donor", by="donor")
    with pytest.raises(UnknownNameError, match=r"`donor` 'donr' is not a column .* Did you mean 'donor'"):
        split(adata, donor="donr")

"""A model that counts molecules more than once, saved and read."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import cast

import anndata as ad
import pytest

from scdiffuse._core.errors import ModelFolderError
from scdiffuse.autoencoder import NegativeBinomial
from scdiffuse.generator import CellGenerator, load


@pytest.fixture
def with_duplicates(fitted: CellGenerator) -> tuple[CellGenerator, NegativeBinomial]:
    """A model that counts molecules more than once, and its likelihood."""
    model = deepcopy(fitted)
    likelihood = model._fitted("save").networks.autoencoder.likelihood
    assert isinstance(likelihood, NegativeBinomial)
    likelihood.set_duplication_rate(0.4)
    return model, likelihood


def test_a_duplication_rate_is_saved(
    fitted: CellGenerator, with_duplicates: tuple[CellGenerator, NegativeBinomial], tmp_path: Path
) -> None:
    model, _ = with_duplicates
    model.save(tmp_path / "twice.scd")
    assert "are counted 1.40 times" in load(tmp_path / "twice.scd").summary()
    assert "are counted" not in fitted.summary()
    without, cells, read = (
        cast("ad.AnnData", one.generate(20, seed=0, progress=False)).X
        for one in (fitted, model, load(tmp_path / "twice.scd"))
    )
    assert (read != cells).nnz == 0
    assert (cells.sum(axis=1) == without.sum(axis=1)).all()
    assert (cells.data == 1).sum() < (without.data == 1).sum()


@pytest.mark.parametrize("rate", [0.0, -0.2])
def test_a_duplication_rate_that_is_none_is_told(
    rate: float, with_duplicates: tuple[CellGenerator, NegativeBinomial], tmp_path: Path
) -> None:
    model, likelihood = with_duplicates
    assert likelihood.duplication_rate is not None
    likelihood.duplication_rate.data.fill_(rate)
    model.save(tmp_path / "twice.scd")
    with pytest.raises(ModelFolderError, match=r"the duplication rate is .* expected a positive number"):
        load(tmp_path / "twice.scd")

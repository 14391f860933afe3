"""Where cells come from: plain dictionaries that a file keeps as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from tests.fitted_model import assert_same_uns, twin

from scdiffuse import Guidance
from scdiffuse.generator import CellGenerator
from scdiffuse.sampling import provenance

Make = Callable[[CellGenerator, ad.AnnData], Any]
WAYS: dict[str, Make] = {
    "nothing": lambda model, _: model.generate(5, progress=False),
    "where": lambda model, _: model.generate(5, where={"cell_type": "B", "day": 1.0, "treated": None}, progress=False),
    "table": lambda model, _: model.generate(
        where=pd.DataFrame({"cell_type": ["B", "T"], "n_cells": [2, 3]}), progress=False
    ),
    "scales": lambda model, _: model.generate(5, guidance={"cell_type": 2.0, "day": 0.5}, progress=False),
    "toward": lambda model, _: model.generate(
        5, guidance=Guidance(1.5, {"kind/of": ("B", 2.0), "hour": 1.0}, interval=(0.1, 0.9)), progress=False
    ),
    "one a cell": lambda model, _: model.generate(
        3, guidance=Guidance(toward={"kind/of": (["B", "T", None], 2.0)}), progress=False
    ),
    "away": lambda model, _: model.generate(
        5, guidance=Guidance(away={"cell_type": ("NK", 0.5), "kind/of": "T"}, composition="additive"), progress=False
    ),
    "drawn sizes": lambda model, _: model.generate(5, library_size=(200.0, 50.0), solver="heun", progress=False),
    "given sizes": lambda model, _: model.generate(3, library_size=np.array([9, 8, 7]), progress=False),
    "predict": lambda model, cells: model.predict(cells, {"cell_type": "B", "day": None}, progress=False),
    "trajectory": lambda model, cells: model.trajectory(cells, {"cell_type": "B"}, n_states=2, progress=False),
    "branches": lambda model, cells: model.trajectory(
        cells,
        {"b": {"cell_type": "B"}, "nk": {"cell_type": "NK", "treated": None}},
        guidance={"b": Guidance(2.0), "nk": Guidance(away={"cell_type": "T"})},
        n_states=2,
        library_size="own",
        progress=False,
    ),
    "augment": lambda model, cells: model.augment(
        cells, by="cell_type", n_per_label={"B": 3}, guidance={"day": 2.0}, progress=False
    ),
}


@pytest.fixture(scope="module")
def model(fitted: CellGenerator, simulated: ad.AnnData) -> CellGenerator:
    """A model with classifiers, one of them with a name that is no name in a file."""
    made = twin(fitted).add_classifier("kind/of", simulated, obs_key="cell_type", max_epochs=1, progress=False)
    return made.add_classifier("hour", simulated, obs_key="day", max_epochs=1, progress=False)


@pytest.fixture
def cells(simulated: ad.AnnData) -> ad.AnnData:
    """Cells of one type."""
    return simulated[simulated.obs["cell_type"] == "T"][:6].copy()


def _assert_plain(value: object) -> None:
    if isinstance(value, Mapping):
        assert type(value) is dict
        for name, one in value.items():
            assert isinstance(name, str)
            assert "/" not in name
            _assert_plain(one)
    else:
        assert type(value) in {bool, int, float, str, np.ndarray}


@pytest.mark.filterwarnings("error")
@pytest.mark.filterwarnings("ignore:The paths of branch:UserWarning")
@pytest.mark.parametrize("way", WAYS)
def test_uns_is_a_plain_tree_that_a_file_keeps(
    model: CellGenerator, cells: ad.AnnData, tmp_path: Path, way: str
) -> None:
    made = WAYS[way](model, cells)
    _assert_plain(made.uns["scdiffuse"])
    made.write_h5ad(tmp_path / "cells.h5ad")
    read = ad.read_h5ad(tmp_path / "cells.h5ad")
    assert_same_uns(read.uns, made.uns)
    assert set(read.uns["scdiffuse"]) == {"version", "model_hash", "seed", "settings"}


def test_what_was_asked_for_is_there(model: CellGenerator, cells: ad.AnnData) -> None:
    def settings(way: str) -> dict[str, Any]:
        found: dict[str, Any] = WAYS[way](model, cells).uns["scdiffuse"]["settings"]
        return found

    assert settings("where")["where"] == {"cell_type": "B", "day": 1.0, "treated": "None"}
    assert "where" not in settings("nothing")
    assert settings("table")["where"] == "a table of 2 rows"
    assert settings("table")["n_cells"] == 5
    assert settings("drawn sizes")["library_size"].tolist() == [200.0, 50.0]
    assert settings("drawn sizes")["solver"] == "heun"
    assert settings("given sizes")["library_size"] == "3 numbers"
    assert settings("one a cell")["guidance"]["toward"] == {"kind|of": {"target": "3 values", "scale": 2.0}}
    assert settings("predict")["predict"] == {"cell_type": "B", "day": "None"}
    branches = settings("branches")
    assert branches["trajectory"]["nk"] == {"cell_type": "NK", "treated": "None"}
    assert (branches["n_states"], branches["keep"], branches["method"]) == (2, 0.5, "inversion")
    assert branches["guidance"]["nk"]["away"] == {"cell_type": {"target": "T", "scale": 1.0}}
    assert settings("augment")["n_per_label"] == {"B": 3}


def test_numbers_of_numpy_and_lists_become_plain(model: CellGenerator) -> None:
    assert model._model is not None
    asked = {"a": np.float32(0.5), "b": [1, 2], "c": ("x", None), "d": {1: np.int64(3)}, "e": Path("x"), "f": None}
    found = provenance(model._model, seed=0, settings=asked)["scdiffuse"]["settings"]
    _assert_plain(found)
    assert set(found) == {"a", "b", "c", "d", "e"}
    assert (found["a"], found["d"], found["e"]) == (0.5, {"1": 3}, "x")
    assert (found["b"].tolist(), found["c"].tolist()) == ([1.0, 2.0], ["x", "None"])

"""The laws of generation: a cell depends on the seed, its index and its conditions alone."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from tests.fitted_model import assert_same_uns, networks_of

from scdiffuse._core.errors import (
    ConditionError,
    NotFittedError,
    OutOfMemoryError,
    OutputExistsError,
    SettingError,
    UnknownNameError,
)
from scdiffuse.generator import CellGenerator
from scdiffuse.model import ModelConfig

ALL = {"cell_type": "B", "treated": True, "day": 1.0}
NONE = dict.fromkeys(ALL)


def _made(model: CellGenerator, n: int | None = None, **asked: Any) -> ad.AnnData:
    made = model.generate(n, progress=False, **asked)
    assert isinstance(made, ad.AnnData)
    return made


def _same(x: ad.AnnData, y: ad.AnnData) -> bool:
    return bool((x.X != y.X).nnz == 0 and x.obs.equals(y.obs))


@pytest.fixture(scope="module")
def wide(simulated: ad.AnnData) -> CellGenerator:
    """A model of the default width whose networks say something."""
    model = CellGenerator(simulated, conditions=["cell_type"], config=ModelConfig()).fit(max_epochs=1, progress=False)
    draws = torch.Generator().manual_seed(0)
    networks = networks_of(model)
    for network in (networks.denoiser, networks.autoencoder.decoder):
        for weight in network.parameters():
            weight.data += 0.05 * torch.randn(weight.shape, generator=draws)
    return model


@pytest.fixture(scope="module")
def many(wide: CellGenerator) -> ad.AnnData:
    """Cells of one batch, more than the networks see at once."""
    return _made(wide, 600, batch_size=1000, seed=3, solver_steps=3)


def test_cells_are_integer_counts_of_the_trained_genes(fitted: CellGenerator) -> None:
    cells = _made(fitted, 40)
    assert cells.shape == (40, len(fitted.genes))
    assert cells.X.dtype == np.int32
    assert cells.X.format == "csr"
    assert cells.X.min() >= 0
    assert list(cells.var_names) == list(fitted.genes)
    assert list(cells.var["symbol"][:2]) == ["S0", "S1"]


def test_conditions_come_back_in_the_words_of_the_user(fitted: CellGenerator) -> None:
    obs = _made(fitted, 60).obs
    assert list(obs["cell_type"].cat.categories) == ["T", "NK", "B"]
    assert set(obs["treated"]) == {True, False}
    assert set(obs["day"].dropna()) <= {0.0, 0.5, 1.0, 1.5, 2.0}
    assert set(obs["source"]) == {"generated"}


def test_conditions_left_open_follow_the_training_cells(fitted: CellGenerator) -> None:
    obs = _made(fitted, 600, solver_steps=1).obs
    assert obs["cell_type"].isna().mean() == pytest.approx(0.04, abs=0.03)
    assert obs["cell_type"].value_counts(normalize=True)["NK"] == pytest.approx(1 / 3, abs=0.08)


@pytest.mark.parametrize(("batch_size", "n"), [(7, 100), (64, 600), (1000, 10)])
def test_batch_size_and_number_change_no_cell(wide: CellGenerator, many: ad.AnnData, batch_size: int, n: int) -> None:
    assert _same(_made(wide, n, batch_size=batch_size, seed=3, solver_steps=3), many[:n])


def test_cells_of_other_conditions_share_no_noise(fitted: CellGenerator) -> None:
    counts = [_made(fitted, 300, where={**NONE, "cell_type": label}).X.toarray() for label in ("B", "T")]
    library_sizes = np.corrcoef(*(one.sum(axis=1) for one in counts))
    z = [(one - one.mean(axis=0)) / (one.std(axis=0) + 1e-9) for one in counts]
    assert abs(library_sizes[0, 1]) < 0.2
    assert abs(np.mean(z[0] * z[1])) < 4 / np.sqrt(z[0].size)


def test_seeds_give_other_cells(fitted: CellGenerator) -> None:
    assert _same(_made(fitted, 30, seed=1), _made(fitted, 30, seed=1))
    assert not _same(_made(fitted, 30, seed=1), _made(fitted, 30, seed=2))


def test_no_guidance_is_no_conditions(fitted: CellGenerator) -> None:
    free = _made(fitted, 50, where=ALL, guidance=0.0)
    assert (free.X != _made(fitted, 50, where=NONE).X).nnz == 0
    assert set(free.obs["cell_type"]) == {"B"}


def test_guidance_changes_cells_unless_it_is_one(wide: CellGenerator) -> None:
    plain = _made(wide, 50, where={"cell_type": "B"})
    assert _same(_made(wide, 50, where={"cell_type": "B"}, guidance=1.0), plain)
    assert not _same(_made(wide, 50, where={"cell_type": "B"}, guidance=3.0), plain)


def test_a_condition_given_as_none_is_missing(fitted: CellGenerator) -> None:
    assert _made(fitted, 9, where=NONE).obs[list(NONE)].isna().all().all()


def test_a_mapping_fixes_what_it_names(fitted: CellGenerator) -> None:
    obs = _made(fitted, 30, where={"cell_type": "NK", "day": 0.5}).obs
    assert set(obs["cell_type"]) == {"NK"}
    assert set(obs["day"]) == {0.5}
    assert set(obs["treated"]) == {True, False}


def test_a_table_asks_for_each_cell(fitted: CellGenerator) -> None:
    table = pd.DataFrame({"cell_type": ["B", "T", "NK", "T"], "treated": [True, False, False, True]})
    obs = _made(fitted, where=table).obs
    assert list(obs["cell_type"]) == list(table["cell_type"])
    assert list(obs["treated"]) == list(table["treated"])


def test_a_table_asks_for_numbers_of_cells(fitted: CellGenerator) -> None:
    obs = _made(fitted, where=pd.DataFrame({"cell_type": ["B", "T"], "n_cells": [3, 5]})).obs
    assert list(obs["cell_type"]) == ["B"] * 3 + ["T"] * 5


def test_as_many_cells_as_were_fitted_unless_asked(fitted: CellGenerator, simulated: ad.AnnData) -> None:
    assert _made(fitted, solver_steps=1).n_obs == simulated.n_obs


@pytest.mark.parametrize("where", [{"cell_typ": "B"}, {"cell_type": "b"}])
def test_an_unknown_name_gets_a_guess(fitted: CellGenerator, where: dict[str, str]) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean"):
        fitted.generate(5, where=where)


def test_text_for_a_number_is_refused(fitted: CellGenerator) -> None:
    with pytest.raises(ConditionError, match="'day' holds 'late'; expected numbers"):
        fitted.generate(5, where={"day": "late"})


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"n_cells": 0}, "`n_cells` must be at least 1, got 0"),
        ({"batch_size": 0}, "`batch_size` must be at least 1, got 0; 4096"),
        ({"solver_steps": 0}, "`solver_steps` must be at least 1, got 0"),
        ({"batch_size": 1.5}, r"`batch_size` is 1\.5; expected a whole number"),
        ({"solver_steps": 2.5}, r"`solver_steps` is 2\.5; expected a whole number"),
        ({"seed": None}, "`seed` is None; expected a whole number"),
        ({"library_size": ("deep", 1)}, "`library_size` is a mean of 'deep' with a standard deviation of 1"),
        ({"solver_steps": 2**64}, "`solver_steps` must be at most 10,000"),
        ({"batch_size": 2**63}, "`batch_size` must be at most 2,147,483,647"),
        ({"guidance": -1.0}, "`guidance` must be 0 or more, got -1.0"),
        ({"library_size": 0}, "`library_size` must hold whole numbers of at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(fitted: CellGenerator, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        fitted.generate(**{"n_cells": 5, **asked})


def test_an_unknown_solver_is_refused(fitted: CellGenerator) -> None:
    with pytest.raises(UnknownNameError, match=r"'huen' is not a solver.* Did you mean 'heun'"):
        fitted.generate(5, solver="huen")


def test_library_sizes_are_as_asked(fitted: CellGenerator) -> None:
    def totals(asked: Any) -> list[int]:
        return np.asarray(_made(fitted, 4, library_size=asked).X.sum(axis=1)).ravel().tolist()

    assert totals(100) == [100] * 4
    assert totals([5, 6, 7, 8]) == [5, 6, 7, 8]
    assert len(set(totals((200.0, 50.0)))) > 1


def test_generated_library_sizes_stay_in_the_training_range(fitted: CellGenerator, simulated: ad.AnnData) -> None:
    totals, trained = _made(fitted, 300).X.sum(axis=1), simulated[:, fitted.genes].X.sum(axis=1)
    assert totals.min() >= trained.min()
    assert totals.max() <= trained.max()


def test_uns_tells_where_cells_come_from(fitted: CellGenerator) -> None:
    uns = _made(fitted, 4, seed=5, guidance=2.0, where={"day": 1.0}, library_size=[9, 9, 9, 9]).uns["scdiffuse"]
    assert (uns["seed"], len(uns["model_hash"]), uns["version"]) == (5, 16, version("scdiffuse"))
    guidance = {"scale": 2.0, "toward": {}, "away": {}, "interval": np.array([0.0, 1.0]), "composition": "joint"}
    settings = {
        "n_cells": 4,
        "where": {"day": 1.0},
        "guidance": {**guidance, "classifiers": {}},
        "solver_steps": 4,
        "solver": "multistep",
        "library_size": "4 numbers",
    }
    assert_same_uns(uns["settings"], settings)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("batch_size", [8, 100])
def test_a_file_holds_the_cells_of_memory(fitted: CellGenerator, tmp_path: Path, batch_size: int) -> None:
    path = fitted.generate(30, path=tmp_path / "cells.h5ad", batch_size=batch_size, progress=False)
    assert path == tmp_path / "cells.h5ad"
    held, made = ad.read_h5ad(tmp_path / "cells.h5ad"), _made(fitted, 30)
    assert (held.X != made.X).nnz == 0
    pd.testing.assert_frame_equal(held.obs, made.obs)
    pd.testing.assert_frame_equal(held.var, made.var)
    assert_same_uns(held.uns, made.uns)


def test_a_file_is_overwritten_only_when_asked(fitted: CellGenerator, tmp_path: Path) -> None:
    path = tmp_path / "cells.h5ad"
    fitted.generate(5, path=path, progress=False)
    with pytest.raises(OutputExistsError, match=r"cells.h5ad' already exists; nothing was written. Pass `overwrite"):
        fitted.generate(6, path=path, progress=False)
    fitted.generate(7, path=path, overwrite=True, progress=False)
    assert ad.read_h5ad(path).n_obs == 7


def test_out_of_memory_names_the_setting(fitted: CellGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("scdiffuse.sampling._generate._make", fill)
    with pytest.raises(OutOfMemoryError, match=r"memory. Lower `batch_size`, or write to a file with `path`"):
        fitted.generate(10, progress=False)


@pytest.mark.parametrize("names", [{}, {"conditions": "cell_type"}, {"continuous": ["day"]}], ids=str)
def test_any_set_of_conditions_will_do(
    simulated: ad.AnnData, small: ModelConfig, tmp_path: Path, names: dict[str, Any]
) -> None:
    model = CellGenerator(simulated, config=small, **names).fit(progress=False)
    cells = _made(model, 20, batch_size=6)
    assert list(cells.obs.columns) == [*model.conditions.names, "source"]
    model.generate(20, batch_size=9, path=tmp_path / "cells.h5ad", progress=False)
    assert (ad.read_h5ad(tmp_path / "cells.h5ad").X != cells.X).nnz == 0


def test_only_a_fitted_model_generates(simulated: ad.AnnData, small: ModelConfig) -> None:
    with pytest.raises(NotFittedError, match=r"`generate` needs a fitted model.* Call `fit\(\)` first"):
        CellGenerator(simulated, config=small).generate(5)


def _names(model: CellGenerator, n_cells: int = 5, **asked: Any) -> list[str]:
    return list(_made(model, n_cells, **asked).obs_names)


def test_names_of_cells_are_unique_over_calls(fitted: CellGenerator, bare: CellGenerator) -> None:
    calls: list[dict[str, Any]] = [
        {},
        {"seed": 1},
        {"where": {"cell_type": "B"}},
        {"where": {"cell_type": "T"}},
        {"where": {"cell_type": None}},
        {"where": {"day": 1.0}},
        {"guidance": 2.0},
        {"library_size": 500},
        {"solver_steps": 3},
    ]
    names = [name for asked in calls for name in _names(fitted, **asked)] + _names(bare)
    assert len(set(names)) == 5 * (len(calls) + 1)
    assert all(name.startswith("generated-") for name in names)


@pytest.mark.parametrize("asked", [{}, {"where": {"cell_type": "B"}}, {"library_size": (500.0, 50.0)}])
def test_the_first_names_of_a_longer_call_are_the_same(fitted: CellGenerator, asked: dict[str, Any]) -> None:
    assert _names(fitted, 9, **asked)[:5] == _names(fitted, **asked) == _names(fitted, batch_size=2, **asked)


def test_the_first_names_of_a_longer_table_are_the_same(fitted: CellGenerator, tmp_path: Path) -> None:
    table = pd.DataFrame({"cell_type": ["B", "T", "B", "NK"]})
    names = list(_made(fitted, where=table).obs_names)
    assert list(_made(fitted, where=table.iloc[:2]).obs_names) == names[:2]
    fitted.generate(where=table, path=tmp_path / "cells.h5ad", progress=False)
    assert list(ad.read_h5ad(tmp_path / "cells.h5ad").obs_names) == names


def test_too_many_cells_are_refused_before_anything_is_made(fitted: CellGenerator, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"9.223372037e\+18 cells are asked for; expected at most 1,000,000,000"):
        fitted.generate(2**63, path=tmp_path / "cells.h5ad")
    table = pd.DataFrame({"cell_type": ["B", "T"], "n_cells": [1e21, 3]})
    with pytest.raises(SettingError, match=r"1e\+21 cells are asked for"):
        fitted.generate(where=table, path=tmp_path / "cells.h5ad")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("seed", [2**64, -(2**64)])
def test_seeds_that_no_file_keeps_are_refused(fitted: CellGenerator, seed: int) -> None:
    with pytest.raises(SettingError, match=r"`seed` is -?18446744073709551616; expected a whole number of at most"):
        fitted.generate(2, seed=seed, progress=False)


def test_numbers_beyond_all_measure_are_refused(fitted: CellGenerator) -> None:
    with pytest.raises(ConditionError, match=r"(up to 1e\+30|more than a million standard deviations)"):
        fitted.generate(2, where={"day": 1e300}, progress=False)


def test_files_with_another_ending_are_refused(fitted: CellGenerator, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"`path` .*x.csv' does not end with `.h5ad`.* Pass .*x.h5ad'"):
        fitted.generate(2, path=tmp_path / "x.csv", progress=False)

"""Classifiers added after the fit: what they learn, what guiding by them does, and how they are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from tests.fitted_model import assert_same_uns, classifiers_of, twin

from scdiffuse import Guidance
from scdiffuse._core.errors import (
    ConditionError,
    CountsError,
    GenesError,
    ModelFolderError,
    NotFittedError,
    OutputExistsError,
    SettingError,
    UnknownNameError,
)
from scdiffuse.generator import CellGenerator, load
from scdiffuse.model import AutoencoderConfig, DiffusionConfig, ModelConfig, TrainConfig

N_CELLS, N_GENES = 240, 20
ORGANS = np.array(["Lung", "Gut", "Spleen"])
EPOCHS = 120
TIMED = 4  # genes that rise with the day


def programmes() -> NDArray[np.float64]:
    """Mean counts of the organs, shape ``(3, 20)``."""
    return np.random.default_rng(0).gamma(1.0, 4.0, (3, N_GENES)) + 0.3


def drawn(organ: NDArray[np.int64], seed: int) -> ad.AnnData:
    """Cells of given organs, whose first genes rise with the day."""
    draw = np.random.default_rng(seed)
    day = draw.uniform(0, 4, len(organ))
    means = programmes()[organ]
    means[:, :TIMED] = 1.0 + 6.0 * day[:, None]
    counts = draw.poisson(means * draw.gamma(20, 0.05, (len(organ), 1)))
    names = [f"cell-{at}" for at in range(len(organ))]
    obs = pd.DataFrame({"organ": ORGANS[organ], "day": day, "whole": np.arange(len(organ)) % 2}, index=names)
    return ad.AnnData(sp.csr_matrix(counts, dtype=np.float32), obs=obs, var=pd.DataFrame(index=genes()))


def genes() -> list[str]:
    return [f"gene-{at}" for at in range(N_GENES)]


def organs_of(cells: ad.AnnData) -> NDArray[np.str_]:
    """Say which organ's programme makes each cell most probable."""
    fractions = programmes()[:, TIMED:] / programmes()[:, TIMED:].sum(1, keepdims=True)
    found: NDArray[np.str_] = ORGANS[(cells.X.toarray()[:, TIMED:] @ np.log(fractions).T).argmax(1)]
    return found


def rise(cells: ad.AnnData) -> float:
    """Mean count of the genes that rise with the day."""
    return float(cells.X[:, :TIMED].mean())


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    return drawn(np.arange(N_CELLS) % 3, seed=1)


@pytest.fixture(scope="module")
def plain(cells: ad.AnnData) -> CellGenerator:
    """A model that never saw an organ; read only."""
    training = TrainConfig(batch_size=64, min_steps=1500, n_validations=4, learning_rate=0.005, decay=0.9)
    config = ModelConfig(
        autoencoder=AutoencoderConfig(n_latent=4, n_hidden=24),
        autoencoder_training=training,
        diffusion=DiffusionConfig(width=32, depth=1, embedding_width=16, solver_steps=8),
        diffusion_training=training,
    )
    return CellGenerator(cells, conditions=["whole"], config=config).fit(progress=False)


def copied(model: CellGenerator) -> CellGenerator:
    """The same networks with classifiers of its own."""
    return twin(model, classifiers=True)


@pytest.fixture(scope="module")
def model(plain: CellGenerator) -> CellGenerator:
    """The same with classifiers of both kinds, learnt on other cells, some of them without a label; read only."""
    others = drawn(np.random.default_rng(3).integers(0, 3, 200), seed=2)
    others.obs["tissue"] = others.obs["organ"].where(np.arange(200) % 10 != 0, None)
    others = others[:, others.var_names[::-1]].copy()
    made = copied(plain).add_classifier("organ", others, obs_key="tissue", max_epochs=EPOCHS, progress=False)
    return made.add_classifier("day", others, max_epochs=EPOCHS, progress=False)


def made(model: CellGenerator, n: int = 150, **asked: Any) -> ad.AnnData:
    cells = model.generate(n, progress=False, **asked)
    assert isinstance(cells, ad.AnnData)
    return cells


def same(x: ad.AnnData, y: ad.AnnData) -> bool:
    same_obs = x.obs.reset_index(drop=True).equals(y.obs.reset_index(drop=True))  # names say which call made a cell
    return bool((x.X != y.X).nnz == 0 and same_obs)


def test_a_guided_label_rises_from_its_share_to_nearly_all(model: CellGenerator) -> None:
    assert (organs_of(made(model)) == "Spleen").mean() == pytest.approx(1 / 3, abs=0.15)
    assert (organs_of(made(model, guidance=Guidance(toward={"organ": ("Spleen", 2.0)}))) == "Spleen").mean() > 0.9


def test_a_label_to_go_away_from_falls_to_nearly_none(model: CellGenerator) -> None:
    found = organs_of(made(model, guidance=Guidance(away={"organ": "Spleen"})))
    assert (found == "Spleen").mean() < 0.1
    assert set(found) >= {"Lung", "Gut"}


def test_a_guided_number_moves_its_gene(model: CellGenerator) -> None:
    early, late = (rise(made(model, guidance=Guidance(toward={"day": day}))) for day in (0.5, 3.5))
    assert late > 1.5 * early


def test_several_classifiers_guide_at_once_beside_conditions(model: CellGenerator) -> None:
    asked: dict[str, Any] = {
        "where": {"whole": 1},
        "guidance": Guidance(1.5, toward={"organ": ("Gut", 2.0), "day": (3.5, 1.5)}),
    }
    both = made(model, **asked)
    assert (organs_of(both) == "Gut").mean() > 0.9
    assert rise(both) > 1.2 * rise(made(model, guidance=Guidance(toward={"organ": ("Gut", 2.0)})))
    assert set(both.obs["whole"]) == {1}


def test_each_cell_can_have_a_label_of_its_own(model: CellGenerator) -> None:
    wanted = ["Lung", "Gut"] * 30
    cells = made(model, 60, guidance=Guidance(toward={"organ": (wanted, 2.0)}))
    assert (organs_of(cells) == wanted).mean() > 0.9
    assert (organs_of(made(model, 60, guidance=Guidance(toward={"organ": pd.Series(wanted)}))) == wanted).mean() > 0.8


@pytest.mark.parametrize("batch_size", [7, 64])
def test_batch_size_and_number_change_no_guided_cell(model: CellGenerator, batch_size: int) -> None:
    wanted = [*ORGANS] * 20
    all_cells, some = (Guidance(toward={"organ": organs, "day": 2.0}) for organs in (wanted, wanted[:30]))
    whole = made(model, 60, guidance=all_cells, seed=4)
    assert same(made(model, 30, guidance=some, seed=4, batch_size=batch_size), whole[:30])


def test_scale_zero_and_an_empty_target_are_no_guidance(model: CellGenerator) -> None:
    free = made(model, 40)
    assert same(made(model, 40, guidance=Guidance(toward={"organ": ("Gut", 0.0)})), free)
    assert same(made(model, 40, guidance=Guidance(toward={})), free)
    assert same(made(model, 40, guidance=Guidance(toward={"organ": None})), free)


def test_an_interval_of_times_guides_less_than_all(model: CellGenerator) -> None:
    late = made(model, guidance=Guidance(toward={"organ": ("Spleen", 2.0)}, interval=(0.0, 0.3)))
    assert (organs_of(late) == "Spleen").mean() < 0.7
    assert not same(late, made(model))


def test_classifiers_leave_the_model_as_it_was(model: CellGenerator, plain: CellGenerator) -> None:
    assert same(made(model, 40), made(plain, 40))
    assert made(model, 5).uns["scdiffuse"]["model_hash"] == made(plain, 5).uns["scdiffuse"]["model_hash"]
    assert plain.classifiers == {}


def test_what_a_classifier_knows_is_told(model: CellGenerator) -> None:
    record = model.classifiers["organ"]
    assert (record["kind"], record["obs_key"], record["n_cells"]) == ("categorical", "tissue", 180)
    assert set(record["labels"]) == {"Gut", "Lung", "Spleen"}
    assert sum(record["labels"].values()) == 180
    accuracy = [record["accuracy"][level] for level in ("0.0", "0.4", "1.0")]
    assert accuracy[0] > 0.8
    assert accuracy[0] > accuracy[1] > accuracy[2] + 0.2
    assert accuracy[2] == pytest.approx(record["chance"], abs=0.05)
    number = model.classifiers["day"]
    assert number["kind"] == "continuous"
    assert number["accuracy"]["0.0"] > 0.4
    assert number["range"] == pytest.approx([0.0, 4.0], abs=0.2)


def test_the_summary_and_the_card_tell_accuracy_by_noise(model: CellGenerator, tmp_path: Path) -> None:
    assert "Classifier organ: Gut, Lung, Spleen; 180 cells; accuracy 0." in model.summary()
    assert "Classifier day: 0.0" in model.summary()
    card = (model.save(tmp_path / "model") / "README.md").read_text()
    assert "| classifier | measure | t = 0.0 | t = 0.2 |" in card
    assert "| organ | accuracy | " in card
    assert "| day | variance explained | " in card


def test_a_loaded_model_guides_as_the_saved_one(model: CellGenerator, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    assert (tmp_path / "model" / "classifiers.safetensors").is_file()
    loaded = load(tmp_path / "model")
    asked = Guidance(toward={"organ": ("Gut", 2.0), "day": 2.0}, away={"organ": "Spleen"})
    before, after = made(model, 30, guidance=asked), made(loaded, 30, guidance=asked)
    assert same(before, after)
    assert_same_uns(before.uns, after.uns)
    assert loaded.classifiers == json.loads(json.dumps(model.classifiers))
    again = loaded.save(tmp_path / "again")
    for file in again.iterdir():
        assert file.read_bytes() == (tmp_path / "model" / file.name).read_bytes()


@pytest.mark.parametrize("change", ["missing", "altered"])
def test_damaged_classifiers_are_told(model: CellGenerator, tmp_path: Path, change: str) -> None:
    file = model.save(tmp_path / "model") / "classifiers.safetensors"
    if change == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelFolderError, match=r"`classifiers.safetensors`"):
        load(tmp_path / "model")


def test_resuming_a_finished_fit_keeps_its_classifiers(
    model: CellGenerator, plain: CellGenerator, cells: ad.AnnData, tmp_path: Path
) -> None:
    model.save(tmp_path / "model")
    again = CellGenerator(cells, conditions=["whole"], config=plain.config)
    again.fit(tmp_path / "model", resume=True, progress=False)
    assert list(again.classifiers) == list(load(tmp_path / "model").classifiers) == ["organ", "day"]


def test_another_fit_forgets_classifiers_of_other_latents(cells: ad.AnnData, plain: CellGenerator) -> None:
    fresh = CellGenerator(cells, config=plain.config).fit(max_epochs=1, progress=False)
    fresh.add_classifier("organ", cells, max_epochs=1, progress=False)
    assert fresh.fit(max_epochs=1, progress=False).classifiers == {}


def test_uns_tells_how_cells_were_guided(model: CellGenerator) -> None:
    toward = {"organ": (["Gut", "Lung", "Gut"], 2.0), "day": 1.0}
    cells = made(model, 3, guidance=Guidance(toward=toward, away={"whole": 1}, interval=(0.1, 0.9)))
    guidance = cells.uns["scdiffuse"]["settings"]["guidance"]
    assert guidance["toward"] == {
        "organ": {"target": "3 values", "scale": 2.0},
        "day": {"target": 1.0, "scale": 1.0},
    }
    assert guidance["away"] == {"whole": {"target": 1, "scale": 1.0}}
    assert guidance["interval"].tolist() == [0.1, 0.9]
    assert set(guidance["classifiers"]) == {"organ", "day"}
    assert all(len(digits) == 16 for digits in guidance["classifiers"].values())


def test_the_same_seed_gives_the_same_classifier(plain: CellGenerator, cells: ad.AnnData) -> None:
    twins = [copied(plain).add_classifier("organ", cells, max_epochs=2, seed=s, progress=False) for s in (1, 1, 2)]
    prints = [classifiers_of(one)["organ"].fingerprint() for one in twins]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize(("kind", "expected"), [(None, "categorical"), ("continuous", "continuous")])
def test_whole_numbers_are_labels_unless_named_numbers(
    plain: CellGenerator, cells: ad.AnnData, kind: Any, expected: str
) -> None:
    made = copied(plain).add_classifier("whole", cells, kind=kind, max_epochs=1, progress=False)
    assert made.classifiers["whole"]["kind"] == expected


def test_a_file_can_be_learnt_from(plain: CellGenerator, cells: ad.AnnData, tmp_path: Path) -> None:
    cells.write_h5ad(tmp_path / "cells.h5ad")
    held, read = copied(plain), copied(plain)
    held.add_classifier("organ", cells, max_epochs=1, progress=False)
    read.add_classifier("organ", tmp_path / "cells.h5ad", max_epochs=1, progress=False)
    assert classifiers_of(held)["organ"].fingerprint() == classifiers_of(read)["organ"].fingerprint()


def test_a_classifier_is_replaced_or_removed_only_when_asked(model: CellGenerator, cells: ad.AnnData) -> None:
    mine = copied(model)
    with pytest.raises(OutputExistsError, match=r"A classifier 'organ' already exists; .* pass `overwrite=True`"):
        mine.add_classifier("organ", cells, max_epochs=1, progress=False)
    mine.add_classifier("organ", cells, max_epochs=1, overwrite=True, progress=False)
    assert mine.classifiers["organ"]["obs_key"] == "organ"
    assert list(mine.remove_classifier("organ").classifiers) == ["day"]
    with pytest.raises(UnknownNameError, match=r"'dya' is not a classifier of this model.* Did you mean 'day'"):
        mine.remove_classifier("dya")


def test_cells_without_counts_are_left_out_with_a_warning(plain: CellGenerator, cells: ad.AnnData) -> None:
    empty = cells.copy()
    empty.X = sp.csr_matrix(empty.X.multiply((np.arange(N_CELLS) >= 5)[:, None]))
    with pytest.warns(UserWarning, match="5 of 240 labelled cells have no count in the model's genes"):
        made = copied(plain).add_classifier("organ", empty, max_epochs=1, progress=False)
    assert made.classifiers["organ"]["n_cells"] == N_CELLS - 5


def _changed(cells: ad.AnnData, **columns: Any) -> ad.AnnData:
    changed = cells.copy()
    for name, values in columns.items():
        changed.obs[name] = values
    return changed


def _without(values: Any, keep: int) -> list[Any]:
    return [value if at < keep else None for at, value in enumerate(values)]


@pytest.mark.parametrize(
    ("columns", "asked", "error", "words"),
    [
        ({}, {"name": "organn"}, UnknownNameError, r"'organn' is not a column .* Did you mean 'organ'"),
        ({}, {"name": "x", "obs_key": "dya"}, UnknownNameError, r"'dya' is not a column .* Did you mean 'day'"),
        (
            {"one": "same"},
            {"name": "one"},
            ConditionError,
            "All cells have the label 'same' in 'one'; expected at least",
        ),
        ({"one": 1.5}, {"name": "one"}, ConditionError, "All cells have the number 1.5 in 'one'; expected different"),
        ({"organ": ["once", *["Gut"] * 239]}, {}, ConditionError, "1 of the 2 labels in 'organ' have one cell only"),
        ({"organ": _without(["a", "b"] * 120, 19)}, {}, ConditionError, "19 cells have counts and a value in 'organ'"),
        ({"organ": None}, {}, ConditionError, "'organ' is missing for all 240 cells"),
        ({}, {"kind": "text"}, SettingError, "`kind` must be 'categorical' or 'continuous', got 'text'. Leave it out"),
        ({}, {"kind": "continuous"}, ConditionError, "'organ' holds 'Lung'; expected numbers"),
        ({}, {"max_epochs": 0}, SettingError, "`max_epochs` must be at least 1, got 0; leave it out"),
        ({}, {"name": " "}, SettingError, "The name of a classifier is ' '; expected text. Name it after"),
        ({}, {"name": "n\n", "obs_key": "organ"}, SettingError, "which no `.h5ad` file can hold; expected a short"),
        ({}, {"layer": "raw"}, UnknownNameError, "`layer` 'raw' is not a layer"),
    ],
)
def test_what_cannot_be_learnt_is_refused(
    plain: CellGenerator, cells: ad.AnnData, columns: Mapping[str, Any], asked: Any, error: type[Exception], words: str
) -> None:
    mine = copied(plain)
    with pytest.raises(error, match=words):
        mine.add_classifier(asked.pop("name", "organ"), _changed(cells, **columns), progress=False, **asked)
    assert mine.classifiers == {}


def test_other_genes_and_other_values_are_refused(plain: CellGenerator, cells: ad.AnnData) -> None:
    with pytest.raises(GenesError, match="The data lack 5 of the 20 expected genes"):
        plain.add_classifier("organ", cells[:, 5:], progress=False)
    with pytest.raises(CountsError, match="expected raw counts"):
        plain.add_classifier("organ", ad.AnnData(cells.X * 0.5, cells.obs, cells.var), progress=False)


def test_only_a_fitted_model_takes_classifiers(cells: ad.AnnData) -> None:
    with pytest.raises(NotFittedError, match=r"`add_classifier` needs a fitted model.* Call `fit\(\)` first"):
        CellGenerator(cells).add_classifier("organ", cells)

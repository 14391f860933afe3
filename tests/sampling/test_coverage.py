"""What is said of a request, compared with cells that were counted by hand."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from scdiffuse._core.errors import ConditionError, NotFittedError, UnknownNameError
from scdiffuse.calibration import CalibrationConfig
from scdiffuse.cells import Conditions, ConditionTable, plan_conditions
from scdiffuse.generator import CellGenerator
from scdiffuse.model import ModelConfig
from scdiffuse.sampling._coverage import Support, find_support, is_unseen, with_unseen
from scdiffuse.sampling._verdicts import Verdicts


@pytest.fixture(scope="module")
def crossed_model(simulated: ad.AnnData, small: ModelConfig) -> CellGenerator:
    """A model of two conditions that saw no treated B cell; read only."""
    labels = simulated.obs["cell_type"]
    cells = simulated[(labels.notna() & ~((labels == "B") & simulated.obs["treated"])).to_numpy()].copy()
    return CellGenerator(cells, conditions=["cell_type", "treated"], config=small).fit(max_epochs=1, progress=False)


OBS = pd.DataFrame(
    {
        "organ": ["gut"] * 6 + ["lung"] * 4,
        "type": ["B", "B", "B", "T", "T", "NK", "T", "T", "T", "NK"],
        "day": [0.0, 1.0, 1.0, 0.0, 4.0, 2.0, 0.0, 1.0, 4.0, np.nan],
    }
)
OBS = pd.concat([OBS, OBS], ignore_index=True)  # two cells of each, as labels need
VOCABULARY = Conditions.from_obs(OBS, ["organ", "type"], ["day"])
TRAINING = VOCABULARY.encode(OBS).distinct()


def support(**where: object) -> Support:
    return find_support(VOCABULARY, TRAINING, plan_conditions(VOCABULARY, TRAINING, n_cells=1, where=where))


def test_cells_of_a_combination_and_of_its_labels_are_counted() -> None:
    found = support(organ="lung", type="T")
    assert (found.n_cells, dict(found.marginals)) == (6, {"organ": 8, "type": 10})
    assert not found.is_unseen


def test_an_unseen_combination_names_its_nearest_by_shared_labels_then_cells() -> None:
    found = support(organ="lung", type="B")
    assert (found.n_cells, dict(found.marginals), found.is_unseen) == (0, {"organ": 8, "type": 6}, True)
    assert found.nearest[["organ", "type", "n_shared", "n_cells"]].head(3).to_numpy().tolist() == [
        ["gut", "B", 1, 6],
        ["lung", "T", 1, 6],
        ["lung", "NK", 1, 2],
    ]
    assert "The combination is unseen; the nearest is organ 'gut', type 'B' (6 cells)." in str(found)


def test_labels_that_are_numbers_read_as_typed() -> None:
    obs = pd.DataFrame({"donor": [1, 1, 2, 2], "type": ["B", "B", "T", "T"]})
    vocabulary = Conditions.from_obs(obs, ["donor", "type"], [])
    training = vocabulary.encode(obs).distinct()
    plan = plan_conditions(vocabulary, training, n_cells=1, where={"donor": 2, "type": "B"})
    found = str(find_support(vocabulary, training, plan))
    assert "0 training cells have donor 2 and type 'B'" in found
    assert "the nearest is donor 1, type 'B' (2 cells)" in found


@pytest.mark.parametrize(
    ("day", "between", "outside", "words"),
    [
        (1.0, (1.0, 1.0), False, "day 1 was measured"),
        (3.0, (1.0, 4.0), False, "day 3 lies between the measured 1 and 4: this is interpolation"),
        (5.0, (4.0, None), True, "day 5 lies outside of what was measured, 0 to 4: this is extrapolation"),
        (-1.0, (None, 0.0), True, "day -1 lies outside"),
    ],
)
def test_a_number_is_placed_among_those_measured(
    day: float, between: tuple[float | None, float | None], *, outside: bool, words: str
) -> None:
    found = support(day=day, type="T")
    number = found.numbers["day"]
    assert (number.below, number.above) == between
    assert found.is_unseen == number.is_outside == outside
    assert words in str(found)


def test_numbers_are_those_of_cells_with_the_labels_asked_for() -> None:
    number = support(day=3.0, type="B").numbers["day"]
    assert (number.low, number.high, number.is_outside) == (0.0, 1.0, True)


def test_asking_for_nothing_is_supported_by_all() -> None:
    found = support()
    assert (found.n_cells, found.is_unseen) == (20, False)
    assert repr(found) == "Support(Nothing was asked for: every training cell counts.)"


def test_cells_with_new_combinations_or_numbers_out_of_range_are_unseen() -> None:
    asked = pd.DataFrame(
        {
            "organ": ["gut", "lung", "lung", None, "gut"],
            "type": ["B", "B", "T", "B", None],
            "day": [0.0, 1, 9, 1, np.nan],
        }
    )
    found = is_unseen(VOCABULARY, TRAINING, VOCABULARY.encode(asked))
    assert found.tolist() == [False, True, True, False, False]


def test_training_cells_are_never_unseen() -> None:
    assert not is_unseen(VOCABULARY, TRAINING, VOCABULARY.encode(OBS)).any()


def test_the_mark_is_left_out_where_it_says_nothing() -> None:
    one = Conditions.from_obs(OBS, ["type"])
    table = one.encode(OBS)
    assert list(with_unseen(OBS, table, conditions=one, training=table)) == list(OBS)
    none = ConditionTable(np.empty((20, 0), np.int64), np.empty((20, 0), np.float32))
    bare = Conditions(categorical={}, continuous={})
    assert list(with_unseen(OBS, none, conditions=bare, training=none)) == list(OBS)


def test_generated_cells_are_marked(fitted: CellGenerator) -> None:
    made = fitted.generate(8, where={"cell_type": "B"}, progress=False)
    assert isinstance(made, ad.AnnData)
    assert made.obs["unseen"].dtype == bool
    assert not made.obs["unseen"].any()


def test_cells_have_the_verdict_that_support_gives_each_of_them(
    crossed_model: CellGenerator, fitted: CellGenerator
) -> None:
    asked: list[tuple[CellGenerator, list[dict[str, object]]]] = [
        (crossed_model, [{"cell_type": "B", "treated": True}, {"cell_type": "B", "treated": False}, {"treated": True}]),
        (fitted, [{"cell_type": "B", "day": 1.0}, {"cell_type": "B", "day": 0.7}, {"cell_type": "T", "treated": True}]),
    ]
    for model, wheres in asked:
        assert model._model is not None
        for where in wheres:
            table = model.conditions.encode(pd.DataFrame([where]), partial=True)
            assert Verdicts(model._model).of(table) == [model.support(where).verdict]
    made = crossed_model.generate(6, where={"treated": True, "cell_type": "B"}, progress=False)
    assert isinstance(made, ad.AnnData)
    assert list(made.obs["support"].cat.categories) == ["seen", "near", "extrapolated", "cannot tell"]
    assert set(made.obs["support"]) == {crossed_model.support({"treated": True, "cell_type": "B"}).verdict}


def test_verdicts_of_many_numbers_are_those_of_each(fitted: CellGenerator) -> None:
    days = np.array([0.0, 0.5, 0.25, 3.0, -1.0, np.nan])
    table = fitted.conditions.encode(pd.DataFrame({"day": days}), partial=True)
    assert fitted._model is not None
    assert Verdicts(fitted._model).of(table) == ["seen", "seen", "near", "cannot tell", "cannot tell", "seen"]


def test_a_combination_left_out_of_training_is_marked_when_generated(simulated: ad.AnnData, small: ModelConfig) -> None:
    seen = simulated[~((simulated.obs["cell_type"] == "B") & simulated.obs["treated"])].copy()
    model = CellGenerator(seen, conditions=["cell_type", "treated"], config=small).fit(max_epochs=1, progress=False)
    asked = pd.DataFrame({"cell_type": ["B", "B", "T"], "treated": [True, False, True]})
    made = model.generate(where=asked, progress=False)
    assert isinstance(made, ad.AnnData)
    assert made.obs["unseen"].tolist() == [True, False, False]
    assert model.support({"cell_type": "B", "treated": True}).is_unseen


def test_requests_that_cannot_be_read_are_refused(fitted: CellGenerator, simulated: ad.AnnData) -> None:
    with pytest.raises(UnknownNameError, match=r"'BB' is not a trained label of 'cell_type'.*Did you mean 'B'"):
        fitted.support({"cell_type": "BB"})
    with pytest.raises(UnknownNameError, match=r"'cell_typ' is not a condition.*Did you mean 'cell_type'"):
        fitted.support({"cell_typ": "B"})
    with pytest.raises(NotFittedError, match="`support` needs a fitted model"):
        CellGenerator(simulated).support({})


def test_a_model_without_conditions_supports_nothing(bare: CellGenerator) -> None:
    with pytest.raises(ConditionError, match="`where` needs a model with conditions, and this one has none"):
        bare.support({"cell_type": "B"})


def test_the_verdict_follows_what_was_seen_and_what_is_expected_to_be_missed() -> None:
    assert support(organ="lung", type="T").verdict == "seen"
    assert support(organ="lung", type="T", day=1.0).verdict == "seen"
    assert support(organ="lung", type="T", day=3.0).verdict == "near"
    assert support(organ="lung", type="T", day=5.0).verdict == "cannot tell"
    unseen = support(organ="lung", type="B")
    assert unseen.verdict == "cannot tell"
    assert "cannot tell how far it can be trusted" in str(unseen)
    for error, verdict in ((0.1, "near"), (0.25, "near"), (0.66, "extrapolated"), (0.67, "cannot tell")):
        asked = replace(unseen, expected_error=error)
        assert asked.verdict == verdict
        assert f"{verdict}; about {error:.0%} of the change" in str(asked)


def test_a_model_knows_what_it_expects_and_how_surely(crossed_model: CellGenerator) -> None:
    unseen = {"cell_type": "B", "treated": True}
    found = crossed_model.support(unseen)
    assert found.is_unseen
    assert found.expected_error is not None
    assert 0 < found.expected_error < 1
    assert crossed_model.support({"treated": True}).expected_error is None
    table = crossed_model.expected_expression(unseen)
    assert table.index.tolist() == crossed_model.genes.tolist()
    assert np.expm1(table["expression"]).sum() == pytest.approx(1e4)
    seen = crossed_model.expected_expression({"cell_type": "T", "treated": True})
    assert (table["standard_error"] > seen["standard_error"]).all()
    with pytest.raises(ConditionError, match="Condition 'treated' is open, or outside of what was measured"):
        crossed_model.expected_expression({"cell_type": "B"})


def test_without_a_grid_nothing_is_expected(simulated: ad.AnnData, small: ModelConfig) -> None:
    config = replace(small, calibration=CalibrationConfig(most_grid_values=4))
    model = CellGenerator(simulated, continuous=["day"], config=config).fit(max_epochs=1, progress=False)
    with pytest.raises(ConditionError, match="The model has no expected expression"):
        model.expected_expression({"day": 1.0})


def test_a_missing_number_and_one_out_of_range_have_errors_of_their_own(
    simulated: ad.AnnData, small: ModelConfig
) -> None:
    labels = simulated.obs["cell_type"]
    cells = simulated[(labels.notna() & ~((labels == "B") & simulated.obs["treated"])).to_numpy()].copy()
    names = ["cell_type", "treated"]
    model = CellGenerator(cells, conditions=names, continuous=["day"], config=small).fit(max_epochs=1, progress=False)
    days = [99.0, np.nan, 99.0]
    table = model.conditions.encode(pd.DataFrame({"cell_type": "B", "treated": True, "day": days}))
    missing = model.support({"cell_type": "B", "treated": True}).expected_error
    assert missing is not None
    assert Verdicts(model._fitted("support"))._expected_errors(table) == [None, missing, None]


def test_a_condition_that_is_left_open_is_no_change(simulated: ad.AnnData, small: ModelConfig) -> None:
    """A plate that was given at random would be the hardest change of all."""
    labels = simulated.obs["cell_type"]
    cells = simulated[(labels.notna() & ~((labels == "B") & simulated.obs["treated"])).to_numpy()].copy()
    cells.obs["plate"] = np.random.default_rng(0).choice(["p1", "p2", "p3"], cells.n_obs)
    conditions = ["cell_type", "treated", "plate"]
    model = CellGenerator(cells, conditions=conditions, config=small).fit(max_epochs=1, progress=False)
    fitted = model._fitted("support")
    assert fitted.networks.expected is not None
    asked = {"cell_type": "B", "treated": True}
    errors = []
    for plate in ("p1", "p2", "p3"):
        request = plan_conditions(model.conditions, fitted.trained_on, n_cells=1, where=asked | {"plate": plate})
        codes, measured = request.requests.codes[0], np.array([False, False, True])
        errors.append(fitted.networks.expected.expected_error(codes, measured=measured))
    assert model.support(asked).expected_error in errors

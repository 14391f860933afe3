"""Guidance of generation: a scale a condition, labels to keep away from, numbers beyond the measured, bad requests."""

from __future__ import annotations

import warnings
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from tests.fitted_model import assert_same_uns, classifiers_of, networks_of, twin

from scdiffuse import Guidance
from scdiffuse._core.errors import ConditionError, ExtrapolationWarning, SettingError, UnknownNameError
from scdiffuse.diffusion import DenoisedMean, Denoiser
from scdiffuse.generator import CellGenerator
from scdiffuse.guidance import GUIDES
from scdiffuse.nn import ConditionTensors

pytestmark = pytest.mark.filterwarnings("ignore:Guidance drives:UserWarning")  # the weights of some models are noise


@pytest.fixture(scope="module")
def model(fitted: CellGenerator, simulated: ad.AnnData) -> CellGenerator:
    """A model whose networks say something, with a classifier of labels and one of numbers."""
    model = twin(fitted)
    model.add_classifier("organ", simulated, obs_key="cell_type", max_epochs=2, progress=False)
    model.add_classifier("hour", simulated, obs_key="day", max_epochs=2, progress=False)
    draws = torch.Generator().manual_seed(0)
    for one in classifiers_of(model).values():
        one.network.class_means.add_(0.5 * torch.randn(one.network.class_means.shape, generator=draws))
    return model


@pytest.fixture(scope="module")
def telling(fitted: CellGenerator, simulated: ad.AnnData) -> CellGenerator:
    """A model whose denoiser makes much of its conditions."""
    model = CellGenerator(simulated, conditions=["cell_type", "treated"], continuous=["day"], config=fitted.config)
    model.fit(max_epochs=1, progress=False)
    draws = torch.Generator().manual_seed(0)
    for weight in networks_of(model).denoiser.parameters():
        weight.data += 0.3 * torch.randn(weight.shape, generator=draws)
    return model


def made(model: CellGenerator, n: int | None = 40, **asked: Any) -> ad.AnnData:
    cells = model.generate(n, progress=False, **asked)
    assert isinstance(cells, ad.AnnData)
    return cells


def same(x: ad.AnnData, y: ad.AnnData) -> bool:
    return bool((x.X != y.X).nnz == 0)


ALL = {"cell_type": "B", "treated": True, "day": 1.0}


@pytest.mark.parametrize(
    "asked",
    [1, 1.0, np.float64(1.0), {}, dict.fromkeys(ALL, 1.0), Guidance(), Guidance(1.0), Guidance({"day": 1})],
    ids=repr,
)
def test_scales_of_one_are_no_guidance(telling: CellGenerator, asked: Any) -> None:
    assert same(made(telling, where=ALL, guidance=asked), made(telling, where=ALL))


@pytest.mark.parametrize(
    ("number", "others"),
    [
        (1.5, [Guidance(1.5), Guidance(scale=1.5), Guidance(1.5, toward={}, away={})]),
        (2, [2.0, Guidance(2), Guidance(2.0, interval=(0, 1), composition="joint")]),
        (dict.fromkeys(ALL, 1.5), [Guidance(dict.fromkeys(ALL, 1.5))]),
        ({"day": 2}, [Guidance({"day": 2.0}), {"day": 2.0, "treated": 1.0}, Guidance({"day": 2.0, "treated": 1})]),
    ],
    ids=str,
)
def test_a_number_a_mapping_and_an_object_that_say_the_same_make_the_same_cells(
    telling: CellGenerator, number: Any, others: list[Any]
) -> None:
    first = made(telling, where=ALL, guidance=number)
    assert not same(first, made(telling, where=ALL))
    for other in others:
        assert same(made(telling, where=ALL, guidance=other), first)


@pytest.mark.parametrize("number", [np.int64(2), np.float32(2.0)], ids=repr)
def test_numbers_of_numpy_are_numbers(telling: CellGenerator, number: Any) -> None:
    same_number = number.item()
    plain = made(telling, 8, where=ALL, guidance=same_number)
    assert same(made(telling, 8, where=ALL, guidance=number), plain)
    each = dict.fromkeys(ALL, same_number)
    asked = dict.fromkeys(ALL, number)
    assert made(telling, 8, where=ALL, guidance=asked).obs_names.equals(
        made(telling, 8, where=ALL, guidance=each).obs_names
    )
    interval = (number / 4, number / 2)
    assert same(
        made(telling, 8, where=ALL, guidance=Guidance(2, interval=interval)),
        made(telling, 8, where=ALL, guidance=Guidance(2, interval=(0.5, 1.0))),
    )


def test_guidance_is_a_value(telling: CellGenerator) -> None:
    asked = Guidance(2.0, away={"cell_type": "NK"})
    assert Guidance.of(asked) is asked
    assert Guidance.of(2) == Guidance(2)
    assert asked == Guidance(2.0, away={"cell_type": "NK"})
    assert same(made(telling, where=ALL, guidance=asked), made(telling, where=ALL, guidance=asked))


@pytest.mark.parametrize("name", list(ALL))
def test_a_scale_of_zero_is_as_if_the_condition_were_not_asked_for(telling: CellGenerator, name: str) -> None:
    assert same(made(telling, where=ALL, guidance={name: 0.0}), made(telling, where={**ALL, name: None}))


@pytest.mark.parametrize("name", list(ALL))
def test_each_condition_has_a_scale_of_its_own(telling: CellGenerator, name: str) -> None:
    strong = made(telling, where=ALL, guidance={name: 3.0})
    assert not same(strong, made(telling, where=ALL))
    assert not same(strong, made(telling, where=ALL, guidance=3.0))


def test_conditions_can_be_added_up(telling: CellGenerator) -> None:
    only = {"cell_type": "B", "treated": None, "day": None}
    summed = made(telling, where=ALL, guidance=Guidance(composition="additive"))
    assert not same(summed, made(telling, where=ALL))
    alone = made(telling, where=ALL, guidance=Guidance({"treated": 0.0, "day": 0.0}, composition="additive"))
    assert same(alone, made(telling, where=only))


def test_a_label_to_keep_away_from_is_neither_drawn_nor_approached(telling: CellGenerator) -> None:
    cells = made(telling, 200, guidance=Guidance(away={"cell_type": "NK"}))
    assert set(cells.obs["cell_type"].dropna()) == {"T", "B"}
    asked = {"cell_type": "B"}
    plain = made(telling, where=asked)
    assert not same(made(telling, where=asked, guidance=Guidance(away={"cell_type": "NK"})), plain)
    assert same(made(telling, where=asked, guidance=Guidance(away={"cell_type": ("NK", 0.0)})), plain)


def test_an_interval_without_steps_is_refused_where_something_guides(telling: CellGenerator) -> None:
    words = r"No step of the solver lies in the `interval` \(0.01, 0.02\).* one of the 4 times 1 to 0.25 within. Widen"
    narrow = (0.01, 0.02)
    asked: list[dict[str, Any]] = [{"scale": 3.0}, {"scale": {"day": 2.0}}, {"away": {"cell_type": "T"}}]
    for one in asked:
        with pytest.raises(SettingError, match=words):
            made(telling, where={"cell_type": "B", "day": 1.0}, guidance=Guidance(interval=narrow, **one))
    assert same(made(telling, where=ALL, guidance=Guidance({"day": 1.0}, interval=narrow)), made(telling, where=ALL))
    fine = made(telling, where=ALL, guidance=Guidance(3.0, interval=narrow), solver_steps=64)
    assert not same(fine, made(telling, where=ALL, solver_steps=64))


@pytest.mark.parametrize("interval", [(0.0, 0.1), (0.25, 0.3), (0.7, 0.75)])
def test_the_bounds_of_an_interval_belong_to_it(telling: CellGenerator, interval: tuple[float, float]) -> None:
    """A step at 0.1 is at 0.10000000149 in single precision."""
    guided = made(telling, where=ALL, guidance=Guidance(3.0, interval=interval), solver_steps=10)
    assert not same(guided, made(telling, where=ALL, solver_steps=10))


def test_half_a_step_of_heun_counts_as_one(telling: CellGenerator) -> None:
    asked = Guidance(3.0, interval=(0.1, 0.2))
    made(telling, where=ALL, guidance=asked, solver="heun")
    with pytest.raises(SettingError, match=r"No step of the solver lies in .* ask for more `solver_steps`"):
        made(telling, where=ALL, guidance=asked, solver="multistep")


def test_a_label_known_to_a_condition_and_a_classifier_is_kept_away_from_by_both(fitted: CellGenerator) -> None:
    model = twin(fitted)
    draws = np.random.default_rng(0)
    obs = pd.DataFrame({"cell_type": ["NK", "plasma"] * 50}, index=[f"c{at}" for at in range(100)])
    var = pd.DataFrame(index=fitted.genes)
    counts = draws.poisson(3.0, (100, len(fitted.genes))).astype(np.float32)
    model.add_classifier("cell_type", ad.AnnData(counts, obs, var), max_epochs=1, progress=False)
    assert "NK" not in set(made(model, guidance=Guidance(away={"cell_type": "NK"})).obs["cell_type"])
    assert "NK" in set(made(model, guidance=Guidance(away={"cell_type": "plasma"})).obs["cell_type"])


@pytest.mark.parametrize("day", [0.0, 0.75, 1.9, 2.0])
def test_numbers_within_the_measured_need_no_warning(fitted: CellGenerator, day: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(made(fitted, 9, where={"day": day}).obs["day"]) == {day}


@pytest.mark.parametrize("day", [-0.5, 2.5])
def test_numbers_beyond_the_measured_are_made_with_a_warning(telling: CellGenerator, day: float) -> None:
    words = rf"`where` asks for 'day' = {day} \(9 cells or rows\); expected a number from 0 to 2, .* as at the"
    with pytest.warns(ExtrapolationWarning, match=words):
        cells = made(telling, 9, where={**ALL, "day": day})
    assert set(cells.obs["day"]) == {day}


def test_cells_beyond_the_measured_are_as_at_the_nearest_number(telling: CellGenerator, simulated: ad.AnnData) -> None:
    with pytest.warns(ExtrapolationWarning, match="`to` asks for 'day' = 9"):
        beyond, last, first = (telling.predict(simulated[:20], {"day": day}, progress=False) for day in (9.0, 2.0, 0.0))
    assert same(beyond, last)
    assert not same(beyond, first)


def test_a_table_counts_the_cells_beyond(fitted: CellGenerator) -> None:
    table = pd.DataFrame({"day": [1.0, 3.0, np.nan, 5.0], "n_cells": [1, 2, 3, 4]})
    with pytest.warns(ExtrapolationWarning, match=r"'day' = 5 \(6 cells or rows\)"):
        made(fitted, None, where=table)


def test_guidance_toward_a_number_beyond_the_measured_warns(model: CellGenerator) -> None:
    with pytest.warns(ExtrapolationWarning, match=r"`toward` asks for 'hour' = 9 \(1 cells or rows\); expected"):
        made(model, 5, guidance=Guidance(toward={"hour": 9.0}))


def test_guidance_on_a_number_moves_between_its_neighbours(telling: CellGenerator) -> None:
    cells = [made(telling, where={**ALL, "day": day}, guidance={"day": 2.0}) for day in (0.5, 0.75, 1.0)]
    assert not same(cells[0], cells[1])
    assert not same(cells[1], cells[2])


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"toward": {"orgn": "B"}}, UnknownNameError, r"'orgn' is not a classifier .* Did you mean 'organ'"),
        ({"toward": {"treated": True}}, UnknownNameError, r"expected one of \['organ', 'hour'\]. Add it with"),
        ({"toward": {"organ": "b"}}, UnknownNameError, r"'b' is not a trained label of 'organ'.* Did you mean 'B'"),
        (
            {"toward": {"organ": ["B", "T"]}},
            SettingError,
            "`toward` gives 'organ' 2 values for 5 cells; give one value",
        ),
        pytest.param(
            {"toward": {"organ": {"B", "T"}}},
            ConditionError,
            "`toward` gives 'organ' several values; expected one label",
            id="several labels in a set",  # whose order would change the name
        ),
        ({"toward": {"organ": ("B", -1.0)}}, SettingError, "`toward` 'organ' must be 0 or more, got -1.0"),
        ({"toward": {"organ": ("B", float("inf"))}}, SettingError, "`toward` 'organ' must be 0 or more, got inf"),
        ({"toward": {"organ": ("B", float("nan"))}}, SettingError, "`toward` 'organ' must be 0 or more, got nan"),
        ({"toward": {"organ": ("B", "2")}}, SettingError, "must be 0 or more, got '2'; expected a finite number"),
        (
            {"toward": {"organ": ("B", "T", "NK")}},
            SettingError,
            "`toward` gives 'organ' a tuple of 3; expected a label or number",
        ),
        ({"toward": {"hour": "late"}}, ConditionError, "'hour' holds 'late'; expected numbers"),
        ({"away": {"organn": "B"}}, UnknownNameError, r"`away` .*no condition or classifier; .* Did you mean 'organ'"),
        ({"away": {"cell_type": "b"}}, UnknownNameError, "Did you mean 'B'"),
        ({"away": {"cell_type": ["B", "T"]}}, ConditionError, "`away` gives 'cell_type' several values; expected one"),
        ({"away": {"organ": ["B", "T"]}}, ConditionError, "`away` gives 'organ' several values; expected one label"),
        (
            {"away": {"hour": 1.0}},
            SettingError,
            "`away` names 'hour', which predicts numbers; expected a classifier of",
        ),
        ({"away": {"cell_type": ("B", -2)}}, SettingError, "`away` 'cell_type' must be 0 or more, got -2"),
        ({"away": {"organ": ("B", "T", "NK")}}, SettingError, "`away` gives 'organ' a tuple of 3; expected a label"),
        ({"scale": {"cell_typ": 2.0}}, UnknownNameError, "Did you mean 'cell_type'"),
    ],
    ids=str,
)
def test_what_a_model_cannot_do_is_refused(
    model: CellGenerator, asked: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        model.generate(5, guidance=Guidance(**asked), progress=False)


def test_cells_asked_to_be_what_they_keep_away_from_are_refused(model: CellGenerator) -> None:
    words = "`away` names 'B' of 'cell_type', and 5 of the cells are asked to have it; expected none"
    with pytest.raises(SettingError, match=words):
        model.generate(5, where={"cell_type": "B"}, guidance=Guidance(away={"cell_type": "B"}), progress=False)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"toward": "organ"}, r"`toward` is 'organ'; expected names with a label .* Write it as `toward="),
        ({"away": ["NK"]}, r"`away` is \['NK'\]; expected names with a label .* Write it as `away="),
        ({"interval": (0.9, 0.1)}, "must run from a lower to a higher time within 0 to 1"),
        ({"interval": 0.5}, "must run from a lower to a higher time within 0 to 1"),
        ({"composition": "sum"}, "`composition` must be 'joint' or 'additive', got 'sum'"),
        ({"scale": -1.0}, "`guidance` must be 0 or more, got -1.0"),
        ({"scale": {"cell_type": -2.0}}, "`guidance` of 'cell_type' must be 0 or more, got -2.0"),
        ({"scale": float("nan")}, "`guidance` must be 0 or more, got nan"),
        ({"scale": "strong"}, "`guidance` must be 0 or more, got 'strong'"),
    ],
    ids=str,
)
def test_guidance_that_makes_no_sense_is_refused_when_written_down(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        Guidance(**asked)


@pytest.mark.parametrize("asked", ["strong", None, True, [1.0], ("B", 2.0)], ids=repr)
def test_what_is_no_guidance_is_refused(model: CellGenerator, asked: Any) -> None:
    with pytest.raises(SettingError, match=r"`guidance` is .*; expected a number, numbers by condition, or a `Guid"):
        model.generate(5, guidance=asked, progress=False)


def test_the_only_label_cannot_be_kept_away_from(simulated: ad.AnnData, fitted: CellGenerator) -> None:
    one = simulated[simulated.obs["cell_type"] == "B"].copy()
    model = CellGenerator(one, conditions=["cell_type"], config=fitted.config).fit(max_epochs=1, progress=False)
    with pytest.raises(
        SettingError, match=r"All training cells have what `away` names for 'cell_type'.* Leave it out of `away`"
    ):
        made(model, guidance=Guidance(away={"cell_type": "B"}))


def test_uns_says_how_cells_were_guided(fitted: CellGenerator) -> None:
    asked = Guidance({"day": 2.0}, away={"cell_type": ("B", 0.5)}, composition="additive")
    cells = made(fitted, 4, guidance=asked)
    expected = {
        "scale": {"day": 2.0},
        "toward": {},
        "away": {"cell_type": {"target": "B", "scale": 0.5}},
        "interval": np.array([0.0, 1.0]),
        "composition": "additive",
        "classifiers": {},
    }
    assert_same_uns(cells.uns["scdiffuse"]["settings"]["guidance"], expected)


class _Halved:
    """Halve the denoised mean of every cell."""

    def __init__(self, denoiser: Denoiser, *, factor: float) -> None:
        self.denoiser, self.factor = denoiser, factor

    def condition_on(self, conditions: ConditionTensors) -> DenoisedMean:
        denoised_mean = self.denoiser.condition_on(conditions)
        return lambda z_t, t: self.factor * denoised_mean(z_t, t)


def test_a_guide_of_the_registry_is_asked_for_by_name(telling: CellGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GUIDES, "halved", _Halved)
    plain, same_again = (
        made(telling, where=ALL, guidance=one) for one in (1.0, Guidance(guides={"halved": {"factor": 1.0}}))
    )
    halved = made(telling, where=ALL, guidance=Guidance(guides={"halved": {"factor": 0.5}}))
    assert same(plain, same_again)
    assert not same(plain, halved)
    assert halved.uns["scdiffuse"]["settings"]["guidance"]["guides"]["halved"]["factor"] == 0.5
    with pytest.raises(UnknownNameError, match=r"'halvd' is not a guide; expected one of .* Did you mean 'halved'"):
        made(telling, guidance=Guidance(guides={"halvd": {}}))
    with pytest.raises(SettingError, match=r"`guides` is 'halved'; expected names with settings each"):
        Guidance(guides="halved")  # type: ignore[arg-type]

"""How generation is steered: strengths a condition, labels to avoid, numbers beyond the measured, and bad requests."""

from __future__ import annotations

import json
import warnings
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from scdiffuse._core.errors import ConditionError, ExtrapolationWarning, SettingError, UnknownNameError
from scdiffuse.generator import CellGenerator


@pytest.fixture(scope="module")
def model(fitted: CellGenerator, simulated: ad.AnnData) -> CellGenerator:
    """A model whose networks say something, with a classifier of labels and one of numbers."""
    twin = CellGenerator.__new__(CellGenerator)
    vars(twin).update(vars(fitted))
    twin._classifiers = {}
    twin.add_classifier("organ", simulated, obs_key="cell_type", max_epochs=2, progress=False)
    twin.add_classifier("hour", simulated, obs_key="day", max_epochs=2, progress=False)
    draws = torch.Generator().manual_seed(0)
    for one in twin._classifiers.values():
        one.network.centres.add_(0.5 * torch.randn(one.network.centres.shape, generator=draws))
    return twin


@pytest.fixture(scope="module")
def telling(fitted: CellGenerator, simulated: ad.AnnData) -> CellGenerator:
    """A model whose denoiser makes much of its conditions."""
    model = CellGenerator(simulated, conditions=["cell_type", "treated"], continuous=["day"], config=fitted.config)
    model.fit(max_epochs=1, progress=False)
    assert model._networks is not None
    draws = torch.Generator().manual_seed(0)
    for weight in model._networks.denoiser.parameters():
        weight.data += 0.3 * torch.randn(weight.shape, generator=draws)
    return model


def made(model: CellGenerator, n: int | None = 40, **asked: Any) -> ad.AnnData:
    cells = model.generate(n, progress=False, **asked)
    assert isinstance(cells, ad.AnnData)
    return cells


def same(x: ad.AnnData, y: ad.AnnData) -> bool:
    return bool((x.X != y.X).nnz == 0)


ALL = {"cell_type": "B", "treated": True, "day": 1.0}


def test_strengths_of_one_are_no_guidance(telling: CellGenerator) -> None:
    plain = made(telling, where=ALL)
    assert same(made(telling, where=ALL, guidance={}), plain)
    assert same(made(telling, where=ALL, guidance=dict.fromkeys(ALL, 1.0)), plain)


@pytest.mark.parametrize("name", list(ALL))
def test_a_strength_of_zero_is_as_if_the_condition_were_not_asked_for(telling: CellGenerator, name: str) -> None:
    assert same(made(telling, where=ALL, guidance={name: 0.0}), made(telling, where={**ALL, name: None}))


@pytest.mark.parametrize("name", list(ALL))
def test_each_condition_has_a_strength_of_its_own(telling: CellGenerator, name: str) -> None:
    strong = made(telling, where=ALL, guidance={name: 3.0})
    assert not same(strong, made(telling, where=ALL))
    assert not same(strong, made(telling, where=ALL, guidance=3.0))


def test_conditions_can_be_added_up(telling: CellGenerator) -> None:
    only = {"cell_type": "B", "treated": None, "day": None}
    summed = made(telling, where=ALL, composition="additive")
    assert not same(summed, made(telling, where=ALL))
    alone = made(telling, where=ALL, guidance={"treated": 0.0, "day": 0.0}, composition="additive")
    assert same(alone, made(telling, where=only))


def test_what_is_avoided_is_neither_drawn_nor_approached(telling: CellGenerator) -> None:
    cells = made(telling, 200, avoid={"cell_type": "NK"})
    assert set(cells.obs["cell_type"].dropna()) == {"T", "B"}
    asked = {"cell_type": "B"}
    assert not same(made(telling, where=asked, avoid={"cell_type": "NK"}), made(telling, where=asked))
    assert same(made(telling, where=asked, avoid={"cell_type": ("NK", 0.0)}), made(telling, where=asked))


def test_an_interval_without_steps_is_refused_where_something_guides(telling: CellGenerator) -> None:
    words = r"No step of the solver lies in the `interval` \(0.01, 0.02\).* one of the 4 times 1 to 0.25 within. Widen"
    for asked in ({"guidance": 3.0}, {"guidance": {"day": 2.0}}, {"avoid": {"cell_type": "T"}}):
        with pytest.raises(SettingError, match=words):
            made(telling, where={"cell_type": "B", "day": 1.0}, interval=(0.01, 0.02), **asked)
    assert same(made(telling, where=ALL, guidance={"day": 1.0}, interval=(0.01, 0.02)), made(telling, where=ALL))
    fine = made(telling, where=ALL, guidance=3.0, interval=(0.01, 0.02), steps=64)
    assert not same(fine, made(telling, where=ALL, steps=64))


def test_half_a_step_of_heun_counts_as_one(telling: CellGenerator) -> None:
    made(telling, where=ALL, guidance=3.0, interval=(0.1, 0.2), solver="heun")
    with pytest.raises(SettingError, match="No step of the solver lies in"):
        made(telling, where=ALL, guidance=3.0, interval=(0.1, 0.2), solver="multistep")


def test_a_label_known_to_a_condition_and_a_classifier_is_avoided_by_both(fitted: CellGenerator) -> None:
    twin = CellGenerator.__new__(CellGenerator)
    vars(twin).update(vars(fitted))
    twin._classifiers = {}
    draws = np.random.default_rng(0)
    obs = pd.DataFrame({"cell_type": ["NK", "plasma"] * 50}, index=[f"c{at}" for at in range(100)])
    var = pd.DataFrame(index=fitted.genes)
    counts = draws.poisson(3.0, (100, len(fitted.genes))).astype(np.float32)
    twin.add_classifier("cell_type", ad.AnnData(counts, obs, var), max_epochs=1, progress=False)
    assert "NK" not in set(made(twin, avoid={"cell_type": "NK"}).obs["cell_type"])
    assert "NK" in set(made(twin, avoid={"cell_type": "plasma"}).obs["cell_type"])


@pytest.mark.parametrize("day", [0.0, 0.75, 1.9, 2.0])
def test_numbers_within_the_measured_need_no_warning(fitted: CellGenerator, day: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(made(fitted, 9, where={"day": day}).obs["day"]) == {day}


@pytest.mark.parametrize("day", [-0.5, 2.5])
def test_numbers_beyond_the_measured_are_made_with_a_warning(telling: CellGenerator, day: float) -> None:
    words = rf"`where` asks for 'day' = {day} \(9 cells or rows\); expected a number from 0 to 2, .* Take what is"
    with pytest.warns(ExtrapolationWarning, match=words):
        cells = made(telling, 9, where={**ALL, "day": day})
    assert set(cells.obs["day"]) == {day}
    near = made(telling, 9, where={**ALL, "day": float(np.clip(day, 0, 2))})
    assert not same(cells, near)


def test_a_table_counts_the_cells_beyond(fitted: CellGenerator) -> None:
    table = pd.DataFrame({"day": [1.0, 3.0, np.nan, 5.0], "n": [1, 2, 3, 4]})
    with pytest.warns(ExtrapolationWarning, match=r"'day' = 5 \(6 cells or rows\)"):
        made(fitted, None, where=table)


def test_a_guide_to_a_number_beyond_the_measured_warns(model: CellGenerator) -> None:
    with pytest.warns(ExtrapolationWarning, match=r"`guide` asks for 'hour' = 9 \(1 cells or rows\); expected"):
        made(model, 5, guide={"hour": 9.0})


def test_guidance_on_a_number_moves_between_its_neighbours(telling: CellGenerator) -> None:
    cells = [made(telling, where={**ALL, "day": day}, guidance={"day": 2.0}) for day in (0.5, 0.75, 1.0)]
    assert not same(cells[0], cells[1])
    assert not same(cells[1], cells[2])


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"guide": {"orgn": "B"}}, UnknownNameError, r"'orgn' is not a classifier .* Did you mean 'organ'"),
        ({"guide": {"treated": True}}, UnknownNameError, r"expected one of \['organ', 'hour'\]. Add it with"),
        ({"guide": {"organ": "b"}}, UnknownNameError, r"'b' is not a trained label of 'organ'.* Did you mean 'B'"),
        ({"guide": {"organ": ["B", "T"]}}, SettingError, "gives 'organ' 2 values for 5 cells; give one value, or one"),
        ({"guide": {"organ": ("B", -1.0)}}, SettingError, "strength of guide 'organ' must be 0 or more, got -1.0"),
        ({"guide": {"organ": ("B", float("inf"))}}, SettingError, "must be 0 or more, got inf"),
        ({"guide": {"organ": ("B", float("nan"))}}, SettingError, "must be 0 or more, got nan"),
        ({"guide": {"organ": ("B", "2")}}, SettingError, "must be 0 or more, got '2'; expected a finite number"),
        (
            {"guide": {"organ": ("B", "T", "NK")}},
            SettingError,
            "gives 'organ' a tuple of 3; expected a label or number",
        ),
        ({"guide": {"hour": "late"}}, ConditionError, "'hour' holds 'late'; expected numbers"),
        ({"guide": "organ"}, SettingError, r"`guide` is 'organ'; expected names with a label .* Write it as `guide="),
        ({"avoid": {"organn": "B"}}, UnknownNameError, r"no condition or classifier; .* Did you mean 'organ'"),
        ({"avoid": {"cell_type": "b"}}, UnknownNameError, "Did you mean 'B'"),
        ({"avoid": {"cell_type": ["B", "T"]}}, ConditionError, "gives 'cell_type' several values; expected one label"),
        ({"avoid": {"organ": ["B", "T"]}}, ConditionError, "gives 'organ' several values; expected one label"),
        ({"avoid": {"hour": 1.0}}, SettingError, "`avoid` names 'hour', which tells numbers; expected a classifier of"),
        (
            {"avoid": {"cell_type": "B"}, "where": {"cell_type": "B"}},
            SettingError,
            "`avoid` names 'B' of 'cell_type', and 5 of the cells asked for shall have it",
        ),
        ({"avoid": {"cell_type": ("B", -2)}}, SettingError, "strength of avoid 'cell_type' must be 0 or more, got -2"),
        ({"guidance": {"cell_typ": 2.0}}, UnknownNameError, "Did you mean 'cell_type'"),
        ({"guidance": {"cell_type": -2.0}}, SettingError, "strength of guidance towards 'cell_type' must be 0 or more"),
        ({"guidance": "strong"}, SettingError, "The strength of guidance must be 0 or more, got 'strong'"),
        ({"interval": (0.9, 0.1)}, SettingError, "must run from a lower to a higher time within 0 to 1"),
        ({"composition": "sum"}, SettingError, "must be 'joint' or 'additive', got 'sum'"),
    ],
)
def test_what_cannot_be_done_is_refused(
    model: CellGenerator, asked: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        model.generate(5, progress=False, **asked)


def test_the_only_label_cannot_be_avoided(simulated: ad.AnnData, fitted: CellGenerator) -> None:
    one = simulated[simulated.obs["cell_type"] == "B"].copy()
    model = CellGenerator(one, conditions=["cell_type"], config=fitted.config).fit(max_epochs=1, progress=False)
    with pytest.raises(
        SettingError, match=r"All training cells have what `avoid` names for 'cell_type'.* Leave it out"
    ):
        made(model, avoid={"cell_type": "B"})


def test_uns_tells_how_cells_were_steered(fitted: CellGenerator) -> None:
    cells = made(fitted, 4, guidance={"day": 2.0}, avoid={"cell_type": ("B", 0.5)}, composition="additive")
    told = json.loads(cells.uns["scdiffuse"]["settings"])
    assert told["guidance"] == {"day": 2.0}
    assert told["avoid"] == {"cell_type": ["B", 0.5]}
    assert (told["guide"], told["composition"], told["interval"]) == (None, "additive", [0.0, 1.0])

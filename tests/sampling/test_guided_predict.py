"""Transfer and trajectories steered by classifiers, strengths a condition, labels to avoid and an interval."""

from __future__ import annotations

import json
from typing import Any

import anndata as ad
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError, UnknownNameError
from scdiffuse.generator import CellGenerator
from scdiffuse.model import ModelConfig

LATENT = "X_scdiffuse"
QUIET: dict[str, Any] = {"progress": False}


def with_classifiers(model: CellGenerator, cells: ad.AnnData) -> CellGenerator:
    """The same model with a classifier of labels and one of numbers, both decided in their ways."""
    twin = CellGenerator.__new__(CellGenerator)
    vars(twin).update(vars(model))
    twin._classifiers = {}
    twin.add_classifier("organ", cells, obs_key="cell_type", max_epochs=2, progress=False)
    twin.add_classifier("hour", cells, obs_key="day", max_epochs=2, progress=False)
    twin._classifiers["organ"].network.centres.mul_(4.0)
    return twin


@pytest.fixture(scope="module")
def model(fitted: CellGenerator, simulated: ad.AnnData) -> CellGenerator:
    """A model with conditions and classifiers."""
    return with_classifiers(fitted, simulated)


@pytest.fixture(scope="module")
def unlabelled(small: ModelConfig, simulated: ad.AnnData) -> CellGenerator:
    """A model without conditions, which classifiers alone can steer, fitted for long enough to tell types apart."""
    return with_classifiers(CellGenerator(simulated, config=small).fit(progress=False), simulated)


@pytest.fixture
def cells(simulated: ad.AnnData) -> ad.AnnData:
    """Cells of two types that lack no label."""
    known = simulated.obs["cell_type"].isin(["T", "NK"]) & simulated.obs["day"].notna()
    return simulated[known][:40].copy()


def probability(model: CellGenerator, made: ad.AnnData, label: str) -> NDArray[np.float32]:
    """How probable the classifier of organs finds a label, by cell."""
    organ = model._classifiers["organ"]
    code = int(organ.encode([label])[0])
    logits = organ.network.logits(torch.from_numpy(made.obsm[LATENT]), torch.tensor(0.0))  # type: ignore[operator]
    found: NDArray[np.float32] = logits[:, code].exp().numpy()
    return found


def same(x: ad.AnnData, y: ad.AnnData) -> bool:
    return bool((x.X != y.X).nnz == 0 and np.allclose(x.obsm[LATENT], y.obsm[LATENT], atol=1e-5))


@pytest.mark.parametrize("looks", [False, True])
def test_the_library_size_guides_only_where_that_is_asked_for(
    model: CellGenerator, simulated: ad.AnnData, *, looks: bool
) -> None:
    mine = with_classifiers(model, simulated)
    mine.add_classifier("kind", simulated, obs_key="cell_type", library_size=looks, max_epochs=2, progress=False)
    network, width = mine._classifiers["kind"].network, len(mine._networks.latent_mean)  # type: ignore[union-attr]
    u = torch.randn(30, width, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (slope,) = torch.autograd.grad(network.log_prob(u, torch.tensor(0.6), torch.arange(30.0) % 3).sum(), u)
    assert bool((slope[:, -1] != 0.0).any()) == looks
    assert (slope[:, :-1] != 0.0).any()
    assert mine.classifiers["kind"]["library_size"] == looks


def test_guided_to_what_they_are_cells_come_back(unlabelled: CellGenerator, cells: ad.AnnData) -> None:
    own = {"organ": cells.obs["cell_type"].tolist()}
    there = unlabelled.transfer(cells, guide={"organ": ("B", 0.0)}, steps=48, **QUIET).obsm[LATENT]
    back = unlabelled.transfer(cells, guide=own, steps=48, **QUIET).obsm[LATENT]
    other = unlabelled.transfer(cells, guide={"organ": "B"}, steps=48, **QUIET).obsm[LATENT]
    assert np.abs(back - there).max() < 0.03
    assert np.abs(other - there).max() > 0.1


def test_a_classifier_transfers_cells_of_a_model_without_conditions(
    unlabelled: CellGenerator, cells: ad.AnnData
) -> None:
    plain = unlabelled.transfer(cells, guide={"organ": ("B", 0.0)}, **QUIET)
    guided = unlabelled.transfer(cells, guide={"organ": ("B", 4.0)}, **QUIET)
    assert probability(unlabelled, guided, "B").mean() > probability(unlabelled, plain, "B").mean() + 0.05
    away = unlabelled.transfer(cells, avoid={"organ": ("T", 4.0)}, **QUIET)
    assert probability(unlabelled, away, "T").mean() < probability(unlabelled, plain, "T").mean() - 0.02


def test_labels_of_cells_that_a_classifier_does_not_know_guide_nowhere(model: CellGenerator, cells: ad.AnnData) -> None:
    cells.obs["organ"] = "elsewhere"
    strange = model.transfer(cells, guide={"organ": "B"}, **QUIET)
    del cells.obs["organ"]
    known = model.transfer(cells, guide={"organ": "B"}, **QUIET)
    cells.obs["organ"] = None
    assert same(model.transfer(cells, guide={"organ": "B"}, **QUIET), strange)
    assert not same(known, strange)


def test_a_number_guides_from_where_cells_are_to_where_they_shall_be(
    unlabelled: CellGenerator, cells: ad.AnnData
) -> None:
    path = unlabelled.trajectory(cells, guide={"hour": (2.0, 3.0)}, solver_steps=3, keep=0.2, **QUIET)
    hour = unlabelled._classifiers["hour"].network
    latents = torch.from_numpy(path.obsm[LATENT])
    found = hour.moments(latents, torch.tensor(0.0))[0].reshape(3, -1)  # type: ignore[operator]
    early = torch.from_numpy(cells.obs["day"].to_numpy() < 0.8)
    assert found[2, early].mean() > found[1, early].mean() > found[0, early].mean()


def test_a_trajectory_goes_where_a_classifier_leads(model: CellGenerator, cells: ad.AnnData) -> None:
    asked: dict[str, Any] = {"to": {"cell_type": None}, "guide": {"organ": ("B", 4.0)}, "n_steps": 4, "keep": 0.1}
    path = model.trajectory(cells, **asked, **QUIET)
    found = probability(model, path, "B").reshape(4, -1).mean(axis=1)
    assert found[-1] > found[1] > found[0]
    assert found[-1] > found[0] + 0.05


def test_a_start_without_labels_begins_as_without_guide(model: CellGenerator, cells: ad.AnnData) -> None:
    unknown = cells.copy()
    unknown.obs = unknown.obs[["treated"]]
    asked: dict[str, Any] = {"n_steps": 2, "keep": 0.3, **QUIET}
    guided = model.trajectory(unknown, {"day": 1.0}, guide={"organ": "B"}, blend="estimates", **asked)
    plain = model.trajectory(unknown, {"day": 1.0}, blend="estimates", **asked)
    n = cells.n_obs
    assert same(guided[:n], plain[:n])
    assert not same(guided[n:], plain[n:])


@pytest.mark.parametrize("via", ["noising", "inversion"])
def test_a_branch_by_classifiers_is_the_way_to_its_target_alone(
    model: CellGenerator, cells: ad.AnnData, via: Any
) -> None:
    asked: dict[str, Any] = {"n_steps": 2, "via": via, **QUIET}
    both = model.trajectory(cells, {"day": 1.0}, guide={"b": {"organ": "B"}, "nk": {"organ": "NK"}}, **asked)
    for name, label in (("b", "B"), ("nk", "NK")):
        alone = model.trajectory(cells, {"day": 1.0}, guide={"organ": label}, **asked)
        assert same(both[both.obs["branch"] == name], alone)
    mixed = model.trajectory(cells, {"x": {"day": 1.0}}, guide={"y": {"organ": "B"}}, **asked)
    assert list(mixed.obs["branch"].cat.categories) == ["x", "y"]


@pytest.mark.parametrize("chunk", [7, 16])
def test_chunks_change_no_cell(model: CellGenerator, cells: ad.AnnData, chunk: int) -> None:
    guide: dict[str, Any] = {"organ": (["B", "T", "NK", None] * 10, 1.5), "hour": 1.0}
    asked: dict[str, Any] = {"guide": guide, "avoid": {"cell_type": "B"}, "guidance": {"day": 2.0}, **QUIET}
    assert same(model.transfer(cells, {"day": 1.0}, chunk=chunk, **asked), model.transfer(cells, {"day": 1.0}, **asked))
    asked |= {"n_steps": 3, "via": "inversion", "library_size": list(range(50, 90))}
    to = {"a": {"day": 1.0}, "b": {"cell_type": "NK"}}
    whole, networks = model.trajectory(cells, to, **asked), model.trajectory(cells, to, chunk=chunk, **asked)
    assert same(whole, networks)
    assert whole.obs.astype(str).equals(networks.obs.astype(str))


def test_strengths_of_conditions_act_on_the_way_back(model: CellGenerator, cells: ad.AnnData) -> None:
    there = {"cell_type": "B", "day": 2.0}
    plain = model.transfer(cells, there, **QUIET)
    assert same(model.transfer(cells, there, guidance={"day": 1.0}, interval=(0.1, 0.9), **QUIET), plain)
    assert same(
        model.transfer(cells, there, guidance={"day": 0.0}, **QUIET),
        model.transfer(cells, {**there, "day": None}, **QUIET),
    )
    strong = model.transfer(cells, there, guidance={"cell_type": 3.0}, **QUIET)
    assert not same(strong, plain)
    assert not same(strong, model.transfer(cells, there, guidance={"cell_type": 3.0}, interval=(0.5, 1.0), **QUIET))


def test_what_is_avoided_pulls_at_the_target_alone(model: CellGenerator, cells: ad.AnnData) -> None:
    asked: dict[str, Any] = {"n_steps": 2, "keep": 0.3, **QUIET}
    to, n = {"cell_type": "B"}, cells.n_obs
    plain, avoided = (model.trajectory(cells, to, avoid=avoid, **asked) for avoid in (None, {"cell_type": "T"}))
    assert same(avoided[:n], plain[:n])
    assert not same(avoided[n:], plain[n:])


def test_uns_tells_how_cells_were_steered(model: CellGenerator, cells: ad.AnnData) -> None:
    asked: dict[str, Any] = {"guide": {"organ": ("B", 2.0)}, "guidance": {"day": 2.0}, "interval": (0.1, 1.0)}
    for made in (
        model.transfer(cells, {"day": 1.0}, **asked, **QUIET),
        model.trajectory(cells, {"day": 1.0}, solver_steps=2, **asked, **QUIET),
    ):
        told = json.loads(made.uns["scdiffuse"]["settings"])
        assert told["guide"] == {"organ": ["B", 2.0]}
        assert (told["guidance"], told["interval"], list(told["classifiers"])) == ({"day": 2.0}, [0.1, 1.0], ["organ"])


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({}, SettingError, "Neither `where` nor `guide` nor `avoid` is given|`to` names no condition and `guide` no"),
        ({"guide": {"orgn": "B"}}, UnknownNameError, "'orgn' is not a classifier of this model.*Did you mean 'organ'"),
        ({"guide": {"organ": "b"}}, UnknownNameError, "'b' is not a trained label of 'organ'"),
        ({"guide": {"organ": ["B", "T"]}}, SettingError, "gives 'organ' 2 values for 40 cells"),
        ({"guide": {"organ": "B"}, "chunk": 0}, SettingError, "`chunk` must be at least 1, got 0"),
        (
            {"guide": {"organ": "B"}, "avoid": {"cell_type": "T"}},
            SettingError,
            "`avoid` names 'T' of 'cell_type', and 20 of the cells asked for shall have it; expected none. Ask for",
        ),
        ({"guide": {"organ": "B"}, "interval": (0.01, 0.02)}, SettingError, "No step of the solver lies in the `inter"),
        ({"guide": {"organ": "B"}, "guidance": {"dy": 2.0}}, UnknownNameError, "Did you mean 'day'"),
    ],
    ids=str,
)
@pytest.mark.parametrize("verb", ["transfer", "trajectory"])
def test_bad_requests_are_refused(
    model: CellGenerator, cells: ad.AnnData, verb: str, asked: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        getattr(model, verb)(cells, **asked, **QUIET)


def test_the_part_of_the_way_that_is_gone_decides_which_interval_is_empty(
    model: CellGenerator, cells: ad.AnnData
) -> None:
    asked: dict[str, Any] = {"guide": {"organ": "B"}, "interval": (0.5, 1.0), "n_steps": 2, **QUIET}
    model.trajectory(cells, keep=0.2, **asked)
    with pytest.raises(SettingError, match=r"expected one of the 4 times 0\.2 to 0\.05 within"):
        model.trajectory(cells, keep=0.8, **asked)
    model.trajectory(cells, keep=1.0, **asked)

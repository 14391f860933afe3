"""Predictions and trajectories guided by classifiers, scales a condition, negative guidance and an interval."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.fitted_model import classifiers_of, networks_of, twin

from scdiffuse import Guidance
from scdiffuse._core.errors import SettingError, UnknownNameError
from scdiffuse.generator import CellGenerator
from scdiffuse.guidance import GUIDES, ClassifierFreeGuide
from scdiffuse.model import ModelConfig

LATENT = "X_scdiffuse"
QUIET: dict[str, Any] = {"progress": False}


def with_classifiers(model: CellGenerator, cells: ad.AnnData) -> CellGenerator:
    """The same model with a classifier of labels and one of numbers, both decided in their ways."""
    made = twin(model)
    made.add_classifier("organ", cells, obs_key="cell_type", max_epochs=2, progress=False)
    made.add_classifier("hour", cells, obs_key="day", max_epochs=2, progress=False)
    classifiers_of(made)["organ"].network.class_means.mul_(4.0)
    return made


def toward(**targets: Any) -> Guidance:
    """Guidance by classifiers alone."""
    return Guidance(toward=targets)


@pytest.fixture(scope="module")
def model(fitted: CellGenerator, simulated: ad.AnnData) -> CellGenerator:
    """A model with conditions and classifiers."""
    return with_classifiers(fitted, simulated)


@pytest.fixture(scope="module")
def unlabelled(small: ModelConfig, simulated: ad.AnnData) -> CellGenerator:
    """A model without conditions, which classifiers alone can guide, fitted for long enough to tell types apart."""
    return with_classifiers(CellGenerator(simulated, config=small).fit(progress=False), simulated)


@pytest.fixture
def cells(simulated: ad.AnnData) -> ad.AnnData:
    """Cells of two types that lack no label."""
    known = simulated.obs["cell_type"].isin(["T", "NK"]) & simulated.obs["day"].notna()
    return simulated[known][:40].copy()


def probability(model: CellGenerator, made: ad.AnnData, label: str) -> NDArray[np.float32]:
    """How probable the classifier of organs finds a label, by cell."""
    organ = classifiers_of(model)["organ"]
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
    network, width = classifiers_of(mine)["kind"].network, len(networks_of(mine).latent_mean)
    u = torch.randn(30, width, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (slope,) = torch.autograd.grad(network.log_prob(u, torch.tensor(0.6), torch.arange(30.0) % 3).sum(), u)
    assert bool((slope[:, -1] != 0.0).any()) == looks
    assert (slope[:, :-1] != 0.0).any()
    assert mine.classifiers["kind"]["library_size"] == looks


def test_guided_to_what_they_are_cells_come_back(unlabelled: CellGenerator, cells: ad.AnnData) -> None:
    def latents(target: Any) -> NDArray[np.float32]:
        found: NDArray[np.float32] = unlabelled.predict(
            cells, guidance=toward(organ=target), solver_steps=48, **QUIET
        ).obsm[LATENT]
        return found

    there, back, other = latents(("B", 0.0)), latents(cells.obs["cell_type"].tolist()), latents("B")
    assert np.abs(back - there).max() < 0.03
    assert np.abs(other - there).max() > 0.1


def test_a_classifier_guides_predictions_of_a_model_without_conditions(
    unlabelled: CellGenerator, cells: ad.AnnData
) -> None:
    plain = unlabelled.predict(cells, guidance=toward(organ=("B", 0.0)), **QUIET)
    guided = unlabelled.predict(cells, guidance=toward(organ=("B", 4.0)), **QUIET)
    assert probability(unlabelled, guided, "B").mean() > probability(unlabelled, plain, "B").mean() + 0.05
    away = unlabelled.predict(cells, guidance=Guidance(away={"organ": ("T", 4.0)}), **QUIET)
    assert probability(unlabelled, away, "T").mean() < probability(unlabelled, plain, "T").mean() - 0.02


@pytest.mark.parametrize("name", ["source", "unseen", "support"])
def test_a_classifier_may_be_named_as_a_column_of_generated_cells(
    model: CellGenerator, cells: ad.AnnData, name: str
) -> None:
    mine = twin(model).add_classifier(name, cells, obs_key="cell_type", max_epochs=1, progress=False)
    made = mine.generate(3, guidance=toward(**{name: "NK"}), progress=False)
    assert isinstance(made, ad.AnnData)
    assert made.obs[f"guided_{name}"].tolist() == ["NK"] * 3


def test_labels_of_cells_that_a_classifier_does_not_know_guide_nowhere(model: CellGenerator, cells: ad.AnnData) -> None:
    cells.obs["organ"] = "elsewhere"
    strange = model.predict(cells, guidance=toward(organ="B"), **QUIET)
    del cells.obs["organ"]
    known = model.predict(cells, guidance=toward(organ="B"), **QUIET)
    cells.obs["organ"] = None
    assert same(model.predict(cells, guidance=toward(organ="B"), **QUIET), strange)
    assert not same(known, strange)


def test_a_number_guides_from_where_cells_are_to_the_target(unlabelled: CellGenerator, cells: ad.AnnData) -> None:
    path = unlabelled.trajectory(cells, guidance=toward(hour=(2.0, 3.0)), n_states=3, keep=0.2, **QUIET)
    hour = classifiers_of(unlabelled)["hour"].network
    latents = torch.from_numpy(path.obsm[LATENT])
    found = hour.moments(latents, torch.tensor(0.0))[0].reshape(3, -1)  # type: ignore[operator]
    early = torch.from_numpy(cells.obs["day"].to_numpy() < 0.8)
    assert found[2, early].mean() > found[1, early].mean() > found[0, early].mean()


def test_a_trajectory_goes_where_a_classifier_leads(model: CellGenerator, cells: ad.AnnData) -> None:
    guidance = toward(organ=("B", 4.0))
    path = model.trajectory(cells, {"cell_type": None}, guidance=guidance, n_states=4, keep=0.1, **QUIET)
    found = probability(model, path, "B").reshape(4, -1).mean(axis=1)
    assert found[-1] > found[1] > found[0]
    assert found[-1] > found[0] + 0.05


def test_a_start_without_labels_begins_as_without_guidance(model: CellGenerator, cells: ad.AnnData) -> None:
    unknown = cells.copy()
    unknown.obs = unknown.obs[["treated"]]
    asked: dict[str, Any] = {"n_states": 2, "keep": 0.3, **QUIET}
    guided = model.trajectory(unknown, {"day": 1.0}, guidance=toward(organ="B"), **asked)
    plain = model.trajectory(unknown, {"day": 1.0}, **asked)
    n = cells.n_obs
    assert same(guided[:n], plain[:n])
    assert not same(guided[n:], plain[n:])


@pytest.mark.filterwarnings("ignore:The paths of branch:UserWarning")
@pytest.mark.parametrize("method", ["partial_noising", "inversion"])
def test_a_branch_by_classifiers_is_the_way_to_its_target_alone(
    model: CellGenerator, cells: ad.AnnData, method: Any
) -> None:
    asked: dict[str, Any] = {"n_states": 2, "method": method, **QUIET}
    by_branch = {"b": toward(organ="B"), "nk": toward(organ="NK")}
    both = model.trajectory(cells, {"day": 1.0}, guidance=by_branch, **asked)
    assert list(both.obs["branch"].cat.categories) == ["b", "nk"]
    for name, guidance in by_branch.items():
        alone = model.trajectory(cells, {"day": 1.0}, guidance=guidance, **asked)
        assert same(both[both.obs["branch"] == name], alone)


def test_each_branch_has_guidance_of_its_own(model: CellGenerator, cells: ad.AnnData) -> None:
    asked: dict[str, Any] = {"n_states": 2, **QUIET}
    to = {"x": {"cell_type": "B"}, "y": {"cell_type": "B"}}
    by_branch = {"x": Guidance(3.0), "y": Guidance(away={"cell_type": "T"}, interval=(0.0, 0.9))}
    path = model.trajectory(cells, to, guidance=by_branch, **asked)
    parts = {name: path[path.obs["branch"] == name] for name in to}
    for name, guidance in by_branch.items():
        assert same(parts[name], model.trajectory(cells, to[name], guidance=guidance, **asked))
    assert not same(parts["x"], parts["y"])


def test_one_guidance_is_that_of_all_branches(model: CellGenerator, cells: ad.AnnData) -> None:
    asked: dict[str, Any] = {"n_states": 2, **QUIET}
    to = {"b": {"cell_type": "B"}, "nk": {"cell_type": "NK"}}
    whole = model.trajectory(cells, to, guidance={"cell_type": 2.0}, **asked)
    assert same(model.trajectory(cells, to, guidance=dict.fromkeys(to, Guidance({"cell_type": 2.0})), **asked), whole)


def test_branches_of_targets_and_of_guidance_come_together(model: CellGenerator, cells: ad.AnnData) -> None:
    mixed = model.trajectory(cells, {"x": {"day": 1.0}}, guidance={"y": toward(organ="B")}, n_states=2, **QUIET)
    assert list(mixed.obs["branch"].cat.categories) == ["x", "y"]
    alone = model.trajectory(cells, {"day": 1.0}, n_states=2, **QUIET)
    assert same(mixed[mixed.obs["branch"] == "x"], alone)


def test_scales_and_branches_do_not_mix(model: CellGenerator, cells: ad.AnnData) -> None:
    mixed: Any = {"b": toward(organ="B"), "day": 2.0}
    with pytest.raises(SettingError, match=r"`guidance` mixes scales and `Guidance`; .* Put the scales into the `Gui"):
        model.trajectory(cells, {"day": 1.0}, guidance=mixed, **QUIET)


def test_batches_change_no_cell(model: CellGenerator, cells: ad.AnnData) -> None:
    batch_size = 7  # divides neither the cells nor those of both branches
    targets = {"organ": (["B", "T", "NK", None] * 10, 1.5), "hour": 1.0}
    asked: dict[str, Any] = {"guidance": Guidance({"day": 2.0}, targets, {"cell_type": "B"}), **QUIET}
    predicted = model.predict(cells, {"day": 1.0}, **asked)
    assert same(model.predict(cells, {"day": 1.0}, batch_size=batch_size, **asked), predicted)
    asked |= {"n_states": 3, "method": "inversion", "library_size": list(range(50, 90))}
    to = {"a": {"day": 1.0}, "b": {"cell_type": "NK"}}
    whole, parts = model.trajectory(cells, to, **asked), model.trajectory(cells, to, batch_size=batch_size, **asked)
    assert same(whole, parts)
    assert whole.obs.astype(str).equals(parts.obs.astype(str))


def test_scales_of_conditions_act_on_the_way_back(model: CellGenerator, cells: ad.AnnData) -> None:
    there = {"cell_type": "B", "day": 2.0}
    plain = model.predict(cells, there, **QUIET)
    assert same(model.predict(cells, there, guidance=Guidance({"day": 1.0}, interval=(0.1, 0.9)), **QUIET), plain)
    assert same(
        model.predict(cells, there, guidance={"day": 0.0}, **QUIET),
        model.predict(cells, {**there, "day": None}, **QUIET),
    )
    strong = model.predict(cells, there, guidance={"cell_type": 3.0}, **QUIET)
    assert not same(strong, plain)
    late = Guidance({"cell_type": 3.0}, interval=(0.5, 1.0))
    assert not same(strong, model.predict(cells, there, guidance=late, **QUIET))


def test_negative_guidance_acts_at_the_target_alone(model: CellGenerator, cells: ad.AnnData) -> None:
    asked: dict[str, Any] = {"n_states": 2, "keep": 0.3, **QUIET}
    to, n = {"cell_type": "B"}, cells.n_obs
    plain = model.trajectory(cells, to, **asked)
    away = model.trajectory(cells, to, guidance=Guidance(away={"cell_type": "T"}), **asked)
    assert same(away[:n], plain[:n])
    assert not same(away[n:], plain[n:])


def test_guides_of_the_registry_act_at_the_start_beside_negative_guidance(
    model: CellGenerator, cells: ad.AnnData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(GUIDES, "own", ClassifierFreeGuide)
    asked: dict[str, Any] = {"n_states": 2, "keep": 0.3, "to": {"cell_type": "B"}, **QUIET}
    guides, n = {"own": {"scale": 2.0}}, cells.n_obs
    guided = model.trajectory(cells, guidance=Guidance(guides=guides), **asked)
    away = model.trajectory(cells, guidance=Guidance(guides=guides, away={"cell_type": "T"}), **asked)
    assert same(away[:n], guided[:n])
    assert not same(away[n:], guided[n:])


def test_uns_says_how_cells_were_guided(model: CellGenerator, cells: ad.AnnData) -> None:
    guidance = Guidance({"day": 2.0}, {"organ": ("B", 2.0)}, interval=(0.1, 1.0))
    for made in (
        model.predict(cells, {"day": 1.0}, guidance=guidance, **QUIET),
        model.trajectory(cells, {"day": 1.0}, n_states=2, guidance=guidance, **QUIET),
    ):
        found = made.uns["scdiffuse"]["settings"]["guidance"]
        assert found["toward"] == {"organ": {"target": "B", "scale": 2.0}}
        assert (found["scale"], found["interval"].tolist()) == ({"day": 2.0}, [0.1, 1.0])
        assert list(found["classifiers"]) == ["organ"]


def test_uns_says_how_each_branch_was_guided(model: CellGenerator, cells: ad.AnnData) -> None:
    by_branch = {"b": toward(organ="B"), "nk": Guidance(2.0, {"organ": "NK"})}
    path = model.trajectory(cells, {"day": 1.0}, guidance=by_branch, n_states=2, **QUIET)
    found = path.uns["scdiffuse"]["settings"]["guidance"]
    assert set(found) == {"b", "nk"}
    assert (found["b"]["scale"], found["nk"]["scale"]) == (1.0, 2.0)
    assert found["nk"]["toward"]["organ"]["target"] == "NK"


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({}, SettingError, "Neither `to` nor `guidance` says|`to` names no condition and `guidance` no"),
        ({"guidance": toward(orgn="B")}, UnknownNameError, "'orgn' is not a classifier .*Did you mean 'organ'"),
        ({"guidance": toward(organ="b")}, UnknownNameError, "'b' is not a trained label of 'organ'"),
        ({"guidance": toward(organ=["B", "T"])}, SettingError, "`toward` gives 'organ' 2 values for 40 cells"),
        ({"guidance": toward(organ="B"), "batch_size": 0}, SettingError, "`batch_size` must be at least 1, got 0"),
        (
            {"guidance": Guidance(toward={"organ": "B"}, away={"cell_type": "T"})},
            SettingError,
            "`away` names 'T' of 'cell_type', and 20 of the cells are asked to have it; expected none",
        ),
        (
            {"guidance": Guidance(toward={"organ": "B"}, interval=(0.01, 0.02))},
            SettingError,
            "No step of the solver lies in the `interval`",
        ),
        ({"guidance": Guidance({"dy": 2.0}, {"organ": "B"})}, UnknownNameError, "Did you mean 'day'"),
    ],
    ids=str,
)
@pytest.mark.parametrize("verb", ["predict", "trajectory"])
def test_bad_requests_are_refused(
    model: CellGenerator, cells: ad.AnnData, verb: str, asked: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        getattr(model, verb)(cells, **asked, **QUIET)


def test_the_part_of_the_way_that_is_gone_decides_which_interval_is_empty(
    model: CellGenerator, cells: ad.AnnData
) -> None:
    guidance = Guidance(toward={"organ": "B"}, interval=(0.5, 1.0))
    asked: dict[str, Any] = {"guidance": guidance, "n_states": 2, "method": "partial_noising", **QUIET}
    model.trajectory(cells, keep=0.2, **asked)
    with pytest.raises(SettingError, match=r"expected one of the 4 times 0\.2 to 0\.05 within"):
        model.trajectory(cells, keep=0.8, **asked)
    model.trajectory(cells, keep=1.0, **asked)

"""Labels that a fitted model comes to know by some of their cells: what they do to genes, measured on control cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from tests.fitted_model import networks_of

from scdiffuse._core.errors import ConditionError, ModelFolderError, ScdiffuseWarning, SettingError, UnknownNameError
from scdiffuse.generator import CellGenerator, load
from scdiffuse.model import ModelConfig

N_GENES = 20
NEW = "d9"


def cells_of_donor(donor: str, drugs: tuple[str, ...], *, n: int, seed: int, factors: Any = 1.0) -> ad.AnnData:
    """Cells of one donor, under drugs that raise the first five genes three times."""
    draw = np.random.default_rng(seed)
    drug = np.array(drugs)[np.arange(n * len(drugs)) % len(drugs)]
    mean = np.full((len(drug), N_GENES), 8.0)
    mean[drug == "drug", :5] *= 3.0
    counts = draw.poisson(mean * factors)
    obs = pd.DataFrame({"drug": drug, "donor": donor}, index=[f"{donor}-{at}" for at in range(len(drug))])
    var = pd.DataFrame(index=[f"g{at}" for at in range(N_GENES)])
    return ad.AnnData(sp.csr_matrix(counts, dtype=np.float32), obs=obs, var=var)


@pytest.fixture(scope="module")
def own() -> np.ndarray:
    """What the new donor does to each gene: three genes that no drug changes are expressed four times as much."""
    factors = np.ones(N_GENES)
    factors[10:13] = 4.0
    return factors


@pytest.fixture(scope="module")
def control(own: np.ndarray) -> ad.AnnData:
    """Control cells of the new donor."""
    return cells_of_donor(NEW, ("control",), n=150, seed=9, factors=own)


@pytest.fixture(scope="module")
def model(small: ModelConfig) -> CellGenerator:
    """A model of three donors under a drug; read only."""
    donors = [cells_of_donor(f"d{at}", ("control", "drug"), n=60, seed=at) for at in range(3)]
    return CellGenerator(ad.concat(donors), conditions=["drug", "donor"], config=small, progress=False).fit(
        progress=False
    )


@pytest.fixture(scope="module")
def mapped(model: CellGenerator, control: ad.AnnData) -> CellGenerator:
    """The model with the new donor; read only."""
    return model.map_query(control, "donor", progress=False)


def made_by(model: CellGenerator, n: int = 400, **where: str) -> ad.AnnData:
    made = model.generate(n, where=where, progress=False)
    assert isinstance(made, ad.AnnData)
    return made


def fractions(cells: ad.AnnData) -> Any:
    return np.asarray(cells.X.sum(axis=0)).ravel() / cells.X.sum()


def raised(cells: ad.AnnData) -> float:
    """How much more the genes of the new donor are expressed than those that nothing changes."""
    found = fractions(cells)
    return float(found[10:13].mean() / found[13:].mean())


def test_generated_control_cells_of_a_mapped_label_have_its_expression(
    mapped: CellGenerator, control: ad.AnnData
) -> None:
    found = fractions(made_by(mapped, drug="control", donor=NEW))
    np.testing.assert_allclose(found, fractions(control), rtol=0.12)


def test_a_mapped_label_keeps_its_own_genes_under_a_drug_that_its_cells_never_had(
    mapped: CellGenerator, own: np.ndarray
) -> None:
    treated, untreated = (made_by(mapped, drug=drug, donor=NEW) for drug in ("drug", "control"))
    assert raised(treated) == pytest.approx(own[11], rel=0.15)
    assert fractions(treated)[:5].sum() > 1.5 * fractions(untreated)[:5].sum()


def test_given_cells_have_what_their_label_does_to_genes_once(
    mapped: CellGenerator, control: ad.AnnData, own: np.ndarray
) -> None:
    for drug in ("drug", "control"):
        assert raised(mapped.predict(control, {"drug": drug}, progress=False)) == pytest.approx(own[11], rel=0.15)


def test_cells_of_unknown_state_have_what_their_label_does_to_genes(
    mapped: CellGenerator, control: ad.AnnData, own: np.ndarray
) -> None:
    assert raised(mapped.predict(control, {"drug": None}, progress=False)) == pytest.approx(own[11], rel=0.15)


def test_cells_of_other_donors_become_those_of_a_mapped_one(mapped: CellGenerator, own: np.ndarray) -> None:
    given = cells_of_donor("d0", ("drug",), n=150, seed=4)
    assert raised(mapped.predict(given, {"donor": NEW}, progress=False)) == pytest.approx(own[11], rel=0.15)


def test_what_is_expected_of_a_mapped_label_has_its_factors(mapped: CellGenerator, own: np.ndarray) -> None:
    change = [
        mapped.expected_expression({"drug": "drug", "donor": donor})["expression"].to_numpy() for donor in (NEW, "d0")
    ]
    assert (change[0] - change[1])[10:13].min() > 0.5 * np.log(own.max())


def test_the_model_that_maps_stays_as_it_was(model: CellGenerator, mapped: CellGenerator) -> None:
    assert NEW not in model.conditions.categorical["donor"]
    one, other = (made_by(each, 20, drug="drug", donor="d1") for each in (model, mapped))
    np.testing.assert_array_equal(one.X.toarray(), other.X.toarray())
    assert "mapped" not in model.summary()
    assert "mapped: d9 (150)" in mapped.summary()


def test_a_classifier_of_the_mapped_model_is_its_own(model: CellGenerator, mapped: CellGenerator) -> None:
    cells = cells_of_donor("d0", ("control", "drug"), n=40, seed=2)
    mapped.add_classifier("kind", cells, obs_key="drug", max_epochs=1, progress=False)
    assert set(mapped.classifiers) == {"kind"}
    assert not model.classifiers
    mapped.remove_classifier("kind")


def test_cells_say_that_their_label_is_unseen_and_how_far_to_trust_them(mapped: CellGenerator) -> None:
    made = made_by(mapped, 5, drug="drug", donor=NEW)
    assert made.obs["unseen"].all()
    found = mapped.support({"drug": "drug", "donor": NEW})
    assert set(made.obs["support"]) == {found.verdict} == {"near"}


def test_a_saved_model_makes_the_same_cells(mapped: CellGenerator, control: ad.AnnData, tmp_path: Path) -> None:
    again = load(mapped.save(tmp_path / "model"))
    made, other = (made_by(one, 20, drug="drug", donor=NEW) for one in (mapped, again))
    np.testing.assert_array_equal(made.X.toarray(), other.X.toarray())
    made, other = (one.predict(control[:20].copy(), {"drug": "drug"}, progress=False) for one in (mapped, again))
    np.testing.assert_array_equal(made.X.toarray(), other.X.toarray())


def test_more_labels_can_be_mapped_later_or_together(mapped: CellGenerator, own: np.ndarray) -> None:
    more = ad.concat(
        [cells_of_donor(f"e{at}", ("control",), n=80, seed=at, factors=own ** (-at / 2)) for at in range(2)]
    )
    twice = mapped.map_query(more, "donor", progress=False)
    assert twice.conditions.unseen == {"donor": (NEW, "e0", "e1")}
    one, other = (made_by(each, 20, drug="drug", donor=NEW) for each in (mapped, twice))
    np.testing.assert_array_equal(one.X.toarray(), other.X.toarray())
    parts = [fractions(made_by(twice, drug="control", donor=donor))[10:13].sum() for donor in (NEW, "e0", "e1")]
    assert parts[0] > parts[1] > parts[2]


def test_the_order_of_the_cells_decides_nothing(
    mapped: CellGenerator, model: CellGenerator, control: ad.AnnData
) -> None:
    turned = model.map_query(control[::-1].copy(), "donor", progress=False)
    first, other = (networks_of(one).get_buffer("expected.mapped_factors_1")[0, 0] for one in (mapped, turned))
    np.testing.assert_allclose(first, other, rtol=1e-6)


def test_cells_of_known_labels_are_left_out_and_said(model: CellGenerator, control: ad.AnnData) -> None:
    both = ad.concat([control, cells_of_donor("d0", ("control",), n=30, seed=1)])
    with pytest.warns(ScdiffuseWarning, match="30 of 180 cells have no new label of 'donor'"):
        found = model.map_query(both, "donor", progress=False)
    assert "mapped: d9 (150)" in found.summary()


def test_a_label_of_one_cell_counts_as_missing(model: CellGenerator, control: ad.AnnData) -> None:
    control = control.copy()
    control.obs["donor"] = ["alone", *control.obs["donor"].astype(str)[1:]]
    with (
        pytest.warns(ScdiffuseWarning, match="1 cell has a label of 'donor' of its own"),
        pytest.warns(ScdiffuseWarning, match="1 of 150 cells have no new label"),
    ):
        found = model.map_query(control, "donor", progress=False)
    assert "mapped: d9 (149)" in found.summary()


def test_a_mapped_label_is_augmented_as_trained_ones_are(mapped: CellGenerator, control: ad.AnnData) -> None:
    both = ad.concat([control[:10], cells_of_donor("d0", ("control",), n=30, seed=1)])
    more = mapped.augment(both, by="donor", progress=False)
    assert more.obs["donor"].value_counts().to_dict() == {NEW: 30, "d0": 30}


def test_labels_as_text_beside_numbers_are_augmented_as_text(small: ModelConfig, tmp_path: Path) -> None:
    given = cells_of_donor("d0", ("control",), n=80, seed=0)
    given.obs["donor"] = np.arange(80) % 2
    model = CellGenerator(given, conditions=["donor"], config=small).fit(max_epochs=1, progress=False)
    query = cells_of_donor("new", ("control",), n=20, seed=3)
    more = model.map_query(query, "donor", progress=False).augment(given, by="donor", n_per_label=41, progress=False)
    more.write_h5ad(tmp_path / "cells.h5ad")
    assert ad.read_h5ad(tmp_path / "cells.h5ad").obs["donor"].value_counts().to_dict() == {"0": 41, "1": 41, "new": 41}


def test_a_number_of_too_many_values_is_named(small: ModelConfig, control: ad.AnnData) -> None:
    given = cells_of_donor("d0", ("control",), n=80, seed=0)
    given.obs["day"] = control.obs["day"] = 1.0
    given.obs["day"] = np.arange(80) // 2
    model = CellGenerator(given, conditions=["donor"], continuous=["day"], config=small)
    with pytest.raises(ConditionError, match=r"'day' has 40 values in the training cells; expected at most 32"):
        model.fit(max_epochs=1, progress=False).map_query(control, "donor", progress=False)


def test_a_factor_weighs_few_counts_less(model: CellGenerator, own: np.ndarray) -> None:
    few, many = (cells_of_donor(NEW, ("control",), n=n, seed=1, factors=own) for n in (2, 200))
    found = [
        float(
            networks_of(model.map_query(cells, "donor", progress=False)).get_buffer("expected.mapped_factors_1")[
                0, 0, 11
            ]
        )
        for cells in (few, many)
    ]
    assert 1.2 < found[0] < found[1] < own[11]


@pytest.mark.parametrize(
    ("condition", "change", "error", "match"),
    [
        ("donors", {}, UnknownNameError, "Did you mean 'donor'"),
        ("donor", {"donor": "d1"}, ConditionError, "No cell has a new label of 'donor'; the model knows"),
        ("donor", {"drug": "dug"}, UnknownNameError, "Did you mean 'drug'"),
        ("donor", {"drug": None}, UnknownNameError, "'drug' is not a column"),
    ],
)
def test_cells_that_cannot_be_mapped_are_refused(
    model: CellGenerator,
    control: ad.AnnData,
    condition: str,
    change: dict[str, Any],
    error: type[Exception],
    match: str,
) -> None:
    cells = control.copy()
    for name, value in change.items():
        cells.obs[name] = value
        cells.obs = cells.obs if value is not None else cells.obs.drop(columns=name)
    with pytest.raises(error, match=match):
        model.map_query(cells, condition, progress=False)


def test_a_distilled_model_says_which_model_to_map_with(model: CellGenerator, control: ad.AnnData) -> None:
    with pytest.raises(SettingError, match="Map the cells with that one"):
        model.distill(n_paths=64, max_epochs=1, progress=False).map_query(control, "donor", progress=False)


def test_an_unknown_label_leads_to_mapping(model: CellGenerator, control: ad.AnnData) -> None:
    with pytest.raises(UnknownNameError, match="map its cells first with `map_query`"):
        model.predict(control, {"drug": "drug"}, progress=False)


def test_a_vocabulary_that_maps_more_than_it_has_is_refused(mapped: CellGenerator, tmp_path: Path) -> None:
    folder = mapped.save(tmp_path / "model")
    (path,) = folder.rglob("vocabulary.json")
    tree = json.loads(path.read_text())
    path.write_text(json.dumps(tree | {"n_mapped": {"donor": 7}}))
    with pytest.raises(ModelFolderError):
        load(folder)


def test_a_label_whose_cells_have_no_counts_is_refused(model: CellGenerator, control: ad.AnnData) -> None:
    silent = cells_of_donor("d8", ("control",), n=20, seed=8, factors=0.0)
    with pytest.raises(ConditionError, match=r"The cells of 'd8' have no counts in the genes of the model; expected"):
        model.map_query(ad.concat([control, silent]), "donor", progress=False)

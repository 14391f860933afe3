"""Labels that no training cell has, known by their features: from the table of a user to cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from tests.fitted_model import networks_of

from scdiffuse._core.errors import ConditionError, CountsError, ModelFolderError, UnknownNameError
from scdiffuse.fitting import gene_loadings, sum_features
from scdiffuse.generator import CellGenerator, load
from scdiffuse.model import ModelConfig
from scdiffuse.nn import UnseenLabels

LABELS = ["control", *(f"drug {at}" for at in range(6))]
NEW = "drug 9"


@pytest.fixture(scope="module")
def dosed() -> ad.AnnData:
    """Cells under drugs that raise the first genes in proportion to a feature, in two batches."""
    draw = np.random.default_rng(0)
    n = 40 * len(LABELS)
    label = np.arange(n) % len(LABELS)
    strength = np.where(label == 0, 0.0, label / 3.0)
    mean = np.full((n, 20), 6.0)
    mean[:, :6] *= np.exp(strength)[:, None]
    counts = draw.poisson(mean)
    obs = pd.DataFrame({"drug": np.array(LABELS)[label], "batch": np.array(["a", "b"])[np.arange(n) // 7 % 2]})
    obs.index = obs.index.astype(str)
    return ad.AnnData(
        sp.csr_matrix(counts, dtype=np.float32), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(20)])
    )


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    """The strength of each drug, and of one that no cell has."""
    return pd.DataFrame({"strength": [1.0, 2, 3, 4, 5, 6, 3.5]}, index=[*LABELS[1:], NEW])


@pytest.fixture(scope="module")
def model(dosed: ad.AnnData, features: pd.DataFrame, small: ModelConfig) -> CellGenerator:
    """A model that knows the drug that no cell has by its features; read only."""
    model = CellGenerator(
        dosed, conditions=["drug", "batch"], condition_features={"drug": features}, config=small, progress=False
    )
    return model.fit(progress=False)


def cells_of(model: CellGenerator, n: int, **where: str) -> ad.AnnData:
    made = model.generate(n, where=where or None, progress=False)
    assert isinstance(made, ad.AnnData)
    return made


def raised(cells: Any) -> float:
    """Fraction of the counts in the genes that drugs raise."""
    return float(cells.X[:, :6].sum() / cells.X.sum())


def test_an_unseen_label_is_generated_between_the_trained_ones_that_are_alike(model: CellGenerator) -> None:
    asked = {label: raised(cells_of(model, 100, drug=label)) for label in [NEW, *LABELS]}
    assert asked["drug 1"] < asked[NEW] < asked["drug 5"]


def test_cells_of_an_unseen_label_have_its_name(model: CellGenerator) -> None:
    made = cells_of(model, 5, drug=NEW, batch="a")
    assert set(made.obs["drug"]) == {NEW}
    assert made.obs["unseen"].all()


def test_support_says_what_is_expected_to_be_missed(model: CellGenerator) -> None:
    found = model.support({"drug": NEW, "batch": "a"})
    assert (found.n_cells, found.marginals["drug"]) == (0, 0)
    assert found.expected_error is not None
    assert found.verdict in {"near", "extrapolated"}


def test_expected_expression_of_an_unseen_label_is_the_weighted_mean(model: CellGenerator) -> None:
    networks = networks_of(model)
    weights = networks.denoiser.conditions.unseen.weights(0)[0].double().numpy()
    assert networks.expected is not None
    trained = networks.expected(np.array([[at, 1] for at in range(len(LABELS))]))
    found = networks.expected(np.array([[len(LABELS), 1]]))[0]
    fractions = networks.expected.fractions(weights @ trained)
    np.testing.assert_allclose(networks.expected.fractions(found), fractions / fractions.sum(), rtol=1e-6)
    assert networks.expected.variance(np.array([[len(LABELS), 1]])).shape == (1, networks.n_genes)


def test_what_features_do_not_tell_is_in_the_standard_error(
    model: CellGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = []
    for missed in (0.0, 1.0):
        monkeypatch.setattr(UnseenLabels, "expected_error", lambda _self, _at, missed=missed: torch.tensor([missed]))
        errors.append(model.expected_expression({"drug": NEW, "batch": "b"})["standard_error"])
    assert (errors[1] > errors[0]).all()


def test_given_cells_are_predicted_under_an_unseen_label(model: CellGenerator, dosed: ad.AnnData) -> None:
    control = dosed[dosed.obs["drug"] == "control"].copy()
    made = model.predict(control, {"drug": NEW}, progress=False)
    assert raised(made) > raised(control)


def test_a_saved_model_makes_the_same_cells(model: CellGenerator, tmp_path: Path) -> None:
    again = load(model.save(tmp_path / "model"))
    made, other = (cells_of(one, 20, drug=NEW) for one in (model, again))
    np.testing.assert_array_equal(made.X.toarray(), other.X.toarray())
    assert again.conditions.unseen == {"drug": (NEW,)}
    assert again.conditions.categorical["drug"][-1] == NEW


def test_the_model_says_which_labels_it_knows_by_features_alone(model: CellGenerator) -> None:
    assert "drug 5 (40); 1 unseen, known by features" in model.summary()


def test_augmented_cells_have_labels_that_were_trained(model: CellGenerator, dosed: ad.AnnData) -> None:
    made = model.augment(dosed, by="drug", n_per_label=41, progress=False)
    assert made.obs["drug"].value_counts().to_dict() == dict.fromkeys(LABELS, 41)


def test_a_distilled_model_knows_the_same_labels(model: CellGenerator) -> None:
    made = cells_of(model.distill(max_epochs=1, progress=False), 20, drug=NEW)
    assert set(made.obs["drug"]) == {NEW}


def test_other_features_are_another_fit(
    dosed: ad.AnnData, features: pd.DataFrame, small: ModelConfig, tmp_path: Path
) -> None:
    def model_of(table: pd.DataFrame) -> CellGenerator:
        return CellGenerator(
            dosed, conditions=["drug"], condition_features={"drug": table}, config=small, progress=False
        )

    model_of(features).fit(tmp_path / "m", max_epochs=1, progress=False)
    with pytest.raises(ModelFolderError, match="other data"):
        model_of(features + 1.0).fit(tmp_path / "m", max_epochs=1, resume=True, progress=False)


def test_features_without_new_labels_change_nothing(
    dosed: ad.AnnData, features: pd.DataFrame, small: ModelConfig
) -> None:
    fits = [
        CellGenerator(dosed, conditions=["drug"], condition_features=given, config=small, progress=False).fit(
            max_epochs=1, progress=False
        )
        for given in (None, {"drug": features.drop(NEW)})
    ]
    hashes = {cells_of(one, 5).uns["scdiffuse"]["model_hash"] for one in fits}
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ({"drugs": pd.DataFrame({"a": [1.0]}, index=["x"])}, UnknownNameError, "Did you mean 'drug'"),
        ({"drug": [1.0]}, ConditionError, "expected a pandas DataFrame"),
        ({"drug": pd.DataFrame(index=["x"])}, ConditionError, "no columns"),
        ({"drug": pd.DataFrame({"a": [1.0, 2.0]}, index=["x", "x"])}, ConditionError, "'x' more than once"),
        ({"drug": pd.DataFrame({"a": [1.0, np.nan]}, index=["x", "y"])}, ConditionError, "row 'y', column 'a'"),
        ({"drug": pd.DataFrame({"a": ["much"]}, index=["x"])}, ConditionError, "holds 'much'"),
        ({"drug": pd.DataFrame({"a": [1.0, 2.0]}, index=["x", None])}, ConditionError, "has a row without a label"),
        ({"drug": pd.DataFrame({"a": [1.0, 2.0]}, index=["drug 1", "x"])}, ConditionError, "expected at least 3"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(
    dosed: ad.AnnData, given: Any, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        CellGenerator(dosed, conditions=["drug", "batch"], condition_features=given, progress=False)


@pytest.mark.parametrize("gap", ["a rare label", "a missing one"])
def test_features_of_whole_numbers_are_found_beside_gaps(
    dosed: ad.AnnData, small: ModelConfig, gap: str, recwarn: pytest.WarningsRecorder
) -> None:
    cells = dosed.copy()
    cells.obs["dose"] = np.arange(cells.n_obs) % 3
    cells.obs["dose"] = cells.obs["dose"].where(np.arange(cells.n_obs) > 0, 7 if gap == "a rare label" else np.nan)
    table = pd.DataFrame({"strength": [0.0, 1.0, 2.0, 3.0]}, index=[0, 1, 2, 5])
    model = CellGenerator(cells, conditions=["dose"], condition_features={"dose": table}, config=small, progress=False)
    kind = int if gap == "a rare label" else float
    assert model.conditions.categorical["dose"] == (0, 1, 2, 5)
    assert {type(label) for label in model.conditions.categorical["dose"]} == {kind}
    assert len(recwarn) == (gap == "a rare label")
    twice = pd.DataFrame({"strength": [0.0, 1.0, 2.0, 3.0, 3.0]}, index=["0", "1", "2", "5", "5.0"])
    if kind is float:
        with pytest.raises(ConditionError, match=r"has '5.0' more than once"):
            CellGenerator(cells, conditions=["dose"], condition_features={"dose": twice}, progress=False)


@pytest.mark.parametrize("kind", [int, float, str])
def test_features_of_fractions_that_are_whole_are_those_of_numbers(
    dosed: ad.AnnData, small: ModelConfig, kind: type
) -> None:
    cells = dosed.copy()
    cells.obs["dose"] = pd.Series(np.arange(cells.n_obs) % 3, index=cells.obs_names).astype(kind)
    table = pd.DataFrame({"strength": [0.0, 1.0, 2.0, 3.0]}, index=[0.0, 1.0, 2.0, 5.0])
    model = CellGenerator(cells, conditions=["dose"], condition_features={"dose": table}, config=small, progress=False)
    assert model.conditions.categorical["dose"] == tuple(map(kind, (0, 1, 2, 5)))


def test_loadings_of_genes_that_are_expressed_together_are_alike(dosed: ad.AnnData) -> None:
    table = gene_loadings(dosed, n_components=2)
    assert table.shape == (20, 2)
    alike = np.corrcoef(table.to_numpy())[0]
    assert alike[1:6].min() > 0.9
    assert alike[6:].max() < 0.5
    pd.testing.assert_frame_equal(gene_loadings(dosed, ["g3", "none"], n_components=2), table.loc[["g3"]])
    with pytest.raises(UnknownNameError, match="None of the 2 names in `genes`, such as 'x'"):
        gene_loadings(dosed, np.array(["x", "y"]), n_components=2)  # type: ignore[arg-type]


def test_loadings_of_genes_of_one_name_are_rows_of_one_name(dosed: ad.AnnData) -> None:
    expected = gene_loadings(dosed, n_components=2)
    twins = dosed.copy()
    twins.var_names = ["g1", *dosed.var_names[1:]]
    found = gene_loadings(twins, ["g1", "g5"], n_components=2)
    assert found.index.tolist() == ["g1", "g1", "g5"]
    np.testing.assert_array_equal(found, expected.loc[["g0", "g1", "g5"]])


@pytest.mark.parametrize("seed", [-1, 2**40])
def test_loadings_take_any_seed(dosed: ad.AnnData, seed: int) -> None:
    found, expected = (gene_loadings(dosed, n_components=2, seed=one) for one in (seed, 0))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_loadings_of_other_values_than_counts_are_refused(dosed: ad.AnnData) -> None:
    logs = dosed.copy()
    logs.X = logs.X.log1p()
    with pytest.raises(CountsError, match="expected raw counts"):
        gene_loadings(logs, n_components=2)


def test_features_of_combinations_are_sums() -> None:
    table = pd.DataFrame({"a": [1.0, 2.0], "b": [0.0, 5.0]}, index=["x", "y"])
    found = sum_features(table, ["x", "x+y", "control", "x+control"])
    assert found.T.to_dict() == {"x": {"a": 1.0, "b": 0.0}, "x+y": {"a": 3.0, "b": 5.0}}
    with pytest.raises(UnknownNameError, match="None of the 1 `labels`"):
        sum_features(table, ["z"])

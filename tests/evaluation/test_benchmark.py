"""What `evaluate` and `audit` accept, how they split the cells, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest

from scdiffuse._core.errors import (
    ConditionError,
    CountsError,
    DataFileError,
    GenesError,
    SettingError,
    UnknownNameError,
)
from scdiffuse.evaluation import Benchmark, Report, _benchmark, _evaluator, _plan, audit, evaluate
from scdiffuse.evaluation._feature_space import fit_space
from scdiffuse.evaluation._prepared_cells import PreparedCells
from scdiffuse.evaluation._reading import Sample
from scdiffuse.evaluation.baselines import BASELINES
from scdiffuse.metrics import CellFeatures, SamplePair, Score, get_metric


def quick(real: Any, generated: Any, *names: str, **options: Any) -> Report:
    settings = {"n_seeds": 1} | options
    return evaluate(real, generated, metrics=names or ("mean_error",), progress=False, **settings)


def test_the_same_seed_gives_the_same_numbers(splits: Any) -> None:
    values = [quick(splits.real, splits.perfect, "energy", seed=seed).metrics["energy"]["value"] for seed in (0, 0, 1)]
    assert values[0] == values[1]
    assert values[0] != values[2]


def test_both_sides_and_the_reference_have_equal_sizes(splits: Any) -> None:
    settings = quick(splits.real, splits.perfect[:150], reference=splits.reference).settings
    assert settings["n_cells_a_side"] == 150
    assert settings["n_reference"] >= 150
    assert settings["n_projection"] + settings["n_reference"] == splits.reference.n_obs


def test_no_more_cells_are_drawn_than_are_compared_or_shown(splits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def baseline(self: PreparedCells, name: str, *, n_cells: int, seed: int) -> CellFeatures:
        drawn.append(n_cells)
        return self.projection

    monkeypatch.setattr(PreparedCells, "baseline", baseline)
    monkeypatch.setattr(_evaluator, "_DRAWN_CELLS", 30)
    monkeypatch.setitem(_plan.MOST_CELLS["quick"], "cheap", 50)
    report = quick(splits.real, splits.perfect, reference=splits.reference)
    assert set(drawn) == {50}
    assert report.settings["n_cells_a_side"] == report.metrics["mean_error"]["n_cells"] == 50
    assert "at most 50 a side, 1 seed." in report.settings["summary"]


def test_without_a_reference_the_real_cells_are_split_and_it_is_said(splits: Any) -> None:
    settings = quick(splits.real, splits.perfect).settings
    assert settings["n_real"] + settings["n_reference"] + settings["n_projection"] == splits.real.n_obs
    assert any("No reference was given" in note for note in settings["notes"])
    assert any("No training cells were given" in note for note in settings["notes"])


def test_subsampling_is_reported(splits: Any) -> None:
    settings = quick(splits.real, splits.perfect, max_cells=100).settings
    assert any(note.startswith("generated: 100 of 400 cells") for note in settings["notes"])


def test_files_and_open_files_score_like_memory(splits: Any, tmp_path: Path) -> None:
    for name, cells in (("real", splits.real), ("made", splits.perfect)):
        cells.write_h5ad(tmp_path / f"{name}.h5ad")
    from_disk = quick(tmp_path / "real.h5ad", ad.read_h5ad(tmp_path / "made.h5ad", backed="r"))
    assert from_disk.metrics == quick(splits.real, splits.perfect).metrics


@pytest.mark.parametrize("form", ["dense", "csc", "layer"])
def test_every_form_of_counts_scores_alike(form: str, splits: Any) -> None:
    made = splits.perfect.copy()
    options: dict[str, Any] = {}
    if form == "layer":
        made.layers["counts"] = made.X.copy()
        made.X = made.X * 0.3
        real = splits.real.copy()
        real.layers["counts"], options = real.X.copy(), {"layer": "counts"}
    else:
        real, made.X = splits.real, made.X.toarray() if form == "dense" else made.X.tocsc()
    assert quick(real, made, **options).metrics == quick(splits.real, splits.perfect).metrics


def test_genes_are_matched_by_name_and_missing_ones_reported(splits: Any) -> None:
    made = splits.perfect[:, ::-1][:, 10:].copy()
    report = quick(splits.real, made)
    assert report.metrics["mean_error"]["value"] == pytest.approx(
        quick(splits.real[:, :150].copy(), splits.perfect[:, :150].copy()).metrics["mean_error"]["value"]
    )
    assert any(note.startswith("real: 10 genes (") for note in report.settings["notes"])


def test_several_seeds_are_averaged(splits: Any) -> None:
    report = quick(splits.real, splits.perfect, "energy", n_seeds=3)
    one, settings = report.metrics["energy"], report.settings
    assert len(one["seeds"]) == settings["n_seeds"] == 3
    assert one["high"] is not None
    assert one["high"] - one["value"] >= 1.95 * np.std(one["seeds"], ddof=1) / np.sqrt(3)
    assert any(note.startswith("3 draws of the cells") for note in settings["notes"])
    assert one["value"] == pytest.approx(np.mean(one["seeds"]))


def test_values_that_are_no_counts_are_scored_all_the_same(splits: Any) -> None:
    made = splits.perfect.copy()
    made.X = made.X.toarray()
    made.X[:3, 0] = np.nan
    made.X[5, 0] = -2
    report = quick(splits.real, made, "invalid_values", "mean_error")
    assert report.verdicts["validity"].level == "fails"
    assert "hold negative values" in report.verdicts["validity"].text
    assert report.metrics["mean_error"]["value"] == pytest.approx(
        quick(splits.real, splits.perfect).metrics["mean_error"]["value"], rel=0.1
    )


def test_what_cannot_be_scored_is_reported_with_its_reason(splits: Any) -> None:
    settings = quick(splits.real, splits.perfect, "marker_recovery", "memorised_cells").settings
    assert list(settings["not_scored"].values()) == ["it needs labels.", "it needs train."]


def test_an_audit_finds_memorised_cells_and_clears_the_perfect_generator(splits: Any) -> None:
    caught = audit(splits.train, splits.real, splits.train[:300], progress=False)
    assert caught.verdicts["privacy"].level == "fails"
    assert {one["group"] for one in caught.metrics.values()} == {"privacy"}
    clear = audit(splits.train, splits.real, splits.perfect, progress=False)
    assert not clear.verdicts["privacy"].flagged


def test_an_audit_attacks_donors(splits: Any) -> None:
    train, held_out = splits.train.copy(), splits.real.copy()
    train.obs["donor"], held_out.obs["donor"] = np.arange(600) % 6, 10 + np.arange(400) % 6
    report = audit(train, held_out, splits.perfect, donor="donor", progress=False)
    assert "donor_membership_distance" in report.metrics


def test_genes_that_do_not_fit_are_refused(splits: Any) -> None:
    other = splits.perfect.copy()
    other.var_names = [f"ENSG{i}" for i in range(other.n_vars)]
    with pytest.raises(GenesError, match=r"share 0 genes of 160 and 160, expected at least half"):
        quick(splits.real, other)
    twice = splits.perfect.copy()
    twice.var_names = ["g0", *twice.var_names[:-1]]
    with pytest.raises(GenesError, match="names genes twice"):
        quick(splits.real, twice)


def test_real_cells_have_to_be_counts(splits: Any, tmp_path: Path) -> None:
    normal = splits.real.copy()
    normal.layers["spliced"], normal.layers["counts"] = normal.X.copy(), normal.X * 2
    normal.X = normal.X * 0.5
    with pytest.raises(CountsError, match=r"expected raw counts.*layers here: 'spliced', 'counts'"):
        quick(normal, splits.perfect)
    empty = splits.real.copy()
    empty.X = None
    with pytest.raises(CountsError, match="`real` has no `X`"):
        quick(empty, splits.perfect)
    with pytest.raises(CountsError, match="`generated` holds no cells"):
        quick(splits.real, splits.perfect[:0])
    with pytest.raises(CountsError, match="8 cells are left on each side"):
        quick(splits.real, splits.perfect[:8])
    (tmp_path / "bad.h5ad").write_bytes(b"no cells")
    with pytest.raises(DataFileError, match="cannot be read"):
        quick(tmp_path / "bad.h5ad", splits.perfect)


def test_spaces_need_ten_cells_and_keep_the_genes_that_vary(splits: Any) -> None:
    sample, names = Sample(counts=splits.real.X), np.asarray(splits.real.var_names, dtype=str)
    with pytest.raises(CountsError, match="9 real cells are left to fit the gene choice"):
        fit_space(sample.take(np.arange(9)), names)
    space = fit_space(sample, names, n_genes=20)
    assert np.isin(space.chosen, np.flatnonzero(np.asarray(splits.real.X.mean(axis=0)).ravel() > 0)).all()
    assert space.features(sample).pcs.shape == (400, 19)
    assert space.features(sample).pcs.mean(axis=0) == pytest.approx(0, abs=1e-4)


def test_unknown_names_are_refused(splits: Any) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'cell_type'"):
        quick(splits.real, splits.perfect, by="cell_typ")
    with pytest.raises(UnknownNameError, match="`layer` 'raw' is not a layer of `real`"):
        quick(splits.real, splits.perfect, layer="raw")
    strange = splits.perfect.copy()
    strange.obs["cell_type"] = "T cell"
    with pytest.raises(ConditionError, match="occurs among the real ones"):
        quick(splits.real, strange, by="cell_type")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"suite": "slow"}, "`suite` is 'slow', expected 'quick' or 'full'"),
        ({"n_seeds": 0}, "`n_seeds` is 0"),
        ({"seed": None}, "`seed` is None, expected a whole number"),
        (
            {"by": ["cell_type", "donor"]},
            r"`by` or `donor` is \['cell_type', 'donor'\]; expected the name of one column",
        ),
        ({"n_seeds": 2**64}, "`n_seeds` is 18446744073709551616, .* at most 1000"),
        ({"seed": -1}, "`seed` is -1, expected a whole number from 0"),
        ({"max_cells": 10**30}, "`max_cells` is 1000000000000000000000000000000, expected at most 1,000,000,000"),
        ({"max_cells": 5}, "`max_cells` is 5, expected at least 20"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any], words: str, splits: Any) -> None:
    with pytest.raises(SettingError, match=words):
        quick(splits.real, splits.perfect, **options)


def test_a_benchmark_scores_each_generator_as_evaluate_does(splits: Any, faults: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"reference": splits.reference, "train": splits.train, "by": "cell_type"}
    names = ("energy", "closest_record", "composition", "forest_qc_auc")
    benchmark = Benchmark(splits.real, metrics=names, n_seeds=1, progress=False, **settings)
    for generated in (
        splits.perfect,
        faults["wrong_library_size"](splits),
        splits.perfect[:200].copy(),
        splits.perfect,
    ):
        scored, alone = benchmark.score(generated), quick(splits.real, generated, *names, **settings)
        assert scored.to_json() == alone.to_json()


def test_a_benchmark_measures_reference_and_baselines_once(splits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []

    def compute(pair: SamplePair) -> Score:
        computed.append(pair.generated.n_cells)
        return Score(0.1, 0.0, 0.2)

    metric = replace(get_metric("energy"), compute=compute, by_label=False)
    monkeypatch.setattr(_benchmark, "select_metrics", lambda *_, **__: (metric,))
    benchmark = Benchmark(splits.real, reference=splits.reference, train=splits.train, progress=False)
    benchmark.score(splits.perfect)
    n_first = len(computed)
    benchmark.score(splits.perfect)
    assert n_first == 3 + 3 + len(BASELINES)  # three draws of model and reference; baselines in the first alone
    assert len(computed) == n_first + 3
    benchmark.score(splits.perfect[:300])
    assert len(computed) == 2 * n_first + 3

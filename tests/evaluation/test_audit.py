"""The privacy audit catches planted leaks at the size where it can, says what it cannot tell, and clears real cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scdiffuse.evaluation import Report, audit, evaluate

N_TRAIN, N_HELD_OUT, N_GENERATED = 600, 400, 600


@pytest.fixture(scope="module")
def cells(tissue: Any) -> tuple[ad.AnnData, ad.AnnData, ad.AnnData]:
    """Training, held-out and generated cells of one population."""
    return tissue.draw(N_TRAIN, 11), tissue.draw(N_HELD_OUT, 12), tissue.draw(N_GENERATED, 13)


def leak(train: ad.AnnData, generated: ad.AnnData, n_copies: int, *, kept: float = 1.0) -> ad.AnnData:
    """Put training cells, a part of their counts drawn anew, in the place of the last generated ones."""
    stream = np.random.default_rng(0)
    counts, source = generated.X.toarray(), train.X[:n_copies].toarray().astype(int)
    anew = (
        (1 - kept) * source.sum(axis=1, keepdims=True) * np.asarray(train.X.mean(axis=0)) / train.X.mean(axis=0).sum()
    )
    counts[len(counts) - n_copies :] = stream.binomial(source, kept) + stream.poisson(anew)
    return ad.AnnData(sparse.csr_matrix(counts, dtype=np.float32), obs=generated.obs.copy(), var=generated.var)


def audited(*samples: ad.AnnData, **options: Any) -> Report:
    return audit(*samples, progress=False, **options)


@pytest.fixture(scope="module")
def clear(cells: tuple[ad.AnnData, ad.AnnData, ad.AnnData]) -> Report:
    """The audit of a perfect generator."""
    return audited(*cells, by="cell_type")


def test_the_headline_answers_whether_training_cells_are_revealed(
    clear: Report, cells: tuple[ad.AnnData, ad.AnnData, ad.AnnData]
) -> None:
    assert "leak found" in clear.overall.level_text
    train, held_out, generated = cells
    found = audited(train, held_out, leak(train, generated, 60)).overall
    assert found.level_text == "Generated cells reveal training cells"


def test_a_perfect_generator_is_cleared_with_numbers(clear: Report) -> None:
    verdict = clear.verdicts["privacy"]
    assert verdict.level == "passes"
    assert f"No cell is a copy of a training cell, of {N_GENERATED} looked up." in verdict.text
    assert "AUC at most" in verdict.text
    assert "held-out cells" in verdict.text


def test_every_number_has_its_cells_an_interval_and_a_p_value(clear: Report) -> None:
    for name, one in clear.metrics.items():
        assert one["sizes"], name
        assert one["p"] is not None, name
        assert one["low"] is not None, name
        assert one["high"] is not None, name
        assert one["low"] <= one["value"] <= one["high"], name


def test_what_takes_more_cells_is_said(clear: Report) -> None:
    assert "takes 1,000 held-out cells" in clear.metrics["membership_tpr_01"]["doubt"]
    assert "too few cells to tell" in clear.verdicts["privacy"].text


@pytest.mark.parametrize("percent", [1, 3, 5])
def test_planted_copies_are_caught(cells: tuple[ad.AnnData, ad.AnnData, ad.AnnData], percent: int) -> None:
    train, held_out, generated = cells
    n = N_GENERATED * percent // 100
    verdict = audited(train, held_out, leak(train, generated, n)).verdicts["privacy"]
    assert (verdict.level, verdict.evidence[0]) == ("fails", "memorised_cells")
    assert f"{n} of {N_GENERATED} cells are copies of training cells, count for count" in verdict.text
    assert "No cell" not in verdict.text


def test_one_copy_is_enough_even_beyond_the_cells_that_are_attacked(
    cells: tuple[ad.AnnData, ad.AnnData, ad.AnnData], tmp_path: Path
) -> None:
    train, held_out, generated = cells
    leak(train, generated, 1).write_h5ad(tmp_path / "generated.h5ad")
    report = audited(train, held_out, tmp_path / "generated.h5ad", max_cells=60)
    assert report.verdicts["privacy"].level == "fails"
    assert report.metrics["memorised_cells"]["sizes"]["copies"] == 1
    assert report.metrics["memorised_cells"]["sizes"]["generated cells"] == N_GENERATED
    assert report.settings["n_generated"] == N_GENERATED


def test_planted_near_copies_are_caught(cells: tuple[ad.AnnData, ad.AnnData, ad.AnnData]) -> None:
    train, held_out, generated = cells
    report = audited(train, held_out, leak(train, generated, N_GENERATED // 20, kept=0.9))
    assert "near_copies" in report.verdicts["privacy"].evidence
    assert report.verdicts["privacy"].level == "differs"
    assert "No cell is a copy" in report.verdicts["privacy"].text


def with_donors(cells: ad.AnnData, first: int, n: int) -> ad.AnnData:
    """Give the cells donors in turn."""
    cells = cells.copy()
    cells.obs["donor"] = [f"d{first + row % n:02d}" for row in range(cells.n_obs)]
    return cells


def test_a_copied_donor_is_named(cells: tuple[ad.AnnData, ad.AnnData, ad.AnnData]) -> None:
    train, held_out, generated = with_donors(cells[0], 0, 20), with_donors(cells[1], 0, 20), cells[2]
    own = train[train.obs["donor"] == "d07"]
    report = audited(train, held_out, leak(own, generated, own.n_obs), donor="donor")
    assert report.metrics["memorised_cells"]["features"] == [["d07", float(own.n_obs)]]
    assert f"from d07 ({own.n_obs})" in report.verdicts["privacy"].text
    assert report.verdicts["privacy"].level == "fails"


def test_three_donors_against_three_are_too_few_to_tell(cells: tuple[ad.AnnData, ad.AnnData, ad.AnnData]) -> None:
    train, generated = with_donors(cells[0], 0, 3), cells[2]
    held_out = ad.concat([with_donors(cells[1][:200], 0, 3), with_donors(cells[1][200:], 3, 3)])
    report = audited(train, held_out, generated, donor="donor")
    one = report.metrics["donor_membership_distance"]
    assert (one["sizes"]["training donors"], one["sizes"]["other donors"]) == (3, 3)
    assert "too few donors to tell: p is 0.05 at best for 3 training donors against 3 others" in one["doubt"]
    assert not one["flagged"]
    assert report.verdicts["privacy"].level == "too_few"
    assert "too few donors to tell" in report.verdicts["privacy"].text.lower()


def donated(tissue: Any, donors: range, seed: int, n: int = 40) -> ad.AnnData:
    """Cells of donors who differ in the expression of many genes."""
    parts = []
    for donor in donors:
        effect = np.exp(np.random.default_rng([99, donor]).normal(0, 1.0, 160))
        own = tissue.draw(n, 1000 * seed + donor)
        counts = np.random.default_rng([seed, donor]).poisson(own.X.toarray() * effect)
        obs = own.obs.assign(donor=f"d{donor:02d}").set_index(f"{donor}-" + own.obs_names)
        parts.append(ad.AnnData(sparse.csr_matrix(counts, dtype=np.float32), obs=obs, var=own.var))
    return ad.concat(parts)


@pytest.fixture(scope="module")
def donors(tissue: Any) -> Report:
    """The audit of fresh cells of the training donors: no cell was trained on, and donors differ."""
    held_out = ad.concat([donated(tissue, range(10), 2, 20), donated(tissue, range(10, 28), 3, 20)])
    return audited(donated(tissue, range(10), 1), held_out, donated(tissue, range(10), 4), donor="donor")


def test_donor_difference_is_no_membership_of_cells(donors: Report) -> None:
    assert donors.metrics["donor_difference"]["value"] > 0.6
    assert not donors.metrics["donor_difference"]["flagged"]
    for attack in ("distance", "density", "classifier", "copula"):
        assert not donors.metrics[f"membership_{attack}"]["flagged"]
        assert donors.metrics[f"membership_{attack}"]["sizes"]["held-out cells"] == 200


def test_donors_are_told_by_those_who_hold_cells_enough(donors: Report) -> None:
    whole, one = donors.metrics["donor_membership_copula"], donors.metrics["donor_membership_1"]
    assert whole["flagged"]
    assert whole["value"] > one["value"] > 0.5
    assert whole["sizes"]["training donors"] == 10
    assert whole["sizes"]["other donors"] == 12  # a third of 18 is what attackers know
    verdict = donors.verdicts["privacy"]
    assert verdict.level == "differs"
    assert "Cells of the same donors that were not trained on reach AUC" in verdict.text


def test_whole_donors_held_out_without_controls_leave_membership_untold(tissue: Any) -> None:
    train, held_out = donated(tissue, range(10), 1), donated(tissue, range(10, 28), 3, 20)
    report = audited(train, held_out, donated(tissue, range(10), 4), donor="donor")
    one = report.metrics["membership_copula"]
    assert one["value"] > 0.7
    assert one["p"] is not None
    assert one["p"] < 1e-6
    assert not one["flagged"]
    assert "cannot tell membership from donor difference" in one["doubt"]
    assert "donor" in report.settings["notes"][-1]


def test_whole_donors_held_out_are_found_where_nobody_names_them(tissue: Any) -> None:
    train, held_out = donated(tissue, range(10), 1), donated(tissue, range(10, 28), 3, 20)
    report = audited(train, held_out, donated(tissue, range(10), 4))
    assert report.verdicts["privacy"].level == "too_few"
    assert "cannot tell membership from donor difference" in report.metrics["membership_copula"]["doubt"]
    assert not any("donor" in name for name in report.metrics)
    (note,) = (note for note in report.settings["notes"] if "`donor`" in note)
    assert note.startswith("No training cell has the 'donor' of 360 held-out cells (d10, d11, d12 and 15 more).")


def test_controls_are_found_where_nobody_names_the_donor(tissue: Any) -> None:
    held_out = ad.concat([donated(tissue, range(10), 2, 20), donated(tissue, range(10, 16), 3, 40)])
    samples = donated(tissue, range(10), 1), held_out, donated(tissue, range(10), 4)
    report, named = audited(*samples), audited(*samples, donor="donor")
    assert not report.metrics["membership_copula"]["flagged"]
    assert report.metrics["membership_copula"]["sizes"] == named.metrics["membership_copula"]["sizes"]


def test_columns_that_name_samples_or_cells_are_no_groups(cells: tuple[ad.AnnData, ad.AnnData, ad.AnnData]) -> None:
    samples = [one.copy() for one in cells]
    for one, name in zip(samples, ("fit", "held out", "generated"), strict=True):
        one.obs["part"], one.obs["id"] = name, [f"{name} {row}" for row in range(one.n_obs)]
        one.obs["parts"], one.obs[7] = [[name]] * one.n_obs, np.arange(one.n_obs) % 2 + 2 * (name == "fit")
        one.obs["mixed"] = np.arange(one.n_obs) % 2 if name == "fit" else pd.Categorical(["0"] * one.n_obs)
    assert not any("No training cell has" in note for note in audited(*samples).settings["notes"])


def test_an_evaluation_finds_them_too(tissue: Any) -> None:
    train, held_out = donated(tissue, range(4), 1), donated(tissue, range(4, 8), 3)
    report = evaluate(
        held_out, donated(tissue, range(4), 4), train=train, metrics=["closest_record"], n_seeds=1, progress=False
    )
    assert "cannot tell membership from donor difference" in report.metrics["closest_record"]["doubt"]
    assert any("No training cell has the 'donor' of 160" in note for note in report.settings["notes"])


def test_an_audit_repeats_itself(cells: tuple[ad.AnnData, ad.AnnData, ad.AnnData], clear: Report) -> None:
    assert audited(*cells, by="cell_type").to_json() == clear.to_json()


def test_without_donors_only_attacks_on_cells_are_listed(clear: Report) -> None:
    assert not clear.settings["not_scored"]
    assert not any("donor" in name for name in clear.metrics)


def test_the_page_shows_what_cannot_be_told(clear: Report, tmp_path: Path) -> None:
    page = clear.save(tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "too few cells to tell" in page
    assert "held-out cells" in page


def test_neighbours_of_other_donors_are_no_sign_of_memorisation(tissue: Any) -> None:
    train, held_out = donated(tissue, range(3), 1, 100), donated(tissue, range(10, 13), 3, 100)
    one = audited(train, held_out, donated(tissue, range(3), 4, 100), donor="donor").metrics["nearest_neighbour_ratio"]
    assert not one["flagged"]
    assert "cannot tell membership from donor difference" in one["doubt"]


@pytest.mark.filterwarnings("ignore:Observation names are not unique:UserWarning")
def test_a_rare_type_is_audited_though_a_draw_of_training_cells_lacks_it(tissue: Any) -> None:
    common, rare = tissue.draw(6_000, 31), tissue.draw(800, 32)
    rare = rare[rare.obs["cell_type"] == "rare"].copy()
    train = ad.concat([common[common.obs["cell_type"] == "alpha"], rare[:22]], index_unique="-")
    held_out = ad.concat([tissue.draw(600, 33), rare[22:]], index_unique="-")
    held_out = held_out[held_out.obs["cell_type"].isin(["alpha", "rare"])].copy()
    generated = rare[np.arange(40) % 22].copy()
    generated.obs_names_make_unique()
    report = audited(train, held_out, generated, by="cell_type", seed=1)  # the draw of this seed has none of it
    assert report.by["rare"]["memorised_cells"]["value"] == 1.0

"""Errors, skill and flags, against cases whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from scdiffuse._core.errors import ConditionError
from scdiffuse.evaluation._scoring import Arena, Scored, measure, score
from scdiffuse.evaluation._words import join, number, percent
from scdiffuse.metrics import Metric, Pair, Score, View


def view(shift: float, seed: int, n: int = 400) -> View:
    values = np.random.default_rng(seed).normal(shift, 1, (n, 1)).astype(np.float32)
    return View(counts=sparse.csr_matrix(np.ones((n, 1), np.float32)), genes=values, pcs=values, depth=values)


def pair(shift: float, seed: int) -> Pair:
    names = np.array(["g"])
    return Pair(
        real=view(0, 0), generated=view(shift, seed), gene_names=names, chosen=np.array([0]), depth_names=("d",)
    )


def arena(model: float, *, trivial: float) -> Arena:
    return Arena(
        model=pair(model, 1), floor=pair(0, 2), baselines={"independent_nb": pair(trivial, 3), "resampled": pair(0, 4)}
    )


def gap(one: Pair) -> Score:
    return Score(float(abs(one.real.pcs.mean() - one.generated.pcs.mean())))


GAP = Metric(
    name="gap", title="gap of means", group="distribution", better="lower", target=0.0, range=(0.0, np.inf),
    source="here", cost="cheap", space="pcs", compute=gap,
)  # fmt: skip


def scored(model: float, *, trivial: float) -> Scored:
    found = score(GAP, [arena(model, trivial=trivial)])
    assert isinstance(found, Scored)
    return found


def test_half_samples_give_the_standard_error_of_a_difference_of_means() -> None:
    errors = [measure(GAP, pair(2.0, seed), seed=seed).error for seed in range(20)]
    assert np.mean(errors) == pytest.approx(np.sqrt(2 / 400), rel=0.1)


def test_skill_is_one_at_the_floor_and_nothing_at_the_trivial_baseline() -> None:
    assert scored(0.0, trivial=1.0).skill == pytest.approx(1, abs=0.15)
    assert scored(1.0, trivial=1.0).skill == pytest.approx(0, abs=0.15)
    assert scored(0.5, trivial=1.0).skill == pytest.approx(0.5, abs=0.15)


def test_a_metric_that_cannot_tell_trivial_from_real_gives_no_skill() -> None:
    found = scored(0.0, trivial=0.0)
    assert found.skill is None
    assert found.trivial == "independent_nb"


def test_only_a_gap_beyond_the_noise_is_flagged() -> None:
    assert not scored(0.0, trivial=1.0).flagged
    assert not scored(0.05, trivial=1.0).flagged
    assert scored(0.6, trivial=1.0).flagged


def test_the_copier_never_counts_as_trivial() -> None:
    assert scored(0.5, trivial=1.0).trivial == "independent_nb"


def test_a_refusal_of_the_metric_is_the_reason_given() -> None:
    def refuse(_: Pair) -> Score:
        msg = "No label has enough cells."
        raise ConditionError(msg)

    broken = Metric(
        name="broken", title="broken", group="biology", better="lower", target=0.0, range=(0.0, 1.0),
        source="here", cost="cheap", space="pcs", compute=refuse,
    )  # fmt: skip
    assert score(broken, [arena(0.0, trivial=1.0)]) == "No label has enough cells."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, ".50"), (-0.034, "-.034"), (0.0, ".00"), (1.0, "1.00"), (12.34, "12.3"), (1234.5, "1,234"),
        (0.999, "1.00"), (2e-5, "2.0e-05"), (None, "n/a"), (float("nan"), "n/a"),
    ],
)  # fmt: skip
def test_numbers_are_spelt_short(value: float | None, text: str) -> None:
    assert number(value) == text


def test_words_are_joined_as_a_sentence_does() -> None:
    assert join(["a"]) == "a"
    assert join(["a", "b", "c"]) == "a, b and c"
    assert join(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert percent(0.034) == "3.4%"
    assert percent(0.5) == "50%"


def test_half_samples_share_what_metrics_compute_on_them() -> None:
    built: list[int] = []

    def build(cells: Pair) -> float:
        built.append(cells.real.n_cells)
        return gap(cells).value

    shared = replace(GAP, compute=lambda cells: Score(cells.remember("gap", lambda: build(cells))))
    whole = pair(0.1, 1)
    errors = [measure(replace(shared, name=name), whole).error for name in ("one", "other")]
    assert errors[0] == errors[1] > 0
    assert built == [400] + [200] * 16


def test_a_glance_shows_the_cells_that_a_view_takes() -> None:
    whole, rows = view(0, 1), np.array([3, 1, 7])
    taken, glanced = whole.take(rows), whole.glance(rows)
    assert glanced.n_cells == taken.n_cells == 3
    for space in ("genes", "pcs", "depth"):
        np.testing.assert_array_equal(getattr(taken, space), getattr(glanced, space))
    assert (taken.counts != glanced.counts).nnz == 0

"""Errors, normalised scores and flags, against cases whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from scdiffuse._core.errors import ConditionError
from scdiffuse.evaluation._formatting import format_number, format_percent, join_words
from scdiffuse.evaluation._scoring import Comparison, ScoredMetric, measure, score
from scdiffuse.metrics import CellFeatures, Metric, SamplePair, Score


def view(shift: float, seed: int, n: int = 400) -> CellFeatures:
    values = np.random.default_rng(seed).normal(shift, 1, (n, 1)).astype(np.float32)
    return CellFeatures(counts=sparse.csr_matrix(np.ones((n, 1), np.float32)), genes=values, pcs=values, qc=values)


def pair(shift: float, seed: int) -> SamplePair:
    names = np.array(["g"])
    return SamplePair(
        real=view(0, 0), generated=view(shift, seed), gene_names=names, chosen=np.array([0]), qc_names=("d",)
    )


def comparison(model: float, *, trivial: float) -> Comparison:
    return Comparison(
        model=pair(model, 1),
        reference=pair(0, 2),
        baselines={"independent_nb": pair(trivial, 3), "resampled": pair(0, 4)},
    )


def gap(one: SamplePair) -> Score:
    return Score(float(abs(one.real.pcs.mean() - one.generated.pcs.mean())))


GAP = Metric(
    name="gap", title="gap of means", group="distribution", better="lower", target=0.0, range=(0.0, np.inf),
    source="here", cost="cheap", space="pcs", compute=gap,
)  # fmt: skip


def scored(model: float, *, trivial: float) -> ScoredMetric:
    found = score(GAP, [comparison(model, trivial=trivial)])
    assert isinstance(found, ScoredMetric)
    return found


def test_half_samples_give_the_standard_error_of_a_difference_of_means() -> None:
    errors = [measure(GAP, pair(2.0, seed), seed=seed).error for seed in range(20)]
    assert np.mean(errors) == pytest.approx(np.sqrt(2 / 400), rel=0.1)


def test_the_normalised_score_is_one_at_the_reference_and_zero_at_the_trivial_baseline() -> None:
    assert scored(0.0, trivial=1.0).normalised == pytest.approx(1, abs=0.15)
    assert scored(1.0, trivial=1.0).normalised == pytest.approx(0, abs=0.15)
    assert scored(0.5, trivial=1.0).normalised == pytest.approx(0.5, abs=0.15)


def test_a_metric_that_does_not_separate_trivial_from_real_has_no_normalised_score() -> None:
    found = scored(0.0, trivial=0.0)
    assert found.normalised is None
    assert found.trivial == "independent_nb"


def test_only_a_gap_beyond_the_noise_is_flagged() -> None:
    assert not scored(0.0, trivial=1.0).flagged
    assert not scored(0.05, trivial=1.0).flagged
    assert scored(0.6, trivial=1.0).flagged


def test_memorised_cells_never_count_as_trivial() -> None:
    assert scored(0.5, trivial=1.0).trivial == "independent_nb"


def test_a_refusal_of_the_metric_is_the_reason_given() -> None:
    def refuse(_: SamplePair) -> Score:
        msg = "No label has enough cells."
        raise ConditionError(msg)

    broken = Metric(
        name="broken", title="broken", group="biology", better="lower", target=0.0, range=(0.0, 1.0),
        source="here", cost="cheap", space="pcs", compute=refuse,
    )  # fmt: skip
    assert score(broken, [comparison(0.0, trivial=1.0)]) == "No label has enough cells."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, ".50"), (-0.034, "-.034"), (0.0, ".00"), (1.0, "1.00"), (12.34, "12.3"), (1234.5, "1,234"),
        (0.999, "1.00"), (2e-5, "2.0e-05"), (None, "n/a"), (float("nan"), "n/a"),
    ],
)  # fmt: skip
def test_numbers_are_formatted_short(value: float | None, text: str) -> None:
    assert format_number(value) == text


def test_words_are_joined_as_a_sentence_does() -> None:
    assert join_words(["a"]) == "a"
    assert join_words(["a", "b", "c"]) == "a, b and c"
    assert join_words(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert format_percent(0.034) == "3.4%"
    assert format_percent(0.5) == "50%"


def test_half_samples_share_computations() -> None:
    built: list[int] = []

    def build(cells: SamplePair) -> float:
        built.append(cells.real.n_cells)
        return gap(cells).value

    shared = replace(GAP, compute=lambda cells: Score(cells.cached("gap", lambda: build(cells))))
    whole = pair(0.1, 1)
    errors = [measure(replace(shared, name=name), whole).error for name in ("one", "other")]
    assert errors[0] == errors[1] > 0
    assert built == [400] + [200] * 16


def test_lazily_taken_cells_are_those_that_are_taken() -> None:
    whole, rows = view(0, 1), np.array([3, 1, 7])
    taken, glanced = whole.take(rows), whole.take_lazily(rows)
    assert glanced.n_cells == taken.n_cells == 3
    for space in ("genes", "pcs", "qc"):
        np.testing.assert_array_equal(getattr(taken, space), getattr(glanced, space))
    assert (taken.counts != glanced.counts).nnz == 0

"""The study of development: which cells are compared, and what its scores are of cells that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from benchmarks.layout import REAL
from benchmarks.left_out import CASES, Branch, Case, Group
from benchmarks.studies import development
from tests.benchmarks.conftest import record

KINDS = ("early", "middle", "late")
GROUP = Group(
    name="middle",
    branches=("late",),
    before=(0.0, 0.0),
    after=(4.0, 4.0),
    starts=("early",),
    ends=("late",),
    held=("middle",),
)


@pytest.fixture
def cells() -> development.Cells:
    """Sixty cells of one line: three kinds, times 0, 1 and 4, expression that rises with time."""
    rng = np.random.default_rng(0)
    kinds = np.repeat(KINDS, 20)
    times = np.repeat([0.0, 1.0, 4.0], 20)
    logs = (times[:, None] * np.linspace(1, 2, 6) + rng.normal(0, 0.05, (60, 6))).astype(np.float32)
    return development.Cells(obs=pd.DataFrame({"cell_type": kinds, "time": times}), logs=logs, out=kinds == "middle")


def test_a_case_leaves_out_its_times_and_its_labels() -> None:
    obs = pd.DataFrame({"cell_type": ["ASG_AWA", "ADL", "ADL", "ADL"], "time": [200.0, 300.0, 390.0, 395.0]})
    assert CASES["300-390 min"].left_out(obs).tolist() == [False, True, True, False]
    assert CASES["ASG_AWA"].left_out(obs).tolist() == [True, False, False, False]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_stages_that_must_be_passed_lie_between_the_ends(case: Case) -> None:
    for branch in case.branches.values():
        n_stages = len(branch.labels) if branch.stages is None else len(branch.stages) + 1
        assert 0 < min(case.must) <= max(case.must) < n_stages - 1
    assert {way for group in case.groups for way in group.branches} == set(case.branches)


def test_stages_are_labels_or_times() -> None:
    obs = pd.DataFrame({"cell_type": ["early", "late", "other"], "time": [0.0, 3.0, 3.0]})
    assert Branch(labels=KINDS).stage(obs).tolist() == [0, 2, -1]
    assert Branch(labels=KINDS, stages=(1.0, 3.0)).stage(obs).tolist() == [0, 2, -1]


def test_left_out_cells_lie_between_their_neighbours_by_time(cells: development.Cells) -> None:
    assert set(cells.fractions(GROUP)) == {0.25}
    held, before, after = cells.of(GROUP)
    assert [np.flatnonzero(rows).tolist() for rows in (held, before, after)] == [
        list(range(20, 40)),
        list(range(20)),
        list(range(40, 60)),
    ]


def test_neighbours_are_mixed_or_moved_by_the_fraction_of_time(cells: development.Cells) -> None:
    answers, rows = development.between(cells, GROUP, seed=0)
    assert set(rows) <= {*range(20), *range(40, 60)}
    assert 0 < np.mean(rows >= 40) < 0.6
    assert answers["optimal transport"].mean(axis=0) == pytest.approx(np.linspace(1, 2, 6), abs=0.05)
    assert answers["before"].shape == answers["after"].shape == (20, 6)


def test_the_real_cells_are_nearest_to_themselves(cells: development.Cells) -> None:
    answers, _ = development.between(cells, GROUP, seed=0)
    scores = {row["answer"]: row["energy"] for row in development.score_group(cells, GROUP, answers)}
    assert scores[REAL] == pytest.approx(0.0, abs=0.05)
    assert scores[REAL] < scores["optimal transport"] < scores["nearest stage"]


def test_cells_are_chosen_at_the_time_wanted() -> None:
    times = np.repeat([0.0, 1.0, 2.0], 20)
    assert set(times[development.nearest_in_time(times, np.array([0.9, 1.1]), seed=0)]) == {1.0}


def test_a_way_that_is_the_development_itself_scores_in_full(
    cells: development.Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(development, "N_STATES", 3)
    times = cells.obs["time"].to_numpy()
    score = development.score_path(cells, Branch(labels=KINDS), cells.logs, asked=times, must=(1,))
    assert (score["in_order"], score["passed"]) == (1.0, "0 1 2")
    assert score["arrived"] == pytest.approx(1.0, abs=0.1)
    assert score["spearman"] == pytest.approx(1.0, abs=1e-6)
    assert development.score_real(cells, Branch(labels=KINDS)) == pytest.approx(
        {"spearman": 1.0, "arrived": 1.0}, abs=0.1
    )
    jump = development.score_path(
        cells, Branch(labels=KINDS), cells.logs[[*range(20), *range(40, 60)] + [59] * 20], asked=times, must=(1,)
    )
    assert jump["in_order"] == 0.0


def test_the_section_counts_what_is_nearer_than_every_baseline() -> None:
    energies: dict[str, float] = {"conditions": 1.0, "trajectory": 3.0, "trajectory along time": 1.5}
    energies |= {"mix of neighbours": 2.0, "optimal transport": 2.5, "nearest stage": 4.0, REAL: 0.1}
    rows: list[dict[str, Any]] = [{"group": "ADL", "answer": one, "energy": value} for one, value in energies.items()]
    for answer in ("trajectory", "trajectory along time", REAL):
        numbers = {"in_order": 1.0, "spearman": 0.96, "arrived": 0.5}
        rows.append({"way": "ADL", "answer": answer} | numbers)
    text = "\n\n".join(development.lines([record("development", rows, case="ASG_AWA", seed=0)]))
    assert (
        "conditions: left-out groups and seeds (of 1) nearer to real cells than every baseline: 1.00, **met**" in text
    )
    assert (
        "trajectory: left-out groups and seeds (of 1) nearer to real cells than every baseline: 0.00, **missed**"
        in text
    )
    assert "trajectory along time: least Spearman (goal .95): 0.96, **met**" in text
    assert "trajectory along time: least fraction that arrives (goal .9): 0.50, **missed**" in text

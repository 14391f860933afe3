"""Planted faults: each changes what it says and nothing else."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from benchmarks.planter import FAULTS, Planter
from benchmarks.studies import evaluation
from scipy import sparse
from tests.benchmarks.conftest import record

TYPES = np.repeat(["large", "middle", "rare"], [40, 30, 10])


def cells(seed: int) -> anndata.AnnData:
    counts = np.random.default_rng(seed).poisson(3.0, (80, 12))
    counts[TYPES == "large", :4] += 6
    obs = pd.DataFrame({"type": pd.Categorical(TYPES)}, index=[f"c{row}" for row in range(80)])
    names = pd.DataFrame(index=[f"g{column}" for column in range(12)])
    return anndata.AnnData(sparse.csr_matrix(counts, dtype=np.float32), obs=obs, var=names)


@pytest.fixture
def planter() -> Planter:
    return Planter(cells(0), cells(1), by="type")


def planted(planter: Planter, fault: str) -> tuple[np.ndarray, np.ndarray]:
    made = planter.plant(fault)
    return made.X.toarray(), made.obs["type"].to_numpy(dtype=str)


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "none"])
def test_every_fault_changes_the_cells_or_their_types(planter: Planter, fault: str) -> None:
    before, types = planted(planter, "none")
    after, named = planted(planter, fault)
    assert np.array_equal(before, cells(0).X.toarray())
    assert before.shape != after.shape or (before != after).any() or (types != named).any()


def test_half_of_the_second_largest_type_is_copied_from_training(planter: Planter) -> None:
    known = {row.tobytes() for row in cells(1).X.toarray()}
    made, types = planted(planter, "half of a type copied")
    copied = np.array([row.tobytes() in known for row in made])
    assert copied[types == "middle"].sum() == 15
    assert not copied[types != "middle"].any()


def test_halved_contrasts_are_half_on_the_log_scale(planter: Planter) -> None:
    made, types = planted(planter, "halved log-fold changes")
    before = cells(0).X.toarray()

    def change(counts: np.ndarray) -> float:
        ratio = counts[types == "large", :4].mean(axis=0) / counts[types == "middle", :4].mean(axis=0)
        return float(np.log(ratio).mean())

    assert change(made) == pytest.approx(change(before) / 2, abs=0.1)


def test_the_rarest_type_is_missing(planter: Planter) -> None:
    assert set(planted(planter, "missing type")[1]) == {"large", "middle"}


def test_the_page_names_what_each_group_caught() -> None:
    rows = [
        {"fault": "none", "group": "biology", "level": "passes", "caught_by": ""},
        {"fault": "wrong library size", "group": "biology", "level": "fails", "caught_by": "zero_error"},
    ]
    text = "\n".join(evaluation.lines([record("evaluation", rows, part="faults", data_set="toy")]))
    assert "| none |  |\n| wrong library size | fails: zero_error |" in text


def test_the_page_counts_false_alarms() -> None:
    rows = [
        {"draw": draw, "group": "biology", "level": level, "caught_by": "fold_change_r" if level == "fails" else ""}
        for draw, level in enumerate(("passes", "too_few", "too_few", "fails"))
    ]
    text = evaluation.lines([record("evaluation", rows, part="alarms", data_set="toy", cells_a_side=100)])
    assert "| 100 | 4 | 1 | 2 | 1 | biology (fold_change_r) |" in text[-1]


def test_the_page_states_costs_beside_their_goals() -> None:
    costs = {"labels": 10, "metrics": 39, "seconds": 67.0, "cpu_seconds": 86.0, "peak_mib": 1350.0}
    text = evaluation.lines([record("evaluation", [costs], part="cost", suite="quick", cells=10_000, genes=2_000)])
    assert "| quick | 10,000 | 2,000 | 10 | 39 | 67 | 86 | 1,350 | 60 |" in text[-1]

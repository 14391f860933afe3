"""Library sizes: every form that a user may give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scdiffuse._core.errors import SettingError
from scdiffuse.sampling._library_size import plan_sizes

OWN = np.array([10, 20, 30])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(None, [10, 20, 30]), (7, [7, 7, 7]), (np.int64(7), [7, 7, 7]), ([1, 2, 3, 4, 5], [2, 5, 1]), (9.0, [9, 9, 9])],
    ids=str,
)
def test_each_cell_gets_its_size(asked: Any, expected: list[int]) -> None:
    sizes = plan_sizes(asked, n=5, seed=0)(np.array([1, 4, 0]), OWN)
    assert sizes.tolist() == expected


def test_drawn_sizes_have_the_mean_and_deviation_asked_for() -> None:
    cells = np.arange(20_000)
    sizes = plan_sizes((5_000, 2_000), n=20_000, seed=1)(cells, cells)
    assert sizes.mean() == pytest.approx(5_000, rel=0.02)
    assert sizes.std() == pytest.approx(2_000, rel=0.05)
    assert sizes.min() >= 1


def test_a_drawn_size_belongs_to_its_cell() -> None:
    draw = plan_sizes((100, 30), n=50, seed=1)
    assert draw(np.array([7, 3]), OWN).tolist() == draw(np.arange(50), OWN)[[7, 3]].tolist()


@pytest.mark.parametrize("asked", [0, -3, 2.5, [1, 2, 0, 4, 5], "many", [[1, 2], [3, 4]], float("nan")], ids=str)
def test_what_is_no_whole_number_of_counts_is_refused(asked: Any) -> None:
    with pytest.raises(SettingError, match=r"`library_size` must hold whole numbers of at least 1.* a tuple of mean"):
        plan_sizes(asked, n=5, seed=0)


def test_a_wrong_number_of_sizes_is_refused() -> None:
    with pytest.raises(SettingError, match="`library_size` holds 3 numbers for 5 cells; give one number, or one a"):
        plan_sizes([1, 2, 3], n=5, seed=0)


@pytest.mark.parametrize(
    "asked", [(0.5, 1.0), (10.0, -1.0), (float("nan"), 1.0), ("many", 1.0), (10.0, None), (10.0, True)], ids=str
)
def test_an_impossible_mean_or_deviation_is_refused(asked: Any) -> None:
    with pytest.raises(
        SettingError, match=r"is a mean of .* with a standard deviation of .*; expected at least 1 and 0, both numbers"
    ):
        plan_sizes(asked, n=5, seed=0)

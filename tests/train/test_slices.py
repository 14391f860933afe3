"""How processes divide the cells of a step."""

from __future__ import annotations

import numpy as np
import pytest

from scdiffuse._core.errors import SettingError
from scdiffuse._core.processes import WHOLE, Part, Processes
from scdiffuse.train._slices import require_enough_cells, step_draws, step_rows


@pytest.mark.parametrize("n_cells", [9, 32, 128, 1000])
@pytest.mark.parametrize("size", [2, 3, 8])
def test_the_random_numbers_of_a_cell_do_not_depend_on_its_process(n_cells: int, size: int) -> None:
    whole = step_draws(n_cells, WHOLE, seed=3, stage="x", step=5).normals(4)
    parts = [Part(rank, size) for rank in range(size)]
    shared = [step_draws(n_cells, part, seed=3, stage="x", step=5).normals(4) for part in parts]
    assert np.array_equal(np.concatenate(shared), whole)
    rows = [step_rows(n_cells, part) for part in parts]
    assert [len(numbers) for numbers in shared] == [row.stop - row.start for row in rows]
    assert len(np.unique(whole)) == whole.size


def test_a_large_step_is_divided_among_many_processes() -> None:
    require_enough_cells(4096, Processes(Part(0, 64)))
    sizes = [row.stop - row.start for row in (step_rows(4096, Part(rank, 64)) for rank in range(64))]
    assert set(sizes) == {64}


def test_more_processes_than_slices_are_refused() -> None:
    with pytest.raises(SettingError, match=r"A step of 128 cells can be shared by 8 processes at most, got 9. Start"):
        require_enough_cells(128, Processes(Part(0, 9)))

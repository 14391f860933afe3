"""A model whose fit ended too early says so with its cells."""

from __future__ import annotations

import warnings

import pytest

from scdiffuse.generator import CellGenerator


@pytest.mark.parametrize(
    ("was_stopped", "points", "n_warnings"), [(True, [], 1), (True, [(9, 1.0, 1.0)], 0), (False, [], 0)]
)
def test_cells_of_a_diffusion_that_learnt_nothing_come_with_a_warning(
    fitted: CellGenerator,
    monkeypatch: pytest.MonkeyPatch,
    was_stopped: bool,  # noqa: FBT001
    points: list[tuple[int, float, float]],
    n_warnings: int,
) -> None:
    monkeypatch.setattr(fitted, "was_stopped", was_stopped)
    monkeypatch.setattr(fitted, "history", {"autoencoder": [(9, 1.0, 1.0)], "diffusion": points})
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        fitted.generate(2, progress=False)
    assert ["before the diffusion learnt anything" in str(warning.message) for warning in found] == [True] * n_warnings

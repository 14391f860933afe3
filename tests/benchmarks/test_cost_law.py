"""The law of costs: exact where costs follow it."""

from __future__ import annotations

import pytest
from benchmarks.studies.cost_law import GRID, UNSEEN, Size, law, predict, simulate, terms

COSTS = {"step": 1e-3, "step_genes": 2e-4, "cells": 1e-5, "cells_found": 3e-5, "cells_genes": 4e-6}


def _record(size: Size) -> dict[str, float]:
    return {"genes": size.genes, "found": size.found, "batch": size.batch}


def test_the_law_finds_the_costs_it_is_made_of() -> None:
    records = [_record(size) for size in GRID]
    known = [one | {"autoencoder": predict(COSTS, one)} for one in records]
    assert law(known) == pytest.approx(COSTS, rel=1e-6)
    assert terms(records).shape == (len(GRID), len(COSTS))


def test_a_size_is_simulated_as_asked() -> None:
    size = UNSEEN[0]
    cells = simulate(size, n_cells=7)
    assert cells.shape == (7, size.genes)
    assert {len(row.indices) for row in cells.X} == {size.found}

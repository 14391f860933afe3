"""Fits of several processes that do not have the same cells or state; threads stand in for the processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import anndata as ad
import pytest
from torch import Tensor

from scdiffuse._core.errors import ModelFolderError, SettingError, UserError
from scdiffuse._core.processes import Part, Processes
from scdiffuse.autoencoder import AutoencoderTask
from scdiffuse.fitting import FitOptions, fit_model
from scdiffuse.generator import CellGenerator
from scdiffuse.model import ModelConfig

N = 2


class Threads(Processes):
    """One of two threads that exchange what processes exchange; no training gets as far."""

    def __init__(self, rank: int, table: dict[int, Any], barrier: Barrier) -> None:
        super().__init__(Part(rank, N))
        self._table, self._barrier = table, barrier

    def total(self, number: float) -> float:
        return float(sum(self._exchanged(number)))

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            tensor.copy_(self._exchanged(tensor.clone())[0])

    def _exchanged(self, own: Any) -> list[Any]:
        self._table[self.part.rank] = own
        self._barrier.wait(timeout=60)
        found = [self._table[rank] for rank in range(N)]
        self._barrier.wait(timeout=60)
        return found


def _errors(models: list[CellGenerator], options: Callable[[int], FitOptions]) -> list[UserError]:
    """Fit in two threads and return what stops them."""
    table: dict[int, Any] = {}
    barrier = Barrier(N)

    def fit(rank: int) -> UserError:
        data, own = models[rank]._data, replace(options(rank), processes=Threads(rank, table, barrier), progress=False)
        assert data is not None
        with pytest.raises(UserError) as caught:
            fit_model(data, models[rank]._metadata, own)
        return caught.value

    with ThreadPoolExecutor(N) as pool:
        return list(pool.map(fit, range(N)))


@pytest.mark.parametrize("given", ["half of the cells", "another order", "another seed"])
def test_processes_with_different_cells_or_seeds_are_refused(
    simulated: ad.AnnData, small: ModelConfig, tmp_path: Path, given: str
) -> None:
    others = {"half of the cells": simulated[::2].copy(), "another order": simulated[::-1].copy()}
    models = [CellGenerator(cells, config=small) for cells in (simulated, others.get(given, simulated))]
    found = _errors(models, lambda rank: FitOptions(folder=tmp_path / "run", seed=rank if "seed" in given else 0))
    assert [type(error) for error in found] == [SettingError, SettingError]
    words = "The 2 processes of this fit have different cells, settings or seeds; expected the same."
    assert [str(error).startswith(words) for error in found] == [True, True]
    assert not (tmp_path / "run").exists()


def test_processes_that_find_different_states_are_refused(
    simulated: ad.AnnData, small: ModelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [CellGenerator(simulated, config=small) for _ in range(N)]

    def pressed(*_: object, **__: object) -> Tensor:
        raise KeyboardInterrupt

    monkeypatch.setattr(AutoencoderTask, "loss", pressed)
    models[0].fit(tmp_path / "run0", progress=False)
    found = _errors(models, lambda rank: FitOptions(folder=tmp_path / f"run{rank}", resume=True))
    assert [type(error) for error in found] == [ModelFolderError, ModelFolderError]
    assert all("find different states in" in str(error) and "machines of all" in str(error) for error in found)

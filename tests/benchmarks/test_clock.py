"""The clock around the steps of a fit."""

from __future__ import annotations

from itertools import count

import pytest
from benchmarks.clock import clocked
from benchmarks.scaling import Size, simulate

import scdiffuse.train._loop as loop
from scdiffuse.generator import CellGenerator
from scdiffuse.model import ModelConfig, TrainConfig


def test_each_step_is_timed_and_the_clock_taken_off_again() -> None:
    config = ModelConfig(
        autoencoder_training=TrainConfig(batch_size=16, max_steps=3, n_validations=1),
        diffusion_training=TrainConfig(batch_size=32, max_steps=5, n_validations=1),
    )
    cells, step, ticks = simulate(Size(genes=60, found=30, batch=16), n_cells=200), loop._take_step, count()
    with clocked(lambda: float(next(ticks))) as taken:
        CellGenerator(cells, conditions=["label"], min_cells=0, config=config).fit(progress=False)
    assert taken == {"autoencoder": (16, [1.0] * 3), "diffusion": (32, [1.0] * 5)}
    assert loop._take_step is step
    with pytest.raises(ZeroDivisionError), clocked():
        _ = 1 / 0
    assert loop._take_step is step

"""Requests that no machine can meet, and numbers that are none, are refused in the user's words."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import torch

from scdiffuse._core.errors import ScdiffuseWarning, SettingError
from scdiffuse.generator import CellGenerator, load
from scdiffuse.sampling import Guidance

SHARED = """
import sys
from scdiffuse._core.processes import joined
from scdiffuse.generator import load
with joined("cpu"):
    load(sys.argv[1]).generate(40, path=sys.argv[2], seed=1, progress=False)
"""


@pytest.mark.parametrize("library_size", [10**12, (1e12, 1.0), (500.0, 1e9), [10**12] * 4, float(2**31)])
def test_a_library_size_beyond_32_bits_is_refused(fitted: CellGenerator, library_size: Any) -> None:
    with pytest.raises(SettingError, match=r"`library_size` asks for up to .* expected at most 100,000,000"):
        fitted.generate(4, library_size=library_size, progress=False)


def test_latents_that_are_not_finite_are_not_made_into_empty_cells(fitted: CellGenerator) -> None:
    with pytest.raises(
        SettingError, match=r"4 of 4 cells have latents that are not finite; .* Lower the scale of `guidance`"
    ):
        fitted.generate(4, where={"cell_type": "B"}, guidance=Guidance(1e300), progress=False)


def test_damaged_weights_are_named(folder: Path) -> None:
    model = load(folder)
    assert model._model is not None
    with torch.no_grad():
        model._model.networks.denoiser.write.bias.fill_(torch.nan)
    with pytest.raises(SettingError, match="the weights of the model are damaged"):
        model.generate(4, progress=False)


def test_two_processes_write_fewer_cells_than_one_of_them_makes_at_once(folder: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    path = tmp_path / "cells.h5ad"
    running = [
        subprocess.Popen([sys.executable, "-c", SHARED, folder, path], env={**os.environ, **shared, "RANK": str(rank)})
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    made, alone = ad.read_h5ad(path), load(folder).generate(40, seed=1, progress=False)
    assert isinstance(alone, ad.AnnData)
    np.testing.assert_array_equal(made.X.toarray(), alone.X.toarray())
    assert list(made.obs["cell_type"]) == list(alone.obs["cell_type"])
    assert [file.name for file in tmp_path.iterdir() if "rank" in file.name] == []


FAR = (
    r"Guidance drives [\d,]+ of {} cells up to .* standard deviations from the mean of the training cells; expected at"
)


def test_guidance_that_drives_cells_far_from_all_others_is_warned_of(fitted: CellGenerator, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"where": {"cell_type": "B"}, "guidance": 1e4, "progress": False}
    with pytest.warns(ScdiffuseWarning, match=FAR.format(6) + r" most 20\..* Lower the scale of `guidance`"):
        fitted.generate(6, batch_size=3, **asked)
    with pytest.warns(ScdiffuseWarning, match=FAR.format(6)):
        fitted.generate(6, path=tmp_path / "cells.h5ad", **asked)


@pytest.mark.filterwarnings("ignore:The paths of branch .* cover:UserWarning")
def test_given_cells_that_guidance_drives_far_are_warned_of(fitted: CellGenerator, simulated: ad.AnnData) -> None:
    cells = simulated[simulated.obs["cell_type"] == "T"][:5].copy()
    asked: dict[str, Any] = {"to": {"cell_type": "B"}, "guidance": 1e4, "progress": False}
    with pytest.warns(ScdiffuseWarning, match=FAR.format(5)):
        fitted.predict(cells, **asked)
    with pytest.warns(ScdiffuseWarning, match=FAR.format(10)):
        fitted.trajectory(cells, n_states=2, **asked)

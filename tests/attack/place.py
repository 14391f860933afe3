"""Valid cells and a small fitted model, which every attack starts from."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from scdiffuse.cli import run

__all__ = ["SMALL", "Place", "cells", "make_place"]

N_CELLS, N_GENES = 60, 16
_SETTINGS = (
    "autoencoder.n_latent=3",
    "autoencoder.n_hidden=8",
    "diffusion.width=8",
    "diffusion.depth=1",
    "diffusion.embedding_width=8",
    "diffusion.solver_steps=2",
    "diffusion.ode_steps=2",
    *(
        f"{stage}_training.{setting}"
        for stage in ("autoencoder", "diffusion", "classifier")
        for setting in ("batch_size=32", "min_steps=4", "n_validations=1")
    ),
)
SMALL = ("--max-epochs", "1", "--min-cells", "3", *(word for one in _SETTINGS for word in ("--set", one)))
"""Options of the fastest fit."""


_CALLS = (
    ("generate", "MODEL", "-n", "5", "--toward", "plate=p1"),
    ("predict", "MODEL", "CELLS", "--to", "kind=B"),
    ("trajectory", "MODEL", "--from", "kind=T", "--to", "kind=B", "-n", "2", "--n-states", "3"),
    ("augment", "MODEL", "CELLS", "--by", "kind", "--n-per-label", "30"),
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder with valid inputs, and room for one attack at a time."""

    root: Path

    @property
    def cells(self) -> Path:
        """Sixty cells of three kinds at four days."""
        return self.root / "cells.h5ad"

    @property
    def model(self) -> Path:
        """A model of them with the conditions `kind` and `day`, and the classifier `plate`."""
        return self.root / "model"

    @property
    def shards(self) -> Path:
        """The cells in three shards."""
        return self.root / "shards"

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """Make an empty folder, which is gone afterwards."""
        folder = self.root / "attempt"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def cells() -> ad.AnnData:
    """Draw the valid cells."""
    draw, at = np.random.default_rng(0), np.arange(N_CELLS)
    counts = draw.poisson(draw.gamma(1.0, 3.0, (3, N_GENES))[at % 3])
    counts[:, 0] += 1
    obs = pd.DataFrame(
        {
            "kind": pd.Categorical(np.array(["T", "B", "NK"])[at % 3]),
            "day": (at % 4).astype(float),
            "plate": pd.Categorical(np.array(["p1", "p2"])[at % 2]),
        },
        index=[f"cell-{one}" for one in at],
    )
    var = pd.DataFrame({"symbol": [f"S{one}" for one in range(N_GENES)]}, index=[f"g{one}" for one in range(N_GENES)])
    return ad.AnnData(sp.csr_matrix(counts, dtype=np.float32), obs=obs, var=var)


def make_place(root: Path) -> Place:
    """Fit the model by the commands that are attacked."""
    place = Place(root=root)
    cells().write_h5ad(place.cells)
    _done("fit", place.cells, "-o", place.model, "-c", "kind", "--continuous", "day", "--no-progress", *SMALL)
    _done("shard", place.cells, "-o", place.shards, "--cells-per-shard", "25", "--no-progress")
    add = ("--name", "plate", "--max-epochs", "1", "--no-progress")
    _done("add-classifier", place.model, place.cells, *add)
    with place.fresh() as folder:  # loops are compiled and libraries imported before anything is timed
        for at, words in enumerate(_CALLS):
            typed = [str({"MODEL": place.model, "CELLS": place.cells}.get(word, word)) for word in words]
            _done(*typed, "-o", folder / f"{at}.h5ad", "--no-progress")
        pair = ("--real", place.cells, "--generated", place.cells)
        _done("evaluate", *pair, "--metric", "energy", "--metric", "composition", "--no-progress")
    return place


def _done(*words: str | Path) -> None:
    typed: Sequence[str] = [str(word) for word in words]
    assert run(typed) == 0, typed

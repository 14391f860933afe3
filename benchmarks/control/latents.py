"""Latents of given cells, decoded to counts: what autoencoders alone can answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
import torch

if TYPE_CHECKING:
    from scdiffusion import CellGenerator


def decode(model: CellGenerator, latents: Any, *, like: anndata.AnnData, seed: int) -> anndata.AnnData:  # noqa: ANN401
    """Draw counts for standardised latents, shape ``(N, D)``, with the library sizes of given cells."""
    from scdiffusion._core.random import cell_keys

    parts = model._parts
    assert parts is not None
    codes = torch.from_numpy(np.asarray(latents, dtype=np.float32)) * parts.latent_std[:-1] + parts.latent_mean[:-1]
    sizes = np.asarray(like[:, model.genes].X.sum(axis=1)).ravel().astype(np.int64)
    keys = cell_keys(seed, "benchmark counts", np.arange(len(sizes)))
    counts = parts.autoencoder.decode(codes, np.maximum(sizes, 1), keys)
    return anndata.AnnData(counts, obs=like.obs.copy(), var=pd.DataFrame(index=model.genes))

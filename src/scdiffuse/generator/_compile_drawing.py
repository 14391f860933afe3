"""The loops that draw counts, compiled before the first cells are asked for."""

from __future__ import annotations

import numpy as np

from scdiffuse._core.random import cell_keys
from scdiffuse.autoencoder.likelihoods import draw_counts

__all__ = ["compile_drawing"]


def compile_drawing() -> None:
    """Draw one cell of two genes: the first call on a machine compiles for seconds, later ones find what it made."""
    draw_counts(
        np.full((1, 2), 0.5, np.float32),
        np.ones(1, np.int64),
        inverse_dispersion=np.ones(2),
        outlier_component=None,
        keys=cell_keys(0, "compile", np.arange(1)),
    )

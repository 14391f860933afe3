"""What the first click would wait for, done while the page opens."""

from __future__ import annotations

__all__ = ["preload"]


def preload() -> None:
    """Import the packages that the first cells and the first map need, and compile; some seconds of work."""
    import anndata as ad
    import numba  # noqa: F401 - loops that read stored rows are compiled with it
    import numpy as np

    from scdiffuse.evaluation import CellMap
    from scdiffuse.generator import compile_drawing

    cells = ad.AnnData(np.eye(12, dtype=np.float32))
    CellMap(cells).place(cells)
    compile_drawing()

"""What the first click would wait for, done while the page opens."""

from __future__ import annotations

__all__ = ["compile_ahead", "preload"]


def preload() -> None:
    """Import the packages that the first cells and the first map need, some seconds of work."""
    import anndata as ad
    import numba  # noqa: F401 - loops that read stored rows are compiled with it
    import numpy as np

    import scdiffuse.generator  # noqa: F401 - as above
    from scdiffuse.evaluation import CellMap

    cells = ad.AnnData(np.eye(12, dtype=np.float32))
    CellMap(cells).place(cells)


def compile_ahead() -> None:
    """Compile the loops that draw counts, seconds of work once on a machine."""
    from scdiffuse.generator import compile_drawing

    compile_drawing()

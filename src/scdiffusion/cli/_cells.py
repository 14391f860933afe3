"""Reading cells for commands that hold them in memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scdiffusion._core.errors import DataFileError

if TYPE_CHECKING:
    import anndata as ad

__all__ = ["read_cells"]


def read_cells(path: Path) -> ad.AnnData:
    """Read a whole file of cells.

    Parameters
    ----------
    path
        A ``.h5ad`` file.

    Returns
    -------
    Its cells, in memory.

    Raises
    ------
    DataFileError
        The file is missing, truncated, damaged or not a ``.h5ad``.
    """
    import anndata as ad

    from scdiffusion.cells import open_source

    open_source(path)
    try:
        return ad.read_h5ad(path)
    except (OSError, KeyError, ValueError, TypeError, ad.io.AnnDataReadError) as error:
        msg = f"{str(path)!r} cannot be read ({error}); expected a whole `.h5ad` file. Copy or write it again."
        raise DataFileError(msg) from error

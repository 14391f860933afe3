"""Example data: real cells that come with the installation or are downloaded once."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from scdiffuse._core.errors import (
    CountsError,
    DataFileError,
    MissingExtraError,
    UnknownNameError,
    did_you_mean,
)
from scdiffuse.cells._planted import plant_effects

__all__ = ["fetch", "pbmc68k", "pbmc68k_planted"]

_ROUNDING = 0.2  # the file keeps values in low precision: a count of 260 comes out wrong by 0.1


class _Remote(NamedTuple):
    """A public file, its checksum and its origin."""

    url: str
    sha256: str
    source: str


_REMOTES = {
    "pbmc3k": _Remote(
        "https://exampledata.scverse.org/scanpy/pbmc3k_raw.h5ad",
        "89a96f1beaa2dd83a687666d3f19a4513ac27a2a2d12581fcd77afed7ea653a1",
        "2,700 human blood cells, 10x Genomics 2016 (CC BY 4.0), as distributed with scanpy",
    ),
    "bone_marrow_s1d1": _Remote(
        "doi:10.6084/m9.figshare.22716739.v1/s1d1_filtered_feature_bc_matrix.h5",
        "322c30a7a4905f7f113472442d4aa2c81a1ad736c86651f6c0b81e5b2ff94ac8",
        "8,785 human bone marrow cells, site 1 donor 1, Luecken et al. 2021 (NeurIPS), figshare 22716739",
    ),
    "bone_marrow_s1d3": _Remote(
        "doi:10.6084/m9.figshare.22716739.v1/s1d3_filtered_feature_bc_matrix.h5",
        "ca40b287fac57ac2048f11f56f1b630c7c188718908fc217c6baf2e49bdb1982",
        "8,340 human bone marrow cells, site 1 donor 3, Luecken et al. 2021 (NeurIPS), figshare 22716739",
    ),
}


def pbmc68k() -> ad.AnnData:
    """Load 700 real human blood cells, without any download.

    The scanpy package carries 765 genes of 700 cells of the 68k PBMC data (Zheng et al. 2017), scaled and
    log-transformed. A cell's smallest value belongs to one count, so dividing by it recovers the counts; that the
    results are whole numbers is verified.

    Returns
    -------
    Raw counts in `X` (CSR ``float32``, ``(700, 765)``), ten labels in ``obs['cell_type']``, and the origin in
    ``uns['source']``.

    Raises
    ------
    MissingExtraError
        The scanpy package is not installed, or does not carry the file.
    CountsError
        The file holds something other than expected.

    References
    ----------
    Zheng et al. 2017, https://doi.org/10.1038/ncomms14049.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anndata warns about the older layout of the file
        stored = ad.read_h5ad(_scanpy_file())
    labels = pd.Categorical(stored.obs["bulk_labels"])
    return ad.AnnData(
        X=_recover_counts(sp.csr_matrix(stored.raw.X, dtype=np.float64)),
        obs=pd.DataFrame({"cell_type": labels}, index=pd.Index(stored.obs_names.to_numpy())),
        var=pd.DataFrame(index=pd.Index(stored.raw.var_names.to_numpy())),
        uns={
            "source": "700 cells x 765 genes of the 68k PBMC data, Zheng et al. 2017 (10x Genomics, CC BY 4.0), "
            "shipped with scanpy as 10x_pbmc68k_reduced.h5ad; counts recovered from log values"
        },
    )


def pbmc68k_planted(*, seed: int = 0) -> ad.AnnData:
    """Load the bundled blood cells with planted effects of a condition, a time and a batch, whose truth is known.

    The 700 cells of `pbmc68k` are assigned at random to control or stimulated, to days 0 to 3 and to two batches,
    evenly within each cell type. Each assignment changes 60 genes of its own by the same factor in all types: counts
    that fall are thinned, counts that rise get Poisson counts on top. Nothing but these effects distinguishes the
    groups, so predictions can be compared with the truth. The effects are artificial: no biology follows from them.

    Parameters
    ----------
    seed
        The same seed gives the same cells.

    Returns
    -------
    Raw counts in `X` (CSR ``float32``, ``(700, 765)``); ``cell_type``, ``condition``, ``day`` and ``batch`` in `obs`;
    the planted log2 fold changes of stimulated over control, of day 3 over day 0 (linear in between) and of batch b2
    over b1 in ``var['log2_fold_condition']``, ``var['log2_fold_day']`` and ``var['log2_fold_batch']``; the origin in
    ``uns['source']``.

    Examples
    --------
    >>> import scdiffuse as scd
    >>> sorted(scd.datasets.pbmc68k_planted().obs)
    ['batch', 'cell_type', 'condition', 'day']
    """
    planted = plant_effects(pbmc68k(), by="cell_type", seed=seed)
    planted.uns["source"] += "; effects of `condition`, `day` and `batch` planted by scdiffuse"
    return planted


def fetch(name: str, *, folder: str | Path | None = None) -> ad.AnnData:
    """Download a larger public set once, verify it and load it; it has no cell types.

    Parameters
    ----------
    name
        ``"pbmc3k"`` (2,700 human blood cells), ``"bone_marrow_s1d1"`` or ``"bone_marrow_s1d3"`` (8,785 and 8,340 human
        bone marrow cells of two donors, Luecken et al. 2021).
    folder
        Where to keep the file; by default the user's cache folder.

    Returns
    -------
    Raw counts in `X`, no labels in `obs`, and the origin in ``uns['source']``.

    Raises
    ------
    UnknownNameError
        There is no such set.
    MissingExtraError
        The downloader is not installed.
    DataFileError
        The file cannot be downloaded, or is another than expected.
    """
    if name not in _REMOTES:
        msg = f"{name!r} is not a known data set; expected one of {sorted(_REMOTES)}."
        raise UnknownNameError(msg + did_you_mean(name, _REMOTES))
    try:
        import pooch
    except ImportError as error:
        msg = "Downloading needs the package `pooch`. Run `pip install scdiffuse[datasets]`."
        raise MissingExtraError(msg) from error
    remote = _REMOTES[name]
    place = Path(folder) if folder is not None else Path(pooch.os_cache("scdiffuse"))
    file, known_hash = remote.url.rsplit("/", 1)[1], f"sha256:{remote.sha256}"
    try:
        path = Path(pooch.retrieve(remote.url, known_hash=known_hash, path=place, fname=file))
    except (OSError, ValueError) as error:  # no connection, or another file
        msg = f"{remote.url} cannot be downloaded ({error}). Try again, or save the file yourself as"
        raise DataFileError(msg + f" {str(place / file)!r}.") from error
    adata = ad.read_h5ad(path) if path.suffix == ".h5ad" else _read_10x(path)
    adata.uns["source"] = f"{remote.source}; {remote.url}"
    return adata


def _scanpy_file() -> Path:
    """Find the file without importing scanpy, which takes seconds."""
    found = importlib.util.find_spec("scanpy")
    path = Path(found.origin).parent / "datasets" / "10x_pbmc68k_reduced.h5ad" if found and found.origin else None
    if path is None or not path.is_file():
        msg = "The bundled example data are part of the package `scanpy`, which is not installed. Run"
        raise MissingExtraError(msg + " `pip install scanpy`.")
    return path


def _recover_counts(logged: sp.csr_matrix) -> sp.csr_matrix:
    """Undo log and scaling: a cell's smallest value stands for one count."""
    scaled = np.expm1(logged.data)
    one = np.minimum.reduceat(scaled, logged.indptr[:-1])
    exact = scaled / np.repeat(one, np.diff(logged.indptr))
    whole = np.rint(exact)
    worst = float(np.max(np.abs(exact - whole)))
    if worst > _ROUNDING:
        msg = f"The bundled example data differ from whole counts by up to {worst:.2f}; expected the file of"
        raise CountsError(msg + " scanpy 1.10 or 1.11. Install one of these.")
    return sp.csr_matrix((whole.astype(np.float32), logged.indices, logged.indptr), shape=logged.shape)


def _read_10x(path: Path) -> ad.AnnData:
    """Read Cell Ranger's own format; gene symbols that repeat are numbered."""
    import scanpy as sc

    adata: ad.AnnData = sc.read_10x_h5(path)
    adata.var_names_make_unique()
    return adata

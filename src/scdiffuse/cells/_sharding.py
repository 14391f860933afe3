"""Rewrite cells as shards: random order over all files, uncompressed, to read at the speed of the disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError
from scdiffuse._core.files import sha256
from scdiffuse._core.folders import SHARDS
from scdiffuse._core.outputs import atomic_folder
from scdiffuse._core.progress import Progress
from scdiffuse._core.random import generator
from scdiffuse._core.slots import SHARD_STATISTICS_FILE, SHARDS_FILE
from scdiffuse._core.version import __version__
from scdiffuse.cells._checks import check_names, require_counts
from scdiffuse.cells._find import find_counts
from scdiffuse.cells._genes import MIN_CELLS
from scdiffuse.cells._h5ad import label
from scdiffuse.cells._joined import GeneChoice, join_obs, join_var, name_places, plain_column
from scdiffuse.cells._kernels import scatter_rows
from scdiffuse.cells._origin import read_origin, uns_of
from scdiffuse.cells._read import label_obs
from scdiffuse.cells._rows import Source, slices
from scdiffuse.cells._shard_statistics import ShardStatistics, group_labels
from scdiffuse.cells._shards import SHARDS_FORMAT
from scdiffuse.cells._sources import name_of, open_source
from scdiffuse.cells._totals import CountTotals

__all__ = ["Sharded", "shard"]

_BLOCK = 2048
_MOST_PER_SHARD = 2**31 - 1


class Sharded(NamedTuple):
    """Sizes of a folder of shards."""

    folder: Path
    n_cells: int
    n_genes: int
    n_shards: int
    report: str
    """Summary in words, with genes and columns that are left out."""


def shard(  # noqa: PLR0913 - what is read, what is written, and how
    files: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    labels: pd.DataFrame | None = None,
    layer: str | None = None,
    genes: GeneChoice = "intersection",
    cells_per_shard: int = 16_384,
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = True,
) -> Sharded:
    """Rewrite cells as a folder of shards in random order, from which a fit reads many times faster.

    Neighbours in a shard are a random sample. Each shard is an ordinary ``.h5ad``. Memory holds the labels of all
    cells and the counts of one shard; the disk needs twice the size of the shards meanwhile.

    Parameters
    ----------
    files
        Cells with raw counts: one or several files, stores or folders of any format that `CellGenerator` reads.
    output
        Folder for the shards.
    labels
        More columns of `obs`, one row a cell, by its name in the shards; they replace those of the same name.
    layer
        Layer with raw counts; ``X``, or the one place of a file that holds counts, if not given.
    genes
        Genes, matched by name, if files differ: those that all have (``"intersection"``), or those that any
        has (``"union"``). Genes that a file lacks then count as zeros, which is right only if they were measured.
    cells_per_shard
        Cells in each shard but the last.
    seed
        Seed of the order.
    overwrite
        Replace existing shards.
    progress
        Whether to show progress bars.

    Returns
    -------
    Sizes, and a report. Columns of `obs` and `var` are those that all files have; names of cells that two files share
    get the name of the file as a prefix. Organism, source and licence are those that `uns` of the first file names.

    Raises
    ------
    DataFileError
        A file is missing, unreadable or holds no cells; or no cell has a row in `labels`, or one has two.
    CountsError
        The values of a file are not raw counts, or cells of one file share a name.
    GenesError
        The files have no gene in common, or genes of one file share a name.
    UnknownNameError
        There is no such layer.
    SettingError
        No file is given, `genes` is unknown, or `cells_per_shard` is below 1.
    OutputExistsError
        `output` exists and `overwrite` is false, or it holds something other than shards.
    StorageError
        No permission, or the disk is full.
    """
    places = [files] if isinstance(files, str | Path) else list(files)
    _check(places, genes=genes, cells_per_shard=cells_per_shard)
    with atomic_folder(output, kind=SHARDS, overwrite=overwrite) as folder:
        found = [find_counts(place, layer=layer) for place in places]
        sources = [open_source(one.data, layer=one.layer) for one in found]
        for source in sources:
            check_names(source)
        names = name_places(places)
        obs = join_obs([source.obs for source in sources], names)
        obs = obs if labels is None else label_obs(obs, _as_categories(labels))
        var = join_var([source.var for source in sources], genes)
        order = generator(seed, "shards").permutation(len(obs))
        uns = uns_of(read_origin(places))
        unsorted = _UnsortedShards(folder / "unsorted", order, cells_per_shard, columns=var.index)
        with Progress("read", len(obs), enabled=progress) as bar:
            for place, one, source in zip(places, found, sources, strict=True):
                unsorted.read(source, place=place, layer=one.layer, bar=bar)
        described = []
        group_of, n_groups = group_labels(obs, len(var))
        groups = group_of[order], n_groups
        totals = CountTotals(len(obs), len(var), min_cells=MIN_CELLS, groups=groups)
        with Progress("write", len(obs), enabled=progress) as bar:
            for at in range(unsorted.n_shards):
                rows = unsorted.gather(at)
                path = folder / f"shard-{at:05d}.h5ad"
                held = obs.iloc[unsorted.cells(at)]
                _write(path, rows, obs=_without_unused(held) if at else held, var=var, uns=uns)
                described.append(_describe_shard(path, rows))
                _add_up(totals, rows, begin=at * cells_per_shard)
                bar.advance(rows.shape[0])
        shutil.rmtree(unsorted.folder)
        ShardStatistics.of(totals, groups).write(folder / SHARD_STATISTICS_FILE)
        index = {
            "format": SHARDS_FORMAT,
            "version": __version__,
            "n_cells": len(obs),
            "n_genes": len(var),
            "seed": seed,
            "files": [
                {"name": name, "n_cells": source.n_cells, "n_genes": source.n_genes}
                for name, source in zip(names, sources, strict=True)
            ],
            "genes": genes,
            "shards": described,
            "statistics": _describe(folder / SHARD_STATISTICS_FILE),
        }
        (folder / SHARDS_FILE).write_text(json.dumps(index, indent=1), encoding="utf-8")
    report = _report(sources, names, obs=obs, var=var, n_shards=unsorted.n_shards, genes=genes)
    places_used = [f"{name}: {one.message}" for name, one in zip(names, found, strict=True) if one.message]
    report = "\n".join([report, *places_used])
    return Sharded(Path(output), len(obs), len(var), unsorted.n_shards, report)


@dataclass
class _UnsortedShards:
    """Rows in temporary files, one for each shard, before they are sorted within the shard."""

    folder: Path
    order: NDArray[np.int64]
    """Cell at each position."""
    size: int
    """Cells of a shard."""
    columns: pd.Index
    """The genes."""
    largest: int = 0
    """Largest count so far."""
    n_read: int = 0
    places: NDArray[np.int64] = field(init=False)
    """Position of each cell."""
    lengths: NDArray[np.int32] = field(init=False)
    """Stored values of the cell at each position."""

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.places = np.empty_like(self.order)
        self.places[self.order] = np.arange(len(self.order))
        self.lengths = np.zeros(len(self.order), dtype=np.int32)

    @property
    def n_shards(self) -> int:
        return -(-len(self.order) // self.size)

    def cells(self, at: int) -> NDArray[np.int64]:
        """Return the cells of a shard."""
        return self.order[at * self.size : (at + 1) * self.size]

    def read(self, source: Source, *, place: str | Path, layer: str | None, bar: Progress) -> None:
        """Check the next cells and write them to their temporary files."""
        columns = self.columns.get_indexer(source.var.index)
        is_same = columns.size == len(self.columns) and bool((columns == np.arange(columns.size)).all())
        name = f"{name_of(layer)} of {str(place)!r}"
        for where, block in source.blocks(_BLOCK):
            require_counts(block, name, place)
            self.largest = max(self.largest, int(block.data.max(initial=0)))
            rows = block if is_same else _move(block, columns, len(self.columns))
            self._append(rows, self.places[self.n_read + where.start : self.n_read + where.stop])
            bar.advance(block.shape[0])
        self.n_read += source.n_cells

    def _append(self, rows: sp.csr_matrix, places: NDArray[np.int64]) -> None:
        """Append each row to the temporary file of its shard."""
        turn = np.argsort(places)
        rows, places = rows[turn], places[turn]
        rows.sort_indices()
        self.lengths[places] = np.diff(rows.indptr)
        shards = places // self.size
        cuts = [0, *(np.flatnonzero(np.diff(shards)) + 1), len(places)]
        for begin, end in pairwise(cuts):
            values = slice(rows.indptr[begin], rows.indptr[end])
            data = rows.data[values].astype(np.min_scalar_type(int(rows.data[values].max(initial=0))))
            with self._file(int(shards[begin])).open("ab") as file:
                np.array([end - begin, data.size, data.itemsize], dtype=np.int64).tofile(file)
                places[begin:end].tofile(file)
                rows.indices[values].astype(np.int32, copy=False).tofile(file)
                data.tofile(file)

    def gather(self, at: int) -> sp.csr_matrix:
        """Return the rows of a shard in their final order and delete the temporary file."""
        first = at * self.size
        lengths = self.lengths[first : first + self.size]
        starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        data = np.empty(starts[-1], dtype=np.min_scalar_type(self.largest))
        indices = np.empty(starts[-1], dtype=np.int32)
        with self._file(at).open("rb") as file:
            while (sizes := np.fromfile(file, np.int64, 3)).size:
                places = np.fromfile(file, np.int64, sizes[0]) - first
                n = lengths[places].astype(np.int64)
                for whole, stored in ((indices, "i4"), (data, f"u{sizes[2]}")):
                    values = np.fromfile(file, stored, sizes[1]).astype(whole.dtype, copy=False)
                    scatter_rows(values, np.cumsum(n) - n, n, starts[places], whole)
        self._file(at).unlink()
        return sp.csr_matrix((data, indices, starts), shape=(len(lengths), len(self.columns)))

    def _file(self, at: int) -> Path:
        return self.folder / str(at)


def _check(places: Sequence[str | Path], *, genes: str, cells_per_shard: int) -> None:
    """Check the arguments before anything is read."""
    if not places:
        msg = "No file is given; expected at least one `.h5ad` with raw counts."
        raise SettingError(msg)
    if genes not in {"intersection", "union"}:
        msg = f"`genes` is {genes!r}; expected 'intersection' (genes that all files have) or 'union' (that any has)."
        raise SettingError(msg)
    if cells_per_shard < 1:
        msg = f"`cells_per_shard` must be at least 1, got {cells_per_shard}; leave it out for shards of a good size."
        raise SettingError(msg)
    if cells_per_shard > _MOST_PER_SHARD:
        msg = f"`cells_per_shard` must be at most {_MOST_PER_SHARD:,}, got {cells_per_shard}; leave it out for shards"
        raise SettingError(msg + " of a good size.")


def _as_categories(labels: pd.DataFrame) -> pd.DataFrame:
    """Make text, and yes and no, categorical, so that it can be written where some cells have none."""
    plain = labels.apply(plain_column)
    return plain.astype(dict.fromkeys(plain.select_dtypes(["object", "string", "bool"]), "category"))


def _without_unused(obs: pd.DataFrame) -> pd.DataFrame:
    """Leave out unused categories where they are more than the cells; the first shard keeps all, in their order."""
    categorical = obs.select_dtypes("category")
    many = [name for name, column in categorical.items() if len(column.cat.categories) > len(column)]
    return obs.assign(**{str(name): obs[name].cat.remove_unused_categories() for name in many})


def _move(block: sp.csr_matrix, columns: NDArray[np.intp], width: int) -> sp.csr_matrix:
    """Move values to the columns of their genes; genes without a column are dropped."""
    to = columns[block.indices]
    kept = to >= 0
    starts = np.concatenate([[0], np.cumsum(kept)])[block.indptr]
    return sp.csr_matrix((block.data[kept], to[kept].astype(np.int32), starts), shape=(block.shape[0], width))


def _write(path: Path, rows: sp.csr_matrix, *, obs: pd.DataFrame, var: pd.DataFrame, uns: Mapping[str, Any]) -> None:
    """Write cells with contiguous values."""
    with h5py.File(path, "w") as file:
        label(file, "anndata", "0.1.0")
        x = file.create_group("X")
        label(x, "csr_matrix", "0.1.0")
        x.attrs["shape"] = np.array(rows.shape)
        for name, values in (("data", rows.data), ("indices", rows.indices), ("indptr", rows.indptr)):
            label(x.create_dataset(name, data=values), "array", "0.2.0")
        ad.io.write_elem(file, "obs", obs)
        ad.io.write_elem(file, "var", var)
        if uns:
            ad.io.write_elem(file, "uns", dict(uns))


def _add_up(totals: CountTotals, rows: sp.csr_matrix, *, begin: int) -> None:
    """Add the counts of a shard that begins at a cell, block by block."""
    for where in slices(rows.shape[0], _BLOCK):
        totals.add(slice(begin + where.start, begin + where.stop), rows[where].astype(np.float32))


def _describe(path: Path) -> dict[str, Any]:
    """Describe a file, to detect damaged copies."""
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}


def _describe_shard(path: Path, rows: sp.csr_matrix) -> dict[str, Any]:
    """Describe the content of a shard."""
    return _describe(path) | {"n_cells": int(rows.shape[0]), "n_values": int(rows.nnz)}


def _report(
    sources: Sequence[Source],
    names: Sequence[str],
    *,
    obs: pd.DataFrame,
    var: pd.DataFrame,
    n_shards: int,
    genes: GeneChoice,
) -> str:
    """Summarise what is written and what is left out."""
    lines = [f"{len(obs):,} cells x {len(var):,} genes in {n_shards:,} shard{'s'[: n_shards != 1]}."]
    if len(sources) == 1:
        return lines[0]
    n_shared = len(join_var([source.var for source in sources], "intersection"))
    whose = "others are left out" if genes == "intersection" else "those of others count as zeros where absent"
    lines.append(f"{n_shared:,} genes are in all {len(sources)} files; {whose}.")
    for name, source in zip(names, sources, strict=True):
        lost = [str(column) for column in source.obs if column not in obs]
        columns = f"; columns of obs that others lack: {', '.join(lost)}" if lost else ""
        genes_lost = source.n_genes - int(source.var.index.isin(var.index).sum())
        lines.append(f"{name}: {source.n_cells:,} cells, {source.n_genes:,} genes, {genes_lost:,} left out{columns}.")
    return "\n".join(lines)

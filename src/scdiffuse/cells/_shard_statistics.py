"""Statistics of the counts that are kept with shards, so that no fit has to read all cells before its first step."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors
import scipy.sparse as sp
from numpy.typing import NDArray
from safetensors.numpy import load, save_file

from scdiffuse.cells._genes import MIN_CELLS
from scdiffuse.cells._rows import slices
from scdiffuse.cells._totals import CountTotals, Groups, RareCounts

__all__ = ["ShardStatistics", "group_labels"]

_MOST_ENTRIES = 1 << 24
"""Counts of genes by group; 128 MiB while they are added up."""
_PART_ENTRIES = 1 << 20


@dataclass(frozen=True, kw_only=True, eq=False)
class ShardStatistics:
    """Sums of the counts of all cells of a folder of shards, in the order of the shards."""

    n_cells_by_gene: NDArray[np.int64]
    """Number of cells that each gene is detected in, shape ``(G,)``."""
    by_cell: NDArray[np.float64]
    """Counts of each cell, shape ``(N,)``."""
    rare: RareCounts
    """Counts of the genes that are detected in fewer than `MIN_CELLS` cells."""
    group_of: NDArray[np.integer]
    """Group of each cell, shape ``(N,)``: cells with the same labels, see `group_labels`."""
    by_group: sp.csr_matrix
    """Counts of each gene, added up by these groups, shape ``(n_groups, G)``."""

    @classmethod
    def of(cls, totals: CountTotals, groups: Groups) -> ShardStatistics:
        """Keep what was added up of all cells.

        Parameters
        ----------
        totals
            The sums, with `min_cells` of `MIN_CELLS`.
        groups
            The groups of the sums.
        """
        return cls(
            n_cells_by_gene=totals.n_cells_by_gene,
            by_cell=totals.by_cell,
            rare=totals.rare(),
            group_of=groups[0],
            by_group=_sparse(totals.by_group),
        )

    def select(self, keep: NDArray[np.bool_], groups: Groups) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Find what a pass over the counts would find, for some genes and groups.

        Parameters
        ----------
        keep
            Genes that are kept, shape ``(G,)``.
        groups
            Groups of cells.

        Returns
        -------
        Counts of each cell in the kept genes, and counts of each gene by group, where cells without a count in a kept
        gene may be in another group. `None` where a gene is dropped that many cells have, or where two cells are
        asked for in different groups and have the same labels.
        """
        if (self.n_cells_by_gene[~keep] >= MIN_CELLS).any():
            return None
        by_cell = self.by_cell - self.rare.of(~keep).by_cell(self.by_cell.size)
        group_of, n_groups = groups
        filled = by_cell > 0
        wanted = np.zeros(self.by_group.shape[0], dtype=np.int64)
        wanted[self.group_of[filled]] = group_of[filled]
        if (wanted[self.group_of[filled]] != group_of[filled]).any():
            return None
        member = sp.csr_matrix((np.ones(wanted.size), (wanted, np.arange(wanted.size))), shape=(n_groups, wanted.size))
        return by_cell, np.asarray((member @ self.by_group).todense())

    def write(self, path: Path) -> None:
        """Write to a file of some twenty bytes a cell, beside the counts by group.

        Parameters
        ----------
        path
            A new file.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        tensors = {
            "n_cells_by_gene": self.n_cells_by_gene,
            "by_cell": self.by_cell,
            "rare_rows": self.rare.rows,
            "rare_genes": self.rare.genes,
            "rare_counts": self.rare.counts,
            "group_of": self.group_of.astype(np.int32),
            "by_group_counts": self.by_group.data,
            "by_group_genes": self.by_group.indices.astype(np.int32, copy=False),
            "by_group_starts": self.by_group.indptr.astype(np.int64),
        }
        path.touch()
        mode = path.stat().st_mode  # the mode of other new files; safetensors lets nobody else read
        try:
            save_file({name: np.ascontiguousarray(one) for name, one in tensors.items()}, path)
        except safetensors.SafetensorError as error:
            raise OSError(str(error)) from error
        path.chmod(mode)

    @classmethod
    def read(cls, path: Path, *, digest: str, n_cells: int, n_genes: int) -> ShardStatistics:
        """Read a file.

        Parameters
        ----------
        path
            File that `write` wrote.
        digest
            Its SHA-256.
        n_cells, n_genes
            Cells and genes of the shards.

        Raises
        ------
        ValueError
            The file has another checksum, or statistics of other cells; the message continues the name of the file.
        """
        raw = path.read_bytes()
        if hashlib.sha256(raw).hexdigest() != digest:
            msg = "has another checksum"
            raise ValueError(msg)
        try:
            held: dict[str, Any] = load(raw)
            by_group = [held[f"by_group_{part}"] for part in ("counts", "genes", "starts")]
            found = cls(
                n_cells_by_gene=held["n_cells_by_gene"],
                by_cell=held["by_cell"],
                rare=RareCounts(*(held[f"rare_{part}"] for part in ("rows", "genes", "counts"))),
                group_of=held["group_of"],
                by_group=sp.csr_matrix(tuple(by_group), shape=(len(by_group[-1]) - 1, n_genes)),
            )
        except (safetensors.SafetensorError, KeyError, ValueError) as error:
            msg = f"holds no statistics ({error})"
            raise ValueError(msg) from error
        if found.by_cell.shape != (n_cells,) or found.n_cells_by_gene.shape != (n_genes,):
            msg = f"is of {found.by_cell.size:,} cells x {found.n_cells_by_gene.size:,} genes"
            raise ValueError(msg)
        return found


def _sparse(sums: NDArray[np.float64]) -> sp.csr_matrix:
    """Store whole numbers in the smallest type, part by part: many are zero, and memory holds little beside them."""
    dtype = np.min_scalar_type(int(sums.max(initial=0)))
    n_rows = max(1, _PART_ENTRIES // sums.shape[1])
    parts = [sp.csr_matrix(sums[rows].astype(dtype)) for rows in slices(len(sums), n_rows)]
    return sp.vstack(parts, format="csr", dtype=dtype)


def group_labels(obs: pd.DataFrame, n_genes: int) -> Groups:
    """Group cells by as many columns of labels as there is room for: most groups asked for later are sums of these.

    Parameters
    ----------
    obs
        Labels of the cells. Columns are taken by the number of their labels, fewest first, missing values as a label;
        a column that would make too many groups is left out.
    n_genes
        Number of genes.

    Returns
    -------
    Groups with the same labels in all columns taken; one group of all cells where none can be.
    """
    most = _MOST_ENTRIES // max(n_genes, 1)
    columns = [obs.iloc[:, at] for at in range(obs.shape[1])]
    n_labels = [column.nunique(dropna=False) for column in columns]
    group_of, n_groups = np.zeros(len(obs), dtype=np.int64), 1
    for at in np.argsort(n_labels, kind="stable"):
        if n_labels[at] > most:
            break
        codes, labels = pd.factorize(columns[at], use_na_sentinel=False)
        distinct, finer = np.unique(group_of * len(labels) + codes, return_inverse=True)
        if distinct.size <= most:
            group_of, n_groups = finer.ravel().astype(np.int64), distinct.size
    return group_of, n_groups

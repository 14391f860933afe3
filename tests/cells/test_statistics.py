"""One pass over counts finds what dense arrays say: library sizes, genes per cell, sums of groups, dropped genes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse._core.errors import CountsError, ScdiffuseWarning
from scdiffuse.cells import Source, collect_statistics, open_source
from scdiffuse.cells._rows import WrappedSource
from scdiffuse.cells._totals import CountTotals, RareCounts

N_CELLS, N_GENES = 400, 60
Form = Callable[[NDArray[np.float32]], object]
FORMS: dict[str, Form] = {"dense": np.asarray, "csr": sp.csr_matrix, "csc": sp.csc_matrix}


class CountingSource(WrappedSource):
    """A source that counts how often it is read, in small blocks."""

    def __init__(self, source: Source, n_rows: int = 64) -> None:
        super().__init__(source)
        self.n_passes = 0
        self._n_rows = n_rows

    def rows(self, indices: NDArray[np.integer]) -> sp.csr_matrix:
        """Return the counts of some cells."""
        return self._source.rows(indices)

    def blocks(self, n_rows: int = 4096) -> Iterator[tuple[slice, sp.csr_matrix]]:
        """Visit all cells in order."""
        self.n_passes += 1
        yield from self._source.blocks(min(n_rows, self._n_rows))


@pytest.fixture(scope="module")
def dense() -> NDArray[np.float32]:
    """Counts of genes from detected nowhere to nearly everywhere; one cell has counts of a rare gene alone."""
    draw = np.random.default_rng(0)
    chance = np.concatenate([np.zeros(2), np.geomspace(0.002, 0.9, N_GENES - 2)])
    counts = (draw.random((N_CELLS, N_GENES)) < chance) * draw.integers(1, 9, (N_CELLS, N_GENES))
    counts[:, -1] += 1
    counts[7] = 0
    counts[7, 2] = 3
    return counts.astype(np.float32)


def source_of(dense: NDArray[np.float32], form: str = "csr") -> CountingSource:
    return CountingSource(open_source(ad.AnnData(X=FORMS[form](dense))))


@pytest.mark.filterwarnings("ignore:.* cells have no count:UserWarning")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("min_cells", range(11))
def test_one_pass_agrees_with_dense_arrays(dense: NDArray[np.float32], form: str, min_cells: int) -> None:
    source, draw = source_of(dense, form), np.random.default_rng(1)
    group_of = draw.integers(0, 5, N_CELLS)
    found = collect_statistics(source, min_cells=min_cells, groups=(group_of, 6))
    n_cells_by_gene = (dense > 0).sum(axis=0)
    keep = n_cells_by_gene >= min_cells
    assert source.n_passes == 1
    np.testing.assert_array_equal(found.selection.keep, keep)
    np.testing.assert_array_equal(found.selection.n_cells_by_gene, n_cells_by_gene)
    np.testing.assert_array_equal(found.n_cells_by_gene, n_cells_by_gene[keep])
    np.testing.assert_array_equal(found.library_sizes, dense[:, keep].sum(axis=1))
    np.testing.assert_array_equal(found.selection.cells_keep, dense[:, keep].sum(axis=1) > 0)
    assert found.selection.fraction_of_counts_dropped == pytest.approx(dense[:, ~keep].sum() / dense.sum(), abs=1e-12)
    sums = [dense[group_of == group][:, keep].sum(axis=0) for group in range(6)]
    np.testing.assert_array_equal(found.group_counts, sums)


@pytest.mark.filterwarnings("ignore:.* cells have no count:UserWarning")
@pytest.mark.parametrize("form", FORMS)
def test_one_pass_agrees_with_dense_arrays_for_named_genes(dense: NDArray[np.float32], form: str) -> None:
    source = source_of(dense, form)
    names = ["40", "3", "12", "0"]
    found = collect_statistics(source, genes=names)
    keep = np.isin(np.arange(N_GENES).astype(str), names)
    assert source.n_passes == 1
    np.testing.assert_array_equal(found.selection.keep, keep)
    np.testing.assert_array_equal(found.library_sizes, dense[:, keep].sum(axis=1))
    np.testing.assert_array_equal(found.group_counts, [dense[:, keep].sum(axis=0)])
    assert found.selection.min_cells == 0


def test_a_cell_that_has_dropped_genes_alone_is_left_out(dense: NDArray[np.float32]) -> None:
    with pytest.warns(UserWarning, match="1 of 400 cells have no count in a kept gene"):
        found = collect_statistics(source_of(dense), min_cells=10)
    assert np.flatnonzero(~found.selection.cells_keep).tolist() == [7]
    assert found.library_sizes[7] == 0


def test_values_that_are_no_counts_end_the_pass(dense: NDArray[np.float32]) -> None:
    with pytest.raises(CountsError, match="The matrix looks normalised"):
        collect_statistics(source_of(dense * np.float32(20.5)))


@pytest.mark.filterwarnings("ignore:.* cells have no count:UserWarning")
@pytest.mark.parametrize("n_rows", [1, 17, N_CELLS])
@pytest.mark.parametrize("min_cells", [1, 3, 10])
def test_fewer_than_min_cells_counts_of_a_gene_are_held(
    dense: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch, min_cells: int, n_rows: int
) -> None:
    """Also where zeros are stored: a gene's memory does not grow with the number of cells."""
    held: list[RareCounts] = []
    rare = CountTotals.rare

    def kept(self: CountTotals) -> RareCounts:
        held.extend(self._rare)
        return rare(self)

    monkeypatch.setattr(CountTotals, "rare", kept)
    stored = sp.csr_matrix(dense + 1)
    stored.data -= 1
    source = CountingSource(open_source(ad.AnnData(X=stored)), n_rows)
    found = collect_statistics(source, min_cells=min_cells)
    genes = np.concatenate([one.genes for one in held] or [np.zeros(0, np.int64)])
    assert np.bincount(genes, minlength=N_GENES).max() < min_cells
    np.testing.assert_array_equal(found.library_sizes, dense[:, found.selection.keep].sum(axis=1))


def test_features_that_are_no_genes_are_said(dense: NDArray[np.float32]) -> None:
    adata = ad.AnnData(sp.csr_matrix(dense + 1))
    adata.var["feature_types"] = ["Gene Expression"] * (N_GENES - 3) + ["Antibody Capture"] * 2 + [None]
    words = r"^2 of 60 genes are 'Antibody Capture', says .* adata.var\['feature_types'\] == 'Gene"
    with pytest.warns(ScdiffuseWarning, match=words):
        collect_statistics(open_source(adata))


@pytest.mark.parametrize("largest", [1, 2])
def test_a_matrix_of_0_and_1_is_said(
    dense: NDArray[np.float32], largest: int, recwarn: pytest.WarningsRecorder
) -> None:
    source = open_source(ad.AnnData(sp.csr_matrix(dense.clip(max=largest))))
    collect_statistics(source, min_cells=0)
    said = [str(one.message) for one in recwarn]
    assert any(one.startswith("No count is above 1, as of open chromatin") for one in said) == (largest == 1)


@pytest.mark.parametrize(("factor", "n_genes"), [(1, 30), (2, 30), (3, 30), (2, 8)])
def test_counts_that_were_multiplied_are_warned_of(factor: int, n_genes: int, recwarn: pytest.WarningsRecorder) -> None:
    counts = factor * np.random.default_rng(0).poisson(2.0, (40, n_genes))
    collect_statistics(open_source(ad.AnnData(sp.csr_matrix(counts, dtype=np.float32))), min_cells=1)
    said = [str(one.message) for one in recwarn if "multiples" in str(one.message)]
    if factor == 1 or n_genes < 20:
        assert not said
    else:
        assert said[0].startswith(f"All counts are multiples of {factor}, as where both reads of a pair are counted")


def test_cells_that_are_there_twice_are_not_multiplied(
    dense: NDArray[np.float32], recwarn: pytest.WarningsRecorder
) -> None:
    collect_statistics(open_source(ad.AnnData(sp.csr_matrix(np.vstack([dense, dense])))), min_cells=1)
    assert not [one for one in recwarn if "multiples" in str(one.message)]

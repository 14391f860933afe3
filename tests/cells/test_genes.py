from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from scdiffuse._core.errors import CountsError, GenesError, SettingError
from scdiffuse.cells import Source, collect_statistics, open_source


@pytest.fixture
def source() -> Source:
    """Four genes detected in 0, 1, 3 and 12 of 12 cells."""
    matrix = np.zeros((12, 4), dtype=np.float32)
    matrix[0, 1], matrix[:3, 2], matrix[:, 3] = 2, 1, 5
    return open_source(ad.AnnData(X=sp.csr_matrix(matrix)))


@pytest.mark.parametrize(("min_cells", "kept"), [(0, 4), (1, 3), (2, 2), (10, 1)])
def test_genes_detected_in_enough_cells_are_kept(source: Source, min_cells: int, kept: int) -> None:
    selection = collect_statistics(source, min_cells=min_cells).selection
    assert selection.keep.tolist() == [False] * (4 - kept) + [True] * kept


def test_the_report_says_what_was_dropped(source: Source) -> None:
    selection = collect_statistics(source).selection
    assert (selection.n_kept, selection.n_dropped) == (1, 3)
    assert selection.n_cells_by_gene.tolist() == [0, 1, 3, 12]
    assert selection.fraction_of_counts_dropped == pytest.approx(5 / 65)
    assert selection.report() == (
        "1 of 4 genes kept; 3 detected in fewer than 10 cells dropped (1 of them detected in none), with 7.69% of all"
        " counts."
    )


def test_named_genes_are_kept_however_rare(source: Source) -> None:
    selection = collect_statistics(source, genes=["0", "3"]).selection
    assert selection.keep.tolist() == [True, False, False, True]
    assert "not among the named genes" in selection.report()


def test_a_stored_zero_is_not_a_detection() -> None:
    matrix = sp.csr_matrix((np.array([0, 2], np.float32), np.array([0, 1]), np.array([0, 2])), shape=(1, 2))
    selection = collect_statistics(open_source(ad.AnnData(X=matrix)), min_cells=1).selection
    assert selection.keep.tolist() == [False, True]


def test_cells_without_counts_are_left_out_and_counted(source: Source) -> None:
    with pytest.warns(UserWarning, match=r"9 of 12 cells have no count in a kept gene and are left out"):
        selection = collect_statistics(source, genes=["2"]).selection
    assert np.flatnonzero(selection.cells_keep).tolist() == [0, 1, 2]
    assert "9 cells without a count in a kept gene left out" in selection.report()


def test_cells_that_are_all_empty_are_refused() -> None:
    empty = open_source(ad.AnnData(X=sp.csr_matrix((5, 3), dtype=np.float32)))
    with pytest.raises(CountsError, match=r"All 5 cells are empty: no gene has a count"):
        collect_statistics(empty)


def test_a_filter_that_drops_everything_is_refused(source: Source) -> None:
    with pytest.raises(GenesError, match=r"No gene is detected in at least 50 of the 12 cells .* Lower `min_cells`"):
        collect_statistics(source, min_cells=50)
    with pytest.raises(CountsError, match=r"None of the 12 cells has a count in a kept gene"):
        collect_statistics(source, genes=["0"])


def test_unknown_genes_are_refused(source: Source, adata: ad.AnnData) -> None:
    with pytest.raises(GenesError, match=r"1 of the 1 named genes are not in the data, such as 'CD3E'. Compare"):
        collect_statistics(source, genes=["CD3E"])
    with pytest.raises(GenesError, match=r"such as 'gene_1'. Did you mean 'gene-1'"):
        collect_statistics(open_source(adata), genes=["gene_1"])


def test_a_negative_threshold_is_refused(source: Source) -> None:
    with pytest.raises(SettingError, match=r"`min_cells` must be 0 or more, got -1"):
        collect_statistics(source, min_cells=-1)

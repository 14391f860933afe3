"""Genes of the data among known ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scdiffuse._core.errors import GenesError
from scdiffuse.cells._gene_names import match_genes, require_shared


def test_names_come_before_columns() -> None:
    var = pd.DataFrame({"symbol": ["B", "A", "C"], "length": [1, 2, 3]}, index=["A", "x", "y"])
    assert match_genes(var, ["A", "B", "C"]).tolist() == [0, -1, 2]


def test_a_known_gene_is_given_once() -> None:
    var = pd.DataFrame({"symbol": pd.Categorical(["A", "A", None])}, index=["p", "q", "r"])
    assert match_genes(var, ["A"]).tolist() == [0, -1, -1]


def test_versions_of_ensembl_ids_do_not_matter() -> None:
    var = pd.DataFrame(index=["ENSG00000000003.14", "ENSMUSG00000000001.4", "MT.1"])
    known = ["ENSMUSG00000000001", "ENSG00000000003", "MT"]
    assert match_genes(var, known).tolist() == [1, 0, -1]


def test_an_exact_name_comes_before_one_without_version() -> None:
    var = pd.DataFrame(index=["ENSG00000000003.14", "ENSG00000000003"])
    assert match_genes(var, ["ENSG00000000003"]).tolist() == [-1, 0]


def test_none_shared_is_refused_whatever_is_requested() -> None:
    var = pd.DataFrame(index=["A"])
    with pytest.raises(GenesError, match="0 of the 1 genes"):
        require_shared(np.array([-1]), var=var, genes=["B"], name="it", least=0.0)
    require_shared(np.array([0]), var=var, genes=["A", "B"], name="it", least=1.0)

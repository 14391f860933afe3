"""Codes that cells carry."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch

from scdiffuse._core.errors import SettingError, UnknownNameError
from scdiffuse.autoencoder import AutoencoderConfig
from scdiffuse.cells import open_source
from scdiffuse.foundation import DecodedLatent, Embedding, build_latent


@pytest.fixture
def embedded(adata: ad.AnnData) -> ad.AnnData:
    """Cells with an embedding that tells them apart."""
    adata.obsm["X_pca"] = np.arange(180.0).reshape(60, 3)
    return adata


def test_rows_and_blocks_carry_the_codes_of_their_cells(embedded: ad.AnnData, tmp_path: Path) -> None:
    embedded.write_h5ad(tmp_path / "cells.h5ad")
    for data in (embedded, tmp_path / "cells.h5ad"):
        source = open_source(data, genes=["gene-3", "gene-1"], obsm_key="X_pca")
        rows = source.rows(np.array([7, 2]))
        np.testing.assert_array_equal(rows.embedding, embedded.obsm["X_pca"][[7, 2]])
        assert (rows != embedded.X[[7, 2]][:, [3, 1]]).nnz == 0
        for part in (rows[1:], rows[[1]], rows[np.array([False, True])]):
            np.testing.assert_array_equal(part.embedding, embedded.obsm["X_pca"][[2]])
        blocks = [block.embedding for _, block in source.blocks(25)]
        np.testing.assert_array_equal(np.concatenate(blocks), embedded.obsm["X_pca"])
        assert (source.n_cells, source.n_genes, list(source.genes)) == (60, 2, ["gene-3", "gene-1"])


def test_rounded_counts_carry_the_codes_of_their_cells(embedded: ad.AnnData) -> None:
    expected = embedded.X.toarray()
    embedded.X = (embedded.X * 1.02).astype(np.float32)
    source = open_source(embedded, obsm_key="X_pca", round_counts=True)
    for rows in (source.rows(np.arange(60)), next(iter(source.blocks()))[1]):
        np.testing.assert_array_equal(rows.toarray(), np.rint(expected * np.float32(1.02)))
        np.testing.assert_array_equal(rows.embedding, embedded.obsm["X_pca"])
    assert Embedding("X_pca").describe(source)["width"] == 3


def test_counts_made_anew_carry_no_codes(embedded: ad.AnnData) -> None:
    rows = open_source(embedded, obsm_key="X_pca").rows(np.arange(4))
    assert rows[:, :3].embedding is None
    assert (rows * 2).embedding is None


def test_the_code_is_the_latent(embedded: ad.AnnData) -> None:
    source = open_source(embedded, obsm_key="X_pca")
    facts = Embedding("X_pca").describe(source)
    latent = build_latent(facts, fractions=torch.ones(30), config=AutoencoderConfig(n_latent=3))
    posterior = latent.encode(source.rows(np.array([5])))
    assert posterior.mean.tolist() == [[15.0, 16.0, 17.0]]
    assert posterior.std.tolist() == [[0.0, 0.0, 0.0]]


def test_the_decoder_sees_codes_of_mean_zero_and_variance_one(embedded: ad.AnnData) -> None:
    latent = build_latent(
        {"kind": "embedding", "obsm_key": "X_pca", "width": 3},
        fractions=torch.ones(30),
        config=AutoencoderConfig(n_latent=3),
    )
    assert isinstance(latent, DecodedLatent)
    before = latent.decoder(torch.zeros(1, 3))
    codes = torch.from_numpy(embedded.obsm["X_pca"]).float()
    latent.standardise(codes)
    torch.testing.assert_close(latent.decoder(codes.mean(dim=0, keepdim=True)), before)
    scaled = (codes - codes.mean(dim=0)) / codes.std(dim=0, unbiased=False)
    fresh = latent.decoder(codes)
    latent.standardise(scaled)
    torch.testing.assert_close(latent.decoder(scaled), fresh)


def test_counts_alone_cannot_be_encoded(embedded: ad.AnnData) -> None:
    facts = {"kind": "embedding", "obsm_key": "X_pca", "width": 2}
    latent = build_latent(facts, fractions=torch.ones(30), config=AutoencoderConfig(n_latent=2))
    with pytest.raises(SettingError, match=r"are `obsm\['X_pca'\]`, which these cells do not have; expected"):
        latent.encode(sp.csr_matrix(np.ones((2, 30))))
    with pytest.raises(SettingError, match=r"has 3 columns; expected the 2 of the training cells. Embed"):
        latent.encode(open_source(embedded, obsm_key="X_pca").rows(np.arange(2)))


def test_a_missing_embedding_is_reported_with_those_that_are_there(embedded: ad.AnnData) -> None:
    with pytest.raises(
        UnknownNameError, match=r"has no 'X_pac', .* it has \['X_pca'\]. Compute .* Did you mean 'X_pca'"
    ):
        open_source(embedded, obsm_key="X_pac")


def test_several_files_carry_no_embedding(embedded: ad.AnnData) -> None:
    with pytest.raises(SettingError, match="which a list of several does not have; expected an AnnData or one"):
        open_source([embedded, embedded], obsm_key="X_pca")


def test_gaps_in_an_embedding_are_reported(embedded: ad.AnnData) -> None:
    embedded.obsm["X_pca"][[3, 9], 1] = [np.nan, np.inf]
    with pytest.raises(SettingError, match=r"holds NaN or infinite values in 2 of 60 cells; expected finite .* Leave"):
        open_source(embedded, obsm_key="X_pca")


def test_an_embedding_without_columns_is_reported(embedded: ad.AnnData) -> None:
    embedded.obsm["none"] = np.empty((60, 0))
    with pytest.raises(SettingError, match=r"has shape \(60, 0\) .*; expected numbers, .* Choose another"):
        open_source(embedded, obsm_key="none")


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(KeyError, match="dream"):
        build_latent({"kind": "dream"}, fractions=torch.ones(3), config=AutoencoderConfig())

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import h5py
import pytest

from scdiffuse.cli import run

TINY = [
    *("--set", "autoencoder.n_hidden=8", "--set", "autoencoder.n_latent=2", "--set", "diffusion.width=16"),
    *("--set", "diffusion.depth=1", "--max-epochs", "1", "--no-progress"),
]


def test_shards_are_made_inspected_and_fitted(
    adata: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adata.write_h5ad(tmp_path / "a.h5ad")
    adata[:, 3:].copy().write_h5ad(tmp_path / "b.h5ad")
    shards, files = str(tmp_path / "shards"), [str(tmp_path / "a.h5ad"), str(tmp_path / "b.h5ad")]
    assert run(["shard", *files, "-o", shards, "--cells-per-shard", "50", "--no-progress"]) == 0
    assert "120 cells x 27 genes in 3 shards.\n27 genes are in all 2 files" in capsys.readouterr().err
    assert run(["shard", *files, "-o", shards, "--no-progress"]) == 2
    assert "already exists" in capsys.readouterr().err
    assert run(["inspect", shards, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n_cells"], found["n_genes"], found["counts"], found["problems"]) == (120, 27, [None], [])
    assert run(["fit", shards, "-o", str(tmp_path / "model"), "-c", "cell_type", *TINY]) == 0
    assert run(["generate", str(tmp_path / "model"), "-n", "7", "-o", str(tmp_path / "made.h5ad")]) == 0
    made = ad.read_h5ad(tmp_path / "made.h5ad")
    assert made.n_obs == 7
    assert set(made.var_names) <= set(adata.var_names[3:])
    assert run(["fit", *files, "-o", str(tmp_path / "both"), *TINY]) == 0
    assert "2 files share 27 genes" in capsys.readouterr().err


def test_inspect_finds_a_damaged_shard(adata: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adata.write_h5ad(tmp_path / "a.h5ad")
    assert run(["shard", str(tmp_path / "a.h5ad"), "-o", str(tmp_path / "shards"), "--no-progress"]) == 0
    path = tmp_path / "shards" / "shard-00000.h5ad"
    with h5py.File(path) as file:
        place = file["X/data"].id.get_offset()
    with path.open("r+b") as raw:
        raw.seek(place)
        raw.write(b"\x63")
    assert run(["inspect", str(tmp_path / "shards")]) == 0
    assert "has another checksum" in capsys.readouterr().out


def test_a_model_is_still_told_from_cells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(tmp_path), "--where", "a=b"]) == 2
    assert "model" in capsys.readouterr().err

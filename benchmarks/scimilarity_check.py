"""Hold `scdiffusion.foundation.SCimilarity` against the package `scimilarity` itself.

Run ``python -m benchmarks.scimilarity_check`` with ``PYTHONPATH=src`` in an environment of its own, where
``pip install torch==2.13.0 scimilarity`` was run (2 GB).
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace

import anndata as ad
import numpy as np
import scipy.sparse as sp
import torch

TOLERANCE = 1e-5
N_CELLS, N_GENES = 200, 3_000


def main() -> None:
    """Let the package write a model and embed cells, and compare; exit 1 where latents differ."""
    warnings.simplefilter("ignore")
    adata = _cells()
    with tempfile.TemporaryDirectory() as folder:
        for hidden in ([1024, 1024, 1024], [64, 32]):
            path = Path(folder) / f"model-{len(hidden)}"
            _write(path, adata, hidden)
            difference = float(np.abs(_ours(path, adata) - _theirs(path, adata)).max())
            sys.stdout.write(f"hidden layers {hidden}: latents differ by {difference:.1e}\n")
            if not difference <= TOLERANCE:
                sys.exit(1)


def _cells() -> ad.AnnData:
    """Cells with genes in another order, some of which the model does not know and some of whose it does lack."""
    draw = np.random.default_rng(0)
    counts = sp.csr_matrix(draw.poisson(draw.gamma(0.3, 1.0, N_GENES), (N_CELLS, N_GENES)).astype(np.float32))
    adata = ad.AnnData(counts, layers={"counts": counts.copy()})
    adata.var_names = [f"G{at}" for at in draw.permutation(N_GENES)]
    return adata


def _write(path: Path, adata: ad.AnnData, hidden: list[int]) -> None:
    """Let the package write a model with random weights and random statistics of its batch norms."""
    import networkx
    from scimilarity import triplet_selector
    from scimilarity.training_models import MetricLearning

    triplet_selector.import_cell_ontology = networkx.DiGraph  # a download, for its training only
    genes = sorted([*adata.var_names[: N_GENES - 200], *(f"other-{at}" for at in range(300))])
    torch.manual_seed(len(hidden))
    model = MetricLearning(n_genes=len(genes), hidden_dim=hidden)
    with torch.no_grad():
        for name, tensor in model.encoder.state_dict().items():
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) * (0.5 if "running" in name else 0.05))
    held = SimpleNamespace(gene_order=genes, int2label={0: "cell"}, batch_size=1)
    model._trainer = SimpleNamespace(datamodule=held)
    model.save_all(str(path))


def _theirs(path: Path, adata: ad.AnnData) -> np.ndarray:
    from scimilarity.cell_embedding import CellEmbedding
    from scimilarity.utils import align_dataset, lognorm_counts

    embedding = CellEmbedding(model_path=str(path))
    aligned = align_dataset(adata.copy(), embedding.gene_order, gene_overlap_threshold=10)
    return embedding.get_embeddings(lognorm_counts(aligned).X)


def _ours(path: Path, adata: ad.AnnData) -> np.ndarray:
    from scdiffusion.autoencoder import AutoencoderConfig
    from scdiffusion.foundation import SCimilarity, build_latent, open_cells

    source = open_cells(adata)
    saved = SCimilarity(path)
    facts = saved.describe(source)
    shares, config = torch.ones(N_GENES), AutoencoderConfig(n_latent=facts["width"])
    latent = build_latent(facts, shares=shares, config=config)
    saved.fill(latent, adata.var)
    return latent.encode(source.rows(np.arange(N_CELLS))).mean.numpy()


if __name__ == "__main__":
    main()

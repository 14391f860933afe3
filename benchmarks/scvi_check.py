"""Hold `scdiffusion.foundation.ScviModel` against scvi-tools itself, in the peers' environment.

Run ``python -m benchmarks.scvi_check`` with the interpreter of ``benchmarks/.venv-peers`` and ``PYTHONPATH=src``.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

TOLERANCE = 1e-5
N_CELLS, N_GENES = 120, 40


def main() -> None:
    """Train small models, save them, and compare latents and rates; exit 1 where they differ."""
    warnings.simplefilter("ignore")
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name, model, adata, batch in _models():
            path = Path(folder) / name
            model.save(str(path), overwrite=True)
            latents, rates = _compare(model, adata, path, batch=batch)
            sys.stdout.write(f"{name}: latent means differ by {latents:.1e}, rates by {rates:.1e} of the largest\n")
            worst = max(worst, latents, rates)
    sys.exit(worst > TOLERANCE)


def _cells() -> ad.AnnData:
    draw = np.random.default_rng(0)
    counts = draw.poisson(draw.gamma(1, 2, N_GENES), (N_CELLS, N_GENES)).astype(np.float32)
    counts[:, 0] += 1
    adata = ad.AnnData(counts)
    adata.var_names = [f"G{at}" for at in range(N_GENES)]
    adata.obs["batch"] = np.array(["x", "y"])[np.arange(N_CELLS) % 2]
    adata.obs["kind"] = np.array(["u", "v", "w"])[np.arange(N_CELLS) % 3]
    return adata


def _models() -> Iterator[tuple[str, Any, ad.AnnData, str | None]]:
    """Visit models of both classes, with and without batches, of each likelihood."""
    import scvi

    scvi.settings.seed = 0
    quiet = {"max_epochs": 3, "accelerator": "cpu", "enable_progress_bar": False}
    shapes: list[tuple[str, dict[str, Any], str | None]] = [
        ("plain-zinb", {}, None),
        ("batches-nb", {"n_layers": 2, "gene_likelihood": "nb"}, "batch"),
        ("batches-shallow", {"n_layers": 2, "deeply_inject_covariates": False}, "batch"),
        (
            "layer-norm-poisson",
            {"gene_likelihood": "poisson", "use_layer_norm": "both", "use_batch_norm": "none"},
            None,
        ),
    ]
    for name, arguments, key in shapes:
        adata = _cells()
        scvi.model.SCVI.setup_anndata(adata, batch_key=key)
        model = scvi.model.SCVI(adata, n_hidden=16, n_latent=4, **arguments)
        model.train(**quiet)
        yield name, model, adata, "y" if key else None
        if name == "batches-nb":
            other = scvi.model.SCANVI.from_scvi_model(model, unlabeled_category="unknown", labels_key="kind")
            other.train(**quiet)
            yield "scanvi", other, adata, "x"


def _compare(model: Any, adata: ad.AnnData, path: Path, *, batch: str | None) -> tuple[float, float]:  # noqa: ANN401
    """Return the largest differences of latent means, and of rates relative to the largest rate."""
    from scdiffusion.autoencoder import AutoencoderConfig
    from scdiffusion.foundation import ScviModel, build_latent, open_cells

    theirs = model.get_latent_representation(adata)
    totals = np.asarray(adata.X.sum(axis=1, keepdims=True))
    at = 0 if batch is None else ["x", "y"].index(batch)
    with torch.no_grad():
        made = model.module.generative(
            torch.from_numpy(theirs), torch.from_numpy(np.log(totals)), torch.full((N_CELLS, 1), at),
            y=torch.zeros(N_CELLS, 1),
        )["px"]  # fmt: skip
    rates = (made.rate if hasattr(made, "rate") and not hasattr(made, "mu") else made.mu).numpy()
    source = open_cells(adata)
    saved = ScviModel(path, batch=batch)
    latent = build_latent(saved.describe(source), shares=torch.ones(N_GENES), config=AutoencoderConfig())
    saved.fill(latent, adata.var)
    ours = latent.encode(source.rows(np.arange(N_CELLS))).mean.numpy()
    shares = latent.shares(torch.from_numpy(theirs))
    return float(np.abs(ours - theirs).max()), float(np.abs(shares * totals - rates).max() / rates.max())


if __name__ == "__main__":
    main()

"""Whether the package computes what other packages compute: LISI, scVI, SCimilarity, cell-eval.

Each check runs in an environment that has the other package beside this one, with ``PYTHONPATH=src``:

- ``lisi``: ``pip install scib-metrics==0.5.10``. Its first number is the one in
  ``tests/metrics/test_neighbours.py::test_lisi_agrees_with_scib_metrics``;
- ``scvi``: the environment of the peers, ``benchmarks/.venv-peers``;
- ``scimilarity``: ``pip install torch==2.13.0 scimilarity`` (2 GB);
- ``cell-eval``: in this environment; it is called in its own, which ``python -m benchmarks peers`` makes.
"""

from __future__ import annotations

import tempfile
import warnings
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import torch
from scipy import sparse

from benchmarks import perturbation_agreement
from benchmarks.layout import grid, only
from benchmarks.records import rows_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "agreement"
title = "Agreement with other packages"
summary = "Largest differences from scib-metrics, scvi-tools, scimilarity and cell-eval on the same input."
unit = ("package",)

N_NEIGHBOURS, PERPLEXITY = 90, 30
TOLERANCES = {"lisi": 1e-6, "scvi": 1e-5, "scimilarity": 1e-5, "cell-eval": 1e-6}
_MODULES = {"lisi": "scib_metrics", "scvi": "scvi", "scimilarity": "scimilarity"}
"""What has to be at hand in this environment."""
_SCVI_CELLS, _SCVI_GENES = 120, 40
_SCIMILARITY_CELLS, _SCIMILARITY_GENES = 200, 3_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the other package."""
    parser.add_argument("--package", choices=list(TOLERANCES), default="lisi", help="what to compare with")


def run(context: Context) -> Iterator[Record]:
    """Compare with one package; ends with status 1 where the numbers differ."""
    package = context.options.package
    if package in _MODULES and find_spec(_MODULES[package]) is None:
        msg = (
            f"The comparison with `{package}` needs the Python package `{_MODULES[package]}`, which this environment "
            "lacks. What to install, and where, stands at the top of `benchmarks/studies/agreement.py`."
        )
        raise SystemExit(msg)
    checks = {
        "lisi": compare_lisi,
        "scvi": compare_scvi,
        "scimilarity": compare_scimilarity,
        "cell-eval": perturbation_agreement.compare,
    }
    for record in context.measure({"package": package}, checks[package]):
        yield record
        if any(not abs(row["theirs"] - row["ours"]) <= TOLERANCES[package] for row in record.rows):
            raise SystemExit(1)


def compare_lisi() -> list[dict[str, Any]]:
    """Compute both means of every case."""
    from scdiffuse.metrics import lisi

    about = {"scib_metrics": metadata.version("scib-metrics"), "jax": metadata.version("jax")}
    cases = (("two clouds", make_cells()), ("pbmc68k, components", real_cells()))
    return [
        about | {"cells": case, "theirs": theirs(*cells), "ours": lisi(*cells, perplexity=PERPLEXITY)}
        for case, cells in cases
    ]


def compare_scvi() -> list[dict[str, Any]]:
    """Train small models, save them, and compare latents and rates."""
    warnings.simplefilter("ignore")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for case, model, adata, batch in _scvi_models():
            path = Path(folder) / case
            model.save(str(path), overwrite=True)
            latents, rates = _compare_scvi(model, adata, path, batch=batch)
            rows.append({"cells": f"{case}, latent means", "theirs": 0.0, "ours": latents})
            rows.append({"cells": f"{case}, rates over the largest", "theirs": 0.0, "ours": rates})
    return rows


def compare_scimilarity() -> list[dict[str, Any]]:
    """Let the package write a model and embed cells, and compare latents."""
    warnings.simplefilter("ignore")
    adata, rows = _scimilarity_cells(), []
    with tempfile.TemporaryDirectory() as folder:
        for hidden in ([1024, 1024, 1024], [64, 32]):
            path = Path(folder) / f"model-{len(hidden)}"
            _write_scimilarity(path, adata, hidden)
            difference = float(np.abs(_ours(path, adata) - _theirs(path, adata)).max())
            rows.append({"cells": f"hidden layers {hidden}, latents", "theirs": 0.0, "ours": difference})
    return rows


def make_cells() -> tuple[np.ndarray, np.ndarray]:
    """Draw the cells of the test: two clouds of 200 cells, a part of their width apart."""
    stream = np.random.default_rng(7)
    return stream.normal(size=(200, 4)), stream.normal(size=(200, 4)) + 0.7


def real_cells() -> tuple[np.ndarray, np.ndarray]:
    """Deal the 700 cells of scanpy's wheel, in principal components, out to two sides, one of them shifted a little."""
    import scanpy

    components = scanpy.datasets.pbmc68k_reduced().obsm["X_pca"]
    return components[::2], components[1::2] + components.std() / 2


def theirs(x: np.ndarray, y: np.ndarray) -> float:
    """Average the index of scib-metrics over all cells, less 1."""
    from sklearn.neighbors import NearestNeighbors

    # By name, as scib-metrics stands in no environment in which types are checked.
    scib_metrics = import_module("scib_metrics")
    results = import_module("scib_metrics.nearest_neighbors").NeighborsResults
    search = NearestNeighbors(n_neighbors=N_NEIGHBOURS, algorithm="brute").fit(np.concatenate([x, y]))
    distances, indices = search.kneighbors()  # without the cell itself
    found = results(indices=indices, distances=distances)
    return float(np.asarray(scib_metrics.lisi_knn(found, np.repeat([0, 1], [len(x), len(y)]), PERPLEXITY)).mean() - 1)


def _scvi_cells() -> ad.AnnData:
    draw = np.random.default_rng(0)
    counts = draw.poisson(draw.gamma(1, 2, _SCVI_GENES), (_SCVI_CELLS, _SCVI_GENES)).astype(np.float32)
    counts[:, 0] += 1
    adata = ad.AnnData(counts)
    adata.var_names = [f"G{at}" for at in range(_SCVI_GENES)]
    adata.obs["batch"] = np.array(["x", "y"])[np.arange(_SCVI_CELLS) % 2]
    adata.obs["kind"] = np.array(["u", "v", "w"])[np.arange(_SCVI_CELLS) % 3]
    return adata


def _scvi_models() -> Iterator[tuple[str, Any, ad.AnnData, str | None]]:
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
        adata = _scvi_cells()
        scvi.model.SCVI.setup_anndata(adata, batch_key=key)
        model = scvi.model.SCVI(adata, n_hidden=16, n_latent=4, **arguments)
        model.train(**quiet)
        yield name, model, adata, "y" if key else None
        if name == "batches-nb":
            other = scvi.model.SCANVI.from_scvi_model(model, unlabeled_category="unknown", labels_key="kind")
            other.train(**quiet)
            yield "scanvi", other, adata, "x"


def _compare_scvi(model: Any, adata: ad.AnnData, path: Path, *, batch: str | None) -> tuple[float, float]:  # noqa: ANN401
    """Return the largest differences of latent means, and of rates relative to the largest rate."""
    from scdiffuse.autoencoder import AutoencoderConfig
    from scdiffuse.cells import open_source
    from scdiffuse.foundation import ScviModel, build_latent

    theirs = model.get_latent_representation(adata)
    totals = np.asarray(adata.X.sum(axis=1, keepdims=True))
    at = 0 if batch is None else ["x", "y"].index(batch)
    with torch.no_grad():
        made = model.module.generative(
            torch.from_numpy(theirs), torch.from_numpy(np.log(totals)), torch.full((_SCVI_CELLS, 1), at),
            y=torch.zeros(_SCVI_CELLS, 1),
        )["px"]  # fmt: skip
    rates = (made.rate if hasattr(made, "rate") and not hasattr(made, "mu") else made.mu).numpy()
    source = open_source(adata)
    saved = ScviModel(path, batch=batch)
    latent = build_latent(saved.describe(source), fractions=torch.ones(_SCVI_GENES), config=AutoencoderConfig())
    saved.fill(latent, adata.var)
    ours = latent.encode(source.rows(np.arange(_SCVI_CELLS))).mean.numpy()
    fractions = latent.fractions(torch.from_numpy(theirs))
    return float(np.abs(ours - theirs).max()), float(np.abs(fractions * totals - rates).max() / rates.max())


def _scimilarity_cells() -> ad.AnnData:
    """Cells with genes in another order, some of which the model does not know and some of whose it does lack."""
    draw = np.random.default_rng(0)
    counts = sparse.csr_matrix(
        draw.poisson(draw.gamma(0.3, 1.0, _SCIMILARITY_GENES), (_SCIMILARITY_CELLS, _SCIMILARITY_GENES)).astype(
            np.float32
        )
    )
    adata = ad.AnnData(counts, layers={"counts": counts.copy()})
    adata.var_names = [f"G{at}" for at in draw.permutation(_SCIMILARITY_GENES)]
    return adata


def _write_scimilarity(path: Path, adata: ad.AnnData, hidden: list[int]) -> None:
    """Let the package write a model with random weights and random statistics of its batch norms."""
    import networkx
    from scimilarity import triplet_selector
    from scimilarity.training_models import MetricLearning

    triplet_selector.import_cell_ontology = networkx.DiGraph  # a download, for its training only
    genes = sorted([*adata.var_names[: _SCIMILARITY_GENES - 200], *(f"other-{at}" for at in range(300))])
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
    found: np.ndarray = embedding.get_embeddings(lognorm_counts(aligned).X)
    return found


def _ours(path: Path, adata: ad.AnnData) -> np.ndarray:
    from scdiffuse.autoencoder import AutoencoderConfig
    from scdiffuse.cells import open_source
    from scdiffuse.foundation import SCimilarity, build_latent

    source = open_source(adata)
    saved = SCimilarity(path)
    described = saved.describe(source)
    fractions, config = torch.ones(_SCIMILARITY_GENES), AutoencoderConfig(n_latent=described["width"])
    latent = build_latent(described, fractions=fractions, config=config)
    saved.fill(latent, adata.var)
    return latent.encode(source.rows(np.arange(_SCIMILARITY_CELLS))).mean.numpy()


def lines(records: Sequence[Record]) -> list[str]:
    """Write the numbers of both packages."""
    found, parts = rows_of(records), []
    mixing = only(found, package="lisi")
    if mixing:
        numbers = [
            (one["cells"], f"{one['theirs']:.7f}", f"{one['ours']:.7f}", f"{abs(one['theirs'] - one['ours']):.0e}")
            for one in mixing
        ]
        parts += [
            f"Mean LISI less 1 by scib-metrics {mixing[0]['scib_metrics']} (JAX {mixing[0]['jax']}, single precision) "
            "and by `scdiffuse.metrics.lisi`, on the same cells.",
            grid(["cells", "scib-metrics", "scdiffuse", "difference"], numbers),
        ]
    effects = only(found, package="cell-eval")
    if effects:
        parts += perturbation_agreement.lines(effects)
    others = [row for row in found if row["package"] in {"scvi", "scimilarity"}]
    if others:
        rows = [(one["package"], one["cells"], f"{one['ours']:.1e}") for one in others]
        parts.append(grid(["package", "what", "largest difference"], rows))
    return parts

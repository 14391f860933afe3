"""Digests of weights, cells and scores under keys that last, and the models and calls that they are made of.

Keys never change, so that a digest of an older commit can be compared; arguments are those of the package.
"""

from __future__ import annotations

import hashlib
import json
import math
import signal
import tempfile
import time
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import scipy.sparse as sp
import torch

import scdiffuse as scd
from benchmarks.study import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_A, _A_FIT, _B, _B_FIT = "autoencoder", "autoencoder_training", "diffusion", "diffusion_training"
_BRISK = {"batch_size": 64, "largest_batch_fraction": 1.0, "min_steps": 90, "few_cells": 200, "max_steps": 60,
          "decay": 0.9, "learning_rate": 1e-3, "n_validations": 7, "patience": 2}  # fmt: skip
SETTINGS: dict[str, dict[str, Any]] = {
    "other counts": {_A: {"likelihood": "negative_binomial"}},
    "narrow": {_A: {"n_latent": 10, "n_hidden": 64, "n_nonlinear": 8},
               _B: {"width": 64, "depth": 2, "embedding_width": 32}},
    "terms": {_A: {"kl_weight": 0.5, "shrinkage": 5.0, "nonlinear_shrinkage": 10.0, "thinning": 0.3}},
    "nothing hidden": {_A: {"thinning": 0.0}, _B: {"drop_each": 0.0, "drop_all": 0.0}},
    "other noise": {_B: {"drop_each": 0.3, "log_noise_mean": -0.5, "log_noise_std": 1.5, "solver": "heun",
                         "solver_steps": 7, "ode_steps": 9}},
    "other steps": {_A_FIT: _BRISK, _B_FIT: _BRISK},
    "fewer bits": {_A_FIT: {"precision": "bf16"}, _B_FIT: {"precision": "bf16"}},
    "more held": {"validation_fraction": 0.25},
}  # fmt: skip
MORE_SCORES = [
    "logistic_genes_auc", "network_genes_auc", "network_pcs_auc", "forest_counts_auc", "boosting_counts_auc", "scc",
    "forest_auc_depth5", "wasserstein1", "wasserstein2_by_label", "pcc", "mmd5", "cluster_recovery", "rare_gain",
    "ilisi", "membership_density", "centroid_distance", "centroid_cosine", "knn_auc",
]  # fmt: skip
"""Beside those that are measured unasked."""
DETAILS = ("numbers", "tensors")
_GUIDANCE = frozenset(one.name for one in fields(scd.Guidance))


def call(function: Callable[..., Any], *given: object, **asked: object) -> Any:  # noqa: ANN401
    """Call the package without bars; arguments of `Guidance` become one."""
    plain = {name: value for name, value in asked.items() if name not in _GUIDANCE}
    parts: dict[str, Any] = {name: value for name, value in asked.items() if name in _GUIDANCE}
    if parts.keys() == {"scale"}:
        plain["guidance"] = parts["scale"]
    elif parts:
        toward = parts.get("toward") or {}
        if toward and all(isinstance(one, dict) for one in toward.values()):
            plain["guidance"] = {name: scd.Guidance(**{**parts, "toward": one}) for name, one in toward.items()}
        else:
            plain["guidance"] = scd.Guidance(**parts)
    return function(*given, **plain, progress=False)


def new(cells: object, *, settings: Mapping[str, Any] | None = None, **asked: Any) -> scd.CellGenerator:  # noqa: ANN401
    """Build a model that is not fitted."""
    tree = scd.ModelConfig().to_dict()
    for name, changed in (settings or {}).items():
        tree[name] = {**tree[name], **changed} if isinstance(changed, dict) else changed
    return scd.CellGenerator(cells, config=scd.ModelConfig.from_dict(tree), **asked)


def latents_of(place: Path, genes: list[str]) -> dict[str, object]:
    """Name pretrained latents: those that cells carry, and those of folders in the layouts of other packages."""
    known = scd.foundation
    write_similarity(place / "similarity", genes)
    write_variational(place / "variational", genes)
    return {
        "carried": known.Embedding("codes"),
        "similarity": known.SCimilarity(place / "similarity"),
        "similarity, tuned": known.SCimilarity(place / "similarity", fine_tune=True),
        "variational": known.ScviModel(place / "variational"),
        "variational, part": known.ScviModel(place / "variational", batch="x"),
    }


def coverage(model: scd.CellGenerator, where: dict[str, Any]) -> list[Any]:
    """List the training coverage of a request."""
    found = model.support(where)
    numbers = [[one.asked, one.low, one.high, one.below, one.above] for one in found.numbers.values()]
    return [found.n_cells, dict(found.marginals), found.nearest.to_numpy(), numbers]


def curves(model: scd.CellGenerator) -> list[Any]:
    """List curves, and how well classifiers and a distilled sampler do."""
    accuracy = [[one["accuracy"], one["chance"], one["n_steps"]] for one in model.classifiers.values()]
    sampler = model.distillation
    distilled = [sampler["distance"], sampler["n_train_steps"]] if sampler else [None, None]
    return [model.history, accuracy, *distilled]


def scores(report: scd.Report) -> dict[str, Any]:
    """List scores, how many there are, and settings of a report."""
    plain = report.to_json()
    return {"scores": [plain["metrics"], plain["by"]], "how": plain["settings"], "n": len(plain["metrics"])}


def interrupted(make: Callable[[], scd.CellGenerator], folder: Path, **asked: object) -> scd.CellGenerator:
    """Press Ctrl-C in both stages of a fit and resume it; when it is pressed changes nothing of what the fit gives."""
    pressed, stopped = 0, True

    def press(*_: object) -> None:
        nonlocal pressed
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # no stage runs
            signal.setitimer(signal.ITIMER_REAL, 0.01)
        else:
            pressed += 1
            signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGALRM, press)
    while stopped:
        signal.setitimer(signal.ITIMER_REAL, 0.3 + 0.1 * pressed)
        model: scd.CellGenerator = call(make().fit, folder, resume=folder.exists(), **asked)
        stopped = model.was_stopped
    signal.setitimer(signal.ITIMER_REAL, 0)
    say(f"pressed {pressed} times")
    return model


class Digests:
    """Digests by key, and what helps to find out why one of them differs."""

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}
        self.tensors: dict[str, dict[str, str]] = {}
        self.numbers: dict[str, list[str]] = {}
        self.seconds: dict[str, float] = {}
        self._begun = time.perf_counter()

    def weights(self, key: str, model: scd.CellGenerator) -> None:
        """Record all tensors that a saved model holds, whatever they are called, its genes and its curves."""
        from safetensors.torch import load_file

        with tempfile.TemporaryDirectory() as folder:
            files = sorted(model.save(Path(folder) / "model").glob("*.safetensors"))
            tensors = {f"{file.stem}.{name}": one for file in files for name, one in load_file(file).items()}
        named = {name: _hash(f"{tuple(one.shape)} {one.dtype}", one.numpy().tobytes()) for name, one in tensors.items()}
        self.tensors[f"{key}: weights"] = named
        self._put(f"{key}: weights", *sorted(named.values()))
        self._put(f"{key}: genes", *model.genes)
        self.values(f"{key}: facts", curves(model))

    def cells(self, key: str, made: ad.AnnData | Path) -> None:
        """Record counts, labels, other numbers of cells, and latents."""
        cells = made if isinstance(made, ad.AnnData) else ad.read_h5ad(made)
        counts = sp.csr_matrix(cells.X, copy=True)
        counts.sum_duplicates()
        counts.eliminate_zeros()
        parts = (counts.data, counts.indices, counts.indptr)
        self._put(f"{key}: counts", str(counts.shape), *(part.astype(np.int64).tobytes() for part in parts))
        columns = [name for name in ("cell_type", "condition", "protocol", "time", "number") if name in cells.obs]
        self._put(f"{key}: labels", *(_hash(name, *cells.obs[name].astype(str)) for name in columns))
        rest = [one for name, one in cells.obs.items() if name not in columns and one.dtype.kind in "biuf"]
        self._put(f"{key}: numbers", *sorted(_hash(*map(repr, one.tolist())) for one in rest))
        self._put(f"{key}: latents", *sorted(_hash(np.float32(one).tobytes()) for one in cells.obsm.values()))

    def values(self, key: str, tree: object) -> None:
        """Record which numbers there are in lists and dictionaries, whatever their names."""
        numbers = sorted(_numbers(tree), key=lambda one: (math.isnan(one), one))
        self.numbers[key] = [f"{one:.12g}" for one in numbers]
        self._put(key, *self.numbers[key])

    def each(self, key: str, do: Callable[..., Any], cases: Mapping[str, Any], *given: object) -> None:
        """Record the cells that one method gives in many cases."""
        for name, asked in cases.items():
            self.cells(f"{key}, {name}", call(do, *given, **asked))

    def lap(self, part: str) -> None:
        """Keep the seconds since the last call."""
        now = time.perf_counter()
        self.seconds[part], self._begun = round(now - self._begun, 1), now
        say(f"{part}: {self.seconds[part]} s")

    def _put(self, key: str, *parts: str | bytes) -> None:
        if key in self.digests:
            raise KeyError(key)
        self.digests[key] = _hash(*parts)


def differences(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """List the keys whose digests differ, with what helps to see why."""
    ours, theirs, found = now["digests"], before["digests"], []
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) == theirs.get(key):
            continue
        found.append(f"{key}: {theirs.get(key, 'missing')} before, {ours.get(key, 'missing')} now")
        for part in DETAILS:
            one, other = (tree.get(part, {}).get(key, {}) for tree in (now, before))
            new_parts, old_parts = (Counter(held.values() if isinstance(held, dict) else held) for held in (one, other))
            if one and other and new_parts != old_parts:
                lost, gained = list(old_parts - new_parts)[:6], list(new_parts - old_parts)[:6]
                found.append(f"    {part}: {lost} before, {gained} now")
    return found


def _hash(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()[:16]


def _numbers(tree: object) -> Iterator[float]:
    if isinstance(tree, dict | list | tuple | np.ndarray):
        for one in tree.values() if isinstance(tree, dict) else tree:
            yield from _numbers(one)
    elif isinstance(tree, int | float | np.number) and not isinstance(tree, bool):
        yield float(tree)


def _state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    draws = torch.Generator().manual_seed(0)
    low = {name: 0.0 if "var" in name else -0.2 for name in shapes}
    return {name: 0.5 * torch.rand(shape, generator=draws) + low[name] for name, shape in shapes.items()}


def _layer(name: str, read: int, write: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (write, read), f"{name}.bias": (write,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}


def write_similarity(folder: Path, genes: list[str]) -> None:
    """Write random networks as SCimilarity publishes them."""
    folder.mkdir()
    state = _state({
        **_layer("network.0.1", len(genes), 32), **_norm("network.0.2", 32), "network.0.3.weight": (1,),
        **_layer("network.1", 32, 12),
    })  # fmt: skip
    torch.save({"state_dict": state}, folder / "encoder.ckpt")
    (folder / "gene_order.tsv").write_text("\n".join(genes))
    (folder / "layer_sizes.json").write_text(json.dumps({name: list(one.shape) for name, one in state.items()}))


def write_variational(folder: Path, genes: list[str]) -> None:
    """Write random networks of two batches as scvi-tools saves them."""
    folder.mkdir()
    encoder, decoder = "z_encoder.encoder.fc_layers.Layer 0", "decoder.px_decoder.fc_layers.Layer 0"
    state = _state({
        **_layer(f"{encoder}.0", len(genes), 16), **_norm(f"{encoder}.1", 16),
        **_layer("z_encoder.mean_encoder", 16, 8), **_layer("z_encoder.var_encoder", 16, 8),
        **_layer(f"{decoder}.0", 10, 16), **_norm(f"{decoder}.1", 16),
        **_layer("decoder.px_scale_decoder.0", 16, len(genes)), **_layer("decoder.px_dropout_decoder", 16, len(genes)),
        "px_r": (len(genes),),
    })  # fmt: skip
    mapping = {"batch": {"state_registry": {"categorical_mapping": np.array(["x", "y"], dtype=object)}}}
    attributes = {
        "init_params_": {"non_kwargs": {"n_hidden": 16}, "kwargs": {"kwargs": {}}},
        "registry_": {"model_name": "SCVI", "field_registries": mapping},
    }
    saved = {"model_state_dict": state, "var_names": np.array(genes, dtype=object), "attr_dict": attributes}
    torch.save(saved, folder / "model.pt")

"""Read models saved by scvi-tools, without that package."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from scdiffuse._core.errors import ModelFolderError, UnknownNameError, did_you_mean
from scdiffuse._core.files import sha256
from scdiffuse.autoencoder import Latent
from scdiffuse.cells import Source, match_genes, require_shared
from scdiffuse.foundation._files import LICENCE, read_checkpoint, require_files, require_finite
from scdiffuse.foundation._scvi_network import ScviLatent, Stack

__all__ = ["ScviModel"]

_KIND = "scvi-tools"
_FILE = "model.pt"
_NORM_EPSILON = 1e-3
_POISSON = 15.0  # log of an inverse dispersion so large that the distribution is Poisson
_EXPECTED = {
    "latent_distribution": ("normal",),
    "gene_likelihood": ("zinb", "nb", "poisson"),
    "dispersion": ("gene",),
    "encode_covariates": (False,),
    "log_variational": (True,),
    "batch_representation": ("one-hot",),
    "use_size_factor_key": (False,),
}
"""Supported values of the settings of a model; the first one is the default."""


class ScviModel:
    """Use latents, decoder and count likelihood of an ``SCVI`` or ``SCANVI`` model that scvi-tools saved.

    Only the diffusion is trained. The generator has the genes that the saved model and the data share, whatever the
    number of cells that they are detected in.

    Parameters
    ----------
    folder
        Folder that ``model.save`` wrote, without need of its ``adata.h5ad``; read once.
    batch
        Batch of the saved model that cells are decoded as; a mean over all batches if not given.
    min_shared
        Fraction of the shorter list of genes that data and model must share.

    Raises
    ------
    ModelFolderError
        The file is missing or damaged, or the model is of a kind that cannot be read.
    UnknownNameError
        There is no such batch.

    References
    ----------
    Lopez et al. 2018, https://doi.org/10.1038/s41592-018-0229-2 (scVI).
    Xu et al. 2021, https://doi.org/10.15252/msb.20209620 (scANVI).
    """

    obsm_key: str | None = None

    def __init__(self, folder: str | Path, *, batch: str | None = None, min_shared: float = 0.5) -> None:
        place = Path(folder)
        require_files(place, (_FILE,), kind=_KIND)
        loaded = read_checkpoint(place / _FILE, kind=_KIND, stand_ins=_stand_ins())
        try:
            attributes = loaded["attr_dict"]
            self._model = str(attributes["registry_"]["model_name"])
            settings = _settings(attributes["init_params_"])
            registered = attributes["registry_"]["field_registries"]["batch"]["state_registry"]
            batches = [str(label) for label in registered["categorical_mapping"]]
            self.genes = tuple(str(name) for name in loaded["var_names"])
            self._tensors: dict[str, Tensor] = {
                key: tensor.double() for key, tensor in loaded["model_state_dict"].items() if isinstance(tensor, Tensor)
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise _other(place, f"`{_FILE}` lacks {error}") from error
        require_finite(self._tensors, place / _FILE)
        _require_readable(place, self._model, settings)
        if len(set(self.genes)) < len(self.genes):
            raise _other(place, f"its {len(self.genes):,} `var_names` are {len(set(self.genes)):,} different names")
        self._used = _used(batches, batch)
        self._name, self._hash, self._min_shared = place.name, sha256(place / _FILE), min_shared
        self._likelihood = settings.get("gene_likelihood", "zinb")
        norms = settings.get("use_layer_norm", "none")
        self._layer_norms = norms in {"encoder", "both"}, norms in {"decoder", "both"}
        self._batches = batches
        self._encoded = _layers(self._tensors, "z_encoder.encoder.", n_read=len(self.genes), n_batches=1)
        self._n_latent = self._tensors["z_encoder.mean_encoder.bias"].numel() if self._encoded else 0
        self._decoded = _layers(self._tensors, "decoder.px_decoder.", n_read=self._n_latent, n_batches=len(batches))
        if not self._encoded or not self._decoded:
            raise _other(place, "its networks read more than counts and a batch, such as other covariates")

    def choose_genes(self, var: pd.DataFrame) -> list[str] | None:
        """Return the genes that the model can decode.

        Parameters
        ----------
        var
            Genes of the data.

        Raises
        ------
        GenesError
            Data and model share too few genes.
        """
        found = match_genes(var, self.genes)
        require_shared(found, var=var, genes=self.genes, name=f"the model {self._name!r}", least=self._min_shared)
        return [str(name) for name in var.index[found >= 0]]

    def describe(self, source: Source) -> dict[str, Any]:
        """Return the metadata to save with a model.

        Parameters
        ----------
        source
            The training cells.
        """
        return {
            "kind": "scvi",
            "name": self._name,
            "model": self._model,
            "sha256": self._hash,
            "licence": LICENCE,
            "width": self._n_latent,
            "encoder_widths": [int(layer["bias"].shape[1]) for layer in self._encoded],
            "decoder_widths": [int(layer["bias"].shape[1]) for layer in self._decoded],
            "encoder_layer_norm": self._layer_norms[0],
            "decoder_layer_norm": self._layer_norms[1],
            "likelihood": self._likelihood,
            "batches": [self._batches[at] for at in self._used],
            "n_known": len(self.genes),
            "n_shared": int((match_genes(source.var, self.genes) >= 0).sum()),
        }

    @torch.no_grad()
    def fill(self, latent: Latent, var: pd.DataFrame) -> None:
        """Copy the pretrained weights of some genes into a latent space.

        Parameters
        ----------
        latent
            Module that `build_latent` built.
        var
            Genes of the latent space, all of which the saved model has.
        """
        if not isinstance(latent, ScviLatent):
            raise TypeError(type(latent))
        found, tensors = match_genes(var, self.genes), self._tensors
        first, *others = self._encoded
        _put(latent.encoder, [first | {"weight": first["weight"][found]}, *others], used=[0])
        _put(latent.decoder, self._decoded, used=self._used)
        pairs = {"mean": "z_encoder.mean_encoder", "log_variance": "z_encoder.var_encoder"}
        for name, key in pairs.items():
            _put_linear(getattr(latent, name), tensors[f"{key}.weight"], tensors[f"{key}.bias"])
        for linear, key in (
            (latent.scale, "decoder.px_scale_decoder.0"),
            (latent.dropout, "decoder.px_dropout_decoder"),
        ):
            if linear is not None:
                _put_linear(linear, tensors[f"{key}.weight"][found], tensors[f"{key}.bias"][found])
        is_poisson = self._likelihood == "poisson"
        latent.likelihood.log_inverse_dispersion.copy_(
            torch.full((len(found),), _POISSON) if is_poisson else tensors["px_r"][found]
        )


def _stand_ins() -> list[tuple[Any, str]]:
    """Allow arrays, and replace tables of the training data by empty objects."""
    inert = [
        "pandas.core.frame.DataFrame",
        "pandas.core.series.Series",
        "pandas.core.internals.managers.BlockManager",
        "pandas.core.internals.managers.SingleBlockManager",
        "pandas._libs.internals._unpickle_block",
        "pandas.core.indexes.base._new_Index",
        "pandas.core.indexes.base.Index",
        "pandas.core.indexes.range.RangeIndex",
    ]
    array = np.zeros(0).__reduce__()[0]
    arrays = [(array, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")]
    scalar = np.float64(0).__reduce__()[0]
    scalars = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    dtypes = {type(np.dtype(kind)) for kind in "O?bBhHiIlLfdU"}
    plain = [(kind, f"builtins.{kind.__name__}") for kind in (slice, dict, list, set, tuple, bytes, bool, int, float)]
    return [
        *((_Nothing, name) for name in inert),
        *arrays,
        *scalars,
        *plain,
        (np.ndarray, "numpy.ndarray"),
        (np.dtype, "numpy.dtype"),
        *((kind, f"{kind.__module__}.{kind.__name__}") for kind in dtypes),
        (_plain_dict, "collections.defaultdict"),
    ]


class _Nothing:
    """Empty replacement of a table."""

    def __init__(self, *given: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _plain_dict(*given: object) -> dict[Any, Any]:
    return {}


def _settings(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the arguments of the constructor of the model."""
    extra = {name: value for group in arguments["kwargs"].values() for name, value in group.items()}
    return {**arguments["non_kwargs"], **extra}


def _require_readable(folder: Path, model: str, settings: Mapping[str, Any]) -> None:
    if model not in {"SCVI", "SCANVI"}:
        raise _other(folder, f"it holds a model of the class `{model}`")
    for name, allowed in _EXPECTED.items():
        value = settings.get(name, allowed[0])
        if value not in allowed:
            raise _other(folder, f"its `{name}` is {value!r}")


def _used(batches: list[str], batch: str | None) -> list[int]:
    if batch is None:
        return list(range(len(batches)))
    if batch not in batches:
        msg = f"`batch` {batch!r} is not one of the batches of the saved model; expected one of {batches}."
        raise UnknownNameError(msg + did_you_mean(batch, batches))
    return [batches.index(batch)]


def _layers(tensors: Mapping[str, Tensor], prefix: str, *, n_read: int, n_batches: int) -> list[dict[str, Tensor]]:
    """Write each layer as a linear map and one bias for each batch, batch norm folded in; empty for other shapes."""
    keys = sorted(
        (int(named[1]), key)
        for key in tensors
        if (named := re.fullmatch(re.escape(prefix) + r"fc_layers\.Layer (\d+)\.0\.weight", key))
    )
    layers = []
    for _, key in keys:
        weight, bias = tensors[key].T, tensors[key.replace("weight", "bias")]
        n_covariates = len(weight) - n_read
        if n_covariates not in {0, n_batches if n_batches > 1 else 0}:
            return []
        of_batch = weight[n_read:] if n_covariates else weight.new_zeros(n_batches, len(bias))
        weight, biases = weight[:n_read], bias + of_batch
        norm = key.removesuffix("0.weight") + "1."
        if f"{norm}running_var" in tensors:
            scale = tensors[f"{norm}weight"] / (tensors[f"{norm}running_var"] + _NORM_EPSILON).sqrt()
            weight = weight * scale
            biases = (biases - tensors[f"{norm}running_mean"]) * scale + tensors[f"{norm}bias"]
        layers.append({"weight": weight, "bias": biases})
        n_read = len(bias)
    return layers


def _put(stack: Stack, layers: list[dict[str, Tensor]], *, used: list[int]) -> None:
    for weight, bias, layer in zip(stack.weights, stack.biases, layers, strict=True):
        weight.copy_(layer["weight"])
        bias.copy_(layer["bias"][used])


def _put_linear(linear: nn.Linear, weight: Tensor, bias: Tensor) -> None:
    linear.weight.copy_(weight)
    linear.bias.copy_(bias)


def _other(folder: Path, trouble: str) -> ModelFolderError:
    msg = f"{str(folder)!r} cannot be used as latents: {trouble}; expected an `SCVI` or `SCANVI` model as `save` of"
    msg += " scvi-tools writes it, on counts with a batch at most. Put what `get_latent_representation` returns into"
    return ModelFolderError(msg + " `obsm`, and use `foundation.Embedding`.")

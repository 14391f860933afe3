"""Read a model from its folder, whose files may have been altered in any way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict, cast

from safetensors.torch import load_file
from torch import Tensor

from scdiffuse._core.errors import ModelFolderError
from scdiffuse._core.folders import MODEL, current, finish_replacing
from scdiffuse._core.schema import find_mismatch
from scdiffuse._core.slots import CLASSIFIERS_FILE, DISTILLED_FILE, GENES_FILE, VOCABULARY_FILE, WEIGHTS_FILE
from scdiffuse.cells import Conditions, describe_origin
from scdiffuse.model._checkpoint import Checkpoint, Stage
from scdiffuse.model._classifier import AttachedClassifier, split_tensors
from scdiffuse.model._config import ModelConfig
from scdiffuse.model._distilled import DistilledSampler
from scdiffuse.model._files import COPY_AGAIN, ConfigFile, check_files, read_config, read_state
from scdiffuse.model._fitted import FittedModel
from scdiffuse.model._metadata import History, ModelMetadata, var_from_json
from scdiffuse.model._networks import Networks
from scdiffuse.model._restore import require_finite

__all__ = ["SavedModel", "read_classifiers", "read_folder", "read_training"]


class SavedModel(NamedTuple):
    """What a model folder holds."""

    model: FittedModel
    config: ConfigFile
    """Content of ``config.json``."""
    history: History


class _Score(TypedDict):
    """What a model card shows of a metric."""

    value: NotRequired[float | None]
    reference: NotRequired[float | None]
    baselines: NotRequired[dict[str, float | None] | None]
    normalised: NotRequired[float | None]


class _Verdict(TypedDict):
    """What a model card shows of a verdict."""

    title: NotRequired[str]
    answer: NotRequired[str]
    text: NotRequired[str]


class _HowScored(TypedDict):
    date: NotRequired[str]
    data: NotRequired[str]


class _Scores(TypedDict):
    metrics: dict[str, _Score]
    overall: NotRequired[_Verdict]
    verdicts: NotRequired[dict[str, _Verdict]]
    settings: NotRequired[_HowScored]


class _Finished(TypedDict):
    """What ``config.json`` of a finished model holds besides."""

    history: History
    stopped: bool
    model_hash: str
    n_parameters: int


class _Range(TypedDict):
    min: float
    max: float
    mean: float
    std: float


class _Vocabulary(TypedDict):
    """What ``vocabulary.json`` holds."""

    categorical: dict[str, list[str | bool | int | float]]
    continuous: dict[str, _Range]
    unseen: NotRequired[dict[str, list[str | bool | int | float]]]
    n_mapped: NotRequired[dict[str, int]]


class _State(TypedDict):
    """What stands beside the tensors of a fit that has not ended."""

    stage: Stage
    progress: dict[str, object]
    history: History


def read_training(folder: Path) -> Checkpoint:
    """Read where an interrupted fit stands.

    Parameters
    ----------
    folder
        The folder of the fit.

    Raises
    ------
    ModelFolderError
        There is no such state, or it is damaged.
    """
    tensors, fit = read_state(folder)
    with _one_model(folder):
        _require(fit, _State)
    return Checkpoint(
        stage=cast(Stage, fit["stage"]),
        progress=fit["progress"],
        tensors=_under("state.", tensors),
        history=_history(fit["history"]),
    )


def read_folder(folder: Path) -> SavedModel:
    """Read a model, finished or not.

    Parameters
    ----------
    folder
        Its folder.

    Raises
    ------
    ModelFolderError
        A file is missing, altered or damaged, or was written by a newer version.
    """
    finish_replacing(folder, kind=MODEL)
    config = read_config(folder)
    with _one_model(folder):
        _require_config(config)
    check_files(folder, config["files"])
    with _one_model(folder):
        metadata = ModelMetadata(
            config=ModelConfig.from_dict(_settings(config)),
            conditions=_conditions(_text(folder, VOCABULARY_FILE)),
            var=var_from_json(_text(folder, GENES_FILE)),
            data=config["data"],
            started_from=config["started_from"],
            origin=config.get("origin", describe_origin({})),
        )
        if config["finished"]:
            tensors, curves = load_file(current(folder, WEIGHTS_FILE)), config["history"]
        else:
            state, fit = read_state(folder)
            _require(fit, _State)
            tensors, curves = _under("model.", state), {**fit["history"], fit["stage"]: fit["progress"]["history"]}
        networks = Networks.from_tensors(tensors, config=metadata.config, conditions=metadata.conditions)
        _require_genes(metadata, networks)
        model = FittedModel(
            networks=networks,
            metadata=metadata,
            seed=config["seed"],
            classifiers=_classifiers(folder, config),
            distilled=_distilled(folder, config, networks),
        )
        _require_classifiers(model)
        return SavedModel(model, config, _history(curves))


def read_classifiers(folder: Path) -> dict[str, AttachedClassifier]:
    """Read the classifiers of a model that was saved whole.

    Parameters
    ----------
    folder
        Its folder; one of a fit that has not ended holds none.

    Raises
    ------
    ModelFolderError
        The folder is damaged.
    """
    config = read_config(folder)
    with _one_model(folder):
        _require_config(config)
        return _classifiers(folder, config)


@contextmanager
def _one_model(folder: Path) -> Iterator[None]:
    """Report whatever fails as files that are not those of one model."""
    try:
        yield
    except (ModelFolderError, MemoryError):
        raise
    except Exception as error:
        reason = str(error).rstrip(".") or type(error).__name__
        msg = f"The settings and weights in {str(folder)!r} do not belong together ({reason}); expected one model's."
        raise ModelFolderError(msg + COPY_AGAIN) from error


def _require(tree: object, kind: type) -> None:
    """Make sure that a tree has the entries and types that it should have."""
    wrong = find_mismatch(tree, kind)
    if wrong:
        raise ValueError(wrong)


def _settings(config: ConfigFile) -> dict[str, Any]:
    """Return the settings of a fit; of a setting that its version did not know, what that version did."""
    settings = config["settings"]
    autoencoder = settings.get("autoencoder", {})
    dispersion = {"duplicates": False, **autoencoder.get("dispersion", {})}
    return {
        **settings,
        "autoencoder": {**autoencoder, "dispersion": dispersion},
        "calibration": {"alike_labels": False, **settings.get("calibration", {})},
    }


def _require_config(config: ConfigFile) -> None:
    """Make sure that ``config.json`` has all entries, and names the files that there are."""
    _require(config, ConfigFile)
    _require(config["settings"], ModelConfig)
    if config.get("scores"):
        _require(config["scores"], _Scores)
    wanted = {GENES_FILE, VOCABULARY_FILE}
    if config["finished"]:
        _require(config, _Finished)
        wanted |= {WEIGHTS_FILE}
        wanted |= {CLASSIFIERS_FILE} if config.get("classifiers") else set()
        wanted |= {DISTILLED_FILE} if config.get("distilled") else set()
    if set(config["files"]) != wanted:
        msg = f"`files` names {sorted(config['files'])}; expected {sorted(wanted)}"
        raise ValueError(msg)


def _require_genes(metadata: ModelMetadata, networks: Networks) -> None:
    """Make sure that each gene has one name."""
    names, n_genes = metadata.var.index, networks.n_genes
    if len(names) != n_genes or not names.is_unique:
        msg = f"`{GENES_FILE}` has {len(names):,} names, {names.nunique():,} of them different, for {n_genes:,} genes"
        raise ValueError(msg)


def _require_classifiers(model: FittedModel) -> None:
    """Make sure that classifiers read the latents of the model, under the names that they have."""
    width = len(model.networks.latent_mean)
    for name, one in model.classifiers.items():
        if one.conditions.names != (name,):
            msg = f"the classifier {name!r} is called {list(one.conditions.names)} in its vocabulary"
            raise ValueError(msg)
        if one.network.n_latent != width - (not one.metadata["library_size"]):
            msg = f"the classifier {name!r} reads {one.network.n_latent} latents of {width}"
            raise ValueError(msg)
    if model.distilled is not None:
        require_finite(model.distilled.network)


def _conditions(text: str) -> Conditions:
    """Read a vocabulary in which each label is there once."""
    _require(json.loads(text), _Vocabulary)
    found = Conditions.from_json(text)
    for name, labels in found.categorical.items():
        if not labels or len({str(label) for label in labels}) < len(labels):
            msg = f"the labels of {name!r} are not different ones"
            raise ValueError(msg)
    for name, labels in found.unseen.items():
        own = found.categorical.get(name, ())
        if len(labels) >= len(own) or own[len(own) - len(labels) :] != labels:
            msg = f"the unseen labels of {name!r} are not the last ones of its labels"
            raise ValueError(msg)
    for name, n in found.n_mapped.items():
        if not 0 < n <= len(found.unseen.get(name, ())):
            msg = f"{n} labels of {name!r} are mapped, of {len(found.unseen.get(name, ()))} unseen ones"
            raise ValueError(msg)
    return found


def _classifiers(folder: Path, config: ConfigFile) -> dict[str, AttachedClassifier]:
    saved = config.get("classifiers", {})  # a fit that has not ended has none
    return split_tensors(load_file(current(folder, CLASSIFIERS_FILE)), saved) if saved else {}


def _distilled(folder: Path, config: ConfigFile, networks: Networks) -> DistilledSampler | None:
    record = config.get("distilled")
    return DistilledSampler.restore(record, load_file(current(folder, DISTILLED_FILE)), networks) if record else None


def _text(folder: Path, name: str) -> str:
    return current(folder, name).read_text(encoding="utf-8")


def _history(curves: History) -> History:
    return {stage: [(int(step), float(a), float(b)) for step, a, b in curve] for stage, curve in curves.items()}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

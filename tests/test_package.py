"""Promises about the package as a whole: what is public, how it is documented, what an import costs."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import scdiffuse

ROOT = Path(scdiffuse.__file__).parents[2]
HEAVY = {"anndata", "h5py", "matplotlib", "numba", "ot", "pandas", "scanpy", "scipy", "sklearn", "torch", "umap"}
MOST_LINES = 350
MOST_POSITIONAL = 3
MOST_SECONDS = 0.5


def _is_function(held: object) -> bool:
    return inspect.isfunction(held) or inspect.ismethod(held)


def _with_methods(name: str, held: object) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Give a function, or a class with its public methods."""
    if _is_function(held):
        yield name, held  # type: ignore[misc]
    if inspect.isclass(held) and held.__module__.startswith("scdiffuse"):
        if "__init__" in vars(held) and not hasattr(held, "__dataclass_fields__") and held.__doc__:
            yield name, held
        for method, value in vars(held).items():
            if not method.startswith("_") and _is_function(inspect.unwrap(getattr(held, method))):
                yield f"{name}.{method}", getattr(value, "__func__", value)


def _public() -> list[Any]:
    """List what users call: the names of the package, and the methods of its classes."""
    held = {name: getattr(scdiffuse, name) for name in scdiffuse.__all__}
    held |= {f"datasets.{name}": getattr(scdiffuse.datasets, name) for name in scdiffuse.datasets.__all__}
    return [pytest.param(call, id=name) for at, value in held.items() for name, call in _with_methods(at, value)]


def _documented_modules() -> list[str]:
    found = pkgutil.walk_packages(scdiffuse.__path__, "scdiffuse.")
    return [module.name for module in found if not module.name.startswith("scdiffuse.cli")]


def _parameters(call: Callable[..., Any]) -> list[inspect.Parameter]:
    found = list(inspect.signature(call).parameters.values())
    return [parameter for parameter in found if parameter.name not in {"self", "cls"}]


def _documented(call: Callable[..., Any]) -> list[str]:
    """Read the names under ``Parameters`` of a numpydoc text."""
    text = inspect.cleandoc(call.__doc__ or "")
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-{3,}$|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^(\S.*)$", section.group(1), flags=re.MULTILINE) if section else []
    return [name.strip(" *") for line in lines for name in line.split(" : ")[0].split(",")]


def _cpu_seconds(*command: str) -> float:
    """Measure the CPU time of a process, which a busy machine stretches less than the time on the clock."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _loaded_by(module: str) -> set[str]:
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {name.split(".")[0] for name in json.loads(done.stdout)}


PUBLIC = {
    "AutoencoderConfig",
    "Benchmark",
    "CalibrationConfig",
    "CellGenerator",
    "DiffusionConfig",
    "DispersionConfig",
    "Guidance",
    "ModelConfig",
    "Report",
    "Support",
    "TrainConfig",
    "UserError",
    "__version__",
    "audit",
    "datasets",
    "evaluate",
    "foundation",
    "gene_loadings",
    "load",
    "plot_history",
    "plot_trajectory",
    "plot_umap",
    "shard",
    "split",
    "sum_features",
}
SIGNATURES = {
    "__init__": "adata * conditions continuous layer min_cells config latent condition_features round_counts progress",
    "fit": "folder * resume overwrite init_from max_epochs seed device progress",
    "generate": "n_cells * where guidance seed library_size solver_steps solver batch_size path overwrite progress",
    "predict": "adata to * layer guidance seed library_size solver_steps batch_size progress",
    "trajectory": (
        "start to * along n_states keep n_cells method guidance seed layer library_size solver_steps batch_size "
        "progress"
    ),
    "map_query": "adata condition * layer progress",
    "augment": "adata * by n_per_label guidance seed layer progress",
    "distill": "* solver_steps n_paths max_epochs seed progress",
    "support": "where",
    "expected_expression": "where",
    "encode": "adata * layer key_added",
    "add_classifier": "name adata * obs_key layer kind library_size max_epochs seed overwrite progress",
    "remove_classifier": "name",
    "save": "folder * overwrite",
}


def test_the_public_names_are_these() -> None:
    assert set(scdiffuse.__all__) == PUBLIC
    assert sorted(scdiffuse.__all__) == scdiffuse.__all__


@pytest.mark.parametrize("method", SIGNATURES)
def test_the_methods_of_a_generator_take_these_arguments(method: str) -> None:
    parameters = _parameters(getattr(scdiffuse.CellGenerator, method))
    named = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
    given = [one.name for one in parameters if one.kind is not one.KEYWORD_ONLY]
    assert " ".join([*given, *(["*"] if named else []), *named]) == SIGNATURES[method]


def test_guidance_takes_these_arguments() -> None:
    assert _names(scdiffuse.Guidance) == ["scale", "toward", "away", "interval", "composition", "guides"]


@pytest.mark.parametrize("name", scdiffuse.__all__)
def test_every_public_name_loads(name: str) -> None:
    assert getattr(scdiffuse, name) is not None


def test_dir_lists_every_public_name() -> None:
    assert set(scdiffuse.__all__) <= set(dir(scdiffuse))


def test_an_unknown_name_is_refused_with_the_public_ones() -> None:
    with pytest.raises(AttributeError, match="no attribute 'CellMaker'; public names are AutoencoderConfig, Benchmark"):
        scdiffuse.CellMaker  # noqa: B018


def test_the_installed_version_is_the_one_it_says() -> None:
    assert version("scdiffuse") == scdiffuse.__version__


@pytest.mark.parametrize("call", _public())
def test_public_calls_take_few_positional_arguments(call: Callable[..., Any]) -> None:
    positional = [one for one in _parameters(call) if one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}]
    assert len(positional) <= MOST_POSITIONAL


@pytest.mark.parametrize("call", _public())
def test_public_calls_document_exactly_their_arguments(call: Callable[..., Any]) -> None:
    assert _documented(call) == [parameter.name for parameter in _parameters(call)]


@pytest.mark.parametrize("module", _documented_modules())
def test_documented_arguments_exist(module: str) -> None:
    held = vars(importlib.import_module(module))
    calls = [pair for name in held.get("__all__", ()) for pair in _with_methods(name, held[name])]
    wrong = [name for name, call in calls if _documented(call) and _documented(call) != _names(call)]
    assert not wrong


def _names(call: Callable[..., Any]) -> list[str]:
    return [parameter.name for parameter in _parameters(call)]


def test_no_file_is_longer_than_a_reader_likes() -> None:
    files = [file for place in ("src", "tests", "benchmarks") for file in (ROOT / place).rglob("[!.]*.py")]
    files = [file for file in files if not any(part.startswith(".") for part in file.relative_to(ROOT).parts)]
    long = {file.name: n for file in files if (n := file.read_text().count("\n")) > MOST_LINES}
    assert not long


@pytest.mark.parametrize("module", ["scdiffuse", "scdiffuse.cli"])
def test_an_import_leaves_heavy_libraries_alone(module: str) -> None:
    assert not _loaded_by(module) & HEAVY


@pytest.mark.parametrize("command", [("-c", "import scdiffuse"), ("-m", "scdiffuse", "--help")], ids=["import", "help"])
def test_starting_is_quick(command: tuple[str, ...]) -> None:
    assert min(_cpu_seconds(*command) for _ in range(3)) < MOST_SECONDS

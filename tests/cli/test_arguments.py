"""Names of arguments in messages: those of the Python API become options of the command line."""

from __future__ import annotations

import inspect
import operator
import warnings
from typing import Any

import pytest
import typer

import scdiffuse as scd
import scdiffuse.cli._app as cli
from scdiffuse._core.errors import SettingError
from scdiffuse.cli._arguments import as_typed, option_names

COMMANDS: dict[str, Any] = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
NAMES: dict[str, dict[str, str]] = {
    "generate": {
        "n_cells": "--n-cells", "path": "--path", "where": "--where", "guidance": "--guidance", "toward": "--toward",
        "away": "--away", "interval": "--guidance-interval", "composition": "--composition", "solver": "--solver",
        "solver_steps": "--solver-steps", "batch_size": "--batch-size", "library_size": "--library-size",
    },
    "predict": {"to": "--to", "path": "--path", "solver_steps": "--solver-steps"},
    "trajectory": {"start": "--start", "n_states": "--n-states", "keep": "--keep", "method": "--method"},
    "augment": {"by": "--by", "n_per_label": "--n-per-label"},
    "distill": {"folder": "--output", "solver_steps": "--solver-steps", "n_paths": "--n-paths"},
    "fit": {"conditions": "--condition", "config": "--set", "folder": "--output", "min_cells": "--min-cells"},
    "evaluate": {"metrics": "--metric", "n_seeds": "--n-seeds"},
    "audit": {"held_out": "--held-out"},
}  # fmt: skip
_GUIDANCE = {"toward", "away", "interval", "composition"}
_COMMON = {"self", "adata", "files", "progress"}
API: list[tuple[str, str, set[str]]] = [
    ("fit", "CellGenerator", {"latent"}),
    ("fit", "CellGenerator.fit", {"init_from"}),
    ("generate", "CellGenerator.generate", set()),
    ("predict", "CellGenerator.predict", set()),
    ("trajectory", "CellGenerator.trajectory", {"library_size"}),
    ("augment", "CellGenerator.augment", set()),
    ("distill", "CellGenerator.distill", set()),
    ("map-query", "CellGenerator.map_query", set()),
    ("add-classifier", "CellGenerator.add_classifier", set()),
    ("shard", "shard", set()),
    ("evaluate", "evaluate", set()),
    ("audit", "audit", set()),
]


@pytest.mark.parametrize("command", NAMES)
def test_each_argument_has_the_name_of_its_option(command: str) -> None:
    names = option_names(COMMANDS[command].params)
    assert {name: names.get(name) for name in NAMES[command]} == NAMES[command]


@pytest.mark.parametrize(("command", "function", "python_only"), API)
def test_the_command_line_has_an_option_for_each_argument(command: str, function: str, python_only: set[str]) -> None:
    arguments = set(inspect.signature(operator.attrgetter(function)(scd)).parameters)
    assert arguments - _COMMON - python_only <= set(option_names(COMMANDS[command].params))


@pytest.mark.parametrize("command", ["generate", "predict", "trajectory"])
def test_guidance_has_an_option_for_each_setting(command: str) -> None:
    own = {"scale", "guides"}  # `--guidance` gives the scale; guides of a registry are registered in Python
    assert set(inspect.signature(scd.Guidance).parameters) - own == _GUIDANCE
    assert set(option_names(COMMANDS[command].params)) >= _GUIDANCE


@pytest.mark.parametrize(
    ("words", "option"), [(["-o", "a"], "-o"), (["--path", "a"], "--path"), (["--path=a"], "--path"), ([], "--path")]
)
def test_the_spelling_that_was_typed_is_named(words: list[str], option: str) -> None:
    assert option_names(COMMANDS["generate"].params, words)["path"] == option


def test_of_two_options_for_one_argument_the_typed_one_is_named() -> None:
    assert option_names(COMMANDS["generate"].params)["where"] == "--where"
    assert option_names(COMMANDS["generate"].params, ["--where-table", "a.csv"])["where"] == "--where-table"
    assert option_names(COMMANDS["trajectory"].params)["where"] == "--from"


@pytest.mark.parametrize(
    ("message", "translated"),
    [
        ("`n_cells` must be at least 1.", "`--n-cells` must be at least 1."),
        ("`n_genes` and `adata.obs` stay.", "`n_genes` and `adata.obs` stay."),
        ("Pass `overwrite=True`.", "Pass `--overwrite`."),
        ("Pass `n_cells=20`.", "Pass `--n-cells 20`."),
        ("Pass `toward={'organ': ('B cell', 2.0)}`.", "Pass `--toward 'organ=B cell:2.0'`."),
        ("Pass `toward={'organ': ...}`.", "Pass `--toward organ=...`."),
        ("Pass `toward={'organ': (label, 2.0)}`.", "Pass `--toward`."),
        ("Call `add_classifier` or `fit()`.", "Call `scdiffuse add-classifier` or `scdiffuse fit`."),
    ],
)
def test_messages_are_translated(message: str, translated: str) -> None:
    assert as_typed(message, option_names(COMMANDS["generate"].params), COMMANDS) == translated


def test_errors_and_warnings_name_the_option_that_was_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        warnings.warn("`library_size` is large.", UserWarning, stacklevel=1)
        msg = "`n_cells` is 0. Lower `batch_size`."
        raise SettingError(msg)

    monkeypatch.setattr(cli, "app", fail)
    assert cli.run(["generate", "model", "-n", "0"]) == 2
    assert "Error: `-n` is 0. Lower `--batch-size`." in capsys.readouterr().err

"""The table of corrections and the settings hold each other to what they say."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import scdiffuse as scd

PAGE = (Path(scd.__file__).parents[2] / "docs/theory.md").read_text()
AUTOENCODER = (scd.AutoencoderConfig, scd.DispersionConfig)
CONFIGS = (scd.ModelConfig, *AUTOENCODER, scd.DiffusionConfig, scd.CalibrationConfig, scd.TrainConfig)
SETTING = re.compile(r"`(\w+)\.(\w+)=(.+)`")


class Row(NamedTuple):
    config: type[Any]
    field: str
    default: object
    off: object
    evidence: str


def _rows() -> list[Row]:
    _, _, section = PAGE.partition("\n## Corrections\n")
    lines = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| ")]
    found = []
    for line in lines[1:]:
        _, _, _, setting, off, evidence, _ = (cell.strip() for cell in line)
        match = SETTING.fullmatch(setting)
        assert match, setting
        config, field, default = match.groups()
        value, switched_off = ast.literal_eval(default), ast.literal_eval(off.strip("`"))
        found.append(Row(getattr(scd, config), field, value, switched_off, evidence))
    return found


ROWS = _rows()


def _off_switches(config: type[Any]) -> list[str]:
    """Names of the fields whose docstring begins with a promise to turn something off."""
    (body,) = (node.body for node in ast.parse(inspect.getsource(config)).body if isinstance(node, ast.ClassDef))
    found = []
    for field, text in pairwise(body):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if not isinstance(text, ast.Expr) or not isinstance(text.value, ast.Constant):
            continue
        if str(text.value.value).startswith("Off-switch:"):
            found.append(field.target.id)
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.field)
def test_a_setting_has_the_default_of_the_table_and_can_be_turned_off(row: Row) -> None:
    assert row.field in {field.name for field in fields(row.config)}
    assert getattr(row.config(), row.field) == row.default
    assert getattr(row.config(**{row.field: row.off}), row.field) == row.off != row.default


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)
def test_every_off_switch_is_in_the_table(config: type[Any]) -> None:
    assert set(_off_switches(config)) <= {row.field for row in ROWS if row.config is config}


def test_off_switches_are_found() -> None:
    assert "expected_expression" in _off_switches(scd.CalibrationConfig)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.field)
def test_the_evidence_is_stated(row: Row) -> None:
    assert re.search(r"\d", row.evidence) or row.evidence.startswith("not measured alone")

"""The reference has an entry for every public name and every public method."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import scdiffuse as scd

PAGE = (Path(scd.__file__).parents[2] / "docs/api.md").read_text()
ENTRIES = set(re.findall(r"\.\. auto(?:class|function|method|attribute):: scdiffuse\.([\w.]+)", PAGE))
MODULES = {"datasets", "foundation"}
IN_ERRORS = {"UserError"}


@pytest.mark.parametrize("name", sorted({*scd.__all__} - MODULES - IN_ERRORS - {"__version__"}))
def test_a_public_name_has_an_entry(name: str) -> None:
    assert name in ENTRIES


@pytest.mark.parametrize("name", sorted(name for name in dir(scd.CellGenerator) if not name.startswith("_")))
def test_a_method_has_an_entry(name: str) -> None:
    assert f"CellGenerator.{name}" in ENTRIES


@pytest.mark.parametrize("name", sorted(MODULES))
def test_functions_of_a_module_have_entries(name: str) -> None:
    assert any(entry.startswith(f"{name}.") for entry in ENTRIES)


def test_errors_are_listed() -> None:
    assert "automodule:: scdiffuse._core.errors" in PAGE

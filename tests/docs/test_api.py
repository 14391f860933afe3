"""The reference has an entry for every public name and every public method."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import scdiffuse as scd
from scdiffuse._core import errors

PAGE = (Path(scd.__file__).parents[2] / "docs/api.md").read_text()
ENTRIES = set(re.findall(r"^   ([A-Za-z]\w*(?:\.\w+)?)$", PAGE, flags=re.MULTILINE))
MODULES = {"datasets", "foundation"}


@pytest.mark.parametrize("name", sorted({*scd.__all__} - MODULES - {"__version__"}))
def test_a_public_name_has_an_entry(name: str) -> None:
    assert name in ENTRIES


@pytest.mark.parametrize("name", sorted(name for name in dir(scd.CellGenerator) if not name.startswith("_")))
def test_a_method_has_an_entry(name: str) -> None:
    assert f"CellGenerator.{name}" in ENTRIES


@pytest.mark.parametrize("name", sorted(MODULES))
def test_functions_of_a_module_have_entries(name: str) -> None:
    assert any(entry.startswith(f"{name}.") for entry in ENTRIES)


@pytest.mark.parametrize("name", sorted(set(errors.__all__) - {"UserError", "did_you_mean"}))
def test_errors_and_warnings_are_listed_with_what_they_are(name: str) -> None:
    parents = {parent.__name__ for parent in getattr(errors, name).__bases__} - {"UserError"}
    assert [f"| `{name}` | `{parent}` |" in PAGE for parent in parents] == [True]


def test_no_entry_is_private() -> None:
    assert not [entry for entry in ENTRIES if entry.startswith("_") or "._" in entry]

"""The page of the command line lists every option."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

import scdiffuse
from scdiffuse.cli._app import app

ROOT = Path(scdiffuse.__file__).parents[2]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_page_names_every_option(name: str) -> None:
    pages = (ROOT / "docs" / "cli.md").read_text().split("\n## ")
    page = next(page for page in pages if page.startswith(f"{name}\n"))
    options = {option for one in COMMANDS[name].params for option in one.opts if option.startswith("-")}
    assert not {option for option in options - {"--help"} if f"`{option}`" not in page}

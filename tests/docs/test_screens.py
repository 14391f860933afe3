"""The pages of the documents on screens: wide and narrow, light and dark; they have to be built (``make docs``)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.browser import needs_chromium
from tests.screen import NARROW, WIDE, look_at

BUILT = Path(__file__).parents[2] / "docs" / "_build" / "html"
PAGES = ("index", "cli", "tutorials/06_evaluation", "api/scdiffuse.CellGenerator")
OF_THE_THEME = ("[PST]: ", "Got invalid theme mode: . Resetting to auto.")
"""What the theme writes to the console, which is no error."""

pytestmark = [needs_chromium, pytest.mark.skipif(not BUILT.is_dir(), reason="the documents are not built: make docs")]


@pytest.mark.parametrize(("width", "dark"), [(WIDE, False), (NARROW, True)])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_read_wide_narrow_light_and_dark(name: str, width: int, *, dark: bool, tmp_path: Path) -> None:
    page = BUILT / f"{name}.html"
    screen = look_at(page, tmp_path / "screen.png", width=width, dark=dark, root=BUILT)
    assert [line for line in screen.errors if not any(words in line for words in OF_THE_THEME)] == []
    assert screen.problems == []
    assert screen.picture.stat().st_size > 10_000

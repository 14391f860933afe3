"""Settings of the documentation build, ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scdiffuse import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "changes"))

project = "scdiffuse"
author = "The scdiffuse authors"
copyright = "2026, the scdiffuse authors"
release = version = __version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# Tutorials are executed from top to bottom; a cell that fails, or that writes to stderr, fails the build.
nb_execution_mode = "force"
nb_execution_timeout = 1200  # seconds a cell, on a busy machine
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_show_tb = True
nb_merge_streams = True
nb_output_stderr = "remove-warn"

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "sphinx_book_theme"
html_title = "scdiffuse"
html_static_path = ["_static"]
html_css_files = ["scdiffuse.css"]
html_extra_path = ["llms.txt"]
html_theme_options = {
    "navbar_persistent": [],  # the search field is in the side bar
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "use_download_button": False,
}


def _insert_release_notes(_: Sphinx, page: str, source: list[str]) -> None:
    """Put what `changes/` says since the last release into the page."""
    if page == "release-notes":
        from assemble import assemble  # type: ignore[import-not-found]

        source[0] = source[0].replace("% UNRELEASED", assemble(heading="## Since the last release"))


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.connect("source-read", _insert_release_notes)

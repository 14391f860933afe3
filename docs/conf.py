"""Settings of the documentation build, ``make docs``."""

from __future__ import annotations

from scdiffuse import __version__

project = "scdiffuse"
author = "The scdiffuse authors"
copyright = "2026, the scdiffuse authors"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = False
napoleon_use_rtype = False
html_theme = "furo"
html_title = "scdiffuse"

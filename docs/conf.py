"""Sphinx settings: MyST pages, furo, references drawn from docstrings."""

from __future__ import annotations

project = "dnr"
author = "The dnr authors"
project_copyright = "The dnr authors"
version = release = "0.1.0"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "dnr, the data-needs reporter"
exclude_patterns = ["_build", "examples/**/README.md"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
nitpicky = False

"""Sphinx settings: MyST pages, furo, references drawn from docstrings."""

from __future__ import annotations

import sys
from pathlib import Path

from myst_parser.parsers.sphinx_ import MystParser

sys.path.insert(0, str(Path(__file__).parent / "tools"))

from notebook import markdown

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


class NotebookParser(MystParser):
    """Shows a notebook as the Markdown of its cells and of what they printed."""

    supported = ("notebook",)

    def parse(self, inputstring, document):
        super().parse(markdown(inputstring), document)


def setup(app):
    """Let Sphinx read notebooks."""
    app.add_source_suffix(".ipynb", "notebook")
    app.add_source_parser(NotebookParser)

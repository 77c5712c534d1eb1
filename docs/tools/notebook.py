"""Notebooks without Jupyter: run their cells, compare what they print, and show them in the site.

    python docs/tools/notebook.py docs/tutorials/in-a-notebook.ipynb            run, and compare
    python docs/tools/notebook.py --write docs/tutorials/in-a-notebook.ipynb    run, and keep what is printed

Cells run one after the other in an empty folder. What a cell prints, and the text of its last
expression, is its output; figures and HTML are for those who open it in Jupyter.
"""

from __future__ import annotations

import ast
import io
import json
import os
import sys
import tempfile
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any


def code_of(cell: dict[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def outputs(notebook: dict[str, Any]) -> list[str]:
    """Run the cells with code in an empty folder, and return what each printed."""
    names: dict[str, Any] = {"__name__": "__main__"}
    found = []
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for number, cell in enumerate(notebook["cells"]):
            if cell["cell_type"] == "code":
                found.append(_run(code_of(cell), f"cell {number}", names))
    return found


def _run(code: str, name: str, names: dict[str, Any]) -> str:
    tree = ast.parse(code, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    said = io.StringIO()
    with redirect_stdout(said):
        exec(compile(tree, name, "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), names)
            if value is not None:
                print(value if isinstance(value, str) else repr(value))
    return said.getvalue()


def kept(notebook: dict[str, Any]) -> list[str]:
    """Return what the notebook itself says that its cells print."""
    return [
        "".join("".join(output["text"]) for output in cell["outputs"])
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


def write(path: Path, notebook: dict[str, Any], found: list[str]) -> None:
    """Keep what the cells print in the notebook."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell, text in zip(cells, found, strict=True):
        lines = text.splitlines(keepends=True)
        cell["outputs"] = (
            [{"output_type": "stream", "name": "stdout", "text": lines}] if text else []
        )
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def markdown(text: str) -> str:
    """Return a notebook as the Markdown that the site shows."""
    parts = []
    for cell in json.loads(text)["cells"]:
        source = code_of(cell)
        if cell["cell_type"] != "code":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        printed = "".join("".join(output["text"]) for output in cell["outputs"])
        if printed:
            parts.append(f"```text\n{printed.rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str]) -> int:
    *flags, name = arguments
    path = Path(name)
    notebook = json.loads(path.read_text("utf-8"))
    # Warnings of a notebook's reader are none of the notebook's output.
    os.environ.pop("DNR_CONFIG", None)
    found = outputs(notebook)
    if flags == ["--write"]:
        write(path, notebook, found)
        return 0
    for number, (now, before) in enumerate(zip(found, kept(notebook), strict=True)):
        if now != before:
            print(f"{path}, code {number}: it prints\n{now}\nand shows\n{before}")
            return 1
    print(f"{path}: {len(found)} cells print what they show")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

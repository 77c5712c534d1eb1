"""Room: cli. Results on stdout: text for people, or JSON for machines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click

from dnr_core.workspace import dump_json


def show(result: Any, text: str, *, as_json: bool) -> None:
    """Print `text`, or with `as_json` the plain values of `result`."""
    click.echo(dump_json(result) if as_json else text.rstrip("\n"), nl=not as_json)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table with aligned columns, as text."""
    lines = [list(header), *([("" if cell is None else str(cell)) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    out = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    out.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(out)

"""Room: cli. Results on stdout: text for people, or JSON for machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import attrs
import click

from dnr_core.config.visible import visible
from dnr_core.errors import GateFailedError
from dnr_core.workspace import dump_json


def show(result: Any, text: str, *, as_json: bool) -> None:
    """Print `text`, or with `as_json` the plain values of `result`."""
    if as_json:
        click.echo(visible(dump_json(plain(result))), nl=False)
    else:
        click.echo(visible(text.rstrip("\n")))


def show_scores(scores: Any, summary: Path, *, strict: bool, as_json: bool) -> None:
    """Print scores that have gates; `summary` is the file that holds every one of them.

    Raises:
        GateFailedError: with `strict`, a gate failed.
    """
    show(scores, str(scores), as_json=as_json)
    if strict and not scores.passed:
        raise GateFailedError(
            f"gates failed: {', '.join(scores.failed)}", hint=f"{summary} has every score"
        )


def plain(value: Any) -> Any:
    """Return a result as values that JSON has: its own `as_dict()`, or its attributes."""
    if hasattr(value, "as_dict"):
        return plain(value.as_dict())
    if attrs.has(type(value)):
        shown = (field.name for field in attrs.fields(type(value)) if field.repr)
        return {name: plain(getattr(value, name)) for name in shown}
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value


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

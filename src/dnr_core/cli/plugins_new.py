"""Room: cli. `dnr plugins new`: a plugin to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dnr_core.cli.options import CallOptions
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show

KINDS = ("archetype", "provider", "scorer", "defect", "style", "check")


@dnr_command(
    examples="""dnr plugins new airline --kind archetype
dnr plugins new flights --kind archetype --from flights.yaml
dnr plugins new shouting --kind defect --out plugins --json"""
)
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), required=True, help="What it brings.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Folder in which its folder will be (default: here).",
)
@click.option(
    "--from",
    "schema",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.yaml",
    help="Schema file of a company, which is then the archetype: no Python to write.",
)
@click.pass_obj
def command(options: CallOptions, name: str, kind: Any, out: Path, schema: Path | None) -> None:
    """Write a plugin that installs, keeps the rules for authors, and works as it is.

    A folder dnr-NAME with its metadata, code, tests and README. Nothing that is there is touched.
    """
    from dnr_core.testing import new_plugin

    made = new_plugin(name, kind, out=out, schema=schema)
    show(made, str(made), as_json=options.as_json)

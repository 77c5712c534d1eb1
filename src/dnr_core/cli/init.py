"""Room: cli. `dnr init`: settings, folders, and the schema file of a real warehouse."""

from __future__ import annotations

import click

from dnr_core.cli.options import CallOptions
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show


@dnr_command(
    examples="""dnr init
dnr init --from duckdb:///flights.duckdb
dnr init --from postgres://reader@db.example/shop"""
)
@click.option(
    "--from", "schema_from", metavar="URL", help="A real warehouse: drafts its schema file."
)
@click.pass_obj
def command(options: CallOptions, schema_from: str | None) -> None:
    """Write a commented settings file and the folders; leave alone what exists.

    With --from, also draft the schema file of a real warehouse: declared keys, and guesses that
    are marked as such and left to you.
    """
    import dnr_core

    made = dnr_core.init(schema_from=schema_from)
    show(made, str(made), as_json=options.as_json)

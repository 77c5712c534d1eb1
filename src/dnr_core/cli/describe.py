"""Room: cli. `dnr describe`: what a made warehouse holds."""

from __future__ import annotations

from pathlib import Path

import click

from dnr_core.cli.options import CallOptions
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show


@dnr_command(
    examples="""dnr describe data/neobank
dnr describe data/neobank --meta meta/neobank --json"""
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--meta", type=click.Path(path_type=Path), help="Folder of the truth: shows the incidents too."
)
@click.pass_obj
def command(options: CallOptions, folder: Path, meta: Path | None) -> None:
    """Show a made warehouse's tables, sizes, period, and targets beside measured rates."""
    import dnr_core

    described = dnr_core.describe(folder, meta=meta)
    show(described, str(described), as_json=options.as_json)

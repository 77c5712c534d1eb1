"""Room: cli. `dnr describe`: what a made warehouse holds."""

from __future__ import annotations

from pathlib import Path

import click

from dnr_core.cli.options import CallOptions
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show


@dnr_command(
    examples="""dnr describe data/neobank
dnr describe data/neobank --picture neobank.svg
dnr describe data/neobank --meta meta/neobank --json"""
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--meta",
    type=click.Path(path_type=Path),
    help="Folder of the truth; without it incidents are planned anew from the manifest.",
)
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also draw rows by local day with the incidents marked, as FILE.svg or FILE.png.",
)
@click.pass_obj
def command(options: CallOptions, folder: Path, meta: Path | None, picture: Path | None) -> None:
    """Show a made warehouse: tables, sizes, period, targets beside measured rates, incidents."""
    import dnr_core

    if picture is not None:
        from dnr_core.report.volume_figure import check_ending

        check_ending(picture)
    described = dnr_core.describe(folder, meta=meta, context=options.context())
    if picture is not None:
        described.figure().save(picture)
    show(described, str(described), as_json=options.as_json)

"""Room: cli. `dnr repair`: the clean company, from a broken one and its ledger."""

from __future__ import annotations

from pathlib import Path

import click

from dnr_core.cli.options import CallOptions
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show


@dnr_command(examples="dnr repair data/neobank --meta meta/neobank --out repaired/neobank")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--meta", type=click.Path(path_type=Path), required=True, help="Folder of the truth.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the clean company."
)
@click.pass_obj
def command(options: CallOptions, folder: Path, meta: Path, out: Path) -> None:
    """Give back the clean company, byte for byte: the proof that nothing else was touched."""
    import dnr_core

    made = dnr_core.repair(
        folder, meta, out, context=options.context(), progress=options.progress()
    )
    show(made, str(made), as_json=options.as_json)

"""Room: cli. `dnr doctor`: what is installed, what works here, what to do about the rest."""

from __future__ import annotations

import click

from dnr_core.cli.options import CallOptions
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show
from dnr_core.errors import GateFailedError


@dnr_command(
    examples="""dnr doctor
dnr doctor --json
dnr doctor --config mine.yaml --no-plugin airline"""
)
@click.pass_obj
def command(options: CallOptions) -> None:
    """Show what is installed, what works here, and what to do about what does not.

    Plugins, warehouses that can be read, Java, a browser, the key of the language model (whether
    there is one, never what it is), folders, disk, fonts, time zones. Ends with 1 where something
    that dnr needs does not work; what is optional and absent is marked with a dash.
    """
    import dnr_core

    found = dnr_core.diagnose(options.config, without=options.without)
    show(found, str(found), as_json=options.as_json)
    if found.broken:
        raise GateFailedError(
            f"does not work here: {', '.join(found.broken)}", hint="see what to do beside each"
        )

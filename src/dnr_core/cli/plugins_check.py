"""Room: cli. `dnr plugins check`: what a plugin brings, held against the rules for authors."""

from __future__ import annotations

from typing import Literal

import click

from dnr_core.cli.options import CallOptions
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show
from dnr_core.errors import GateFailedError


@dnr_command(
    examples="""dnr plugins check neobank
dnr plugins check dnr-airline --tier must
dnr plugins check airline --strict --json"""
)
@click.argument("name")
@click.option(
    "--tier", type=click.Choice(["must", "should"]), help="Rules of this tier only (default: both)."
)
@click.option("--strict", is_flag=True, help="Let a broken should-rule fail the check too.")
@click.pass_obj
def command(
    options: CallOptions, name: str, tier: Literal["must", "should"] | None, strict: bool
) -> None:
    """Hold everything that an installed plugin brings against the rules for authors.

    NAME is the plugin's or its distribution's. Each finding says what is wrong, where, and how to
    mend it. Ends with 1 where a must-rule is broken. Needs pip install 'dnr-core[testing]'.
    """
    from dnr_core.testing import check_plugin

    catalogue = options.context().catalogue
    report = check_plugin(name, tier=tier, catalogue=catalogue, progress=options.progress())
    show(report, str(report), as_json=options.as_json)
    broken = report.broken("must") + (report.broken("should") if strict else ())
    if broken:
        raise GateFailedError(f"{name} breaks {', '.join(broken)}")

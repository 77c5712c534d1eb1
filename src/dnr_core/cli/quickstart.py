"""Room: cli. `dnr quickstart`: the main job, with no key and no network."""

from __future__ import annotations

import click

from dnr_core.cli.options import CallOptions
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show


@dnr_command(
    examples="""dnr quickstart
dnr quickstart --fast
dnr quickstart --no-llm"""
)
@click.option("--fast", is_flag=True, help="Tiny companies, in seconds.")
@click.option("--no-llm", is_flag=True, help="Leave the messages out: rank on money and severity.")
@click.pass_obj
def command(options: CallOptions, fast: bool, no_llm: bool) -> None:
    """Make both companies and their reports, with no key and no network.

    Writes data/, comms/, meta/ and reports/ below the working folder. Open reports/index.html.
    """
    import dnr_core

    made = dnr_core.quickstart(
        fast=fast, no_llm=no_llm, context=options.context(), progress=options.progress()
    )
    show(made, str(made), as_json=options.as_json)

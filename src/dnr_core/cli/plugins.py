"""Room: cli. `dnr plugins`: what is installed, what each plugin brings, and what is wrong."""

from __future__ import annotations

import os
from textwrap import fill

import click

from dnr_core.cli.options import CallOptions, group
from dnr_core.cli.output import show

WIDTH = 100


@group(
    name="plugins",
    examples="""dnr plugins
dnr plugins --json
DNR_PLUGINS=neobank,llm_mock dnr plugins
dnr plugins check neobank
dnr plugins new airline --kind archetype""",
    lines={
        "check": "Hold everything that a plugin brings against the rules for authors.",
        "new": "Write a plugin that installs, keeps the rules and works as it is.",
    },
)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show what is installed, and what each plugin brings.

    A plugin that cannot be used is listed with its distribution, version and fault.
    """
    if ctx.invoked_subcommand is not None:
        return
    options: CallOptions = ctx.obj
    # No settings are needed to list what is installed, and reading them would cost half of the time.
    from dnr_core.catalogue import KIND_TITLES
    from dnr_core.plugins import chosen_plugins, load_plugins

    catalogue = load_plugins(only=chosen_plugins(os.environ), without=options.without)
    lines = []
    for plugin in catalogue.plugins:
        lines.append(f"{plugin.name} ({plugin.distribution} {plugin.version})")
        for kind, names in plugin.brings.items():
            title = f"{KIND_TITLES[kind]}{'s' if len(names) > 1 else ''}"
            wrapped = fill(
                ", ".join(names), WIDTH, initial_indent=f"  {title:<16}", subsequent_indent=" " * 18
            )
            lines.append(wrapped)
    text = "\n".join(lines)
    if catalogue.problems:
        text += "\n\nproblems\n" + "\n".join(f"  {problem}" for problem in catalogue.problems)
    if not catalogue.archetypes:
        text += "\n\nno archetype is installed: pip install 'dnr-core[all]' brings two, and the LLM providers"
    document = {
        "plugins": catalogue.plugins,
        "problems": catalogue.problems,
    }
    show(document, text, as_json=options.as_json)

"""Room: cli. `dnr export-benchmark`: a frozen set of companies for anyone's tool."""

from __future__ import annotations

from pathlib import Path

import click

from dnr_core.cli.options import CallOptions
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show


@dnr_command(
    examples="""dnr export-benchmark --out benchmark
dnr export-benchmark --out benchmark --archetype neobank --seeds 1 --scale tiny"""
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("benchmark"),
    show_default=True,
    help="Folder of the set.",
)
@click.option(
    "--archetype",
    "archetypes",
    multiple=True,
    metavar="NAME",
    help="Kinds of company (default: all that can be made).",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Companies of each kind.",
)
@click.option(
    "--scale", metavar="NAME|NUMBER", default="tiny", show_default=True, help="Size of each."
)
@click.option(
    "--quality", metavar="NAME", default="typical", show_default=True, help="Profile of defects."
)
@click.pass_obj
def command(
    options: CallOptions,
    out: Path,
    archetypes: tuple[str, ...],
    seeds: int,
    scale: str,
    quality: str,
) -> None:
    """Write companies whose defects are known: data in public/, truth apart, a data card.

    The same options and version give the same bytes; `dnr score` scores predictions against it.
    """
    import dnr_core

    folder = dnr_core.export_benchmark(
        out,
        archetypes=archetypes or None,
        seeds=seeds,
        scale=scale,
        quality=quality,
        context=options.context(),
        progress=options.progress(),
    )
    show(folder, str(folder), as_json=options.as_json)

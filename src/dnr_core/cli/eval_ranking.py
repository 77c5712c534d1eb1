"""Room: cli. `dnr eval-ranking`: does the report name the true top three, over many companies?"""

from __future__ import annotations

from pathlib import Path

import click

from dnr_core.cli.options import CallOptions, listed
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show_scores


@dnr_command(
    examples="""dnr eval-ranking --scenarios 20 --workers 2
dnr eval-ranking --archetype neobank --seeds 1-100 --workers 2 --strict
dnr eval-ranking --seeds 3,5,8 --json"""
)
@click.option("--archetype", "archetypes", multiple=True, metavar="NAME", help="Repeat for more.")
@click.option(
    "--scenarios",
    type=click.IntRange(min=1),
    help="So many scenarios of each, of the seeds from 1 on (default: 10).",
)
@click.option(
    "--seeds",
    default="",
    callback=listed,
    metavar="LIST",
    help="Seeds instead, such as 1-20 or 3,5,8.",
)
@click.option("--scale", default="0.05", show_default=True, help="Size of the companies.")
@click.option(
    "--talk",
    type=click.FloatRange(min=0, min_open=True),
    default=0.2,
    show_default=True,
    help="How much they talk, as a part of the usual.",
)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Folder of companies in the making (default: below reports/eval).",
)
@click.option("--keep", is_flag=True, help="Leave the made companies in the work folder.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the scores (default: reports/eval)."
)
@click.option("--strict", is_flag=True, help="Exit 1 where a gate failed.")
@click.pass_obj
def command(
    options: CallOptions,
    archetypes: tuple[str, ...],
    scenarios: int | None,
    seeds: tuple[str, ...],
    scale: str,
    talk: float,
    work: Path | None,
    keep: bool,
    workers: int,
    out: Path | None,
    strict: bool,
) -> None:
    """Score reports against the true ranking, over drawn companies whose problems differ.

    Each company is made, ranked from its data alone, compared with its truth and with what
    simpler rules would have named, and taken away. A run that was killed goes on where it stopped.
    """
    import dnr_core

    context = options.context()
    out = out or context.settings.paths.reports / "eval"
    scores = dnr_core.evaluate_ranking(
        archetypes or None,
        seeds=seeds or scenarios,
        scale=scale,
        talk=talk,
        work=work,
        keep=keep,
        workers=workers,
        out=out,
        context=context,
        progress=options.progress(),
    )
    summary = out / "ranking_summary.json"
    show_scores(scores, summary, strict=strict, as_json=options.as_json)

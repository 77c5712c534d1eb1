"""Room: cli. `dnr eval-health`: detected incidents against the truth, over many companies."""

from __future__ import annotations

from pathlib import Path

import click

from dnr_core.cli.options import CallOptions, listed
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show_scores


@dnr_command(
    examples="""dnr eval-health --archetype neobank --seeds 1-20 --scales 0.1 --profiles typical,clean
dnr eval-health --seeds 1-3 --workers 2 --strict --json
dnr eval-health --company data/neobank meta/neobank"""
)
@click.option("--archetype", "archetypes", multiple=True, metavar="NAME", help="Repeat for more.")
@click.option(
    "--seeds", default="", callback=listed, metavar="LIST", help="Seeds, such as 1-20 or 3,5,8."
)
@click.option(
    "--companies",
    type=click.IntRange(min=1),
    help="So many seeds from 1 on, instead of --seeds (default: 10, or none with --company).",
)
@click.option(
    "--scales", default="0.3", show_default=True, callback=listed, metavar="LIST", help="Sizes."
)
@click.option(
    "--profiles",
    default="typical,clean",
    show_default=True,
    callback=listed,
    metavar="LIST",
    help="Defect profiles.",
)
@click.option("--trajectory", default="T1", show_default=True, help="Shape of the volumes.")
@click.option("--months", type=click.IntRange(min=1), default=18, show_default=True)
@click.option(
    "--company",
    "given",
    nargs=2,
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DATA META",
    help="A company that is there: its warehouse and its truth.",
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
    seeds: tuple[str, ...],
    companies: int | None,
    scales: tuple[str, ...],
    profiles: tuple[str, ...],
    trajectory: str,
    months: int,
    given: tuple[tuple[Path, Path], ...],
    work: Path | None,
    keep: bool,
    workers: int,
    out: Path | None,
    strict: bool,
) -> None:
    """Score detected incidents against the truth, over seeds, sizes and profiles.

    Companies are made, measured from their warehouses alone, compared, and taken away. A run that
    was killed goes on where it stopped.
    """
    import dnr_core

    context = options.context()
    out = out or context.settings.paths.reports / "eval"
    scores = dnr_core.evaluate_health(
        archetypes or None,
        seeds=seeds or companies,
        scales=scales,
        profiles=profiles,
        trajectory=trajectory,
        months=months,
        given=given,
        work=work,
        keep=keep,
        workers=workers,
        out=out,
        context=context,
        progress=options.progress(),
    )
    summary = out / "health_summary.json"
    show_scores(scores, summary, strict=strict, as_json=options.as_json)

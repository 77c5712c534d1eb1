"""Room: cli. `dnr gen-warehouse`: a synthetic company's tables, with defects and their ledger."""

from __future__ import annotations

from pathlib import Path

import click

from dnr_core.cli.options import CallOptions
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show


@dnr_command(
    examples="""dnr gen-warehouse --archetype neobank
dnr gen-warehouse --archetype marketplace --scale tiny --quality severe --seed 7
dnr gen-warehouse --archetype neobank --quality profile.yaml
dnr gen-warehouse --archetype neobank --scale 25 --workers 2 --out big/neobank
dnr gen-warehouse --archetype neobank --scale 25 --engine spark --master 'local[2]'"""
)
@click.option("--archetype", required=True, metavar="NAME", help="Which kind of company.")
@click.option("--scale", metavar="SCALE", help="tiny, evaluation, or a factor of its volumes.")
@click.option(
    "--quality",
    metavar="PROFILE",
    help="Defect profile: typical, clean, severe, a plugin's, or a YAML FILE of yours.",
)
@click.option("--trajectory", metavar="T1..T4", help="Steady, growth, decline, shock.")
@click.option("--months", type=int, help="Local months of history.")
@click.option("--snapshot-days", type=int, help="Local days that snapshots keep.")
@click.option(
    "--as-of", metavar="INSTANT", help="Where history ends, such as 2025-07-01T07:00:00Z."
)
@click.option("--workers", type=int, help="Threads; 0 means one a core.")
@click.option(
    "--engine", metavar="ENGINE", help="local (threads) or spark (needs dnr-core[spark] and Java)."
)
@click.option(
    "--master", metavar="MASTER", help="Spark's master, such as local[2] or spark://h:7077."
)
@click.option("--duckdb", is_flag=True, help="Also write a DuckDB file with the tables.")
@click.option("--dry-run", is_flag=True, help="Write empty tables with their types, nothing else.")
@click.option(
    "--out", metavar="FOLDER", help="Folder of the tables, or a URI: s3://bucket/neobank."
)
@click.option("--meta", type=click.Path(path_type=Path), help="Folder of the truth, apart.")
@click.pass_obj
def command(
    options: CallOptions,
    archetype: str,
    scale: str | None,
    quality: str | None,
    trajectory: str | None,
    months: int | None,
    snapshot_days: int | None,
    as_of: str | None,
    workers: int | None,
    engine: str | None,
    master: str | None,
    duckdb: bool,
    dry_run: bool,
    out: str | None,
    meta: Path | None,
) -> None:
    """Make a synthetic company's warehouse, with defects and their ledger.

    The same settings give the same bytes. A run that was stopped goes on when run again.
    """
    import dnr_core

    made = dnr_core.generate_warehouse(
        archetype,
        out=out,
        meta=meta,
        scale=scale,
        quality=quality,
        trajectory=trajectory,
        months=months,
        seed=options.seed,
        snapshot_days=snapshot_days,
        as_of=as_of,
        workers=workers,
        engine=engine,
        master=master,
        duckdb=duckdb,
        dry_run=dry_run,
        context=options.context(),
        progress=options.progress(),
    )
    show(made, str(made), as_json=options.as_json)

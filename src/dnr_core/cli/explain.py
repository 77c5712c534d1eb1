"""Room: cli. `dnr explain`: the SQL behind a figure."""

from __future__ import annotations

import click

from dnr_core.cli.options import CallOptions
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show


@dnr_command(
    examples="""dnr explain fact_payment key_null --warehouse data/marketplace
dnr explain flights fk_missing --column tailnum --warehouse duckdb:///flights.duckdb --archetype flights.yaml
dnr explain fact_order duplicate --warehouse data/marketplace --day 2025-06-03"""
)
@click.argument("table")
@click.argument("metric")
@click.option(
    "--warehouse", metavar="DIR|URL", required=True, help="Folder of Parquet, or a URL of Ibis."
)
@click.option("--archetype", metavar="NAME|FILE.yaml", help="What the warehouse is.")
@click.option("--column", default="", help="A column, or a key's columns joined by commas.")
@click.option("--day", metavar="YYYY-MM-DD", help="One local day; without it the whole history.")
@click.pass_obj
def command(
    options: CallOptions,
    table: str,
    metric: str,
    warehouse: str,
    archetype: str | None,
    column: str,
    day: str | None,
) -> None:
    """Show the SQL behind a figure, ready to paste, and keys of some affected rows."""
    import dnr_core

    proof = dnr_core.explain(
        warehouse,
        table,
        metric,
        column=column,
        day=day,
        archetype=archetype,
        context=options.context(),
    )
    show(proof, str(proof), as_json=options.as_json)

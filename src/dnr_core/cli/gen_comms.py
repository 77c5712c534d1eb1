"""Room: cli. `dnr gen-comms`: a synthetic company's messages."""

from __future__ import annotations

from pathlib import Path

import click

from dnr_core.cli.options import CallOptions, price_option
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show


@dnr_command(
    examples="""dnr gen-comms --warehouse data/neobank
dnr gen-comms --archetype neobank --slack 300 --email 80 --nlq 100
dnr gen-comms --archetype marketplace --style terse --seed 7
dnr gen-comms --warehouse data/neobank --provider openai --api-cap-usd 2"""
)
@click.option("--archetype", metavar="NAME", help="Which company; its warehouse is in data/NAME.")
@click.option("--warehouse", type=click.Path(path_type=Path), help="Folder of its warehouse.")
@click.option("--slack", type=click.IntRange(min=0), help="Slack threads.")
@click.option("--email", type=click.IntRange(min=0), help="Emails.")
@click.option("--nlq", type=click.IntRange(min=0), help="Questions in plain language.")
@click.option("--style", metavar="NAME", help="Style of writing.")
@click.option("--provider", metavar="NAME", help="Who writes; mock needs no key.")
@click.option("--model", metavar="NAME", help="Model of the provider.")
@click.option("--api-cap-usd", type=float, help="Most that may be spent.")
@price_option
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the messages.")
@click.option("--meta", type=click.Path(path_type=Path), help="Folder of the labels, apart.")
@click.pass_obj
def command(
    options: CallOptions,
    archetype: str | None,
    warehouse: Path | None,
    slack: int | None,
    email: int | None,
    nlq: int | None,
    style: str | None,
    provider: str | None,
    model: str | None,
    api_cap_usd: float | None,
    price: tuple[float, float] | None,
    out: Path | None,
    meta: Path | None,
) -> None:
    """Make a synthetic company's messages, in part caused by its incidents."""
    import dnr_core

    context = options.context()
    if warehouse is None:
        if archetype is None:
            raise click.UsageError("give --archetype NAME or --warehouse DIR")
        warehouse = context.settings.paths.data / context.catalogue.archetype(archetype).name
    made = dnr_core.generate_comms(
        warehouse,
        out=out,
        meta=meta,
        slack=slack,
        email=email,
        nlq=nlq,
        style=style,
        provider=provider,
        model=model,
        seed=options.seed,
        api_cap_usd=api_cap_usd,
        price_usd_per_million=price,
        context=context,
        progress=options.progress(),
    )
    show(made, str(made), as_json=options.as_json)

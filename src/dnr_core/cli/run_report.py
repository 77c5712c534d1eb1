"""Room: cli. `dnr run-report`: a company's data problems, ranked on one page."""

from __future__ import annotations

from pathlib import Path

import click

from dnr_core.cli.options import CallOptions, price_option
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show


def _window(
    _ctx: click.Context, _parameter: click.Parameter, value: str | None
) -> int | str | None:
    if value is None or value == "all":
        return value
    days = value.removesuffix("d")
    if not days.isdigit() or int(days) < 1:
        raise click.BadParameter(f"{value!r} is not a number of days such as 30d, or all")
    return int(days)


@dnr_command(
    examples="""dnr run-report --warehouse data/neobank --comms comms/neobank
dnr run-report --warehouse duckdb:///flights.duckdb --archetype flights.yaml
dnr run-report --warehouse duckdb:///flights.duckdb --archetype flights.yaml --slack export.zip
dnr run-report --warehouse data/neobank --window all --no-llm
dnr run-report --warehouse data/neobank --as-of 2025-06-01 --out reports/may --no-llm
dnr run-report --warehouse data/neobank --compare-to reports/may --no-llm
dnr run-report --warehouse data/neobank --comms comms/neobank --provider openai --api-cap-usd 0.5 --strict"""
)
@click.option("--warehouse", metavar="DIR|URL", help="Folder of Parquet, or a URL of Ibis.")
@click.option("--comms", type=click.Path(path_type=Path), help="Folder of messages.")
@click.option("--slack", type=click.Path(path_type=Path), help="Slack export to import first.")
@click.option("--mail", type=click.Path(path_type=Path), help="Mailbox to import first.")
@click.option("--nlq", type=click.Path(path_type=Path), help="Log of questions to import first.")
@click.option(
    "--archetype",
    metavar="NAME|FILE.yaml",
    help="What the warehouse is (not asked where it says so).",
)
@click.option(
    "--window", callback=_window, metavar="30d|all", help="Local days that the page looks at."
)
@click.option("--as-of", metavar="INSTANT", help="What counts as now.")
@click.option("--provider", metavar="NAME", help="Who classifies; mock needs no key.")
@click.option("--model", metavar="NAME", help="Model of the provider.")
@click.option("--api-cap-usd", type=float, help="Most that classification may spend.")
@price_option
@click.option(
    "--batch",
    is_flag=True,
    default=None,
    help="Ask by jobs, themes and then names: half the price, up to a day each.",
)
@click.option("--scorer", metavar="NAME", help="How needs are weighed.")
@click.option("--no-llm", is_flag=True, help="Leave the messages out.")
@click.option(
    "--compare-to",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Earlier report of the same company: what is new, better, worse and solved.",
)
@click.option("--strict", is_flag=True, help="Exit 1 where coverage or budget fell short.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report.")
@click.pass_obj
def command(
    options: CallOptions,
    warehouse: str | None,
    comms: Path | None,
    slack: Path | None,
    mail: Path | None,
    nlq: Path | None,
    archetype: str | None,
    window: int | str | None,
    as_of: str | None,
    provider: str | None,
    model: str | None,
    api_cap_usd: float | None,
    price: tuple[float, float] | None,
    batch: bool | None,
    scorer: str | None,
    no_llm: bool,
    compare_to: Path | None,
    strict: bool,
    out: Path | None,
) -> None:
    """Rank the data problems of a company on one page.

    The warehouse is read, never written. Without --comms the ranking stands on money and severity.
    """
    import dnr_core
    from dnr_core.api.look import resolve_archetype
    from dnr_core.errors import GateFailedError

    context = options.context()
    kind = resolve_archetype(archetype, warehouse, context)
    out = out or context.settings.paths.reports / kind.name
    report = dnr_core.run_report(
        warehouse,
        comms=comms,
        slack=slack,
        mail=mail,
        nlq=nlq,
        archetype=kind,
        out=out,
        window_days=window,
        as_of=as_of,
        provider=provider,
        model=model,
        api_cap_usd=api_cap_usd,
        price_usd_per_million=price,
        batch=batch,
        scorer=scorer,
        no_llm=no_llm,
        compare_to=compare_to,
        context=context,
        progress=options.progress(),
    )
    show(
        report,
        f"{report}\n\nopen {out / 'report.html'} in a browser",
        as_json=options.as_json,
    )
    if strict and report.shortfalls:
        raise GateFailedError(
            "; ".join(report.shortfalls), hint="raise --api-cap-usd, or run without --strict"
        )

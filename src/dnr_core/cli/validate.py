"""Room: cli. `dnr validate`: is a made company what it was asked to be?"""

from __future__ import annotations

from pathlib import Path

import click

from dnr_core.cli.options import CallOptions
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show


@dnr_command(
    examples="""dnr validate --warehouse data/neobank --comms comms/neobank
dnr validate --warehouse data/neobank --comms comms/neobank --meta meta/neobank --reports reports/neobank --strict"""
)
@click.option(
    "--warehouse", type=click.Path(path_type=Path), required=True, help="Folder of the tables."
)
@click.option("--comms", type=click.Path(path_type=Path), help="Folder of the messages.")
@click.option(
    "--meta",
    type=click.Path(path_type=Path),
    help="Folder of the truth (default: below paths.meta, where it exists).",
)
@click.option("--reports", type=click.Path(path_type=Path), help="Folder of the report.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for qc_summary.json and qc_checks.csv."
)
@click.option("--strict", is_flag=True, help="Exit 1 where a check failed.")
@click.pass_obj
def command(
    options: CallOptions,
    warehouse: Path,
    comms: Path | None,
    meta: Path | None,
    reports: Path | None,
    out: Path | None,
    strict: bool,
) -> None:
    """Check that a made company is what it was asked to be.

    A breached SLO is a finding of the report, never a failure of validation.
    """
    import dnr_core
    from dnr_core.errors import GateFailedError
    from dnr_core.workspace import read_manifest

    context = options.context()
    paths, name = context.settings.paths, read_manifest(warehouse).archetype
    if meta is None and (paths.meta / name).is_dir():
        meta = paths.meta / name
    out = out or paths.reports / name / "qc"
    summary = dnr_core.validate(
        warehouse,
        comms=comms,
        meta=meta,
        reports=reports,
        out=out,
        context=context,
        progress=options.progress(),
    )
    show(summary, str(summary), as_json=options.as_json)
    if strict and not summary.passed:
        raise GateFailedError(
            f"checks failed: {', '.join(summary.failed)}",
            hint=f"{out / 'qc_checks.csv'} says where to look",
        )

"""Room: cli. `dnr import-comms`: real messages into tables."""

from __future__ import annotations

from pathlib import Path

import click

from dnr_core.cli.options import CallOptions
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show


def _pairs(
    _ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    found = {}
    for value in values:
        name, equals, meaning = value.partition("=")
        if not equals or not name or not meaning:
            raise click.BadParameter(f"{value!r} is not NAME=VALUE")
        found[name] = meaning
    return found


@dnr_command(
    examples="""dnr import-comms --slack export.zip --out comms/mine
dnr import-comms --mail archive.mbox --nlq questions.csv --nlq-column query_text=question --out comms/mine
dnr import-comms --slack export/ --channel data-help=analytics --roles people.csv --out comms/mine"""
)
@click.option("--slack", type=click.Path(path_type=Path), help="Slack export, zip or folder.")
@click.option(
    "--mail", type=click.Path(path_type=Path), help="mbox, Maildir, or folder of .eml files."
)
@click.option(
    "--nlq", type=click.Path(path_type=Path), help="Log of questions: CSV, JSONL or Parquet."
)
@click.option(
    "--nlq-column",
    "nlq_columns",
    multiple=True,
    callback=_pairs,
    metavar="OURS=THEIRS",
    help="Which column of the log is which.",
)
@click.option(
    "--channel",
    "channels",
    multiple=True,
    callback=_pairs,
    metavar="NAME=BUCKET",
    help="Bucket of a channel or mailing list: platform, analytics, domain.",
)
@click.option(
    "--roles", type=click.Path(path_type=Path), help="CSV or JSON that says who has which role."
)
@click.option("--include-dms", is_flag=True, help="Read direct messages too.")
@click.option("--keep-names", is_flag=True, help="Keep people's ids instead of pseudonyms.")
@click.option(
    "--key-file", type=click.Path(path_type=Path), help="Key of the pseudonyms; it stays with you."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the messages (default: comms/imported).",
)
@click.pass_obj
def command(
    options: CallOptions,
    slack: Path | None,
    mail: Path | None,
    nlq: Path | None,
    nlq_columns: dict[str, str],
    channels: dict[str, str],
    roles: Path | None,
    include_dms: bool,
    keep_names: bool,
    key_file: Path | None,
    out: Path | None,
) -> None:
    """Read a Slack export, mailboxes and query logs, in place.

    People become keyed hashes; texts lose what looks like an address, phone, card or account
    number. What could not be read is counted and listed.
    """
    import dnr_core

    made = dnr_core.import_comms(
        out or options.context().settings.paths.comms / "imported",
        slack=slack,
        mail=mail,
        nlq=nlq,
        include_dms=include_dms,
        roles=roles,
        channels=channels or None,
        nlq_columns=nlq_columns or None,
        pseudonymise=not keep_names,
        key_file=key_file,
        progress=options.progress(),
    )
    show(made, str(made), as_json=options.as_json)

"""Room: cli. `dnr score`: anyone's predictions against a frozen benchmark."""

from __future__ import annotations

from pathlib import Path

import click

from dnr_core.cli.options import CallOptions
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show


@dnr_command(
    examples="""dnr score predictions --benchmark benchmark
dnr score defects.csv --benchmark benchmark --json"""
)
@click.argument("predictions", type=click.Path(path_type=Path))
@click.option(
    "--benchmark",
    type=click.Path(path_type=Path),
    default=Path("benchmark"),
    show_default=True,
    help="Folder that export-benchmark wrote.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE.json", help="Write the scores there."
)
@click.pass_obj
def command(options: CallOptions, predictions: Path, benchmark: Path, out: Path | None) -> None:
    """Score PREDICTIONS: a folder with defects, labels or ranking as CSV or Parquet, or one of them.

    What each file holds is in the benchmark's README.md.
    """
    import dnr_core
    from dnr_core.workspace import write_json

    scores = dnr_core.score(predictions, benchmark)
    if out is not None:
        write_json(out, scores.as_dict())
    show(scores, str(scores), as_json=options.as_json)

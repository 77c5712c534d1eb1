"""Room: cli. `dnr eval-labels`: predictions against the true labels."""

from __future__ import annotations

from pathlib import Path

import click

from dnr_core.cli.options import CallOptions
from dnr_core.cli.options import command as dnr_command
from dnr_core.cli.output import show_scores


@dnr_command(
    examples="""dnr eval-labels --pred reports/neobank --labels meta/neobank
dnr eval-labels --pred reports/neobank --labels meta/neobank --strict --json"""
)
@click.option(
    "--pred", type=click.Path(path_type=Path), required=True, help="Folder of the report."
)
@click.option(
    "--labels", type=click.Path(path_type=Path), required=True, help="Folder of the truth."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the scores (default: reports/eval)."
)
@click.option("--strict", is_flag=True, help="Exit 1 where a gate failed.")
@click.pass_obj
def command(options: CallOptions, pred: Path, labels: Path, out: Path | None, strict: bool) -> None:
    """Score predictions against the true labels, with intervals and gates."""
    import dnr_core

    context = options.context()
    out = out or context.settings.paths.reports / "eval"
    scores = dnr_core.evaluate_labels(pred, labels, out=out, context=context)
    summary = out / "eval_summary.json"
    show_scores(scores, summary, strict=strict, as_json=options.as_json)

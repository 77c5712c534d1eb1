"""Room: api. Calls that judge a made company by the truth: checks and scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dnr_core.api.context import Context, open_context, optional_path
from dnr_core.model import load
from dnr_core.progress import Progress, Silent

if TYPE_CHECKING:
    from dnr_core.checks import QcSummary
    from dnr_core.evaluation import LabelScores


def validate(
    warehouse: Path | str,
    *,
    comms: Path | str | None = None,
    meta: Path | str | None = None,
    reports: Path | str | None = None,
    out: Path | str | None = None,
    context: Context | None = None,
    progress: Progress | None = None,
) -> QcSummary:
    """Check that a made company is what it was asked to be.

    Args:
        warehouse: folder that `generate_warehouse` made.
        comms, meta, reports: the company's other folders; checks that need one are left out
            where it is not given.
        out: folder for `qc_summary.json` and `qc_checks.csv`; None writes nothing.
        context: plugins and settings; None opens them.
        progress: what to report to.
    """
    from dnr_core import checks

    context = context or open_context()
    return checks.validate(
        Path(warehouse),
        comms=optional_path(comms),
        meta=optional_path(meta),
        reports=optional_path(reports),
        out=optional_path(out),
        settings=context.settings,
        catalogue=context.catalogue,
        progress=progress or Silent(),
    )


def evaluate_labels(
    predictions: Path | str,
    labels: Path | str,
    *,
    out: Path | str | None = None,
    context: Context | None = None,
) -> LabelScores:
    """Score a report's predictions against the true labels, joined by id.

    Args:
        predictions: a report's folder.
        labels: the company's `meta` folder.
        out: folder for the scores; None writes nothing.
        context: plugins and settings; None opens them.
    """
    from dnr_core import evaluation

    context = context or open_context()
    provider = context.catalogue.providers.get(context.settings.classification.provider)
    return evaluation.evaluate_labels(
        Path(predictions),
        Path(labels),
        context.settings,
        out=optional_path(out),
        golden=load(provider.measured)() if provider and provider.measured else None,
    )

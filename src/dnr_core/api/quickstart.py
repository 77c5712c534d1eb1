"""Room: api. The main job in one call: made companies, from nothing to their reports."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from dnr_core.api.answer import run_report
from dnr_core.api.context import Context, open_context
from dnr_core.api.make import generate_comms, generate_warehouse, installed_archetypes
from dnr_core.progress import Progress, Silent

if TYPE_CHECKING:
    from dnr_core.report import Report


@frozen
class Quickstart:
    """What a quickstart made: the index page, and each company's report by archetype."""

    index: Path
    reports: dict[str, Report]

    def as_dict(self) -> dict[str, Any]:
        """Return the index page and each report as plain values."""
        return {
            "index": str(self.index),
            "reports": {name: report.as_dict() for name, report in self.reports.items()},
        }

    def __str__(self) -> str:
        parts = [f"{name}\n{report}" for name, report in self.reports.items()]
        return "\n\n".join([*parts, f"open {self.index} in a browser"])

    def _repr_html_(self) -> str:
        return "".join(
            f"<h2>{html.escape(name)}</h2>{report._repr_html_()}"
            for name, report in self.reports.items()
        )


def quickstart(
    *,
    fast: bool = False,
    no_llm: bool = False,
    context: Context | None = None,
    progress: Progress | None = None,
) -> Quickstart:
    """Make every installed company end to end, with no key and no network.

    Args:
        fast: make them `tiny`, in seconds, with a tenth of the messages.
        no_llm: leave the messages out; the ranking stands on money and severity.
        context: plugins and settings; None opens them. `paths` says where the folders go.
        progress: what to report to.

    Raises:
        UnknownNameError: no archetype is installed.
    """
    context = context or open_context()
    progress = progress or Silent()
    if fast:
        asked = context.settings.comms
        context = context.with_flags(
            {
                "warehouse.scale": "tiny",
                "comms.slack_threads": asked.slack_threads // 10,
                "comms.emails": asked.emails // 10,
                "comms.nlq": asked.nlq // 10,
            }
        )
    paths = context.settings.paths
    reports: dict[str, Report] = {}
    for name in installed_archetypes(context):
        made = generate_warehouse(name, context=context, progress=progress)
        comms = None
        if not no_llm:
            comms = generate_comms(made.path, context=context, progress=progress).path
        reports[name] = run_report(
            made.path,
            comms=comms,
            out=paths.reports / name,
            no_llm=no_llm,
            context=context,
            progress=progress,
        )
    return Quickstart(paths.reports / "index.html", reports)

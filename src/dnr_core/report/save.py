"""Room: report. All files of a report, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from dnr_core.config.visible import visible
from dnr_core.report import json_, markdown
from dnr_core.report.assemble import Report
from dnr_core.report.chart import Drawings
from dnr_core.report.charts import all_charts
from dnr_core.report.html import page
from dnr_core.workspace import (
    MANIFEST,
    Manifest,
    claim,
    held,
    publish,
    sha256_of,
    staging,
    write_bytes,
    write_json,
    write_text,
)

KIND = "report"


@lru_cache(maxsize=1)
def version() -> str:
    """Return the version of dnr."""
    from importlib.metadata import version as installed

    return installed("dnr-core")


def save(report: Report, folder: Path, *, plugins: Mapping[str, str]) -> Path:
    """Write the report; see `Report.save`."""
    with held(folder):
        claim(folder, KIND, beside=("qc",))
        stage = staging(folder)
        _clear(stage)
        document = report.document
        drawings = Drawings()
        figures = _figures(document, drawings, stage)
        write_json(stage / "report.json", document)
        write_json(stage / "exec_summary.json", json_.exec_summary(document, figures))
        write_text(stage / "exec_summary.md", visible(markdown.summary(document)))
        write_json(stage / "themes.json", json_.themes(document))
        write_text(stage / "themes.md", visible(markdown.themes_summary(document)))
        write_json(stage / "budget.json", json_.budget(document))
        write_text(stage / "report.html", page(document, drawings))
        _health(report, stage)
        _talk(report, stage)
        files = {
            path.relative_to(stage).as_posix(): sha256_of(path)
            for path in sorted(stage.rglob("*"))
            if path.is_file()
        }
        publish(folder, _manifest(report, files, plugins))
    return folder


def _clear(stage: Path) -> None:
    """Drop what a killed run left: a report is made in seconds, and must not mix two runs."""
    import shutil

    shutil.rmtree(stage)
    stage.mkdir()


def _figures(document: Mapping[str, Any], drawings: Drawings, stage: Path) -> list[dict[str, str]]:
    listed = []
    for chart in all_charts(document).files():
        for suffix, content in (("png", drawings.png(chart)), ("svg", drawings.svg(chart))):
            path = f"figures/{chart.name}.{suffix}"
            listed.append(
                {"path": path, "title": chart.title, "sha256": write_bytes(stage / path, content)}
            )
    return listed


def _health(report: Report, stage: Path) -> None:
    if report.health is None:
        skipped = {
            "format": "dnr-data-health",
            "version": 1,
            "status": "skipped",
            "reason": "no warehouse was read",
        }
        write_json(stage / "data_health.json", skipped)
        write_text(stage / "data_health.csv", "")
        return
    from dnr_core.health import data_health_csv, data_health_document

    write_json(stage / "data_health.json", data_health_document(report.health))
    write_text(stage / "data_health.csv", data_health_csv(report.health))


def _talk(report: Report, stage: Path) -> None:
    if report.demand is None:
        return
    from dnr_core.demand import write_predictions

    write_predictions(report.demand, stage)


def _manifest(report: Report, files: Mapping[str, str], plugins: Mapping[str, str]) -> Manifest:
    from attrs import asdict

    extra: dict[str, Any] = {
        "synthetic": bool(report.document["place"]["synthetic"]),
        "manifest": MANIFEST,
    }
    if report.demand is not None:
        from dnr_core.demand import prompt_hashes

        extra["prompts"] = prompt_hashes()
    return Manifest(
        kind=KIND,
        version=version(),
        settings={"report": _plain(asdict(report.settings.report))},
        files=files,
        archetype=report.archetype.name,
        seed=report.settings.report.seed,
        plugins=dict(plugins),
        extra=extra,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value

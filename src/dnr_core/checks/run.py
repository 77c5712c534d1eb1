"""Room: checks. Open a made company's folders, run every check that applies, write what they say."""

from __future__ import annotations

import csv
import html
import io
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, frozen

from dnr_core.checks.files import opened
from dnr_core.errors import DnrError, InputError, let_through
from dnr_core.model import Check, CheckContext, CheckResult, load
from dnr_core.progress import Progress, Silent
from dnr_core.warehouse import company_of, recorded_profile
from dnr_core.workspace import Manifest, dump_json, read_manifest, write_text

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue
    from dnr_core.config import Settings

FORMAT: Final = 1
_SIGNS: Final = {"passed": "ok  ", "failed": "FAIL", "skipped": "-   "}


@frozen
class QcSummary:
    """Outcomes of all checks, in the order in which they ran."""

    archetype: str
    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        """True where no check failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that failed."""
        return tuple(dict.fromkeys(r.name for r in self.results if r.status == "failed"))

    def as_dict(self) -> dict[str, Any]:
        """Return what `qc_summary.json` holds."""
        counted = Counter(result.status for result in self.results)
        return {
            "format": FORMAT,
            "archetype": self.archetype,
            "passed": self.passed,
            "counts": {status: counted[status] for status in ("passed", "failed", "skipped")},
            "checks": [asdict(result) for result in self.results],
        }

    def __str__(self) -> str:
        lines = []
        for result in self.results:
            line = f"{_SIGNS[result.status]} {result.name}: {result.measured}"
            if result.status == "failed":
                line += f"\n     expected {result.expected}; look at {result.where_to_look}"
            lines.append(line)
        counts = self.as_dict()["counts"]
        told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        return "\n".join([*lines, "", f"{self.archetype}: {told or 'no checks'}"])

    def _repr_html_(self) -> str:
        head = "".join(
            f"<th>{name}</th>" for name in ("check", "status", "measured", "expected", "where")
        )
        rows = "".join(
            "<tr>"
            + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in asdict(result).values())
            + "</tr>"
            for result in self.results
        )
        return f"<table><tr>{head}</tr>{rows}</table>"


def validate(
    warehouse: Path,
    *,
    catalogue: Catalogue,
    settings: Settings,
    comms: Path | None = None,
    meta: Path | None = None,
    reports: Path | None = None,
    out: Path | None = None,
    progress: Progress | None = None,
) -> QcSummary:
    """Run every check of every plugin that applies to this company.

    A check whose folder was not given is left out. A check that itself fails to run counts as
    failed, with its fault as what it measured.

    Args:
        warehouse, comms, meta, reports: the company's folders, each finished.
        catalogue: the plugins whose checks run.
        settings: what checks compare with (caps, gates, SLOs).
        out: folder for `qc_summary.json` and `qc_checks.csv`; None writes nothing.
        progress: what to report to.

    Raises:
        InputError: a folder is missing, unfinished, or belongs to another company.
    """
    progress = progress or Silent()
    folders = {"warehouse": warehouse, "comms": comms, "meta": meta, "reports": reports}
    manifests = _manifests(folders)
    name = manifests["warehouse"].archetype
    archetype = catalogue.archetype(name)
    chosen = [
        check
        for check in catalogue.checks.values()
        if (not check.archetypes or name in check.archetypes)
        and all(folders[folder] is not None for folder in check.needs)
    ]
    with opened(archetype.schema, folders, manifests) as sql:
        context = CheckContext(
            archetype=archetype,
            catalogue=catalogue,
            company=company_of(manifests["warehouse"]),
            profile=recorded_profile(manifests["warehouse"], catalogue),
            settings=settings,
            warehouse=warehouse,
            comms=comms,
            meta=meta,
            reports=reports,
            sql=sql,
            manifests=manifests,
        )
        task = f"validate {name}"
        progress.start(task, len(chosen), "checks")
        results: list[CheckResult] = []
        for check in chosen:
            results += _run(check, context)
            progress.advance(task)
        progress.done(task)
    summary = QcSummary(name, tuple(results))
    if out is not None:
        write_text(out / "qc_checks.csv", _as_csv(summary.results))
        write_text(out / "qc_summary.json", dump_json(summary.as_dict()))
    return summary


def _manifests(folders: dict[str, Path | None]) -> dict[str, Manifest]:
    manifests = {
        name: read_manifest(folder) for name, folder in folders.items() if folder is not None
    }
    owner = manifests["warehouse"].archetype
    for name, manifest in manifests.items():
        if manifest.archetype and manifest.archetype != owner:
            raise InputError(
                f"{folders[name]} belongs to {manifest.archetype!r}, the warehouse to {owner!r}",
                hint="give the folders of one company",
            )
    return manifests


def _run(check: Check, context: CheckContext) -> list[CheckResult]:
    try:
        run = load(check.run)
        found: Iterable[CheckResult] = run(context) if callable(run) else ()
        return list(found)
    except DnrError as error:
        fault = str(let_through(error))
    except Exception as error:  # noqa: BLE001 - a plugin's check may raise anything; the others go on
        first = str(let_through(error)).splitlines()[:1]
        fault = f"{type(error).__name__}: {first[0] if first else ''}"
    return [
        CheckResult(
            check.name,
            "failed",
            f"the check could not run: {fault}",
            check.title,
            "the check's own code or the files it reads",
        )
    ]


def _as_csv(results: Iterable[CheckResult]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", "status", "measured", "expected", "where_to_look"))
    writer.writerows(asdict(result).values() for result in results)
    return text.getvalue()

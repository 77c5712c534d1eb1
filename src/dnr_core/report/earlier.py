"""Room: report. An earlier report of the same company, read back for comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from dnr_core.errors import InputError
from dnr_core.workspace import read_manifest

FORMAT: Final = "dnr-report"
READS_UP_TO: Final = 1
"""Newest version of report.json that can be read."""
AGAIN: Final = "run `dnr run-report` for that day again, into a folder of its own"


@frozen
class Figure:
    """One metric of one table over the earlier window. `value` is percent, or minutes for lag."""

    rows: float
    of_rows: float
    value: float | None


@frozen
class Earlier:
    """What an earlier report said. `needs` are its needs by id, as `report.json` has them.

    `figures` holds whole-table figures of its window by table and metric; it is empty where no
    warehouse was read. `as_of` is in UTC.
    """

    folder: Path
    archetype: str
    as_of: datetime
    window_text: str
    window: tuple[date, date] | None
    currency: str
    needs: Mapping[str, Mapping[str, Any]]
    needs_left_out: int
    figures: Mapping[tuple[str, str], Figure]
    limits: Mapping[tuple[str, str], float]
    asked: bool
    """True where messages were read."""

    @property
    def measured(self) -> bool:
        """True where a warehouse was read."""
        return self.window is not None


def read_earlier(folder: Path, archetype: str) -> Earlier:
    """Read the report in `folder`, which must be of the company `archetype`.

    Raises:
        InputError: there is no finished report, it is of another company, it is damaged, or a
            newer dnr wrote it.
    """
    manifest = read_manifest(folder)
    if manifest.kind != "report":
        raise InputError(
            f"{folder} holds a {manifest.kind}, not a report",
            hint="give --compare-to the folder that an earlier `dnr run-report` wrote",
        )
    if manifest.archetype != archetype:
        raise InputError(
            f"{folder} is a report of {manifest.archetype!r}, and this one is of {archetype!r}",
            hint="compare reports of the same company",
        )
    document = _json(folder / "report.json")
    if document.get("format") != FORMAT or not isinstance(document.get("version"), int):
        raise InputError(f"{folder / 'report.json'} is no report of dnr", hint=AGAIN)
    if document["version"] > READS_UP_TO:
        raise InputError(
            f"{folder} was written by a newer dnr (report version {document['version']}; "
            f"this one reads up to {READS_UP_TO})",
            hint="update dnr, or make the earlier report again with this version",
        )
    try:
        return _earlier(folder, archetype, document, _json(folder / "data_health.json"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{folder} cannot be compared with: its files lack {error}", hint=AGAIN
        ) from None


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path}: {error}", hint=AGAIN) from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is no file of a report", hint=AGAIN)
    return content


def _earlier(
    folder: Path, archetype: str, document: dict[str, Any], health: dict[str, Any]
) -> Earlier:
    time = document["time"]
    as_of = datetime.fromisoformat(time["as_of"])
    window = None
    if "window_start" in time:
        window = (date.fromisoformat(time["window_start"]), date.fromisoformat(time["window_end"]))
    figures = {
        (row["table"], row["metric"]): Figure(
            float(row["numerator"] or 0), float(row["denominator"] or 0), row["value"]
        )
        for row in health.get("figures", ())
        if row["scope"] == "window" and not row["column"]
    }
    limits = {
        (row["table"], row["kind"]): float(row["slo"])
        for row in health.get("slos", ())
        if not row["column"]
    }
    return Earlier(
        folder,
        archetype,
        as_of if as_of.tzinfo else as_of.replace(tzinfo=UTC),
        str(document["place"]["window"]),
        window,
        str(document["place"]["currency"]),
        {str(need["id"]): need for need in document["needs"]},
        int(document["needs_left_out"]),
        figures,
        limits,
        document["themes"]["status"] != "skipped",
    )

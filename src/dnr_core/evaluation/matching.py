"""Room: evaluation. Detected incidents held against the planned ones of a made company.

A planned incident is found where a detected one of its kind, table and column shares a local day
with it (a gap: a moment). Detected ones that share none with any planned incident are false.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from attrs import frozen

from dnr_core.catalogue import Catalogue
from dnr_core.model import DefectKind, DetectedIncident, Incident

Group = Literal["spike", "gap", "surge"]
GROUPS: Final[dict[str, Group]] = {
    "null_spike": "spike",
    "orphan_spike": "spike",
    "duplicate_spike": "spike",
    "volume_drop": "gap",
    "write_gap": "gap",
    "lag_surge": "surge",
}
"""Which gate a detected kind stands under."""

_SPIKES: Final = {
    "key_null": "null_spike",
    "fk_failure": "orphan_spike",
    "duplicate": "duplicate_spike",
    "rows": "volume_drop",
}


def seen_as(kind: DefectKind) -> str | None:
    """Return the kind under which health would report a dated defect; None where it cannot."""
    if kind.metric == "lag_p95_minutes":
        return "write_gap" if kind.selects == "loads" else "lag_surge"
    return _SPIKES.get(kind.metric or "")


@frozen
class Truth:
    """A planned incident as health could see it: local days `first` to `last`, both included."""

    id: str
    kind: str
    table: str
    column: str
    first: date
    last: date
    start: datetime
    end: datetime
    size: float

    @property
    def group(self) -> Group:
        """The gate it stands under."""
        return GROUPS[self.kind]


def truths(planned: Sequence[Incident], catalogue: Catalogue, tz: str) -> list[Truth]:
    """Return the planned incidents that health has a metric for."""
    zone = ZoneInfo(tz)
    found: list[Truth] = []
    for incident in planned:
        kind = seen_as(catalogue.defect_kind(incident.kind))
        if kind is None:
            continue
        end = incident.end - timedelta(microseconds=1)
        found.append(
            Truth(
                incident.id,
                kind,
                incident.table,
                incident.columns[0] if incident.columns else "",
                incident.start.astimezone(zone).date(),
                end.astimezone(zone).date(),
                incident.start,
                incident.end,
                incident.size,
            )
        )
    return found


@frozen
class Match:
    """Which detected incidents answer which planned ones, by their places in the sequences.

    `found` has for each planned one the detected one that fits best, or None; `false` are the
    detected ones that answer none; `repeats` those that answer one which another answers better.
    """

    found: Mapping[int, int | None]
    false: tuple[int, ...]
    repeats: tuple[int, ...]


def matched(planned: Sequence[Truth], detected: Sequence[DetectedIncident]) -> Match:
    """Match by kind, table, column and time."""
    found: dict[int, int | None] = {}
    answering: set[int] = set()
    best: set[int] = set()
    for place, truth in enumerate(planned):
        fitting = [
            (abs((other.start - truth.first).days) + abs((other.end - truth.last).days), at)
            for at, other in enumerate(detected)
            if _fits(truth, other)
        ]
        answering |= {at for _, at in fitting}
        found[place] = min(fitting)[1] if fitting else None
        if fitting:
            best.add(min(fitting)[1])
    everything = range(len(detected))
    return Match(
        found,
        tuple(at for at in everything if at not in answering),
        tuple(at for at in everything if at in answering and at not in best),
    )


def _fits(truth: Truth, other: DetectedIncident) -> bool:
    if (truth.kind, truth.table) != (other.kind, other.table):
        return False
    # A table has one load time, and a repeat or a drop is of the table.
    if truth.kind in {"null_spike", "orphan_spike"} and truth.column != other.column:
        return False
    if other.start_time is not None and other.end_time is not None:
        return other.start_time < truth.end and truth.start < other.end_time
    return other.start <= truth.last and truth.first <= other.end


def errors_hours(truth: Truth, other: DetectedIncident) -> tuple[float, float]:
    """Return by how many hours the detected start and end are late (negative: early)."""
    if other.start_time is not None and other.end_time is not None:
        start = (other.start_time - truth.start).total_seconds()
        end = (other.end_time - truth.end).total_seconds()
        return start / 3600, end / 3600
    return 24.0 * (other.start - truth.first).days, 24.0 * (other.end - truth.last).days


def plain_truth(truth: Truth) -> dict[str, Any]:
    """Return a planned incident as JSON has it."""
    return {
        "id": truth.id,
        "kind": truth.kind,
        "table": truth.table,
        "column": truth.column,
        "start": truth.first.isoformat(),
        "end": truth.last.isoformat(),
        "size": truth.size,
    }

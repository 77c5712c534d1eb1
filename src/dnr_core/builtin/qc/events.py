"""Room: builtin. Checks of incidents: can they be seen in the tables, and did the report find them?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from dnr_core.builtin.qc.outcome import outcome, quoted, skipped
from dnr_core.model import CheckContext, CheckResult, Incident, Table
from dnr_core.warehouse.incidents import BUSY_ROWS_A_DAY, expected_volumes, plan_incidents

SIGMAS = 4.0
DETECTED_SHARE = 0.9
"""Of the incidents that are large enough to be seen, the report must have found this share."""


def _planned(context: CheckContext) -> tuple[Incident, ...]:
    volumes = expected_volumes(context.archetype, context.company)
    return plan_incidents(context.archetype, context.company, context.profile, volumes)


def _event_time(table: Table) -> str | None:
    if table.event_time is None or table.event_time.through is not None:
        return None
    return f"coalesce({', '.join(quoted(c) for c in table.event_time.columns)})"


def visible(context: CheckContext) -> Iterator[CheckResult]:
    """Look for each planned incident in its window: nulls for a spike, load times for the others."""
    name = "incidents_visible"
    for incident in _planned(context):
        table = context.archetype.schema[incident.table]
        kind = context.catalogue.defect_kind(incident.kind)
        event = _event_time(table)
        where = (
            f"{incident.table}, {incident.start:%Y-%m-%d %H:%M} UTC, {', '.join(incident.columns)}"
        )
        if kind.nulls_keys and event is not None:
            yield _spike(context, incident, event, where)
        elif kind.stage == "removals" and event is not None and incident.size == 1:
            found = context.sql(
                f"SELECT count(*) AS n FROM {quoted(table.name)} "
                f"WHERE {event} >= $start AND {event} < $end",
                start=incident.start,
                end=incident.end,
            )[0]["n"]
            yield outcome(
                name,
                found == 0,
                f"{incident.id}: {found:,} rows happened in the hours that are gone",
                "0 rows",
                where,
            )
        elif kind.selects == "loads" and table.loaded_at:
            found = context.sql(
                f"SELECT count(*) AS n FROM {quoted(table.name)} "
                f"WHERE {quoted(table.loaded_at)} >= $start AND {quoted(table.loaded_at)} < $end",
                start=incident.start,
                end=incident.end,
            )[0]["n"]
            yield outcome(
                name,
                found == 0,
                f"{incident.id}: {found:,} rows loaded in the gap",
                "0 rows",
                where,
            )
        elif kind.stage == "loads" and table.loaded_at and event is not None:
            yield _surge(context, incident, event, table.loaded_at, where)
        else:
            yield skipped(
                name,
                f"{incident.id}: not visible by one table's own times",
                "seen in its window",
                where,
            )


def _spike(context: CheckContext, incident: Incident, event: str, where: str) -> CheckResult:
    name, column = "incidents_visible", quoted(incident.columns[0])
    inside = f"{event} >= $start AND {event} < $end"
    row = context.sql(
        f"SELECT count(*) FILTER ({inside}) AS rows, count(*) FILTER ({inside} AND {column} IS NULL) AS nulls, "
        f"count(*) FILTER (NOT ({inside})) AS other, "
        f"count(*) FILTER (NOT ({inside}) AND {column} IS NULL) AS other_nulls FROM {quoted(incident.table)}",
        start=incident.start,
        end=incident.end,
    )[0]
    if row["rows"] < BUSY_ROWS_A_DAY:
        return skipped(
            name,
            f"{incident.id}: not detectable at this size ({row['rows']} rows that day)",
            f"{incident.size:.0%} more nulls",
            where,
        )
    rise = row["nulls"] / row["rows"] - row["other_nulls"] / max(1, row["other"])
    slack = SIGMAS * (incident.size * (1 - incident.size) / row["rows"]) ** 0.5
    return outcome(
        name,
        abs(rise - incident.size) <= slack,
        f"{incident.id}: {rise:+.1%} nulls in {row['rows']:,} rows",
        f"{incident.size:+.1%} ± {slack:.1%}",
        where,
    )


def _surge(
    context: CheckContext, incident: Incident, event: str, loaded: str, where: str
) -> CheckResult:
    name = "incidents_visible"
    inside = f"{event} >= $start AND {event} < $end"
    minutes = f"(epoch({quoted(loaded)}) - epoch({event})) / 60"
    row = context.sql(
        f"SELECT count(*) FILTER ({inside}) AS rows, quantile_cont({minutes}, 0.85) FILTER ({inside}) AS high, "
        f"quantile_cont({minutes}, 0.85) FILTER (NOT ({inside})) AS usual FROM {quoted(incident.table)}",
        start=incident.start,
        end=incident.end,
    )[0]
    if row["rows"] < BUSY_ROWS_A_DAY:
        return skipped(
            name,
            f"{incident.id}: not detectable at this size ({row['rows']} rows that day)",
            "later loads",
            where,
        )
    ratio = row["high"] / row["usual"] if row["usual"] else 0.0
    return outcome(
        name,
        ratio >= 2.0,
        f"{incident.id}: the 85th percentile of lag is {ratio:.1f} times the usual",
        "at least 2 times",
        where,
    )


def detected(context: CheckContext) -> Iterator[CheckResult]:
    """Compare the true incidents with those in the report's `data_health.json`."""
    name, zone = "incidents_detected", ZoneInfo(context.company.tz)
    if context.reports is None:
        return
    document = json.loads((context.reports / "data_health.json").read_text(encoding="utf-8"))
    reported = [
        (found["table"], date.fromisoformat(found["start"]), date.fromisoformat(found["end"]))
        for found in document["incidents"]
    ]
    seen, sought = [], []
    kinds = context.catalogue.defect_kinds
    for row in context.sql('SELECT id, kind, "table", start, "end" FROM incidents ORDER BY id'):
        if row["kind"] in kinds and kinds[row["kind"]].metric is None:
            # No metric of a report sees it; its own query does.
            continue
        first = row["start"].astimezone(zone).date()
        table = context.archetype.schema[row["table"]]
        event = _event_time(table)
        if event is None:
            continue
        rows = context.sql(
            f"SELECT count(*) AS n FROM {quoted(table.name)} WHERE {event} >= $start AND {event} < $end",
            start=row["start"],
            end=row["start"] + timedelta(days=1),
        )[0]["n"]
        if rows < BUSY_ROWS_A_DAY:
            continue
        sought.append(row["id"])
        last = row["end"].astimezone(zone).date()
        if any(t == row["table"] and a <= last and first <= b for t, a, b in reported):
            seen.append(row["id"])
    where = "data_health.json, incidents"
    expected = f"at least {DETECTED_SHARE:.0%} of those on days of {BUSY_ROWS_A_DAY} rows or more"
    if not sought:
        yield skipped(name, "not detectable at this size", expected, where)
        return
    missed = sorted(set(sought) - set(seen))
    told = f"{len(seen)} of {len(sought)}" + (f"; missed {', '.join(missed)}" if missed else "")
    yield outcome(name, len(seen) >= DETECTED_SHARE * len(sought), told, expected, where)

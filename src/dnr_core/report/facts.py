"""Room: report. What the data shows of a need: how bad, since when, where, what mending is worth."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from attrs import frozen

from dnr_core.health.drill import Drill
from dnr_core.model.archetype import Archetype
from dnr_core.model.health import DetectedIncident, HealthResult
from dnr_core.model.need import Need
from dnr_core.ranking import table_title
from dnr_core.ranking.measures import LATE_TAIL_SHARE, SLO_KIND, Measures
from dnr_core.ranking.needs import INCIDENT_THEME, METRICS_OF, MONTH_DAYS
from dnr_core.report import places
from dnr_core.report import wording as say

METRIC_WORDS: Final = {
    "key_null": "empty keys",
    "fk_failure": "unmatched keys",
    "duplicate": "duplicate rows",
    "late": "late rows",
}
INCIDENT_WORDS: Final = {
    "null_spike": "spike of empty keys",
    "orphan_spike": "spike of unmatched keys",
    "duplicate_spike": "spike of duplicates",
    "volume_drop": "drop in volume",
    "write_gap": "gap in loading",
    "lag_surge": "surge of late loads",
}
STAYED_WORDS: Final = {
    "null_spike": "more empty keys",
    "orphan_spike": "more unmatched keys",
    "duplicate_spike": "more duplicates",
}
"""Of rises that stay, which are no spikes."""
CAUSE_PARTS: Final = 2
PART_OF_CAUSE: Final = 0.2
"""An incident with at least this part of the broken rows is told before what lasts."""
CONCENTRATED: Final = 0.6
"""One column with at least this part of the broken rows is named as the place."""


@frozen
class Breach:
    """One broken metric of a need. `value` and `limit` are percent, or minutes for lag."""

    metric: str
    rows: float
    of_rows: float
    value: float | None
    limit: float | None
    revenue_cents: float | None

    @property
    def over(self) -> bool:
        """True where the limit is overstepped."""
        return self.value is not None and self.limit is not None and self.value > self.limit

    @property
    def repaired_share(self) -> float:
        """Part of the broken rows that must go for the limit to be met."""
        if not self.over or not self.rows or not self.of_rows or not self.limit:
            return 1.0 if self.over else 0.0
        if self.metric == "late":
            return max(0.0, 1.0 - LATE_TAIL_SHARE * self.of_rows / self.rows)
        return max(0.0, 1.0 - self.limit / (self.value or self.limit))


def breaches(need: Need, measures: Measures | None) -> tuple[Breach, ...]:
    """Return the broken metrics of a need over the window, the one that counts first."""
    found = []
    for metric in METRICS_OF.get(need.theme, ()) if measures else ():
        total = measures.totals.get((need.table, metric)) if measures else None
        if measures is None or total is None or total.numerator <= 0:
            continue
        verdict = measures.verdict(need.table, metric)
        found.append(
            Breach(
                metric,
                total.numerator,
                total.denominator,
                verdict.value if verdict else None,
                verdict.slo if verdict else None,
                total.revenue_cents,
            )
        )
    return tuple(sorted(found, key=lambda breach: breach.metric != need.metric))


def worth_cents(need: Need, found: Sequence[Breach]) -> float | None:
    """Return what mending to the limits is worth a month, in cents; None without money."""
    if need.revenue_cents is None or not need.has_broken_rows:
        return None
    added = sum(breach.revenue_cents or 0.0 for breach in found)
    if added <= 0:
        return 0.0
    mended = sum((breach.revenue_cents or 0.0) * breach.repaired_share for breach in found)
    return need.revenue_cents * mended / added


def value_text(metric: str, value: float | None) -> str:
    """Write a metric's figure in its unit."""
    if value is None:
        return "not measured"
    return say.minutes(value) if metric == "late" else say.percent_points(value)


def breach_text(breach: Breach) -> str:
    """Write one broken metric against its limit: "empty keys 3 % (limit 1 %)"."""
    if breach.metric == "late":
        share = say.percent(breach.rows / breach.of_rows) if breach.of_rows else ""
        if breach.value is None:
            # The quantiles were left out; rows are late by the same limit.
            return f"{share} of rows are late (limit {value_text('late', breach.limit)})"
        return (
            f"slowest 5{say.THIN}% load after {value_text('late', breach.value)} "
            f"(limit {value_text('late', breach.limit)}); {share} of rows are late"
        )
    return (
        f"{METRIC_WORDS[breach.metric]} {value_text(breach.metric, breach.value)} "
        f"(limit {value_text(breach.metric, breach.limit)})"
    )


def how_bad(found: Sequence[Breach]) -> str:
    """Say how far over its limits the need is, in one line."""
    if not found:
        return "Not measured: no figure of the warehouse shows this"
    worst = [breach for breach in found if breach.over]
    if not worst and found[0].value is None:
        return say.capital(breach_text(found[0]))
    if not worst:
        return f"Within its limit: {breach_text(found[0])}"
    return say.capital(", ".join(breach_text(breach) for breach in worst))


def incidents_of(
    need: Need, health: HealthResult | None, *, days_back: int | None = None
) -> tuple[DetectedIncident, ...]:
    """Return incidents of the need's theme on its table, in the window or `days_back` days."""
    if health is None:
        return ()
    first = (
        health.window_start
        if days_back is None
        else health.window_end - timedelta(days=days_back - 1)
    )
    return tuple(
        incident
        for incident in health.incidents
        if incident.table == need.table
        and INCIDENT_THEME[incident.kind] == need.theme
        and incident.end >= first
        and incident.start <= health.window_end
    )


def cause(
    archetype: Archetype,
    need: Need,
    health: HealthResult | None,
    measures: Measures | None,
    drill: Drill | None = None,
) -> str:
    """Say in one line what the data shows of the cause: where, since when, what happened."""
    if health is None or measures is None:
        return "No warehouse was read, so no cause can be shown"
    found = breaches(need, measures)
    if not found and not need.metric:
        looked = any((need.table, m) in measures.totals for m in METRICS_OF.get(need.theme, ()))
        if looked:
            return "The warehouse shows no such rows in the window: it comes from what people ask"
        return "The warehouse has no figure for this: it comes from what people ask"
    events = incidents_of(need, health)
    worst = max(events, key=lambda event: (event.rows, event.start), default=None)
    event = _event(need, health, worst, len(events) - 1) if worst else ""
    lasting = (_kinds_of_failure(archetype, need, found, measures), _since(need, health, measures))
    # A spike on one day that has few of the broken rows is news, and not the cause.
    weighs = not found or (worst is not None and worst.rows >= PART_OF_CAUSE * found[0].rows)
    parts = [
        text
        for text in (
            _where(need, found, measures),
            places.fact(drill, without_days=bool(event)),
            *((event, *lasting) if weighs else (*lasting, event)),
        )
        if text
    ]
    return (
        say.capital("; ".join(parts[:CAUSE_PARTS])) if parts else "Spread evenly over days and keys"
    )


def _where(need: Need, found: Sequence[Breach], measures: Measures) -> str:
    if not found:
        return ""
    parts = measures.parts.get((need.table, found[0].metric), {})
    broken = {column: part.numerator for column, part in parts.items() if part.numerator}
    if not broken:
        return ""
    worst = max(sorted(broken), key=lambda column: broken[column])
    share = broken[worst] / found[0].rows
    if len(parts) == 1 or share >= 1:
        return f"all in {worst}"
    if share >= CONCENTRATED:
        return f"{say.percent(share)} in {worst}"
    names = sorted(broken, key=lambda column: (-broken[column], column))
    return f"in {say.listed(names)}"


def _kinds_of_failure(
    archetype: Archetype, need: Need, found: Sequence[Breach], measures: Measures
) -> str:
    failing = next((breach for breach in found if breach.metric == "fk_failure"), None)
    if failing is None or not failing.over:
        return ""
    split = _fk_split(need.table, measures)
    if split is None:
        return ""
    missing, temporal = split
    parents = (
        {
            key.label: table_title(archetype.schema, key.to)
            for key in archetype.schema[need.table].foreign_keys
        }
        if need.table in archetype.schema
        else {}
    )
    parts = measures.parts.get((need.table, "fk_failure"), {})
    worst = max(sorted(parts), key=lambda label: parts[label].numerator, default="")
    parent = parents.get(worst, "its parent")
    if missing + temporal <= 0:
        return ""
    share = missing / (missing + temporal)
    if share >= 0.5:
        return f"{say.percent(share)} of failing keys are not in {parent}"
    return f"{say.percent(1 - share)} of failing keys come before their {parent}"


def _fk_split(table: str, measures: Measures) -> tuple[float, float] | None:
    missing = measures.totals.get((table, "fk_missing"))
    temporal = measures.totals.get((table, "fk_temporal"))
    if missing is None:
        return None
    return missing.numerator, temporal.numerator if temporal else 0.0


def _since(need: Need, health: HealthResult, measures: Measures) -> str:
    if need.metric not in SLO_KIND:
        return ""
    verdict = measures.verdict(need.table, need.metric)
    if verdict is None or verdict.since is None:
        return ""
    if health.history_start and verdict.since <= health.history_start + timedelta(days=7):
        return f"every day since {say.day_text(health.history_start)}, when the history begins"
    return f"over the limit since {say.day_text(verdict.since)}"


def _event(need: Need, health: HealthResult, worst: DetectedIncident, others: int) -> str:
    where = f" in {worst.column}" if worst.column and worst.column not in need.columns[:1] else ""
    noun = "incident" if others == 1 else "incidents"
    more = f", and {say.number_word(others)} more {noun}" if others else ""
    if worst.shape == "days":
        return f"{INCIDENT_WORDS[worst.kind]}{where} on {span_text(worst)}{more}"
    if worst.end >= health.window_end:
        return f"{STAYED_WORDS[worst.kind]}{where} since {say.day_text(worst.start)}{more}"
    return f"{STAYED_WORDS[worst.kind]}{where} from {span_text(worst)}{more}"


def span_text(incident: DetectedIncident) -> str:
    """Write the days of an incident."""
    return say.days_text(incident.start, incident.end)


def next_step(
    archetype: Archetype, need: Need, found: Sequence[Breach], measures: Measures | None
) -> str:
    """Say what to do first, with the columns it is about; without measures no warehouse was read."""
    table = table_title(archetype.schema, need.table)
    role = say.role_title(next(iter(need.roles), ""))
    words: dict[str, Any] = {
        "table": table,
        "columns": say.listed(need.columns) if need.columns else "its keys",
        "key": say.listed(_business_key(archetype, need.table)) or "its key",
        "asker": f"with {role}" if role else "with the people who ask",
        "rows": say.count(found[0].rows if found else need.affected_rows),
        "limit": value_text("late", need.slo) if need.metric == "late" else "the limit",
        "people": say.counted(need.people, "person", "people"),
    }
    if need.theme in METRICS_OF and not found:
        step = _UNSEEN if measures else _UNREAD
        return step.format_map(words)
    return _step(archetype, need, found, measures).format_map(words)


_UNSEEN: Final = "Ask {people} what they see in {table}: the warehouse shows no such rows."
_UNREAD: Final = "Measure {table} in the warehouse, to see whether the talk is right."


def _business_key(archetype: Archetype, table: str) -> tuple[str, ...]:
    return archetype.schema[table].business_key if table in archetype.schema else ()


def _step(
    archetype: Archetype, need: Need, found: Sequence[Breach], measures: Measures | None
) -> str:
    if need.theme != "join_keys_orphans":
        return _STEPS.get(need.theme, "Ask {people} what they need of {table}, and write it down.")
    if found[0].metric != "fk_failure":
        return "Make {columns} required where {table} is loaded, and fill the {rows} rows of the window."
    split = _fk_split(need.table, measures) if measures else None
    rest = [
        "hold back rows whose keys have no match yet"
        if split is not None and split[1] > split[0]
        else "trace unmatched keys to their source"
    ]
    if any(breach.metric == "key_null" and breach.over for breach in found):
        rest.append("make {columns} required")
    steps = [f"Load {_parents(archetype, need)} before {{table}}", *rest]
    return f"{', '.join(steps[:-1])}, and {steps[-1]}."


def _parents(archetype: Archetype, need: Need) -> str:
    """Name the tables that a need's keys point to, for a text that is formatted once more."""
    parents = ["the parent table"]
    if need.table in archetype.schema:
        keys = archetype.schema[need.table].foreign_keys
        named = [table_title(archetype.schema, k.to) for k in keys if k.label in need.columns]
        parents = list(dict.fromkeys(named)) or parents
    # A title may hold braces.
    return say.listed(parents).replace("{", "{{").replace("}", "}}")


_STEPS: Final = {
    "freshness_ingest_lag": "Load {table} often enough to stay within {limit}, the slowest loads first.",
    "duplicates_dedup": "Merge on {key} when {table} is loaded again, and remove the {rows} copies.",
    "metric_definition_mismatch": "Agree one written definition of the figures on {table} {asker}.",
    "access_permissions_pii": "Give a view of {table} without personal columns to the {people} who ask.",
    "new_field_schema_request": "Collect the fields that {people} miss in {table}, and add the first.",
    "revenue_coverage_mapping": "Map what {table} leaves out of revenue, {asker}.",
    "attribution_funnel_gaps": "Trace one case of {table} through the funnel {asker}, and close the gap.",
}


def monthly(cents_in_window: float, measures: Measures) -> float:
    """Turn cents of the window into cents per 30 days."""
    return cents_in_window * MONTH_DAYS / measures.window_days

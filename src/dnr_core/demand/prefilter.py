"""Room: demand. The prefilter: which items may hold a data need, as set operations in DuckDB.

The whole rule is in `rule.py` and `lexicon.py`. Points are whole hundredths, so that no sum depends
on the order in which threads of the engine add.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa

from dnr_core.demand import rule
from dnr_core.demand.corpus import fetch, registered

if TYPE_CHECKING:
    import duckdb

    from dnr_core.config.settings import PrefilterSettings
    from dnr_core.demand.lexicon import Lexicon, Term
    from dnr_core.model import DetectedIncident

MOST_REASONS: Final = 24
"""Reasons kept with an item; the rest add to the score unnamed."""

FILTERED: Final = ("slack", "email")
"""Sources whose items are filtered."""

_OF_SOURCE: Final = """
SELECT '{source}' AS source, item_id, thread_id, root_id, ts, day, channel,
       coalesce(bucket, '') AS bucket, user_id, coalesce(role, '') AS role, points / 100.0 AS score,
       reasons, kept_by, NULL::BOOLEAN AS succeeded
FROM {source}_scored JOIN {source}_firsts ON {source}_firsts.rowid = item
"""

_WRITERS: Final = """
CREATE OR REPLACE TEMP TABLE writers AS
SELECT user_id, role, coalesce(weight, 0) AS weight
FROM people LEFT JOIN role_weights USING (role) WHERE source = $source
"""

# Queries are few, and not filtered.
_OF_QUERIES: Final = """
CREATE OR REPLACE TEMP TABLE nlq_items AS
SELECT source, item_id, item_id AS thread_id, item_id AS root_id, min(ts) AS ts,
       timezone($tz, min(ts))::DATE AS day, min(channel) AS channel, any_value(bucket) AS bucket,
       min(user_id) AS user_id, coalesce(min(role), '') AS role, NULL::DOUBLE AS score,
       []::VARCHAR[] AS reasons, '' AS kept_by, bool_and(succeeded) AS succeeded
FROM queries LEFT JOIN people USING (source, user_id) GROUP BY source, item_id
"""

_ITEMS: Final = "CREATE OR REPLACE TEMP VIEW items AS " + " UNION ALL ".join(
    [*(_OF_SOURCE.format(source=source) for source in FILTERED), "FROM nlq_items"]
)

_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def prefilter(
    connection: duckdb.DuckDBPyConnection,
    lexicon: Lexicon,
    settings: PrefilterSettings,
    *,
    threshold: float,
    tz: str,
    incidents: Iterable[DetectedIncident] = (),
) -> None:
    """Make the table `items` of an open corpus: every item with its score, reasons and `kept_by`.

    `kept_by` is "score" at `threshold` or over, "fallback" for the best of a channel-day that
    keeps none by score, else "". Queries (`nlq`) are not filtered: their score is null.
    Incidents must be ones that health detected, never planned ones.
    """
    weights = lexicon.weights
    terms = term_rows(lexicon)
    reach, table_reach = _reach(incidents, settings.incident_boost_hours, tz)
    counted: dict[str, Any] = {
        name: weights[name]
        for name in ("near_miss_least", "sql", "code", "link", "incident", "incident_table")
    }
    counted |= {
        "tz": tz,
        "threshold": threshold_points(threshold),
        "most": MOST_REASONS,
        "buckets": list(settings.buckets),
        "reasons": terms["reason"].to_pylist(),
    }
    pattern = {"pattern": lexicon.pattern}
    with registered(
        connection,
        terms=terms,
        role_weights=_role_weights(weights),
        reach=reach,
        term_reach=_term_tables(lexicon).join(table_reach, "table", join_type="inner"),
    ):
        for source in FILTERED:
            connection.execute(f"CREATE OR REPLACE TEMP VIEW talk AS FROM {source}_talk")
            connection.execute(_WRITERS, {"source": source})
            for statement in (rule.ROOTS, rule.MARKS, rule.ODD):
                connection.execute(statement)
            connection.execute(rule.FOUND, pattern)
            if connection.execute(rule.ANY_WITHOUT_ROOT).fetchone():
                connection.execute(rule.FOUND_FIRST, pattern)
            connection.execute(rule.HITS)
            connection.execute(rule.SCORED, counted)
            connection.execute(rule.FALLBACK, {"fallback": settings.fallback_per_channel_day})
            for table in ("firsts", "scored"):
                connection.execute(f"DROP TABLE IF EXISTS {source}_{table}")
                connection.execute(f"ALTER TABLE {table} RENAME TO {source}_{table}")
        connection.execute(_OF_QUERIES, {"tz": tz})
        connection.execute(_ITEMS)
    for table in ("found", "hits", "marks", "writers"):
        connection.execute(f"DROP TABLE {table}")


def threshold_points(threshold: float) -> int:
    """Return the least whole hundredths that reach `threshold`, a share in [0, 1]."""
    return -int(-round(threshold * 100, 6) // 1)


def all_items(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return the table `items` in its lasting order: slack, email, nlq, then by id."""
    return fetch(
        connection,
        """FROM items ORDER BY CASE source WHEN 'slack' THEN 0 WHEN 'email' THEN 1 ELSE 2 END,
        item_id""",
    )


def let_go(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop `items` and what it is made of, once it was read: it takes as much memory again."""
    connection.execute("DROP VIEW items")
    for source in FILTERED:
        for table in ("firsts", "scored"):
            connection.execute(f"DROP TABLE {source}_{table}")


def term_rows(lexicon: Lexicon) -> pa.Table:
    """Return the lexicon as rows: term, rank, group, weights at the root and in replies, reason.

    Ranks count from 1, the weightiest term first.
    """

    def weight(group: str, place: str) -> int:
        # The signal of SQL counts once an item, however many of its words stand there.
        return 0 if group == "sql" else lexicon.weights[f"{group}_{place}"]

    terms = _ranked(lexicon)
    return pa.table(
        {
            "term": pa.array([t.text for t in terms], pa.string()),
            "rank": pa.array(range(1, len(terms) + 1), pa.int32()),
            "grp": pa.array([t.group for t in terms], pa.string()),
            "root_weight": pa.array([weight(t.group, "root") for t in terms], pa.int32()),
            "reply_weight": pa.array([weight(t.group, "reply") for t in terms], pa.int32()),
            "reason": pa.array([f"{_KINDS.get(t.group, t.group)}:{t.text}" for t in terms]),
        }
    )


_KINDS: Final = {"data": "term", "alias": "term", "context": "term"}


def _ranked(lexicon: Lexicon) -> list[Term]:
    return sorted(
        lexicon.terms,
        key=lambda t: (-abs(lexicon.weights.get(f"{t.group}_root", 0)), t.text),
    )


def _term_tables(lexicon: Lexicon) -> pa.Table:
    pairs = [
        (rank, table) for rank, term in enumerate(_ranked(lexicon), 1) for table in term.tables
    ]
    return pa.table(
        {
            "rank": pa.array([rank for rank, _ in pairs], pa.int32()),
            "table": pa.array([table for _, table in pairs], pa.string()),
        }
    )


def _role_weights(weights: Mapping[str, int]) -> pa.Table:
    roles = {name[5:]: value for name, value in weights.items() if name.startswith("role_")}
    return pa.table(
        {
            "role": pa.array(list(roles), pa.string()),
            "weight": pa.array(list(roles.values()), pa.int32()),
        }
    )


def _reach(incidents: Iterable[DetectedIncident], hours: int, tz: str) -> tuple[pa.Table, pa.Table]:
    """Merged, disjoint spans within `hours` of any incident, and the same by table."""
    around = timedelta(hours=hours)
    by_table: dict[str, list[tuple[datetime, datetime]]] = {}
    for incident in incidents:
        begins = incident.start_time or _midnight(incident.start, tz)
        ends = incident.end_time or _midnight(incident.end + timedelta(days=1), tz)
        by_table.setdefault(incident.table, []).append((begins - around, ends + around))
    every = merged([span for spans in by_table.values() for span in spans])
    rows = [(table, *span) for table in sorted(by_table) for span in merged(by_table[table])]
    return _spans([("", *span) for span in every]), _spans(rows)


def merged(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Join spans that touch or overlap, in order of time."""
    result: list[tuple[datetime, datetime]] = []
    for begins, ends in sorted(spans):
        if result and begins <= result[-1][1]:
            result[-1] = (result[-1][0], max(ends, result[-1][1]))
        else:
            result.append((begins, ends))
    return result


def _spans(rows: list[tuple[Any, ...]]) -> pa.Table:
    """Spans once for each hour that they touch: an equal hour is found faster than a span."""
    instant = pa.timestamp("us", tz="UTC")
    touched = [
        (row, hour)
        for row in rows
        for hour in range(_hours_since_1970(row[1]), _hours_since_1970(row[2]) + 1)
    ]
    return pa.table(
        {
            "table": pa.array([row[0] for row, _ in touched], pa.string()),
            "hour": pa.array([hour for _, hour in touched], pa.int64()),
            "begins": pa.array([row[1] for row, _ in touched], instant),
            "ends": pa.array([row[2] for row, _ in touched], instant),
        }
    )


def _hours_since_1970(instant: datetime) -> int:
    return (instant - _EPOCH) // _HOUR


def _midnight(day: date, tz: str) -> datetime:
    return datetime.combine(day, time(), tzinfo=ZoneInfo(tz)).astimezone(UTC)

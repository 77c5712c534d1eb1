"""Room: demand. The prefilter: which items may hold a data need, as set operations in DuckDB.

The whole rule is here and in `lexicon.py`. Points are whole hundredths, so that no sum depends
on the order in which threads of the engine add.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa

from dnr_core.demand.corpus import fetch, registered

if TYPE_CHECKING:
    import duckdb

    from dnr_core.config.settings import PrefilterSettings
    from dnr_core.demand.lexicon import Lexicon, Term
    from dnr_core.model import DetectedIncident

MOST_REASONS: Final = 24
"""Reasons kept with an item; the rest add to the score unnamed."""

_BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)

# The first message of an item is its root; a thread whose root is not there (an import that
# begins in the middle of it) starts with its earliest message. Nearly all have one, so only ids
# are compared to find the others.
_FIRSTS: Final = """
CREATE OR REPLACE TEMP TABLE strays AS
SELECT source, item_id FROM messages WHERE NOT is_root
EXCEPT SELECT source, item_id FROM messages WHERE is_root;

CREATE OR REPLACE TEMP TABLE firsts AS
WITH starts AS (
  FROM messages WHERE is_root
  UNION ALL (FROM messages SEMI JOIN strays USING (source, item_id))
), chosen AS (
  SELECT source, item_id, arg_min(
    struct_pack(thread_id, message_id, ts, channel, bucket, user_id),
    concat(coalesce(printf('%020d', epoch_us(ts)), '~'), message_id)
  ) AS m
  FROM starts GROUP BY source, item_id
)
SELECT source, item_id, m.thread_id AS thread_id, m.message_id AS root_id, m.ts AS ts,
       m.channel AS channel, m.bucket AS bucket, m.user_id AS user_id
FROM chosen
"""

# Which term of the lexicon a hit is, looked up once a distinct hit, of which there are few. What
# is no word of it and begins like a figure is one; other names with an underscore are none.
TERMS_OF_HITS: Final = r"""
SELECT hit, rank, grp, root_weight, reply_weight
FROM (SELECT hit, regexp_replace(lower(hit), '\s+', ' ', 'g') AS term
      FROM (SELECT DISTINCT hit FROM found)) AS said
JOIN terms ON terms.term = CASE
  WHEN said.term IN (SELECT term FROM terms) THEN said.term
  WHEN NOT regexp_matches(said.term, '^[a-z_]') THEN '#' END
"""

_FOUND: Final = """
CREATE OR REPLACE TEMP TABLE found AS
SELECT source, item_id, is_root OR message_id IN (
         SELECT root_id FROM firsts SEMI JOIN strays USING (source, item_id)
       ) AS is_root,
       unnest(list_distinct(regexp_extract_all(text, $pattern, 0, 'i'))) AS hit
FROM messages
"""

_HITS: Final = f"""
CREATE OR REPLACE TEMP TABLE hits AS
WITH known AS ({TERMS_OF_HITS})
SELECT source, item_id, rank, any_value(grp) AS grp,
       CASE WHEN bool_or(is_root) THEN any_value(root_weight) ELSE any_value(reply_weight) END
         AS points
FROM found JOIN known USING (hit) GROUP BY source, item_id, rank
"""  # noqa: S608  what is pasted in is a constant of this module

_SCORES: Final = """
CREATE OR REPLACE TEMP TABLE scored AS
WITH words AS (
  SELECT source, item_id,
         coalesce(sum(points) FILTER (grp NOT IN ('near_miss', 'sql')), 0)
           + greatest(coalesce(sum(points) FILTER (grp = 'near_miss'), 0), $near_miss_least)
           + CASE WHEN bool_or(grp = 'sql') THEN $sql ELSE 0 END AS points,
         list_sort(list(rank))[:$most] AS ranks
  FROM hits GROUP BY source, item_id
), names AS (
  SELECT list(reason ORDER BY rank) AS reasons_by_rank FROM terms
), signals AS (
  SELECT source, item_id, bool_or(has_code) AS code, bool_or(has_link) AS link
  FROM messages WHERE has_code OR has_link GROUP BY source, item_id
), near AS (
  SELECT source, item_id
  FROM firsts ASOF JOIN reach ON firsts.ts >= reach.begins WHERE firsts.ts < reach.ends
), named AS (
  SELECT DISTINCT source, item_id, "table" FROM hits JOIN term_tables USING (rank)
), near_table AS (
  SELECT source, item_id, min(named."table") AS "table"
  FROM named JOIN firsts USING (source, item_id)
  ASOF JOIN table_reach ON named."table" = table_reach."table" AND firsts.ts >= table_reach.begins
  WHERE firsts.ts < table_reach.ends GROUP BY source, item_id
)
SELECT firsts.source, firsts.item_id, thread_id, root_id, firsts.ts, channel, firsts.bucket, user_id, role,
  (firsts.bucket IS NULL OR firsts.bucket IN (SELECT bucket FROM buckets)) AS admitted,
  greatest(0, least(100,
    coalesce(words.points, 0)
    + CASE WHEN code THEN $code ELSE 0 END + CASE WHEN link THEN $link ELSE 0 END
    + CASE WHEN near_table."table" IS NOT NULL THEN $incident_table
           WHEN near.item_id IS NOT NULL THEN $incident ELSE 0 END
    + coalesce(role_weights.weight, 0)
  ))::INTEGER AS points,
  list_concat(
    coalesce(list_transform(words.ranks, lambda rank: reasons_by_rank[rank]), []::VARCHAR[]),
    list_filter([
    CASE WHEN code THEN 'code' END, CASE WHEN link THEN 'link' END,
    CASE WHEN near_table."table" IS NOT NULL THEN concat('incident:', near_table."table")
         WHEN near.item_id IS NOT NULL THEN 'incident' END,
    CASE WHEN coalesce(role_weights.weight, 0) <> 0 THEN concat('role:', role) END
  ], lambda reason: reason IS NOT NULL)) AS reasons
FROM firsts CROSS JOIN names
LEFT JOIN words USING (source, item_id)
LEFT JOIN signals USING (source, item_id)
LEFT JOIN near USING (source, item_id)
LEFT JOIN near_table USING (source, item_id)
LEFT JOIN people USING (source, user_id)
LEFT JOIN role_weights USING (role)
"""

_ITEMS: Final = """
CREATE OR REPLACE TEMP TABLE items AS
WITH dated AS (
  SELECT *, timezone($tz, ts)::DATE AS day, admitted AND points >= $threshold AS by_score
  FROM scored
), ranked AS (
  SELECT *, bool_or(by_score) OVER (PARTITION BY source, channel, day) AS day_keeps,
         row_number() OVER (PARTITION BY source, channel, day
                            ORDER BY admitted DESC, points DESC, ts DESC, item_id) AS place
  FROM dated
)
SELECT source, item_id, thread_id, root_id, ts, day, channel, coalesce(bucket, '') AS bucket, user_id,
       coalesce(role, '') AS role, points / 100.0 AS score,
       CASE WHEN admitted THEN reasons ELSE list_append(reasons, 'bucket') END AS reasons,
       CASE WHEN by_score THEN 'score'
            WHEN admitted AND NOT day_keeps AND place <= $fallback THEN 'fallback'
            ELSE '' END AS kept_by,
       NULL::BOOLEAN AS succeeded
FROM ranked
UNION ALL
SELECT source, item_id, item_id, item_id, min(ts), timezone($tz, min(ts))::DATE,
       min(channel), any_value(bucket), min(user_id), coalesce(min(role), ''), NULL,
       []::VARCHAR[], '', bool_and(succeeded)
FROM queries LEFT JOIN people USING (source, user_id) GROUP BY source, item_id
"""


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
    reach, table_reach = _reach(incidents, settings.incident_boost_hours, tz)
    chosen = {
        name: weights[name]
        for name in ("near_miss_least", "sql", "code", "link", "incident", "incident_table")
    }
    with registered(
        connection,
        terms=term_rows(lexicon),
        term_tables=_term_tables(lexicon),
        buckets=pa.table({"bucket": pa.array(settings.buckets, pa.string())}),
        role_weights=_role_weights(weights),
        reach=reach,
        table_reach=table_reach,
    ):
        connection.execute(_FIRSTS)
        connection.execute(_FOUND, {"pattern": lexicon.pattern})
        connection.execute(_HITS)
        connection.execute(_SCORES, {**chosen, "most": MOST_REASONS})
        connection.execute(
            _ITEMS,
            {
                "tz": tz,
                "threshold": threshold_points(threshold),
                "fallback": settings.fallback_per_channel_day,
            },
        )
    for table in ("found", "hits", "scored", "firsts", "strays"):
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
    instant = pa.timestamp("us", tz="UTC")
    # An ASOF join over no rows is well defined, but one span in the far past keeps it plain.
    rows = rows or [("", _BEGINNING, _BEGINNING)]
    return pa.table(
        {
            "table": pa.array([row[0] for row in rows], pa.string()),
            "begins": pa.array([row[1] for row in rows], instant),
            "ends": pa.array([row[2] for row in rows], instant),
        }
    )


def _midnight(day: date, tz: str) -> datetime:
    return datetime.combine(day, time(), tzinfo=ZoneInfo(tz)).astimezone(UTC)

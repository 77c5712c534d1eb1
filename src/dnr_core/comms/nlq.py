"""Room: comms. The plan of made questions put to the data, and the light SQL that answers them.

The SQL is built here from the archetype's schema, so that its joins exist. It is DuckDB's
dialect, one `SELECT`, and nobody runs it unless asked to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen

from dnr_core.comms.draw import Draw, exact_mix, seed_of
from dnr_core.comms.threads import BAND_MIX, Company, Planned, numbered
from dnr_core.comms.topics import THEME_MIX, Topic, amount_columns
from dnr_core.model import Archetype, Table

APPS: Final[Mapping[str, int]] = {"ask_data": 50, "bi_assistant": 35, "sql_helper": 15}
_NAMED_PERCENT: Final = 45
_BROKEN_PERCENT: Final = 2
_FAILED_PERCENT: Final = 3
_PLAIN_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
_WORDS_OF_SQL: Final = {"order", "group", "select", "from", "where", "table", "user", "end", "all"}
_LATENCY_MS: Final = ((120, 900), (120, 900), (900, 2500), (900, 2500), (2500, 9000))
"""Ranges of the time an answer takes, each as likely."""


@frozen
class Outcome:
    """What the log says of a question. `rows` is 0 and `ok` False where the SQL failed."""

    app: str
    sql: str
    ok: bool
    latency_ms: int
    rows: int


def plan_questions(company: Company, count: int) -> list[Planned]:
    """Return the questions of a company, in order of time."""
    seed = company.seed
    about = company.concern_of_each(count, Draw(seed, "nlq", "concern"))
    themes = exact_mix(count, THEME_MIX, Draw(seed, "nlq", "theme"))
    bands = exact_mix(count, BAND_MIX, Draw(seed, "nlq", "band"))
    planned: list[Planned] = []
    for key in range(count):
        draw = Draw(seed, "nlq", "item", key)
        concern = about[key]
        planned.append(
            Planned(
                source="nlq",
                key=key,
                at_us=(
                    company.clock.working_moment(draw, concern.first, concern.last)
                    if concern
                    else company.clock.working_moment(draw)
                ),
                bucket="analytics",
                relevance="positive",
                band=bands[key],
                topic=(
                    company.topics.of(concern, draw)
                    if concern
                    else company.topics.draw(themes[key], draw)
                ),
                people=tuple(company.crowd.writers("nlq", 1, draw)),
                messages=1,
                named=draw.chance(_NAMED_PERCENT),
                closure=None,
                seed=seed_of(seed, "nlq", "words", key),
            )
        )
    return sorted(numbered(planned), key=lambda item: (item.at_us, item.key))


def outcome_of(company: Company, item: Planned) -> Outcome:
    """Return the SQL of a question and how it went.

    Raises:
        ValueError: the item has no topic, so it is no question.
    """
    if item.topic is None:
        raise ValueError("a question has a topic")
    draw = Draw(company.seed, "nlq", "outcome", item.key)
    sql, most_rows = sql_for(company.topics.archetype, item.topic, draw)
    app = draw.weighted(APPS)
    low, high = draw.pick(_LATENCY_MS)
    latency_ms = draw.between(low, high)
    roll = draw.below(100)
    if roll < _BROKEN_PERCENT:
        # As a model writes it that runs out of tokens: cut off after the opening bracket.
        return Outcome(app, f"{sql.partition(' FROM ')[0]} FROM (", False, latency_ms, 0)
    if roll < _BROKEN_PERCENT + _FAILED_PERCENT:
        return Outcome(app, sql, False, latency_ms, 0)
    return Outcome(app, sql, True, latency_ms, draw.between(1, most_rows))


def sql_for(archetype: Archetype, topic: Topic, draw: Draw) -> tuple[str, int]:
    """Return a query that fits the topic, and at most how many rows it plausibly returns."""
    builders = _BUILDERS.get(topic.theme or "", (_newest,))
    return draw.pick(builders)(archetype, archetype.schema[topic.table], topic)


def quoted(name: str) -> str:
    """Return a name as SQL has it, quoted where it is no plain lower-case word."""
    if _PLAIN_NAME.fullmatch(name) and name not in _WORDS_OF_SQL:
        return name
    return '"' + name.replace('"', '""') + '"'


def _time(table: Table) -> str | None:
    own = set(table.column_names)
    times = table.event_time.columns if table.event_time and not table.event_time.through else ()
    candidates = (*times, table.loaded_at, table.created_at)
    return next((quoted(name) for name in candidates if name in own), None)


def _sql(*parts: str) -> str:
    return " ".join(parts)


def _rows_by_day(archetype: Archetype, table: Table, topic: Topic) -> tuple[str, int]:
    time = _time(table)
    if time is None:
        return _count(archetype, table, topic)
    day = f"date_trunc('day', {time})"
    columns = f"{day} AS day, count(*) AS n"
    return _sql("SELECT", columns, "FROM", quoted(table.name), "GROUP BY 1 ORDER BY 1"), 90


def _count(_archetype: Archetype, table: Table, _topic: Topic) -> tuple[str, int]:
    return _sql("SELECT count(*) AS n FROM", quoted(table.name)), 1


def _newest(archetype: Archetype, table: Table, topic: Topic) -> tuple[str, int]:
    time = quoted(table.loaded_at) if table.loaded_at else _time(table)
    if time is None:
        return _count(archetype, table, topic)
    return _sql("SELECT", f"max({time}) AS newest", "FROM", quoted(table.name)), 1


def _total_by_month(archetype: Archetype, table: Table, topic: Topic) -> tuple[str, int]:
    time = _time(table)
    amounts = amount_columns(archetype, table.name)
    if time is None or not amounts:
        return _rows_by_day(archetype, table, topic)
    total = " * ".join(quoted(name) for name in amounts)
    columns = f"date_trunc('month', {time}) AS month, sum({total}) AS total"
    return _sql("SELECT", columns, "FROM", quoted(table.name), "GROUP BY 1 ORDER BY 1"), 18


def _join(archetype: Archetype, table: Table, topic: Topic, parent: str, kind: str) -> str:
    on = " AND ".join(f"a.{quoted(own)} = b.{quoted(other)}" for own, other in topic.join_on)
    other = archetype.schema[parent].name
    return _sql("FROM", quoted(table.name), "AS a", kind, quoted(other), "AS b ON", on)


def _orphans(archetype: Archetype, table: Table, topic: Topic) -> tuple[str, int]:
    if topic.other_table is None:
        return _missing(archetype, table, topic)
    own, other = topic.join_on[0]
    joined = _join(archetype, table, topic, topic.other_table, "LEFT JOIN")
    unmatched = f"WHERE a.{quoted(own)} IS NOT NULL AND b.{quoted(other)} IS NULL"
    return _sql("SELECT count(*) AS n", joined, unmatched), 1


def _joined(archetype: Archetype, table: Table, topic: Topic) -> tuple[str, int]:
    if topic.other_table is None:
        return _missing(archetype, table, topic)
    parent = archetype.schema[topic.other_table]
    group = next((c.name for c in parent.columns if c.values), topic.join_on[0][1])
    joined = _join(archetype, table, topic, parent.name, "JOIN")
    columns = f"b.{quoted(group)}, count(*) AS n"
    return _sql("SELECT", columns, joined, "GROUP BY 1 ORDER BY 2 DESC LIMIT 20"), 20


def _missing(_archetype: Archetype, table: Table, topic: Topic) -> tuple[str, int]:
    column = quoted(topic.column or table.column_names[0])
    name = quoted(table.name)
    return _sql("SELECT count(*) AS n FROM", name, "WHERE", column, "IS NULL"), 1


def _copies(archetype: Archetype, table: Table, topic: Topic) -> tuple[str, int]:
    if not table.business_key:
        return _count(archetype, table, topic)
    key = ", ".join(quoted(name) for name in table.business_key)
    tail = "HAVING count(*) > 1 ORDER BY copies DESC LIMIT 100"
    columns = f"{key}, count(*) AS copies"
    return _sql("SELECT", columns, "FROM", quoted(table.name), "GROUP BY", key, tail), 100


def _distinct(archetype: Archetype, table: Table, topic: Topic) -> tuple[str, int]:
    if len(table.business_key) != 1:
        return _copies(archetype, table, topic)
    copies = f"count(*) - count(DISTINCT {quoted(table.business_key[0])}) AS copies"
    return _sql("SELECT", copies, "FROM", quoted(table.name)), 1


def _by_column(archetype: Archetype, table: Table, topic: Topic) -> tuple[str, int]:
    column = topic.column or next((c.name for c in table.columns if c.values), None)
    if column is None:
        return _rows_by_day(archetype, table, topic)
    columns = f"{quoted(column)}, count(*) AS n"
    tail = "GROUP BY 1 ORDER BY 2 DESC LIMIT 20"
    return _sql("SELECT", columns, "FROM", quoted(table.name), tail), 20


def _look(_archetype: Archetype, table: Table, topic: Topic) -> tuple[str, int]:
    names = dict.fromkeys((*table.primary_key, *((topic.column,) if topic.column else ())))
    columns = ", ".join(quoted(name) for name in names) or "*"
    return _sql("SELECT", columns, "FROM", quoted(table.name), "LIMIT 50"), 50


_Builder = Callable[[Archetype, Table, Topic], tuple[str, int]]
_BUILDERS: Final[Mapping[str, tuple[_Builder, ...]]] = {
    "metric_definition_mismatch": (_total_by_month, _rows_by_day),
    "join_keys_orphans": (_orphans, _joined),
    "freshness_ingest_lag": (_newest, _rows_by_day),
    "duplicates_dedup": (_copies, _distinct),
    "access_permissions_pii": (_look,),
    "new_field_schema_request": (_by_column, _look),
    "revenue_coverage_mapping": (_total_by_month, _missing),
    "attribution_funnel_gaps": (_by_column, _rows_by_day),
}

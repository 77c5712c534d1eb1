"""Room: demand. Items and their messages, out of the corpus and into Python, a part at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from dnr_core.demand.corpus import fetch, registered
from dnr_core.demand.lexicon import Lexicon
from dnr_core.demand.pack import Message
from dnr_core.demand.prefilter import term_rows
from dnr_core.demand.rule import TERMS_OF_HITS
from dnr_core.demand.text import MOST_CHARACTERS
from dnr_core.demand.weights import Stratum

if TYPE_CHECKING:
    import duckdb

_EPOCH: Final = date(1970, 1, 1)

_MESSAGES: Final = f"""
WITH chosen AS (
  SELECT source, item_id, message_id, ts, user_id, left(text, $most) AS text
  FROM texts SEMI JOIN wanted USING (source, item_id)
), found AS (
  SELECT item_id, message_id, unnest(regexp_extract_all(text, $pattern, 0, 'i')) AS hit
  FROM chosen
), known AS ({TERMS_OF_HITS}),
points AS (
  SELECT item_id, message_id, sum(root_weight)::BIGINT AS points
  FROM (SELECT DISTINCT item_id, message_id, rank, root_weight FROM found JOIN known USING (hit))
  GROUP BY ALL
)
SELECT item_id, message_id, coalesce(epoch_us(ts), 0) AS ts_us, text,
       coalesce(points, 0) AS points, coalesce(role, '') = 'exec' AS is_exec, '' AS sql
FROM chosen LEFT JOIN points USING (item_id, message_id) LEFT JOIN people USING (source, user_id)
ORDER BY item_id, ts_us, message_id
"""  # noqa: S608  what is pasted in is a constant

_QUERIES: Final = """
SELECT item_id, message_id, coalesce(epoch_us(ts), 0) AS ts_us, left(text, $most) AS text,
       0 AS points, false AS is_exec, left(sql, $most) AS sql
FROM queries SEMI JOIN wanted USING (source, item_id) ORDER BY item_id, ts_us, text
"""

_LATER_MAILS: Final = """
SELECT mine.item_id, left(later.text, $most) AS text
FROM messages AS mine SEMI JOIN wanted USING (source, item_id)
JOIN messages AS later ON later.source = 'email' AND later.thread_id = mine.thread_id
 AND later.ts >= mine.ts
WHERE mine.source = 'email'
ORDER BY mine.item_id, later.ts, later.message_id
"""


@frozen
class Item:
    """An item that may be asked about: kept by the prefilter, or a query.

    `row` is its place in the table of all items; `day` is None where it has no time.
    """

    row: int
    item_id: str
    source: str
    thread_id: str
    root_id: str
    day: date | None
    bucket: str
    kept_by: str

    @property
    def stratum(self) -> Stratum:
        """Where it stands in the corpus."""
        if self.day is None:
            return Stratum(self.source, self.kept_by, self.bucket, 0, 0)
        month = 12 * self.day.year + self.day.month - 1
        return Stratum(self.source, self.kept_by, self.bucket, month, (self.day - _EPOCH).days)


@frozen
class ItemText:
    """The messages of one item in order of time, and a query's SQL."""

    messages: tuple[Message, ...]
    sql: str = ""


def kept_items(table: pa.Table) -> list[Item]:
    """Return the items of the prefilter's table that were kept, and all queries."""
    names = ("item_id", "source", "thread_id", "root_id", "day", "bucket", "kept_by")
    wanted = pc.or_(pc.not_equal(table["kept_by"], ""), pc.equal(table["source"], "nlq"))
    rows = pc.indices_nonzero(wanted)
    chosen = table.select(names).take(rows)
    columns = [chosen[name].to_pylist() for name in names]
    # Values that many items have are held once: of a long talk the items are what fills memory.
    once: dict[object, Any] = {}
    return [
        Item(
            row,
            item_id,
            once.setdefault(source, source),
            item_id if thread_id == item_id else thread_id,
            item_id if root_id == item_id else root_id,
            once.setdefault(day, day),
            once.setdefault(bucket, bucket),
            once.setdefault(kept_by, kept_by),
        )
        for row, item_id, source, thread_id, root_id, day, bucket, kept_by in zip(
            rows.to_pylist(), *columns, strict=True
        )
    ]


_HOLD: Final = (
    """CREATE TEMP TABLE held_texts AS
    SELECT source, item_id, message_id, ts, user_id, left(text, $most) AS text
    FROM messages SEMI JOIN wanted USING (source, item_id)""",
    "CREATE OR REPLACE TEMP VIEW texts AS FROM held_texts",
)


def hold_texts(connection: duckdb.DuckDBPyConnection, items: Sequence[Item]) -> None:
    """Read the messages of all items that may be asked about, once: the talk may be long."""
    with registered(connection, wanted=_wanted(items)):
        connection.execute(_HOLD[0], {"most": MOST_CHARACTERS})
    connection.execute(_HOLD[1])


def item_texts(
    connection: duckdb.DuckDBPyConnection, lexicon: Lexicon, items: Sequence[Item]
) -> dict[str, ItemText]:
    """Return the messages of some items of one source, by item. Long texts are cut."""
    if not items:
        return {}
    source = items[0].source
    roots = {item.item_id: item.root_id for item in items}
    parameters = {"most": MOST_CHARACTERS}
    with registered(connection, wanted=_wanted(items), terms=term_rows(lexicon)):
        if source == "nlq":
            rows = fetch(connection, _QUERIES, parameters)
        else:
            rows = fetch(connection, _MESSAGES, {**parameters, "pattern": lexicon.pattern})
    grouped: dict[str, list[Message]] = {item.item_id: [] for item in items}
    sql: dict[str, str] = {}
    names = ("item_id", "message_id", "ts_us", "text", "points", "is_exec", "sql")
    for item_id, message_id, ts_us, text, points, is_exec, query in zip(
        *(rows[name].to_pylist() for name in names), strict=True
    ):
        is_root = message_id == roots[item_id]
        grouped[item_id].append(Message(message_id, ts_us, text, points, is_root, is_exec))
        if query:
            sql[item_id] = query
    return {
        item_id: ItemText(tuple(messages), sql.get(item_id, ""))
        for item_id, messages in grouped.items()
    }


def later_mails(
    connection: duckdb.DuckDBPyConnection, items: Sequence[Item]
) -> dict[str, list[str]]:
    """Return, for some mails, the texts of their threads from themselves on, in order of time."""
    found: dict[str, list[str]] = {}
    if items:
        with registered(connection, wanted=_wanted(items)):
            rows = fetch(connection, _LATER_MAILS, {"most": MOST_CHARACTERS})
        for item_id, text in zip(
            rows["item_id"].to_pylist(), rows["text"].to_pylist(), strict=True
        ):
            found.setdefault(item_id, []).append(text)
    return found


def _wanted(items: Sequence[Item]) -> pa.Table:
    return pa.table(
        {
            "source": pa.array([item.source for item in items], pa.string()),
            "item_id": pa.array([item.item_id for item in items], pa.string()),
        }
    )

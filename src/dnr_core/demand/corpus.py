"""Room: demand. The talk as DuckDB sees it: one view of messages over all sources, by item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa

from dnr_core.comms.tables import COMMS_USERS, EMAIL_MESSAGES, NLQ, SLACK_MESSAGES
from dnr_core.errors import CommsError

if TYPE_CHECKING:
    from dnr_core.model import CommsTables

NLQ_BUCKET: Final = "all"
"""Queries have no channel: they are one bucket."""

_MESSAGES: Final = """
CREATE TEMP VIEW messages AS
SELECT 'slack' AS source, coalesce(thread_id, message_id) AS item_id,
       coalesce(thread_id, message_id) AS thread_id, message_id, ts,
       channel_id AS channel, channel_cat AS bucket, user_id, coalesce(text, '') AS text,
       reply_to IS NULL AS is_root, coalesce(has_code, false) AS has_code,
       coalesce(has_link, false) AS has_link
FROM slack WHERE message_id IS NOT NULL
UNION ALL
SELECT 'email', message_id, coalesce(thread_id, message_id), message_id, ts, list_cat, list_cat, from_id,
       concat(coalesce(subject, ''), chr(10), coalesce(body_text, '')), true,
       coalesce(has_code, false), coalesce(has_link, false)
FROM email WHERE message_id IS NOT NULL
"""

_QUERIES: Final = f"""
CREATE TEMP VIEW queries AS
SELECT 'nlq' AS source, query_id AS item_id, query_id AS thread_id, query_id AS message_id, ts, app AS channel,
       '{NLQ_BUCKET}' AS bucket, user_id, coalesce(query_text, '') AS text, true AS is_root,
       coalesce(success_flag, true) AS succeeded,
       coalesce(generated_sql, '') AS sql
FROM nlq WHERE query_id IS NOT NULL
"""  # noqa: S608 -- the only value pasted in is a constant of this module

_ROLES: Final = """
CREATE TEMP VIEW people AS
SELECT source, user_id, min(role) AS role FROM users WHERE user_id IS NOT NULL GROUP BY ALL
"""


@contextmanager
def open_corpus(comms: CommsTables) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection in memory with the views `messages`, `queries` and `people`.

    Texts reach DuckDB as registered Arrow tables and parameters, never as SQL, and the
    connection can reach neither files nor the network. A table may be an Arrow data set on disk,
    which is read as a stream: talk need not fit into memory.

    Raises:
        CommsError: a table of talk lacks a column that is needed.
    """
    tables = {
        "slack": (comms.slack, SLACK_MESSAGES),
        "email": (comms.email, EMAIL_MESSAGES),
        "users": (comms.users, COMMS_USERS),
        "nlq": (comms.nlq, NLQ),
    }
    connection = duckdb.connect(
        ":memory:", config={"enable_external_access": False, "autoinstall_known_extensions": False}
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        for name, (table, schema) in tables.items():
            connection.register(name, _with_columns(name, table, schema))
        for view in (_MESSAGES, _QUERIES, _ROLES):
            connection.execute(view)
        yield connection
    finally:
        connection.close()


def _with_columns(name: str, table: Any, schema: pa.Schema) -> Any:
    # The views name the columns they read, so a data set on disk is read no further than that.
    present = table.schema.names
    missing = [column for column in schema.names if column not in present]
    if missing:
        raise CommsError(
            f"the {name} table of the talk has no column {missing[0]!r}",
            hint=f"it needs: {', '.join(schema.names)}",
        )
    return table


def fetch(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any] | None = None
) -> pa.Table:
    """Run a query and return its rows as Arrow."""
    return connection.execute(sql, dict(parameters or {})).to_arrow_table()


@contextmanager
def registered(
    connection: duckdb.DuckDBPyConnection, **tables: pa.Table | Sequence[Mapping[str, Any]]
) -> Iterator[None]:
    """Lend Arrow tables to the connection under their keyword names."""
    for name, table in tables.items():
        connection.register(name, table)
    try:
        yield
    finally:
        for name in tables:
            connection.unregister(name)

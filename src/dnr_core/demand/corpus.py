"""Room: demand. The talk as DuckDB sees it: one view of messages over all sources, by item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from dnr_core.beside import stoppable
from dnr_core.comms.tables import COMMS_USERS, EMAIL_MESSAGES, NLQ, SLACK_MESSAGES
from dnr_core.errors import CommsError, first_line

if TYPE_CHECKING:
    from dnr_core.model import CommsTables

NLQ_BUCKET: Final = "all"
"""Queries have no channel: they are one bucket."""

_PATTERN: Final = frozenset("*?[]{}")

_TALK: Final = """
CREATE TEMP VIEW slack_talk AS
SELECT coalesce(thread_id, message_id) AS item_id, coalesce(thread_id, message_id) AS thread_id,
       message_id, ts, channel_id AS channel, channel_cat AS bucket, user_id,
       coalesce(text, '') AS text, reply_to IS NULL AS is_root,
       coalesce(has_code, false) AS has_code, coalesce(has_link, false) AS has_link
FROM slack WHERE message_id IS NOT NULL;

CREATE TEMP VIEW email_talk AS
SELECT message_id AS item_id, coalesce(thread_id, message_id) AS thread_id,
       message_id, ts, list_cat AS channel, list_cat AS bucket, from_id AS user_id,
       concat(coalesce(subject, ''), chr(10), coalesce(body_text, '')) AS text, true AS is_root,
       coalesce(has_code, false) AS has_code, coalesce(has_link, false) AS has_link
FROM email WHERE message_id IS NOT NULL;

CREATE TEMP VIEW messages AS
SELECT 'slack' AS source, * FROM slack_talk UNION ALL SELECT 'email', * FROM email_talk;

CREATE TEMP VIEW texts AS FROM messages
"""
"""`texts` is where the messages of chosen items are read from, see `read.hold_texts`."""

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
    connection can reach neither files nor the network. A table may be an Arrow data set on disk:
    talk need not fit into memory. Its Parquet files are read by DuckDB itself, and are the only
    files that the connection can open.

    Raises:
        CommsError: a table of talk lacks a column that is needed, or its file is damaged.
    """
    tables = {
        "slack": (comms.slack, SLACK_MESSAGES),
        "email": (comms.email, EMAIL_MESSAGES),
        "users": (comms.users, COMMS_USERS),
        "nlq": (comms.nlq, NLQ),
    }
    files = {
        name: _parquet_files(_with_columns(name, table, schema))
        for name, (table, schema) in tables.items()
    }
    allowed = [path for paths in files.values() for path in paths]
    connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": False})
    try:
        connection.execute("SET allowed_paths = $paths", {"paths": allowed})
        connection.execute("SET enable_external_access = false")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        # Every result that is given away is sorted or a set, so rows may come in any order.
        connection.execute("SET preserve_insertion_order = false")
        for name, (table, _) in tables.items():
            if files[name]:
                connection.read_parquet(files[name]).create_view(name)
            else:
                connection.register(name, table)
        for view in (_TALK, _QUERIES, _ROLES):
            connection.execute(view)
        with stoppable(connection.interrupt):
            yield connection
    except (duckdb.InvalidInputException, duckdb.IOException) as error:
        if not allowed:
            raise
        raise CommsError(
            f"the talk's files cannot be read: {first_line(error)}",
            hint="make them again with `dnr gen-comms` or `dnr import-comms`",
        ) from None
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


def _parquet_files(table: Any) -> list[str]:
    """Return the local files of a data set that DuckDB can read as they are, or none."""
    if not isinstance(table, ds.FileSystemDataset) or not isinstance(
        table.format, ds.ParquetFileFormat
    ):
        return []
    local = isinstance(table.filesystem, fs.LocalFileSystem)
    # Such names mean several files to DuckDB, and have no other way to be written.
    if not local or any(_PATTERN & set(path) for path in table.files):
        return []
    return list(table.files)


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

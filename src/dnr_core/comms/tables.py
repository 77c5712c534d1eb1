"""Room: comms. The columns of the tables of talk, and of their labels.

What one item is, by source (an item is what one request classifies):

| source | item_id      | an item is                      |
| ------ | ------------ | ------------------------------- |
| slack  | `thread_id`  | a thread, root and replies      |
| email  | `message_id` | one mail                        |
| nlq    | `query_id`   | one question put to the data    |

An id is unique within its source; pairs of (source, item_id) are unique over all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

_TIME: Final = pa.timestamp("us", tz="UTC")
_NAMES: Final = pa.list_(pa.string())

SLACK_MESSAGES: Final = pa.schema(
    [
        ("message_id", pa.string()),
        ("thread_id", pa.string()),
        ("channel_id", pa.string()),
        ("channel_cat", pa.string()),
        ("ts", _TIME),
        ("user_id", pa.string()),
        ("text", pa.string()),
        ("reply_to", pa.string()),
        ("reply_count", pa.int32()),
        ("has_link", pa.bool_()),
        ("link_domains", _NAMES),
        ("has_attachment", pa.bool_()),
        ("attachment_names", _NAMES),
        ("has_code", pa.bool_()),
    ]
)
"""`reply_to` is the root's `message_id`, null for a root; `reply_count` counts the replies that
the table holds, on the root alone."""

EMAIL_MESSAGES: Final = pa.schema(
    [
        ("message_id", pa.string()),
        ("thread_id", pa.string()),
        ("ts", _TIME),
        ("from_id", pa.string()),
        ("to_ids", _NAMES),
        ("cc_ids", _NAMES),
        ("list_cat", pa.string()),
        ("subject", pa.string()),
        ("body_text", pa.string()),
        ("has_attachment", pa.bool_()),
        ("attachment_names", _NAMES),
        ("has_link", pa.bool_()),
        ("link_domains", _NAMES),
        ("has_code", pa.bool_()),
    ]
)

COMMS_USERS: Final = pa.schema(
    [("source", pa.string()), ("user_id", pa.string()), ("role", pa.string())]
)
"""One row a person and source; who writes in two sources has the same `user_id` in both."""

NLQ: Final = pa.schema(
    [
        ("query_id", pa.string()),
        ("user_id", pa.string()),
        ("app", pa.string()),
        ("ts", _TIME),
        ("query_text", pa.string()),
        ("generated_sql", pa.string()),
        ("success_flag", pa.bool_()),
        ("latency_ms", pa.int32()),
        ("result_rows", pa.int64()),
    ]
)
"""A real log may lack what a query returned: `generated_sql`, `success_flag`, `latency_ms` and
`result_rows` are null then."""

TABLES: Final[Mapping[str, pa.Schema]] = {
    "slack_messages": SLACK_MESSAGES,
    "email_messages": EMAIL_MESSAGES,
    "comms_users": COMMS_USERS,
    "nlq": NLQ,
}
"""Schemas by the name of the table, which is also its file's."""

LABELS: Final = pa.schema(
    [
        ("item_id", pa.string()),
        ("theme", pa.string()),
        ("relevance", pa.string()),
        ("tables", _NAMES),
        ("columns", _NAMES),
        ("incident_id", pa.string()),
        ("skeleton", pa.string()),
        ("band", pa.string()),
    ]
)
"""The truth about each item, under `meta/`. `theme` is null unless `relevance` is "positive";
`columns` are written "table.column"; `skeleton` is what the writer says it wrote from."""

LABEL_FILES: Final[Mapping[str, str]] = {
    source: f"labels_{source}.parquet" for source in ("slack", "email", "nlq")
}
ITEM_ID: Final[Mapping[str, str]] = {
    "slack": "thread_id",
    "email": "message_id",
    "nlq": "query_id",
}
"""Which column is the item's id, by source."""

ROLES: Final[Mapping[str, int]] = {
    "exec": 3,
    "data_eng": 12,
    "analytics_eng": 8,
    "bi": 7,
    "product_analytics": 5,
    "eng_platform": 10,
    "pm": 10,
    "finance": 5,
    "other": 40,
}
"""Roles and their shares of the people of a made company, in percent."""

BUCKETS: Final[Mapping[str, int]] = {"platform": 35, "analytics": 35, "domain": 30}
"""Kinds of channel and mailing list, and their shares of made talk, in percent."""


def empty(name: str) -> pa.Table:
    """Return the table of that name with no rows."""
    return TABLES[name].empty_table()

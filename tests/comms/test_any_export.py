"""Exports of any shape: whatever is in them, what is read hangs together and nothing crashes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnr_core.comms.importers.archive import Unread
from dnr_core.comms.importers.buckets import Bucketing
from dnr_core.comms.importers.mailbox import read_mail
from dnr_core.comms.importers.nlq import read_nlq
from dnr_core.comms.importers.people import People
from dnr_core.comms.importers.slack import read_slack
from dnr_core.comms.pseudonyms import Pseudonyms
from dnr_core.comms.tables import EMAIL_MESSAGES, SLACK_MESSAGES
from dnr_core.errors import DnrError

QUICK = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
STAMPS = st.integers(0, 12).map(lambda n: f"17041032{n:02d}.000100")
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
SOUND = st.fixed_dictionaries(
    {"type": st.just("message"), "ts": STAMPS, "text": st.text(max_size=40), "user": st.just("U1")},
    optional={
        "thread_ts": STAMPS,
        "subtype": st.sampled_from(
            ["tombstone", "channel_join", "thread_broadcast", "bot_message"]
        ),
        "edited": st.fixed_dictionaries({"ts": STAMPS}),
    },
)
WILD = st.dictionaries(
    st.sampled_from(
        ["type", "ts", "text", "user", "thread_ts", "subtype", "edited", "blocks", "attachments",
         "files", "file", "comment", "message", "deleted_ts", "bot_id", "username", "hidden"]
    ),
    ANYTHING | STAMPS | st.sampled_from(["message", "message_changed", "message_deleted"]),
)  # fmt: skip


def export(folder: Path, messages: list[Any], users: Any = None) -> Path:
    day = folder / "general" / "2024-01-01.json"
    day.parent.mkdir(parents=True, exist_ok=True)
    day.write_text(json.dumps(messages))
    (folder / "users.json").write_text(json.dumps(users if users is not None else []))
    return folder


def people() -> People:
    return People(Pseudonyms(b"k" * 32))


def whole(schema: pa.Schema, parts: Iterable[pa.Table]) -> pa.Table:
    return pa.concat_tables([schema.empty_table(), *parts])


@QUICK
@given(messages=st.lists(SOUND, max_size=12))
def test_threads_always_hang_together(tmp_path: Path, messages: list[Any]) -> None:
    """Ids are unique, replies name a root of their thread, and roots count their replies."""
    unread = Unread()
    source = export(tmp_path / "slack", messages)
    rows = whole(SLACK_MESSAGES, read_slack(source, people(), Bucketing(), unread)).to_pylist()
    ids = [row["message_id"] for row in rows]
    assert len(ids) == len(set(ids))
    for row in rows:
        thread = [other for other in rows if other["thread_id"] == row["thread_id"]]
        (root,) = [other for other in thread if other["reply_to"] is None]
        assert row is root or row["reply_to"] == root["message_id"]
        assert root["reply_count"] == len(thread) - 1
        assert root["ts"] == min(other["ts"] for other in thread)
    readable = {
        message["ts"]
        for message in messages
        if message.get("subtype") not in {"tombstone", "channel_join"}
    }
    assert {f"general:{ts}" for ts in readable} >= set(ids)


@QUICK
@given(messages=st.lists(WILD | ANYTHING, max_size=6), users=ANYTHING)
def test_no_slack_export_crashes(tmp_path: Path, messages: list[Any], users: Any) -> None:
    """JSON of any shape is read, left out, or listed."""
    unread = Unread()
    source = export(tmp_path / "slack", messages, users)
    table = whole(SLACK_MESSAGES, read_slack(source, people(), Bucketing(), unread))
    told = table.num_rows + unread.total + sum(unread.left_out.values())
    assert told >= 0
    assert table.column("message_id").null_count == 0


@QUICK
@given(
    head=st.lists(
        st.tuples(
            st.sampled_from(
                [b"From", b"To", b"Date", b"Subject", b"Message-ID", b"References", b"In-Reply-To",
                 b"Content-Type", b"Content-Disposition", b"Content-Transfer-Encoding", b"Received"]
            ),
            st.binary(max_size=40)
            | st.sampled_from(
                [b"multipart/mixed; boundary=b", b"text/html; charset=utf-16", b"=?utf-8?b?////?=",
                 b"text/plain; charset=\x00", b"attachment; filename*=utf-8''%ff%zz", b"base64",
                 b"message/rfc822", b"quoted-printable", b"uuencode", b"<a@b> <", b"a@b, <c@d>, @@"]
            ),
        ),
        max_size=8,
    ),
    body=st.binary(max_size=200),
)  # fmt: skip
def test_no_mail_crashes(tmp_path: Path, head: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Bytes of any kind are a mail that is read, or one that is listed."""
    file = tmp_path / "m.eml"
    file.write_bytes(b"".join(name + b": " + value + b"\n" for name, value in head) + b"\n" + body)
    unread = Unread()
    table = whole(EMAIL_MESSAGES, read_mail(file, people(), Bucketing(), unread))
    assert table.num_rows <= 1
    if table.num_rows:
        assert isinstance(table.to_pylist()[0]["body_text"], str)


@QUICK
@given(content=st.binary(max_size=300), kind=st.sampled_from(["csv", "jsonl", "json", "parquet"]))
def test_no_log_crashes(tmp_path: Path, content: bytes, kind: str) -> None:
    """Bytes of any kind give rows or an error for a person."""
    file = tmp_path / f"log.{kind}"
    file.write_bytes(b"question,user\n" + content if kind == "csv" else content)
    try:
        read_nlq(file, people(), Unread())
    except DnrError as error:
        assert str(error)  # noqa: PT017


@QUICK
@given(rows=st.lists(st.dictionaries(st.sampled_from(["question", "ts", "ok", "rows", "user", "sql"]),
                                     ANYTHING), max_size=5))  # fmt: skip
def test_values_of_any_type_are_read_or_listed(tmp_path: Path, rows: list[Any]) -> None:
    """Values of the wrong type are null or listed; no row is lost without a word."""
    file = tmp_path / "log.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in [{"question": "q"}, *rows]))
    unread = Unread()
    table = read_nlq(file, people(), unread)
    assert table.num_rows + unread.total + unread.left_out.get(
        "questions that are there twice", 0
    ) == (len(rows) + 1)


def test_deep_and_wide_mails_end(tmp_path: Path) -> None:
    """Hundreds of parts within one another, and more beside one another, are read or listed."""
    deep = b"Date: Mon, 1 Jan 2024 10:00:00 +0000\nFrom: a@x.example\n"
    for n in range(300):
        deep += b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n)
    wide = b'Date: Mon, 1 Jan 2024 10:00:00 +0000\nFrom: a@x.example\nContent-Type: multipart/mixed; boundary="b"\n\n'
    wide += b"--b\n\nx\n" * 1_500
    for content in (deep, wide):
        file = tmp_path / "m.eml"
        file.write_bytes(content)
        unread = Unread()
        table = whole(EMAIL_MESSAGES, read_mail(file, people(), Bucketing(), unread))
        assert table.num_rows + unread.total == 1


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "(" * 50_000, "1-" * 50_000, "@" * 50_000, "> " * 50_000]
)
def test_hostile_texts_take_no_longer(tmp_path: Path, text: str) -> None:
    """Texts made to make patterns backtrack are read like others."""
    file = tmp_path / "m.eml"
    head = "Date: Mon, 1 Jan 2024 10:00:00 +0000\nFrom: a@x.example\nSubject: s\n\n"
    file.write_text(f"{head}{text}\n\nOn {text} wrote:\n")
    assert whole(EMAIL_MESSAGES, read_mail(file, people(), Bucketing(), Unread())).num_rows == 1

"""Logs of questions and queries: formats, maps of columns, times, and rows that are broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dnr_core.comms import ImportedFolder, import_comms, read_comms
from dnr_core.errors import CommsError, ConfigError

Import = Callable[..., tuple[ImportedFolder, list[dict[str, Any]]]]


@pytest.fixture
def read(tmp_path: Path) -> Import:
    def run(
        name: str, content: str | bytes, **options: Any
    ) -> tuple[ImportedFolder, list[dict[str, Any]]]:
        source = tmp_path / name
        source.write_bytes(content.encode() if isinstance(content, str) else content)
        folder = import_comms(
            nlq=source, out=tmp_path / "out", key_file=tmp_path / "key", **options
        )
        return folder, read_comms(folder.path).nlq.to_pylist()

    return run


ROWS = [
    {"question": "sales, by day?", "sql": "SELECT 1", "user": "ann@x.example", "ok": "true",
     "asked_at": "2024-01-02T03:04:05Z", "duration_ms": "12.4", "rows": "3"},
    {"question": "how\nmany?", "sql": "", "user": "bo@x.example", "ok": "failed",
     "asked_at": "2024-01-01 00:00:00", "duration_ms": "", "rows": "-1"},
]  # fmt: skip


def test_csv_json_lines_and_parquet_say_the_same(read: Import, tmp_path: Path) -> None:
    """The same log in four formats gives the same questions, in order of time."""
    names = list(ROWS[0])
    lines = [",".join(names)]
    lines += [",".join('"' + row[name].replace('"', '""') + '"' for name in names) for row in ROWS]
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "p.parquet")
    contents = {
        "log.csv": "\ufeff" + "\n".join(lines),
        "log.tsv": "\t".join(names) + "\n" + "\n".join(
            "\t".join('"' + row[name] + '"' for name in names) for row in ROWS
        ),
        "log.jsonl": "\n".join(json.dumps(row) for row in ROWS) + "\n\n",
        "log.json": json.dumps(ROWS),
        "log.parquet": (tmp_path / "p.parquet").read_bytes(),
    }  # fmt: skip
    found = {}
    for name, content in contents.items():
        folder, rows = read(name, content)
        assert folder.unread == 0
        found[name] = [{**row, "query_id": ""} for row in rows]
    first = found["log.csv"]
    assert all(rows == first for rows in found.values())
    assert [row["query_text"] for row in first] == ["how\nmany?", "sales, by day?"]
    assert first[1]["ts"] == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert [row["success_flag"] for row in first] == [False, True]
    assert [row["latency_ms"] for row in first] == [None, 12]
    assert [row["result_rows"] for row in first] == [None, 3]
    assert [row["generated_sql"] for row in first] == [None, "SELECT 1"]
    assert len({row["user_id"] for row in first}) == 2


@pytest.mark.parametrize(
    "value", [1704164645, 1704164645.0, 1704164645000, "1704164645", 1704164645000000,
              1704164645000000000, "2024-01-02T03:04:05+00:00", "2024-01-01 19:04:05-08:00"],
)  # fmt: skip
def test_times_of_every_kind(read: Import, value: object) -> None:
    """Seconds, milli-, micro- and nanoseconds and ISO texts are the same instant."""
    _, (row,) = read("log.jsonl", json.dumps({"question": "q", "ts": value}))
    assert row["ts"] == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_questions_without_times_are_kept_in_order(read: Import) -> None:
    """A set of questions and SQL, as benchmarks publish them, is read: no time, own line as id."""
    lines = [
        json.dumps({"db_id": "d", "question": f"q{n}", "query": f"SELECT {n}"}) for n in range(12)
    ]
    folder, rows = read("dev.jsonl", "\n".join(lines))
    assert [row["query_text"] for row in rows] == [f"q{n}" for n in range(12)]
    assert [row["query_id"] for row in rows][:2] == ["dev.jsonl:1", "dev.jsonl:2"]
    assert rows[3]["generated_sql"] == "SELECT 3"
    assert {row["ts"] for row in rows} == {None}
    assert folder.incomplete == {"questions without a time": 12}


def test_a_map_of_columns_wins(read: Import) -> None:
    """Columns with names of their own are read by a map; names that do not exist are refused."""
    content = "frage;wer;text\nwie viele?;ann;no\n"
    _, (row,) = read("log.csv", content, nlq_columns={"query_text": "frage", "user_id": "wer"})
    assert row["query_text"] == "wie viele?"
    with pytest.raises(ConfigError, match="has no column 'fragen'") as caught:
        read("log.csv", content, nlq_columns={"query_text": "fragen"})
    assert "frage" in caught.value.hint
    with pytest.raises(ConfigError, match="no column of nlq"):
        read("log.csv", content, nlq_columns={"what": "frage"})


def test_a_log_of_queries_alone_is_read(read: Import) -> None:
    """Where there are no questions, the SQL is the text."""
    _, (row,) = read("log.csv", "statement,user\nSELECT 1 FROM fact_sale,ann\n")
    assert row["query_text"] == row["generated_sql"] == "SELECT 1 FROM fact_sale"


def test_a_warehouses_own_history_is_read(read: Import) -> None:
    """A query history whose text is SQL has it as SQL, too."""
    content = (
        "QUERY_ID,QUERY_TEXT,USER_NAME,START_TIME,EXECUTION_STATUS,TOTAL_ELAPSED_TIME,ROWS_PRODUCED\n"
        "01a,select 1 from fact_sale,ANN,2024-01-02 03:04:05 UTC,SUCCESS,120,1\n"
        "01b,with sales from May?,BO,2024-01-03 03:04:05 UTC,FAIL,9,0\n"
    )
    _, rows = read("history.csv", content)
    assert [row["query_id"] for row in rows] == ["01a", "01b"]
    assert [row["generated_sql"] for row in rows] == ["select 1 from fact_sale", None]
    assert [row["success_flag"] for row in rows] == [True, False]
    assert rows[0]["latency_ms"] == 120


def test_texts_and_sql_are_redacted(read: Import) -> None:
    """Addresses and long numbers leave the question and the SQL alike."""
    line = {
        "question": "who is ann@x.example?",
        "sql": "SELECT * FROM c WHERE iban = '123456789012'",
    }
    _, (row,) = read("log.jsonl", json.dumps(line))
    assert row["query_text"] == "who is [address]?"
    assert row["generated_sql"].endswith("= '[account]'")


def test_broken_rows_are_listed(read: Import) -> None:
    """Lines that are no JSON, no object, or say nothing are counted with their place."""
    lines = ['{"question": "good", "ts": 1704164645}', "{", "[1]", '{"question": ""}',
             '{"question": "q", "ts": "soon"}', "[" * 100_000]  # fmt: skip
    folder, rows = read("log.jsonl", "\n".join(lines))
    assert [row["query_text"] for row in rows] == ["good"]
    assert folder.unread == 5
    folder, rows = read("log.csv", 'question,user\na,b\nc\nd,e,f\n"g",h\n')
    assert [row["query_text"] for row in rows] == ["a", "g"]
    assert folder.unread == 2


def test_what_is_no_log_is_refused(read: Import, tmp_path: Path) -> None:
    """Empty, truncated, of an unknown kind, or without questions: each says so and writes nothing."""
    pq.write_table(pa.table({"question": ["a"] * 1000}), tmp_path / "p")
    cases = {
        "empty.csv": (b"", "is empty"),
        "cut.parquet": ((tmp_path / "p").read_bytes()[:-20], "cannot be read"),
        "log.xlsx": (b"PK", "no log that dnr reads"),
        "other.csv": (b"a,b\n1,2\n", "neither questions nor SQL"),
        "bad.json": (b'[{"question": "a"},', "cannot be read"),
        "nothing.jsonl": (b"{\n", "neither questions nor SQL|nothing in"),
    }
    for name, (content, message) in cases.items():
        with pytest.raises(CommsError, match=message):
            read(name, content)
    with pytest.raises(CommsError, match="there is no"):
        import_comms(nlq=tmp_path / "none.csv", out=tmp_path / "out", key_file=tmp_path / "key")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_date_beyond_the_calendar_is_no_crash(read: Import, tmp_path: Path) -> None:
    """Arrow has dates of the year 148000, Python has none: the log is refused, with the place."""
    asked = pa.array([2**62] * 2, pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"query_text": ["how many?"] * 2, "asked_at": asked}), tmp_path / "log")
    with pytest.raises(CommsError, match="after row 0: damaged"):
        read("log.parquet", (tmp_path / "log").read_bytes())

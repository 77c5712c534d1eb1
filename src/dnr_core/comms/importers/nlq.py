"""Room: comms. Reads a log of questions or queries: CSV, JSON lines, Parquet, with a map of columns."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from attrs import frozen

from dnr_core.comms.importers.archive import Unread
from dnr_core.comms.importers.people import People
from dnr_core.comms.redact import redact
from dnr_core.comms.rows import table_of
from dnr_core.comms.tables import NLQ
from dnr_core.errors import CommsError, ConfigError
from dnr_core.suggestions import did_you_mean

GUESSES: Final[Mapping[str, tuple[str, ...]]] = {
    "query_text": (
        "query_text",
        "question",
        "nl_query",
        "utterance",
        "prompt",
        "user_query",
        "text",
    ),
    "generated_sql": ("generated_sql", "sql", "sql_query", "query", "statement"),
    "query_id": ("query_id", "id", "request_id", "question_id"),
    "user_id": ("user_id", "user", "username", "user_name", "user_email", "email", "asked_by"),
    "app": ("app", "application", "tool", "source", "warehouse_name"),
    "ts": (
        "ts",
        "timestamp",
        "time",
        "created_at",
        "creation_time",
        "asked_at",
        "start_time",
        "started_at",
        "date",
        "datetime",
    ),
    "success_flag": ("success_flag", "success", "succeeded", "ok", "status", "execution_status"),
    "latency_ms": ("latency_ms", "duration_ms", "elapsed_ms", "total_elapsed_time", "latency"),
    "result_rows": ("result_rows", "row_count", "rows", "rows_produced", "n_rows"),
}
"""Names that a column of ours may have in a log, likeliest first; a given map wins."""

_TRUE: Final = {"true", "t", "yes", "y", "1", "ok", "success", "succeeded", "finished", "done"}
_FALSE: Final = {"false", "f", "no", "n", "0", "error", "fail", "failed", "failure", "cancelled"}
_SQL: Final = re.compile(r"\s*(?:select\s[^?]*\sfrom\s|with\s+\w+\s+as\s*\()", re.I)
"""A log of queries may have its SQL in a column that is called the text."""
_DEFAULT_APP: Final = "log"
_NOBODY: Final = "unknown"
_MAX_FIELD: Final = 10_000_000
_MAX_NUMBER: Final = {"latency_ms": 2**31 - 1, "result_rows": 2**63 - 1}


@frozen
class _Row:
    id: str
    where: str
    values: Mapping[str, Any]


def read_nlq(
    path: Path, people: People, unread: Unread, *, columns: Mapping[str, str] | None = None
) -> pa.Table:
    """Return `nlq` of a log, in order of time; rows that lack a time come first, with none.

    A log of queries without questions has its SQL as the text, too.

    Args:
        path: a `.csv`, `.tsv`, `.jsonl`, `.ndjson`, `.json` (a list) or `.parquet` file.
        people: who gives ids.
        unread: told what could not be read.
        columns: names of the log's columns by ours, where they cannot be guessed.

    Raises:
        CommsError: the file cannot be read, or has neither questions nor SQL.
        ConfigError: `columns` names a column that does not exist.
    """
    names, rows = _open(path, unread)
    mapping = _mapping(names, columns or {}, path)
    found: dict[str, tuple[Any, ...]] = {}
    for row in rows:
        values = {ours: row.values.get(theirs) for ours, theirs in mapping.items()}
        record = _record(values, row, people, unread)
        if record is None:
            continue
        if record[0] in found:
            unread.leave_out("questions that are there twice")
        found.setdefault(record[0], record)
    earliest = -(2**63)
    ordered = sorted(
        # Sorting is stable: rows of one moment, or of none, stay in the order of the file.
        found.values(),
        key=lambda row: earliest if row[3] is None else row[3],
    )
    return table_of(ordered, NLQ)


def _open(path: Path, unread: Unread) -> tuple[tuple[str, ...], Iterator[_Row]]:
    kind = path.suffix.lower()
    try:
        if kind in {".parquet", ".pq"}:
            file = pq.ParquetFile(path)
            return tuple(file.schema_arrow.names), _parquet_rows(file, path, unread)
        if kind in {".jsonl", ".ndjson", ".json"}:
            rows = list(_json_rows(path, unread))
            names = dict.fromkeys(name for row in rows[:1000] for name in row.values)
            return tuple(names), iter(rows)
        if kind in {".csv", ".tsv", ".txt"}:
            return _csv(path, unread)
    except FileNotFoundError:
        raise CommsError(f"there is no {path}", hint="check the path") from None
    except (OSError, pa.ArrowException, csv.Error, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise CommsError(f"{path} cannot be read: {first}") from None
    raise CommsError(
        f"{path} is no log that dnr reads", hint="give a .csv, .jsonl, .json or .parquet file"
    )


def _text_of(path: Path) -> str:
    content = path.read_bytes()
    if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _csv(path: Path, unread: Unread) -> tuple[tuple[str, ...], Iterator[_Row]]:
    text = _text_of(path)
    if not text.strip():
        raise CommsError(f"{path} is empty")
    csv.field_size_limit(_MAX_FIELD)
    first = text.splitlines()[0]
    delimiter = max("\t;,|", key=lambda mark: (first.count(mark), mark == ","))
    lines = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
    names = tuple(name.strip() for name in next(lines))

    def rows() -> Iterator[_Row]:
        while True:
            where = f"{path.name}:{lines.line_num + 1}"
            try:
                values = next(lines, None)
            except csv.Error as error:
                unread.note(where, f"no CSV: {error}")
                continue
            if values is None:
                return
            if len(values) == len(names):
                own = f"{path.name}:{lines.line_num}"
                yield _Row(own, where, dict(zip(names, values, strict=True)))
            elif values:
                unread.note(where, f"{len(values)} fields instead of {len(names)}")

    return names, rows()


def _json_rows(path: Path, unread: Unread) -> Iterator[_Row]:
    text = _text_of(path)
    if text.lstrip()[:1] == "[":
        for place, value in enumerate(json.loads(text)):
            yield from _json_row(value, f"{path.name}:{place + 1}", unread)
        return
    # Not splitlines: it also splits at separators that may stand within a JSON string.
    for number, line in enumerate(text.split("\n"), start=1):
        where = f"{path.name}:{number}"
        if line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                unread.note(where, "no valid JSON")
                continue
            yield from _json_row(value, where, unread)


def _json_row(value: Any, where: str, unread: Unread) -> Iterator[_Row]:
    if isinstance(value, dict):
        yield _Row(where, where, value)
    else:
        unread.note(where, "it is no JSON object")


def _parquet_rows(file: pq.ParquetFile, path: Path, unread: Unread) -> Iterator[_Row]:
    number = 0
    try:
        for batch in file.iter_batches(batch_size=10_000):
            for values in batch.to_pylist():
                number += 1
                where = f"{path.name}:{number}"
                yield _Row(where, where, values)
    # Overflow: a date that Python's calendar does not have.
    except (pa.ArrowException, OSError, ValueError, OverflowError):
        unread.note(f"{path.name}, after row {number}", "damaged: the rest cannot be read")


def _mapping(names: tuple[str, ...], given: Mapping[str, str], path: Path) -> dict[str, str]:
    for ours, theirs in given.items():
        if ours not in GUESSES:
            raise ConfigError(
                f"{ours!r} is no column of nlq", hint=f"columns are {', '.join(GUESSES)}"
            )
        if theirs not in names:
            raise ConfigError(
                f"{path} has no column {theirs!r}; it has {', '.join(names)}",
                hint=did_you_mean(theirs, names),
            )
    folded = {name.strip().casefold(): name for name in reversed(names)}
    mapping = dict(given)
    taken = set(given.values())
    for ours, guesses in GUESSES.items():
        found = next((folded[g] for g in guesses if g in folded and folded[g] not in taken), None)
        if ours not in mapping and found is not None:
            mapping[ours] = found
            taken.add(found)
    if not {"query_text", "generated_sql"} & set(mapping):
        raise CommsError(
            f"{path} has neither questions nor SQL; its columns are {', '.join(names) or 'none'}",
            hint="say which column it is, for example --nlq-column query_text=NAME",
        )
    return mapping


def _record(
    values: Mapping[str, Any], row: _Row, people: People, unread: Unread
) -> tuple[Any, ...] | None:
    sql = _text(values.get("generated_sql"))
    text = _text(values.get("query_text")) or sql
    if not sql and _SQL.match(text):
        sql = text
    if not text:
        unread.note(row.where, "it has no question and no SQL")
        return None
    given = values.get("ts")
    at_us = _instant_us(given)
    if at_us is None and given is not None and given != "":
        unread.note(row.where, "it has a time that cannot be read")
        return None
    if at_us is None:
        unread.miss("questions without a time")
    return (
        redact(_text(values.get("query_id")))[:100] or row.id,
        people.id_of("nlq", _text(values.get("user_id")) or _NOBODY),
        redact(_text(values.get("app")))[:100] or _DEFAULT_APP,
        at_us,
        redact(text),
        redact(sql) if sql else None,
        _flag(values.get("success_flag")),
        _number("latency_ms", values.get("latency_ms")),
        _number("result_rows", values.get("result_rows")),
    )


def _text(value: Any) -> str:
    if value is None or isinstance(value, dict | list | float | bool):
        return ""
    return str(value).strip()


def _instant_us(value: Any) -> int | None:
    """Return a time as microseconds in UTC: ISO text, a datetime, or seconds (ms, us, ns) since 1970."""
    if isinstance(value, datetime):
        instant = value if value.tzinfo else value.replace(tzinfo=UTC)
    elif isinstance(value, date):
        instant = datetime(value.year, value.month, value.day, tzinfo=UTC)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return _epoch_us(value)
    else:
        text = _text(value)
        try:
            return _epoch_us(float(text))
        except (ValueError, OverflowError):
            pass
        try:
            instant = datetime.fromisoformat(text.removesuffix(" UTC"))
        except ValueError:
            return None
        instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    delta = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _epoch_us(value: float) -> int | None:
    for scale in (1_000_000, 1_000, 1):
        if 3e14 < value * scale < 4.2e15:
            return int(value * scale)
    return int(value / 1000) if 3e17 < value < 4.2e18 else None


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    text = str(value).strip().casefold()
    return True if text in _TRUE else False if text in _FALSE else None


def _number(name: str, value: Any) -> int | None:
    try:
        number = round(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number <= _MAX_NUMBER[name] else None

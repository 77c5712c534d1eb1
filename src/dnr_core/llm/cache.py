"""Room: llm. Replies on disk, so that nothing is paid for twice."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Final, Self

from attrs import frozen

from dnr_core.errors import FolderError
from dnr_core.model import Reply, Request, Usage
from dnr_core.workspace import disk_errors

_log = logging.getLogger("dnr.llm")

FILE: Final = "replies.sqlite"
_APPLICATION_ID: Final = 0x646E7243  # "dnrC"
_FORMAT: Final = 1
_SELECT: Final = "SELECT key, raw, prompt_tokens, completion_tokens, model, checksum FROM replies"
_BUSY_SECONDS: Final = 30.0
_TOGETHER: Final = 256
"""Keys looked up by one query, which costs a third of as many queries."""
_JOBS: Final = """
CREATE TABLE IF NOT EXISTS jobs (
    tag TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    job TEXT,
    keys BLOB NOT NULL
) WITHOUT ROWID
"""
_REPLIES: Final = """
CREATE TABLE IF NOT EXISTS replies (
    key BLOB PRIMARY KEY,
    raw TEXT NOT NULL,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    model TEXT NOT NULL,
    checksum BLOB NOT NULL
) WITHOUT ROWID
"""


def request_key(request: Request, model: str) -> bytes:
    """Return the SHA-256 of the canonical request and the model, and of nothing else."""
    return Keys(model).of(request)


class Keys:
    """Keys of the requests of one run to one model: what neighbours share is written out once.

    Instructions and schema are most of a request. The schema must not change in between.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._last: Request | None = None
        self._head = self._tail = ""

    def of(self, request: Request) -> bytes:
        """Return the SHA-256 of `[model, purpose, instructions, item, schema, limits]` as JSON."""
        if self._last is None or not _differ_in_item_alone(request, self._last):
            limits = [request.schema, request.max_tokens, float(request.temperature)]
            self._head = _canonical([self._model, request.purpose, request.instructions])[:-1]
            self._tail = _canonical(limits)[1:]
            self._last = request
        canonical = f"{self._head},{json.dumps(request.item)},{self._tail}"
        return hashlib.sha256(canonical.encode("ascii")).digest()


def _differ_in_item_alone(one: Request, other: Request) -> bool:
    return (
        one.schema is other.schema
        and one.instructions == other.instructions
        and one.purpose == other.purpose
        and one.max_tokens == other.max_tokens
        and one.temperature == other.temperature
    )


def _canonical(value: list[object]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=dict)


def _checksum(key: bytes, raw: str, usage: Usage | None, model: str) -> bytes:
    counts = None if usage is None else [usage.prompt_tokens, usage.completion_tokens]
    return hashlib.sha256(key + json.dumps([raw, counts, model]).encode("ascii")).digest()[:8]


def _believed(
    key: bytes, raw: object, prompt: object, completion: object, model: object, checksum: object
) -> Reply | None:
    """The reply of a row, where its checksum is right."""
    if type(raw) is not str or type(model) is not str:
        return None
    usage = None
    if type(prompt) is int and type(completion) is int:
        usage = Usage(prompt, completion)
    if _checksum(key, raw, usage, model) != checksum:
        return None
    return Reply(raw=raw, usage=usage, model=model)


@frozen
class Job:
    """Requests that were given to a service as one job; `name` is the service's, None until told."""

    tag: str
    name: str | None
    keys: tuple[bytes, ...]


class Cache:
    """Valid answers by request: SQLite in WAL mode, one commit a reply, safe from any thread.

    Only answers that fitted their schema are put in; who reads one checks it again. Several
    processes may share a file. A file that is damaged is set aside and a new one begun: it costs
    money to ask again, and never gives a wrong answer.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._lock = Lock()
        self.path = path

    @classmethod
    def open(cls, path: Path) -> Cache:
        """Open a cache, made if it does not exist.

        Args:
            path: a folder, or a file whose name ends in `.sqlite` or `.db`.

        Raises:
            FolderError: it cannot be written, or the file is a database of something else.
        """
        file = path if path.suffix in {".sqlite", ".db"} else path / FILE
        with disk_errors(file.parent):
            file.parent.mkdir(parents=True, exist_ok=True)
        try:
            return cls(_connect(file), file)
        except sqlite3.OperationalError as error:
            raise _unusable(file, error) from None
        except sqlite3.DatabaseError:
            aside = _set_aside(file)
            _log.warning("the cache %s was damaged; it was set aside as %s", file, aside.name)
        try:
            return cls(_connect(file), file)
        except sqlite3.Error as error:
            raise _unusable(file, error) from None

    def get(self, key: bytes) -> Reply | None:
        """Return the reply under `key`, or None where there is none or it is damaged.

        Raises:
            FolderError: the file cannot be read.
        """
        return self.get_many([key]).get(key)

    def get_many(self, keys: Sequence[bytes]) -> dict[bytes, Reply]:
        """Return the replies under those of `keys` that have one that is not damaged, in order.

        Raises:
            FolderError: the file cannot be read.
        """
        found: dict[bytes, Reply] = {}
        for start in range(0, len(keys), _TOGETHER):
            part = keys[start : start + _TOGETHER]
            rows = self._rows(part)
            if rows is None:
                # A damaged page holds no reply that could be believed; those beside it are read.
                rows = [row for key in part for row in self._rows([key]) or ()]
            replies = {row[0]: _believed(*row) for row in rows}
            found.update({key: reply for key in part if (reply := replies.get(key)) is not None})
        return found

    def _rows(self, keys: Sequence[bytes]) -> list[tuple[Any, ...]] | None:
        """The rows of some keys, None where a page is damaged."""
        marks = ", ".join("?" * len(keys))
        try:
            with self._lock:
                return self._connection.execute(
                    f"{_SELECT} WHERE key IN ({marks})", keys
                ).fetchall()
        except sqlite3.OperationalError as error:
            raise _unusable(self.path, error) from None
        except sqlite3.DatabaseError:
            return None

    def put(self, key: bytes, reply: Reply) -> None:
        """Store a valid reply, committed when this returns.

        Raises:
            FolderError: it cannot be written; the run should stop, or it would pay for nothing.
        """
        usage = reply.usage
        row = (
            key,
            reply.raw,
            None if usage is None else usage.prompt_tokens,
            None if usage is None else usage.completion_tokens,
            reply.model,
            _checksum(key, reply.raw, usage, reply.model),
        )
        self._write("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?, ?)", row)

    def jobs(self, model: str) -> list[Job]:
        """Return the jobs of that model that are not done, in the order of their tags."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT tag, job, keys FROM jobs WHERE model = ? ORDER BY tag", (model,)
            ).fetchall()
        return [
            Job(tag, job, tuple(keys[at : at + 32] for at in range(0, len(keys), 32)))
            for tag, job, keys in rows
        ]

    def put_job(self, job: Job, model: str) -> None:
        """Remember a job, before it is submitted and again when its name is known."""
        row = (job.tag, model, job.name, b"".join(job.keys))
        self._write("INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?)", row)

    def drop_job(self, job: Job) -> None:
        """Forget a job, when all of its replies are stored."""
        self._write("DELETE FROM jobs WHERE tag = ?", (job.tag,))

    def _write(self, statement: str, row: tuple[object, ...]) -> None:
        try:
            with self._lock:
                self._connection.execute(statement, row)
        except (sqlite3.Error, OverflowError) as error:
            raise _unusable(self.path, error) from None

    def __len__(self) -> int:
        with self._lock:
            return int(self._connection.execute("SELECT count(*) FROM replies").fetchone()[0])

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    except BaseException:
        # Also at Ctrl-C: an open connection keeps its lock on the file.
        connection.close()
        raise


def _connect(file: Path) -> sqlite3.Connection:
    # Autocommit: each INSERT is a transaction of its own, so a killed run loses no paid reply.
    connection = sqlite3.connect(
        file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    # Damaged text fails its checksum then; left to itself, the error would quote it.
    connection.text_factory = _text
    with _closed_on_error(connection):
        # A new file first, and in one transaction: two that open it at once see all of it or none.
        connection.execute("BEGIN IMMEDIATE")
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables:
            _refuse_others(connection, file)
        else:
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
        connection.execute(_REPLIES)
        connection.execute(_JOBS)
        connection.execute("COMMIT")
        _write_ahead(connection)
        # NORMAL: a commit outlives a killed process; a power cut may cost the last few replies.
        connection.execute("PRAGMA synchronous = NORMAL")
        if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError
    return connection


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "replace")


def _write_ahead(connection: sqlite3.Connection) -> None:
    # SQLite does not wait by itself here: two that change the mode at once could block each other.
    until = monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > until:
                raise
        sleep(0.01)


def _refuse_others(connection: sqlite3.Connection, file: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        raise FolderError(
            f"{file} is a database of something else",
            hint="choose another cache folder (setting cache.dir)",
        )
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != _FORMAT:
        raise FolderError(
            f"{file} is a cache of format {version}; this version of dnr reads {_FORMAT}",
            hint="choose another cache folder (setting cache.dir), or delete the file",
        )


def _set_aside(file: Path) -> Path:
    number = 1
    while (aside := file.with_name(f"{file.name}.damaged-{number}")).exists():
        number += 1
    with disk_errors(file.parent):
        file.rename(aside)
        for suffix in ("-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
    return aside


def _unusable(file: Path, error: Exception) -> FolderError:
    return FolderError(
        f"the cache {file} cannot be used: {error}",
        hint="free some space, mend its permissions, or choose another folder (setting cache.dir)",
    )

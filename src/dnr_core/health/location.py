"""Room: health. Opens a read-only connection to whatever a location names; never prints a password."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import ibis
from attrs import frozen

from dnr_core.errors import DnrError, WarehouseError, first_line, let_through
from dnr_core.health.dialect import Dialect
from dnr_core.health.folder import (
    DUCKDB_SESSION,
    ENGINES,
    connect_folder,
    duckdb_settings,
    manifest_of,
    parquet_files,
    spark_connection,
    stop_spark,
)
from dnr_core.workspace import Manifest

FILE_SUFFIXES: Final = {
    ".duckdb": "duckdb",
    ".ddb": "duckdb",
    ".db": "sqlite",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
}
Location = str | Path | Any
"""A path, a URL, or a connection of Ibis (an `ibis.backends.BaseBackend`)."""


@frozen
class Opened:
    """A connection, what it speaks, and the manifest where the folder was made by dnr.

    `shown` names the location without its password. `files` are the Parquet files by table.
    """

    connection: Any
    dialect: Dialect
    shown: str
    folder: Path | None = None
    manifest: Manifest | None = None
    files: dict[str, tuple[str, ...]] | None = None
    close: Callable[[], None] = lambda: None


def masked(location: Location) -> str:
    """Return the location without password and without secrets in its query."""
    if not isinstance(location, str | Path):
        return f"the given {location.name} connection"
    text = str(location)
    if "://" not in text:
        return text
    parts = urlsplit(text)
    host = parts.netloc.rsplit("@", 1)[-1]
    user = parts.netloc.rsplit("@", 1)[0].split(":", 1)[0] if "@" in parts.netloc else ""
    return (
        f"{parts.scheme}://{user}@{host}{parts.path}"
        if user
        else f"{parts.scheme}://{host}{parts.path}"
    )


def open_location(location: Location, *, made: bool) -> Opened:
    """Connect to a folder, file or URL, read-only; a connection of Ibis is taken as it is.

    `made` says that the folder must be one that dnr finished making.

    Raises:
        WarehouseError: it cannot be reached, is locked, missing or not what its name says.
        UnfinishedError: a folder of dnr without a manifest.
    """
    if not isinstance(location, str | Path):
        return _borrowed(location)
    text = str(location)
    if "://" in text:
        return _open_url(text, made=made)
    path = Path(text)
    if path.is_dir():
        return _open_folder("duckdb", path, str(path), made=made)
    if not path.exists():
        raise WarehouseError(
            f"there is no folder or file {path}",
            hint="check the path; a database is named by a URL such as duckdb:///file.duckdb",
        )
    kind = FILE_SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise WarehouseError(
            f"{path} is neither a folder nor a database file that dnr knows by its name",
            hint=f"name it by a URL such as duckdb:///{path}, or end it in {', '.join(FILE_SUFFIXES)}",
        )
    return _open_duckdb(path) if kind == "duckdb" else _open_sqlite(path)


def _open_duckdb(path: Path) -> Opened:
    if not path.is_file():
        raise WarehouseError(f"there is no file {path}", hint="check the path of the database")
    try:
        connection = ibis.duckdb.connect(path, read_only=True, **duckdb_settings())
    except Exception as error:  # noqa: BLE001 - DuckDB raises its own, without a common base here
        message = first_line(let_through(error))
        if "different configuration" in message:
            raise WarehouseError(
                f"cannot open {path}: this program has it open already, with other settings",
                hint="close it, or give that connection (ibis.duckdb.from_connection) as warehouse",
            ) from None
        busy = "lock" in message.lower()
        raise WarehouseError(
            f"cannot open {path}: {'another program holds it' if busy else message}",
            hint="close the program that has it open for writing"
            if busy
            else "is it a DuckDB file, written by a version not newer than this one?",
        ) from None
    connection.raw_sql(DUCKDB_SESSION)
    return Opened(
        connection,
        Dialect("duckdb", keeps_scratch=True),
        masked(path),
        close=_closing(connection.disconnect),
    )


def _open_sqlite(path: Path) -> Opened:
    if not path.is_file():
        raise WarehouseError(f"there is no file {path}", hint="check the path of the database")
    try:
        raw = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
        raw.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise WarehouseError(
            f"cannot open {path}: {error}", hint="is it an SQLite file, and not held by a writer?"
        ) from None
    connection = ibis.sqlite.from_connection(raw)
    return Opened(
        connection,
        Dialect("sqlite", keeps_scratch=True),
        masked(path),
        close=_closing(connection.disconnect),
    )


def _open_url(url: str, *, made: bool) -> Opened:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme in {"postgres", "postgresql"}:
        return _open_postgres(url)
    if scheme == "spark":
        # A Spark master; its tables are those of the catalogue, in the database of the path.
        database = unquote(parts.path.strip("/"))
        return _open_spark(url, f"spark://{parts.netloc}", database)
    if scheme in ENGINES or scheme == "sqlite":
        path = _path_of(parts.netloc, parts.path)
        if scheme in ENGINES and path.is_dir():
            return _open_folder(scheme, path, masked(url), made=made)
        if scheme == "duckdb":
            return _open_duckdb(path)
        if scheme == "sqlite":
            return _open_sqlite(path)
        if scheme == "pyspark" and str(path) in {".", ""}:
            return _open_spark(url, None, "")
        raise WarehouseError(
            f"there is no folder {path}",
            hint=f"name a folder of Parquet files, as in {scheme}:///data/shop",
        )
    try:
        connection = ibis.connect(url)
    except Exception as error:  # noqa: BLE001 - any backend may raise anything of its own
        raise _unreachable(url, let_through(error)) from None
    return Opened(
        connection, Dialect(connection.name), masked(url), close=_closing(connection.disconnect)
    )


def _path_of(netloc: str, path: str) -> Path:
    """The path that a URL names.

    Three slashes name a path from here, four an absolute one, as in SQLAlchemy; an absolute path
    that exists is meant as such with three as well.
    """
    named = Path(unquote(netloc + path))
    if netloc or not str(named).startswith("/"):
        return named
    if str(named).startswith("//"):
        return Path(str(named)[1:])
    relative = Path(str(named).removeprefix("/"))
    return named if named.exists() and not relative.exists() else relative


def _closing(close: Callable[[], Any]) -> Callable[[], None]:
    def done() -> None:
        # Closing what the other side has closed already is no fault of the run.
        with suppress(Exception):
            close()

    return done


def _open_spark(url: str, master: str | None, database: str) -> Opened:
    try:
        connection = spark_connection(master, database or None)
    except ImportError:
        raise _not_installed("pyspark") from None
    except Exception as error:  # noqa: BLE001 - py4j's errors, and those of Java below it
        raise _unreachable(url, let_through(error)) from None
    close = _closing(lambda: stop_spark(connection))
    dialect = Dialect("pyspark", keeps_scratch=True)
    return Opened(connection, dialect, masked(url), close=close)


def _not_installed(engine: str) -> WarehouseError:
    extra = {"pyspark": "spark"}.get(engine, engine)
    return WarehouseError(
        f"the engine {engine} is not installed", hint=f"pip install 'dnr-core[{extra}]'"
    )


def _borrowed(connection: Any) -> Opened:
    """Take a connection of the caller's: it stays open, and its time zone is set back at the end."""
    name = getattr(connection, "name", None)
    if not isinstance(name, str) or not hasattr(connection, "table"):
        raise WarehouseError(
            f"a {type(connection).__name__} is no warehouse",
            hint="give a folder, a file, a URL, or a connection such as ibis.postgres.connect()",
        )
    return Opened(connection, Dialect(name), masked(connection), close=_in_utc(connection))


def _in_utc(connection: Any) -> Callable[[], None]:
    """Put the session of a connection in UTC; what is returned sets it back."""
    match connection.name:
        case "pyspark":
            conf = connection._session.conf
            before = conf.get("spark.sql.session.timeZone")
            conf.set("spark.sql.session.timeZone", "UTC")
            return _closing(lambda: conf.set("spark.sql.session.timeZone", before))
        case "duckdb":
            zone = str(connection.con.execute("SELECT current_setting('TimeZone')").fetchone()[0])
            connection.raw_sql("SET TimeZone = 'UTC'")
            return _closing(lambda: connection.con.execute("SET TimeZone = ?", [zone]))
        case "postgres":
            with connection.con.cursor() as cursor:
                cursor.execute("SHOW TimeZone")
                zone = str(cursor.fetchone()[0])
                cursor.execute("SET TimeZone = 'UTC'")
            return _closing(lambda: connection.raw_sql(f"SET TimeZone = {_literal(zone)}").close())
        case _:
            return lambda: None


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _open_postgres(url: str) -> Opened:
    parts = urlsplit(url)
    extra = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    # The server refuses writes itself, whatever is sent over this connection.
    options = f"{extra.pop('options', '')} -c default_transaction_read_only=on -c timezone=UTC"
    database, _, schema = unquote(parts.path.removeprefix("/")).partition("/")
    try:
        connection = ibis.postgres.connect(
            host=unquote(parts.hostname) if parts.hostname else extra.pop("host", None),
            port=parts.port or 5432,
            user=unquote(parts.username) if parts.username else extra.pop("user", None),
            password=unquote(parts.password) if parts.password else extra.pop("password", None),
            database=database or None,
            options=options.strip(),
            connect_timeout=int(extra.pop("connect_timeout", 10)),
            **extra,
        )
        if schema:
            connection.raw_sql(f"SET search_path TO {_quoted(schema)}").close()
    except ImportError:
        raise WarehouseError(
            "PostgreSQL needs a driver that is not installed",
            hint="pip install 'dnr-core[postgres]'",
        ) from None
    except Exception as error:  # noqa: BLE001 - psycopg's errors, and those of its libraries
        raise _unreachable(url, let_through(error)) from None
    close = _closing(connection.disconnect)
    return Opened(connection, Dialect("postgres"), masked(url), close=close)


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _unreachable(url: str, error: Exception) -> WarehouseError:
    parts = urlsplit(url)
    message = " ".join(str(error).split()) or type(error).__name__
    message = message.replace(url, masked(url))
    told = {
        value for values in parse_qs(parts.query).values() for value in values if len(value) > 3
    }
    for secret in {parts.password, unquote(parts.password or ""), *told} - {None, ""}:
        message = message.replace(str(secret), "***")
    return WarehouseError(
        f"cannot reach {masked(url)}: {message}",
        hint="check host, port, database, user and password, and that its driver is installed",
    )


def _open_folder(engine: str, folder: Path, shown: str, *, made: bool) -> Opened:
    manifest = manifest_of(folder, made=made)
    files = parquet_files(folder, manifest)
    try:
        connection = connect_folder(engine, folder, files)
    except ImportError:
        raise _not_installed(engine) from None
    except DnrError:
        raise
    except Exception as error:  # noqa: BLE001 - each engine raises its own
        # From None: its text may quote a password, and ours is masked.
        raise _unreachable(shown, error) from None
    dialect = Dialect(engine, keeps_scratch=True)
    close = _closing(
        connection.disconnect if engine != "pyspark" else lambda: stop_spark(connection)
    )
    return Opened(connection, dialect, shown, folder, manifest, files, close)

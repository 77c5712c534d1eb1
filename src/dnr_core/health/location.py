"""Room: health. Opens a read-only connection to whatever a location names; never prints a password."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import ibis
from attrs import frozen

from dnr_core.errors import InputError, UnfinishedError, WarehouseError
from dnr_core.health.dialect import Dialect
from dnr_core.workspace import MANIFEST, Manifest, read_manifest

MEMORY_LIMIT: Final = "1GB"
"""What DuckDB may hold before it spills to the temporary folder."""
FILE_SUFFIXES: Final = {
    ".duckdb": "duckdb",
    ".ddb": "duckdb",
    ".db": "sqlite",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
}
_PARQUET_MAGIC: Final = b"PAR1"


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


def masked(location: str | Path) -> str:
    """Return the location without password and without secrets in its query."""
    text = str(location)
    if "://" not in text:
        return text
    parts = urlsplit(text)
    host = parts.netloc.rsplit("@", 1)[-1]
    user = parts.netloc.rsplit("@", 1)[0].split(":", 1)[0] if "@" in parts.netloc else ""
    return urlunsplit((parts.scheme, f"{user}@{host}" if user else host, parts.path, "", ""))


def open_location(location: str | Path, *, made: bool) -> Opened:
    """Connect to a folder, file or URL, read-only.

    `made` says that the folder must be one that dnr finished making.

    Raises:
        WarehouseError: it cannot be reached, is locked, missing or not what its name says.
        UnfinishedError: a folder of dnr without a manifest.
    """
    text = str(location)
    if "://" in text:
        return _open_url(text)
    path = Path(text)
    if path.is_dir():
        return _open_folder(path, made=made)
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


def _duckdb_settings() -> dict[str, Any]:
    return {
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": str(Path(gettempdir()) / f"dnr-spill-{os.getpid()}"),
        "preserve_insertion_order": "false",
        "autoinstall_known_extensions": "false",
    }


def _open_duckdb(path: Path) -> Opened:
    if not path.is_file():
        raise WarehouseError(f"there is no file {path}", hint="check the path of the database")
    try:
        connection = ibis.duckdb.connect(path, read_only=True, **_duckdb_settings())
    except Exception as error:  # noqa: BLE001 - DuckDB raises its own, without a common base here
        message = str(error).splitlines()[0]
        busy = "lock" in message.lower()
        raise WarehouseError(
            f"cannot open {path}: {'another program holds it' if busy else message}",
            hint="close the program that has it open for writing"
            if busy
            else "is it a DuckDB file, written by a version not newer than this one?",
        ) from None
    connection.raw_sql("SET TimeZone = 'UTC'")
    return Opened(connection, Dialect("duckdb", keeps_scratch=True), masked(path))


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
    return Opened(ibis.sqlite.from_connection(raw), Dialect("sqlite"), masked(path))


def _open_url(url: str) -> Opened:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme in {"duckdb", "sqlite"}:
        path = Path(unquote(parts.netloc + parts.path))
        # Three slashes name a path from here, four an absolute one, as in SQLAlchemy; an absolute
        # path that exists is meant as such with three as well.
        relative = Path(str(path).removeprefix("/")) if not parts.netloc else path
        if str(path).startswith("//"):
            relative = Path(str(path)[1:])
        elif not relative.exists() and path.exists():
            relative = path
        return _open_duckdb(relative) if scheme == "duckdb" else _open_sqlite(relative)
    if scheme in {"postgres", "postgresql"}:
        return _open_postgres(url)
    try:
        connection = ibis.connect(url)
    except Exception as error:  # noqa: BLE001 - any backend may raise anything of its own
        raise _unreachable(url, error) from None
    return Opened(connection, Dialect(connection.name), masked(url))


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
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
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
        raise _unreachable(url, error) from None
    return Opened(connection, Dialect("postgres"), masked(url))


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _unreachable(url: str, error: Exception) -> WarehouseError:
    parts = urlsplit(url)
    message = " ".join(str(error).split()) or type(error).__name__
    for secret in {parts.password, unquote(parts.password or "")} - {None, ""}:
        message = message.replace(str(secret), "***")
    message = message.replace(url, masked(url))
    return WarehouseError(
        f"cannot reach {masked(url)}: {message}",
        hint="check host, port, database, user and password, and that its driver is installed",
    )


def _open_folder(folder: Path, *, made: bool) -> Opened:
    manifest = None
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder)
        if manifest.kind != "warehouse":
            raise InputError(
                f"{folder} holds a {manifest.kind}, not a warehouse",
                hint="give the folder that gen-warehouse wrote",
            )
    elif made:
        raise UnfinishedError(
            f"{folder} has no {MANIFEST}: what made it did not finish, or it is not a folder of dnr",
            hint="run gen-warehouse again, or describe your own Parquet files in a schema file",
        )
    files = _parquet_files(folder, manifest)
    connection = ibis.duckdb.connect(**_duckdb_settings())
    connection.raw_sql("SET TimeZone = 'UTC'")
    for table, paths in files.items():
        try:
            connection.read_parquet(list(paths), table_name=table, union_by_name=True)
        except Exception as error:  # noqa: BLE001 - DuckDB's errors have no base worth naming
            raise InputError(
                f"cannot read table {table!r} of {folder}: {str(error).splitlines()[0]}",
                hint="make the folder again, or replace the damaged file",
            ) from None
    dialect = Dialect("duckdb", keeps_scratch=True)
    return Opened(connection, dialect, str(folder), folder, manifest, files)


def _parquet_files(folder: Path, manifest: Manifest | None) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_dir():
            parts = tuple(str(p) for p in sorted(entry.rglob("*.parquet")) if p.is_file())
            if parts:
                found[entry.name] = parts
        elif entry.suffix == ".parquet":
            found[entry.stem] = (str(entry),)
    if manifest:
        for relative in sorted(manifest.files):
            if not (folder / relative).is_file():
                raise InputError(
                    f"{folder} lacks {relative}, which its manifest names",
                    hint="run gen-warehouse again; it makes what is missing",
                )
    elif not found:
        raise WarehouseError(
            f"{folder} holds no Parquet files",
            hint="one folder of *.parquet files a table, or one file a table, is expected",
        )
    for paths in found.values():
        for path in paths:
            _check_whole(Path(path))
    return found


def _check_whole(path: Path) -> None:
    """Refuse a file that does not begin and end as Parquet does: it was cut off."""
    try:
        with path.open("rb") as handle:
            start = handle.read(4)
            handle.seek(-min(4, path.stat().st_size), os.SEEK_END)
            end = handle.read(4)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    if start != _PARQUET_MAGIC or end != _PARQUET_MAGIC:
        raise InputError(
            f"{path} is cut off or no Parquet file",
            hint="make the folder again, or replace the damaged file",
        )

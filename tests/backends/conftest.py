"""Room: tests. One source of rows, put into each backend; a location of each, opened read-only."""

from __future__ import annotations

import os
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import pytest

FOLDERS = ("parquet", "polars", "datafusion", "pyspark")
SERVED = ("postgres", "pyspark")
BACKENDS = ("duckdb", "parquet", "sqlite", "polars", "datafusion", "postgres", "pyspark")
# Servers and Java have a session of their own; the others run with all tests.
HERE = tuple(
    name
    for name in BACKENDS
    if os.environ.get("DNR_BACKENDS")
    or (name not in SERVED and (name not in FOLDERS or name == "parquet" or find_spec(name)))
)

SQLITE_TYPES = {
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMP",
    "DATE": "DATE",
    "VARCHAR": "TEXT",
    "BOOLEAN": "BOOLEAN",
    "DOUBLE": "DOUBLE",
    "SMALLINT": "SMALLINT",
    "INTEGER": "INTEGER",
    "BIGINT": "BIGINT",
}
POSTGRES_TYPES = {"DOUBLE": "DOUBLE PRECISION"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", HERE)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _described(source: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[str, str]]]:
    tables = [row[0] for row in source.execute("SHOW TABLES").fetchall()]
    return {
        table: [(row[0], row[1]) for row in source.execute(f"DESCRIBE {_quoted(table)}").fetchall()]
        for table in tables
    }


def _copy_to_folder(source: duckdb.DuckDBPyConnection, folder: Path) -> None:
    folder.mkdir(parents=True)
    for table in _described(source):
        part = folder / table / "part-0.parquet"
        part.parent.mkdir()
        source.execute(f"COPY {_quoted(table)} TO '{part}' (FORMAT parquet)")


def _texts(source: duckdb.DuckDBPyConnection, table: str, columns: list[tuple[str, str]]) -> Any:
    """Rows with times as text in UTC, and the rest as it is."""
    wanted = [
        f"strftime({_quoted(name)}, '%Y-%m-%d %H:%M:%S.%f')"
        if "TIMESTAMP" in kind
        # As dates are written in ISO, also those of year 1.
        else f"strftime({_quoted(name)}, '%Y-%m-%d')"
        if kind == "DATE"
        else f"{_quoted(name)}::DOUBLE"
        if kind.startswith("DECIMAL")
        else _quoted(name)
        for name, kind in columns
    ]
    return source.execute(f"SELECT {', '.join(wanted)} FROM {_quoted(table)}").fetchall()


def _copy_to_sqlite(source: duckdb.DuckDBPyConnection, path: Path) -> None:
    raw = sqlite3.connect(path)
    for table, columns in _described(source).items():
        kinds = ", ".join(f"{_quoted(n)} {SQLITE_TYPES.get(k, 'DOUBLE')}" for n, k in columns)
        raw.execute(f"CREATE TABLE {_quoted(table)} ({kinds})")
        marks = ", ".join("?" for _ in columns)
        rows = _texts(source, table, columns)
        raw.executemany(f"INSERT INTO {_quoted(table)} VALUES ({marks})", rows)
    raw.commit()
    raw.close()


def _copy_to_postgres(source: duckdb.DuckDBPyConnection, server: Any, database: str) -> str:
    import psycopg

    server.psql(f"CREATE DATABASE {_quoted(database)}")
    url = server.url(database)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for table, columns in _described(source).items():
            kinds = ", ".join(f"{_quoted(n)} {POSTGRES_TYPES.get(k, k)}" for n, k in columns)
            cursor.execute(f"CREATE TABLE {_quoted(table)} ({kinds})")
            moments = [
                f"{_quoted(n)}::TIMESTAMP::VARCHAR || '+00'"
                if "ZONE" in k
                else f"{_quoted(n)}::VARCHAR"
                if "TIMESTAMP" in k or k == "DATE"
                else _quoted(n)
                for n, k in columns
            ]
            rows = source.execute(f"SELECT {', '.join(moments)} FROM {_quoted(table)}").fetchall()
            with cursor.copy(f"COPY {_quoted(table)} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
    return url


@pytest.fixture(scope="session")
def spark() -> Iterator[None]:
    """One Spark for all tests; dnr opens sessions beside it and leaves it running."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").appName("dnr tests")
    for name, value in {
        "spark.ui.enabled": "false",
        # Small tables: compiling code for each query would take longer than running it does.
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.session.timeZone": "Asia/Tokyo",
        "spark.driver.memory": "2g",
    }.items():
        builder = builder.config(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield
    session.stop()


@pytest.fixture(scope="session")
def put(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str, Path], str]:
    """Put all tables of a DuckDB file into a backend, once a name, and say where they are."""
    known: dict[tuple[str, str], str] = {}

    def load(backend: str, name: str, file: Path) -> str:
        place = "folder" if backend in FOLDERS else backend
        if backend == "duckdb":
            return f"duckdb:///{file}"
        if backend == "pyspark":
            request.getfixturevalue("spark")
        if (place, name) not in known:
            folder = tmp_path_factory.mktemp(f"{place}_{name}")
            with duckdb.connect(str(file), read_only=True) as source:
                source.execute("SET TimeZone = 'UTC'")
                if place == "folder":
                    _copy_to_folder(source, folder / name)
                    known[place, name] = str(folder / name)
                elif backend == "sqlite":
                    _copy_to_sqlite(source, folder / f"{name}.sqlite")
                    known[place, name] = f"sqlite:///{folder / name}.sqlite"
                else:
                    server = request.getfixturevalue("postgres")
                    known[place, name] = _copy_to_postgres(source, server, name)
        found = known[place, name]
        return f"{backend}:///{found}" if backend in FOLDERS and backend != "parquet" else found

    return load

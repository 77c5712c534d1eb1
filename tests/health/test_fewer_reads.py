"""Room: tests. What saves reads changes no figure: footers, parts of the lag, keys without gaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attrs import evolve

from dnr_core.config import ReportSettings, Settings
from dnr_core.health import measure, open_warehouse
from dnr_core.health.footers import noted_ends
from dnr_core.model import (
    Archetype,
    Column,
    EventTime,
    ForeignKey,
    HealthResult,
    Schema,
    Table,
)

SCHEMA = Schema(
    (
        Table("parents", (Column("id", "int64"),), primary_key="id"),
        Table(
            "things",
            (
                Column("id", "int64"),
                Column("parent", "int64"),
                Column("happened", "timestamp"),
                Column("loaded", "timestamp"),
                Column("day", "date"),
            ),
            primary_key="id",
            foreign_keys=(ForeignKey("parent", "parents", "id"),),
            event_time=EventTime("happened"),
            loaded_at="loaded",
            kind="fact",
        ),
    )
)
ARCHETYPE = Archetype("x", "X", SCHEMA, tz="Europe/Berlin")
ROWS = """
SELECT i AS id, CASE WHEN i % 11 = 0 THEN NULL ELSE i % 9 END AS parent,
  TIMESTAMP '2024-03-25' + to_milliseconds(i * 61_007) AS happened,
  TIMESTAMP '2024-03-25' + to_milliseconds(i * 61_007 + (i * 7919) % 5_000_000 - 400_000) AS loaded,
  DATE '2024-03-25' + (i % 40)::INT AS day
FROM range(1, 12001) t(i)
"""


def _folder(folder: Path, parents: str, things: str = ROWS) -> Path:
    for name, sql in (("parents", parents), ("things", things)):
        (folder / name).mkdir(parents=True)
        path = folder / name / "part.parquet"
        duckdb.sql(f"COPY ({sql}) TO '{path}' (ROW_GROUP_SIZE 2048)")
    return folder


def _health(folder: Path, **report: Any) -> HealthResult:
    settings = evolve(ReportSettings(), window_days=3, example_keys=0, **report)
    with open_warehouse(folder, ARCHETYPE) as warehouse:
        return measure(warehouse, Settings(report=settings))


def _figures(health: HealthResult) -> dict[tuple[str, str, str, str], Any]:
    return {
        (row["table"], row["column"], row["metric"], row["scope"]): (
            row["numerator"]
            if row["value"] is None or row["numerator"] is not None
            else row["value"]
        )
        for row in health.totals.to_pylist()
    }


@pytest.mark.parametrize("parents", ["range(0, 7)", "(VALUES (0), (1), (2), (4), (5), (6))"])
def test_missing_parents_are_the_same_with_and_without_gaps(tmp_path: Path, parents: str) -> None:
    """Parent keys 0 to 6 have no gap and are compared with their ends; without 3 they are joined."""
    folder = _folder(tmp_path / "x", f"SELECT a AS id FROM {parents} t(a)")
    found = _figures(_health(folder))["things", "parent", "fk_missing", "history"]
    known = duckdb.sql(f"SELECT a FROM {parents} t(a)").fetchall()
    sql = f"SELECT count(*) FROM ({ROWS}) WHERE parent NOT IN {tuple(k for (k,) in known)}"
    assert found == duckdb.sql(sql).fetchall()[0][0] > 0


def test_quantiles_from_parts_are_those_of_the_rows(tmp_path: Path) -> None:
    """Lags from minus seven minutes to more than an hour, by day, over a switch of clocks."""
    folder = _folder(tmp_path / "x", "SELECT 1 AS id")
    health = _health(folder)
    expected = duckdb.sql(f"""
        SELECT (timezone('Europe/Berlin', timezone('UTC', happened)))::DATE AS day,
          quantile_cont(epoch_us(loaded) // 1000000 - epoch_us(happened) // 1000000, [0.5, 0.95])
        FROM ({ROWS}) GROUP BY 1
    """).fetchall()
    for place, metric in enumerate(("lag_p50_minutes", "lag_p95_minutes")):
        found = {
            row["day"]: row["value"]
            for row in health.measures.to_pylist()
            if row["metric"] == metric
        }
        assert found == {day: pair[place] / 60 for day, pair in expected}


def test_footers_say_what_a_read_finds(tmp_path: Path) -> None:
    """First, last and rows of numbers, times and dates over several groups of rows."""
    folder = _folder(tmp_path / "x", "SELECT 1 AS id")
    with open_warehouse(folder, ARCHETYPE) as warehouse:
        found = noted_ends(warehouse, SCHEMA["things"], ("id", "parent", "happened", "day"))
    assert found is not None
    sql = f"""
        SELECT min(id), max(id), min(parent), max(parent),
          epoch_us(min(happened)), epoch_us(max(happened)),
          epoch_us(min(day)::TIMESTAMP), epoch_us(max(day)::TIMESTAMP) FROM ({ROWS})
    """
    ends = [end for one in found.values() for end in (one.low, one.high)]
    assert tuple(ends) == duckdb.sql(sql).fetchall()[0]
    assert {one.rows for one in found.values()} == {12_000}


@pytest.mark.parametrize("fault", ["no footers", "infinite", "nanoseconds"])
def test_footers_that_say_too_little_are_left_alone(tmp_path: Path, fault: str) -> None:
    """Without statistics, with an infinite time or finer ones the columns are read."""
    things = ROWS
    if fault == "infinite":
        spoilt = "CASE id WHEN 5 THEN 'infinity'::TIMESTAMP ELSE happened END AS happened"
        things = f"SELECT * REPLACE ({spoilt}) FROM ({ROWS})"
    folder = _folder(tmp_path / "x", "SELECT 1 AS id", things)
    path = folder / "things" / "part.parquet"
    if fault != "infinite":
        rows = pq.read_table(path)
        if fault == "nanoseconds":
            place = rows.schema.get_field_index("happened")
            rows = rows.set_column(place, "happened", rows["happened"].cast(pa.timestamp("ns")))
        pq.write_table(rows, path, write_statistics=fault != "no footers")
    with open_warehouse(folder, ARCHETYPE) as warehouse:
        assert noted_ends(warehouse, SCHEMA["things"], ("id", "happened")) is None
    health = _health(folder)
    assert _figures(health)["things", "", "rows", "history"] == 12_000
    assert any("1 rows of things have an event time before" in note for note in health.notes) == (
        fault == "infinite"
    )


def test_what_is_left_out_is_told_and_nothing_else_changes(tmp_path: Path) -> None:
    """Without lag, incidents and proofs the shares are the same, and the rest is "not measured"."""
    folder = _folder(tmp_path / "x", "SELECT a AS id FROM range(0, 7) t(a)")
    whole, less = _health(folder), _health(folder, leave_out=("lag", "incidents", "proofs"))
    kept = {k: v for k, v in _figures(whole).items() if not k[2].startswith("lag_")}
    assert _figures(less) == kept
    assert whole.proofs
    assert not less.proofs
    assert not less.incidents
    told = {(n.table, n.metric) for n in less.not_measured if "leave_out" in n.reason}
    assert told == {("things", "lag_p95_minutes"), ("things", "incidents")}

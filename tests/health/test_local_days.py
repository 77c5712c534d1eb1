"""Room: tests. Local days, hours and months on real backends, over daylight-saving switches."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnr_core.errors import ConfigError
from dnr_core.health.dialect import Dialect, fetch
from dnr_core.health.local_time import LocalClock, day_number, month_number, seconds_of

ZONES = (
    "America/Los_Angeles",
    "Europe/Berlin",
    "Australia/Lord_Howe",  # switches by half an hour
    "Asia/Kathmandu",  # is 5:45 ahead
    "Pacific/Apia",  # left out 30 December 2011
    "UTC",
)
FIRST, LAST = datetime(2010, 1, 1), datetime(2026, 1, 1)
anywhere = st.datetimes(FIRST, LAST)
# Half of the instants lie within a second of a whole hour, where days and offsets change.
near_hours = st.builds(
    lambda hours, micros: FIRST + timedelta(hours=hours, microseconds=micros),
    st.integers(1, 140_000),
    st.integers(-1_000_000, 1_000_000),
)


def _expected(instant: datetime, zone: str) -> tuple[int, int, int]:
    local = instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    return day_number(local.date()), local.hour, month_number(local.date())


def _clock(zone: str, backend: str) -> LocalClock:
    return LocalClock.over(zone, Dialect(backend), seconds_of(FIRST) - 90_000, seconds_of(LAST))


@pytest.mark.parametrize("zone", ZONES)
@settings(max_examples=5, deadline=None)
@given(instants=st.lists(anywhere | near_hours, min_size=1, max_size=40))
def test_duckdb_days_are_those_of_the_zone(zone: str, instants: list[datetime]) -> None:
    """Day, hour and month agree with Python's zone for naive and zoned timestamps alike."""
    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'UTC'")
    connection.raw_sql("CREATE TABLE moments (moment TIMESTAMP, zoned TIMESTAMPTZ)")
    connection.con.executemany("INSERT INTO moments VALUES (?, ?)", [(i, i) for i in instants])
    table, clock = connection.table("moments"), _clock(zone, "duckdb")
    for column in (table.moment, table.zoned):
        rows = table.select(
            table.moment, d=clock.day(column), h=clock.hour(column), m=clock.month(column)
        )
        for at, *found in fetch(connection, rows):
            assert tuple(found) == _expected(at, zone), at
    connection.disconnect()


@pytest.mark.parametrize("zone", ZONES)
def test_sqlite_days_are_those_of_the_zone(zone: str) -> None:
    """SQLite has no zones at all, and gives the same days, hours and months."""
    instants = [
        FIRST + timedelta(hours=hours, microseconds=micros)
        for hours in range(5, 140_000, 1511)
        for micros in (-1, 0)
    ]
    raw = sqlite3.connect(":memory:")
    raw.execute("CREATE TABLE moments (moment TIMESTAMP)")
    raw.executemany("INSERT INTO moments VALUES (?)", [(i.isoformat(" "),) for i in instants])
    connection = ibis.sqlite.from_connection(raw)
    table, clock = connection.table("moments"), _clock(zone, "sqlite")
    rows = table.select(
        table.moment,
        d=clock.day(table.moment),
        h=clock.hour(table.moment),
        m=clock.month(table.moment),
    )
    for at, *found in fetch(connection, rows):
        assert tuple(found) == _expected(datetime.fromisoformat(str(at)), zone), at
    connection.disconnect()


def test_a_date_is_a_local_day_already() -> None:
    """A date column is not moved into the zone; its month is its own."""
    connection = ibis.duckdb.connect()
    connection.raw_sql("CREATE TABLE days AS SELECT DATE '2024-03-01' AS day")
    table, clock = connection.table("days"), _clock("America/Los_Angeles", "duckdb")
    found = fetch(connection, table.select(d=clock.day(table.day), m=clock.month(table.day)))
    assert found == [(day_number(date(2024, 3, 1)), month_number(date(2024, 3, 1)))]
    connection.disconnect()


def test_a_wrong_zone_is_refused() -> None:
    """A zone that does not exist is named in the error."""
    with pytest.raises(ConfigError, match="'Mars/Olympus' is no time zone"):
        LocalClock.over("Mars/Olympus", Dialect("duckdb"), 0, 1)


@pytest.mark.parametrize("zone", ZONES)
def test_times_stored_in_a_zone_are_turned_into_instants(zone: str) -> None:
    """Naive times of a zone's clock become the seconds that Python gives, both switches included."""
    walls = [FIRST + timedelta(minutes=30 * step) for step in range(3, 700_000, 211)]
    connection = ibis.duckdb.connect()
    connection.raw_sql("CREATE TABLE moments (moment TIMESTAMP)")
    connection.con.executemany("INSERT INTO moments VALUES (?)", [(wall,) for wall in walls])
    table = connection.table("moments")
    ends = seconds_of(FIRST) - 90_000, seconds_of(walls[-1]) + 90_000
    clock = LocalClock.over("UTC", Dialect("duckdb"), *ends, stored_tz=zone)
    rows = fetch(connection, table.select(table.moment, s=clock.seconds(table.moment)))
    connection.disconnect()
    for wall, seconds in rows:
        expected = wall.replace(tzinfo=ZoneInfo(zone)).timestamp()
        assert seconds == expected, wall

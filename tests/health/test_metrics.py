"""Room: tests. Every share by local day against a plain Python reading of the definitions."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
from attrs import evolve, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnr_core.config import ReportSettings, Settings
from dnr_core.health import measure, open_warehouse
from dnr_core.model import (
    Amount,
    Archetype,
    Column,
    EventTime,
    ForeignKey,
    HealthResult,
    RevenueStream,
    Schema,
    Table,
)

TZ = "America/Los_Angeles"
# Both switches of 2024 lie between the two ends: 10 March and 3 November.
INSTANTS = [
    datetime(2024, 3, 10, 7, 59, 59, 999999),
    datetime(2024, 3, 10, 8, 0),
    datetime(2024, 3, 11, 6, 59, 59, 500000),
    datetime(2024, 3, 11, 7, 0),
    datetime(2024, 11, 3, 6, 59, 59),
    datetime(2024, 11, 3, 7, 0),
    datetime(2024, 11, 4, 7, 59, 59),
    datetime(2024, 11, 4, 8, 0),
]
SCHEMA = Schema(
    (
        Table(
            "customers",
            (Column("id", "int64"), Column("created", "timestamp")),
            primary_key="id",
            created_at="created",
        ),
        Table(
            "shops",
            (Column("region", "string"), Column("code", "int64")),
            primary_key=("region", "code"),
        ),
        Table(
            "orders",
            (
                Column("id", "int64"),
                Column("customer", "int64"),
                Column("region", "string"),
                Column("shop", "int64"),
                Column("placed", "timestamp"),
                Column("loaded", "timestamp"),
                Column("cents", "int64"),
            ),
            primary_key="id",
            foreign_keys=(
                ForeignKey("customer", "customers", "id", parent_time="created"),
                ForeignKey(("region", "shop"), "shops", ("region", "code"), required=False),
            ),
            event_time=EventTime("placed"),
            loaded_at="loaded",
            kind="fact",
        ),
    )
)
SHOP = Archetype(
    "shop",
    "Shop",
    SCHEMA,
    streams=(RevenueStream("sales", "orders", Amount("cents")),),
    tz=TZ,
)
SETTINGS = Settings(report=evolve(ReportSettings(), window_days=None, example_keys=0))


@frozen
class Order:
    """One row of `orders`, in the order of its columns."""

    id: int | None
    customer: int | None
    region: str | None
    shop: int | None
    placed: datetime | None
    loaded: datetime | None
    cents: int | None


instants = st.sampled_from(INSTANTS)
orders = st.builds(
    Order,
    id=st.none() | st.integers(1, 12),
    customer=st.none() | st.integers(1, 4),
    region=st.none() | st.sampled_from("NS"),
    shop=st.none() | st.integers(1, 2),
    placed=st.none() | instants,
    loaded=st.none()
    | st.builds(
        lambda at, minutes: at + timedelta(minutes=minutes), instants, st.integers(-30, 300)
    ),
    cents=st.none() | st.integers(-500, 10_000),
)


def _write(
    path: Path,
    rows: list[Order],
    customers: list[tuple[int, datetime]],
    shops: list[tuple[str, int]],
) -> None:
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute("""
            CREATE TABLE customers (id BIGINT, created TIMESTAMP);
            CREATE TABLE shops (region VARCHAR, code BIGINT);
            CREATE TABLE orders (id BIGINT, customer BIGINT, region VARCHAR, shop BIGINT,
                                 placed TIMESTAMP, loaded TIMESTAMP, cents BIGINT);
        """)
        for table, values in (
            ("customers", customers),
            ("shops", shops),
            (
                "orders",
                [(r.id, r.customer, r.region, r.shop, r.placed, r.loaded, r.cents) for r in rows],
            ),
        ):
            if values:
                marks = ", ".join("?" for _ in values[0])
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", values)


def _day(instant: datetime | None) -> Any:
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(TZ)).date() if instant else None


def _cut(instant: datetime) -> datetime:
    return instant.replace(microsecond=0)


def _expected(
    rows: list[Order], customers: list[tuple[int, datetime]], shops: list[tuple[str, int]]
) -> dict[tuple[str, str, Any], tuple[int, int, float]]:
    """The definitions, row by row: numerator, denominator and money by column, metric and day."""
    since: dict[int, datetime] = {}
    for key, created in customers:
        since[key] = min(_cut(created), since.get(key, _cut(created)))
    found: dict[tuple[str, str, Any], list[float]] = defaultdict(lambda: [0, 0, 0])

    def add(column: str, metric: str, row: Order, *, hit: bool, judged: bool = True) -> None:
        if judged:
            entry = found[column, metric, _day(row.placed)]
            entry[0] += hit
            entry[1] += 1
            entry[2] += (row.cents or 0) if hit else 0

    for row in rows:
        add("", "rows", row, hit=True)
        add("", "key_null", row, hit=row.customer is None)
        add("customer", "key_null", row, hit=row.customer is None)
        missing = row.customer is not None and row.customer not in since
        temporal = (
            row.customer in since
            and row.placed is not None
            and since[row.customer] > _cut(row.placed)
        )
        has_shop = row.region is not None and row.shop is not None
        no_shop = has_shop and (row.region, row.shop) not in shops
        has_customer = row.customer is not None
        add("customer", "fk_missing", row, hit=missing, judged=has_customer)
        add("customer", "fk_temporal", row, hit=temporal, judged=has_customer)
        add("customer", "fk_failure", row, hit=missing or temporal, judged=has_customer)
        add("region,shop", "fk_missing", row, hit=no_shop, judged=has_shop)
        add("region,shop", "fk_failure", row, hit=no_shop, judged=has_shop)
        any_key = has_customer or has_shop
        add("", "fk_failure", row, hit=missing or temporal or no_shop, judged=any_key)
        add("", "fk_missing", row, hit=missing or no_shop, judged=any_key)
        add("", "fk_temporal", row, hit=temporal, judged=any_key)
        lag = _cut(row.loaded) - _cut(row.placed) if row.placed and row.loaded else None
        late = lag is not None and lag > timedelta(minutes=90)
        add("", "late", row, hit=late, judged=lag is not None)
    for day in {_day(row.placed) for row in rows}:
        found["", "duplicate", day][1] = sum(_day(row.placed) == day for row in rows)
    return {key: (int(a), int(b), c) for key, (a, b, c) in found.items()}


def _measured(health: HealthResult) -> dict[tuple[str, str, Any], tuple[int, int, float]]:
    return {
        (row["column"], row["metric"], row["day"]): (
            row["numerator"],
            row["denominator"],
            row["revenue_cents"],
        )
        for row in health.measures.to_pylist()
        if row["table"] == "orders" and row["denominator"] and row["numerator"] is not None
    }


def _health(path: Path) -> HealthResult:
    with open_warehouse(f"duckdb:///{path}", SHOP) as warehouse:
        return measure(warehouse, SETTINGS, as_of=datetime(2024, 12, 1, tzinfo=UTC))


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(orders, min_size=1, max_size=25),
    customers=st.lists(st.tuples(st.integers(1, 3), instants), max_size=4),
    shops=st.lists(st.tuples(st.sampled_from("NS"), st.integers(1, 2)), max_size=3),
)
def test_shares_are_those_of_the_definitions(
    tmp_path: Path,
    rows: list[Order],
    customers: list[tuple[int, datetime]],
    shops: list[tuple[str, int]],
) -> None:
    """Nulls, orphans, composite keys, late rows and money by local day, over both time switches."""
    path = tmp_path / "shop.duckdb"
    _write(path, rows, customers, shops)
    health = _health(path)
    measured, expected = _measured(health), _expected(rows, customers, shops)
    for key, (numerator, denominator, money) in expected.items():
        if key[1] == "duplicate":
            assert measured[key][1] == denominator
        elif denominator:
            assert measured.get(key, (0, denominator, 0.0)) == (numerator, denominator, money), key
    keyed = Counter(row.id for row in rows if row.id is not None)
    extra = sum(value[0] for key, value in measured.items() if key[:2] == ("", "duplicate"))
    assert extra == sum(keyed.values()) - len(keyed)


def _company(path: Path) -> None:
    """Order 1 three times, first loaded on the day after; order 2 once with a null customer."""
    at = datetime(2024, 5, 1, 20)
    _write(
        path,
        [
            Order(1, 1, "N", 1, at, at + timedelta(minutes=30), 100),
            Order(1, 1, "N", 1, at + timedelta(days=1), at + timedelta(minutes=10), 1_000),
            Order(1, None, "N", 1, at, at + timedelta(minutes=200), 10_000),
            Order(2, None, "N", 9, at, at + timedelta(minutes=1), 7),
        ],
        [(1, datetime(2024, 1, 1))],
        [("N", 1)],
    )


def test_the_first_loaded_copy_is_the_original(tmp_path: Path) -> None:
    """The copies' days and money are those of the rows that were loaded later."""
    path = tmp_path / "shop.duckdb"
    _company(path)
    measured = _measured(_health(path))
    copies = {str(k[2]): v for k, v in measured.items() if k[:2] == ("", "duplicate")}
    assert copies["2024-05-01"] == (2, 3, 10_100.0)
    assert copies["2024-05-02"] == (0, 1, 0.0)


def test_rows_affected_in_two_ways_count_once(tmp_path: Path) -> None:
    """The money of several findings is that of the rows with any of them."""
    path = tmp_path / "shop.duckdb"
    _company(path)
    total = _health(path).affected_total
    assert total is not None
    assert total((("orders", "", "duplicate"),)) == 10_100
    assert total((("orders", "", "key_null"),)) == 10_007
    both = (("orders", "", "duplicate"), ("orders", "customer", "key_null"))
    assert total(both) == 10_107
    assert total((*both, ("orders", "region,shop", "fk_failure"))) == 10_107
    assert total(()) is None


def test_revenue_by_month_has_each_order_once(tmp_path: Path) -> None:
    """Copies do not make revenue: the first loaded row of each business key does."""
    path = tmp_path / "shop.duckdb"
    _company(path)
    months = {str(f.month): f.value for f in _health(path).revenue}
    assert months["2024-05-01"] == 1_007


def test_quantiles_of_lag_are_exact(tmp_path: Path) -> None:
    """The median and p95 interpolate between neighbours, as `quantile_cont` does."""
    path = tmp_path / "shop.duckdb"
    at = datetime(2024, 5, 1, 20)
    lags = [1, 2, 4, 8, 16, 32]
    rows = [Order(i, 1, None, None, at, at + timedelta(minutes=m), 0) for i, m in enumerate(lags)]
    _write(path, rows, [(1, datetime(2024, 1, 1))], [])
    totals = {
        row["metric"]: row["value"]
        for row in _health(path).totals.to_pylist()
        if row["table"] == "orders" and row["scope"] == "history"
    }
    assert totals["lag_p50_minutes"] == 6
    assert totals["lag_p95_minutes"] == 28


def test_implausible_times_are_on_no_day_and_are_told(tmp_path: Path) -> None:
    """The years 1 and 9999 neither stretch the history nor spoil the lag."""
    path = tmp_path / "shop.duckdb"
    at = datetime(2024, 5, 1, 20)
    rows = [
        Order(1, 1, None, None, at, at + timedelta(minutes=5), 10),
        Order(2, 1, None, None, datetime(1, 1, 1), at, 10),
        Order(3, 1, None, None, datetime(9999, 12, 31), at, 10),
        Order(4, 1, None, None, at, at - timedelta(minutes=5), 10),
    ]
    _write(path, rows, [(1, datetime(2024, 1, 1))], [])
    health = _health(path)
    assert str(health.history_start) == "2024-05-01"
    assert "2 rows of orders have an event time before 1900 or after 2100; they are on no day" in (
        health.notes
    )
    assert "1 rows of orders were loaded before they happened" in health.notes
    measured = _measured(health)
    assert measured["", "rows", None] == (2, 2, 20.0)
    assert {r["metric"]: r["value"] for r in health.totals.to_pylist() if r["table"] == "orders"}[
        "lag_p50_minutes"
    ] == 0

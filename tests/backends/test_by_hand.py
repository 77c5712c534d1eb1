"""A company small enough to be counted by hand, on every backend: each figure to the row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from attrs import evolve

from dnr_core.config import ReportSettings, Settings
from dnr_core.health import archetype_of, measure, open_warehouse
from dnr_core.model import HealthResult, Kpi, KpiContext

# Local midnight at the end of 4 November 2024 in California, the day after the clocks went back.
AS_OF = datetime(2024, 11, 5, 8, tzinfo=UTC)
SQL = """
CREATE TABLE customers (id BIGINT, created TIMESTAMPTZ);
INSERT INTO customers VALUES
  (1, '2024-01-01 00:00:00Z'), (1, '2024-10-20 00:00:00Z'),  -- there since the earlier of the two
  (2, '2024-11-03 12:00:00Z'), (3, NULL), (NULL, '2024-01-01 00:00:00Z');
CREATE TABLE shops (region VARCHAR, code INTEGER);
INSERT INTO shops VALUES ('N', 1), ('N', 2), ('S', 1);
CREATE TABLE orders (order_id BIGINT, customer BIGINT, region VARCHAR, shop INTEGER,
                     placed TIMESTAMPTZ, loaded TIMESTAMP, cents BIGINT, tip DOUBLE);
INSERT INTO orders VALUES
  (1, 1, 'N', 1, '2024-03-10 07:59:59.5Z', '2024-03-10 08:29:59.5', 1000, 0.10),  -- 9 March
  (2, 1, 'N', 2, '2024-03-10 08:00:00Z', '2024-03-10 10:00:00', 2000, 0.20),  -- 10 March, 2 h late
  (3, 9, 'N', 1, '2024-03-11 06:59:59Z', '2024-03-11 07:59:59', 3000, 'NaN'),  -- no customer 9
  (4, NULL, 'N', 7, '2024-03-11 07:00:00Z', '2024-03-11 06:50:00', 4000, 'inf'),  -- early; no shop
  (5, 2, 'S', NULL, '2024-11-03 06:59:59Z', '2024-11-03 08:59:59', 5000, 0.50),  -- before customer 2
  (6, 2, 'S', 1, '2024-11-03 12:00:00Z', '2024-11-03 12:45:00', 6000, NULL),  -- as customer 2 came
  (7, 3, 'S', 2, '2024-11-04 07:59:59.999999Z', '2024-11-04 11:59:59', 7000, 0.70),  -- no shop
  (7, 3, 'S', 2, '2024-11-04 07:59:59.999999Z', '2024-11-04 12:59:59', 7000, 0.70),  -- its copy
  (8, 1, 'N', 1, '2024-11-04 08:00:00Z', NULL, 8000, 0.80),  -- a copy: never loaded is last
  (8, 1, 'N', 2, '2024-11-03 20:00:00Z', '2024-11-03 20:30:00', 8500, 0.00),
  (NULL, 1, 'N', 1, '2024-11-04 10:00:00Z', '2024-11-04 10:20:00', 900, 0.00),  -- no one's copy
  (NULL, 1, 'N', 1, '2024-11-04 10:00:00Z', '2024-11-04 10:20:00', 900, 0.00),
  (10, 1, 'N', 1, NULL, '2024-11-04 10:00:00', 1000, 0.00),  -- on no day
  (11, 1, 'N', 1, '0001-01-01 00:00:00Z', '2024-11-04 10:00:00', 1100, 0.00),  -- on no day
  (12, 1, 'N', 1, '9999-12-31 00:00:00Z', '9999-12-31 00:00:00', 1200, 0.00),  -- on no day
  (13, 1, 'N', 1, '2024-11-05 08:00:00Z', '2024-11-05 08:10:00', 1300, 0.00);  -- after the as-of
CREATE TABLE items (order_id BIGINT, line SMALLINT, loaded TIMESTAMP);
INSERT INTO items VALUES
  (1, 1, '2024-03-10 08:29:59'), (1, 2, '2024-03-10 08:29:59'), (2, 1, '2024-03-10 10:00:00'),
  (7, 1, '2024-11-04 11:59:59'),
  (8, 1, '2024-11-03 20:10:00'), (8, 1, '2024-11-03 20:40:00'),  -- the first of order 8's times
  (99, 1, '2024-11-04 09:00:00'), (NULL, 1, '2024-11-04 07:30:00'),  -- days of their loading
  (10, 1, '2024-11-04 11:00:00');
CREATE TABLE stock (ds DATE, region VARCHAR, shop INTEGER, level INTEGER);
INSERT INTO stock VALUES ('2024-11-03', 'N', 1, 5), ('2024-11-03', 'N', 1, 5),
  ('2024-11-04', 'N', 1, 4), ('2024-11-04', 'S', 9, 1), (NULL, 'N', 1, 0);
CREATE TABLE authors (name VARCHAR);
INSERT INTO authors VALUES ('Zoë'), ('a'), ('o''Hara');
CREATE TABLE notes (note VARCHAR, author VARCHAR, written DATE, loaded TIMESTAMP);
INSERT INTO notes VALUES ('N1', 'Zoë', '2024-11-03', '2024-11-04'),
  ('n1', 'zoë', '2024-11-04', '2024-11-04'), ('N1 ', 'a ', '2024-11-04', '2024-11-04'),
  ('N''4', 'o''Hara', '2024-11-04', '2024-11-04'), ('', '', '2024-11-04', '2024-11-04'),
  (NULL, NULL, '2024-11-04', '2024-11-04');
CREATE TABLE refunds (refund BIGINT, order_id BIGINT, moment TIMESTAMPTZ);
CREATE TABLE voids (void BIGINT, order_id BIGINT, moment TIMESTAMPTZ);
INSERT INTO voids VALUES (NULL, NULL, NULL), (NULL, NULL, NULL);
"""
ORDER_KEY = {"columns": "order_id", "to": "orders", "to_columns": "order_id"}
SHOP_KEY = {"columns": ["region", "shop"], "to": "shops", "to_columns": ["region", "code"]}
TABLES: dict[str, Any] = {
    "customers": {
        "key": "id",
        "created_at": "created",
        "columns": {"id": "int64", "created": "timestamp"},
    },
    "shops": {"key": ["region", "code"], "columns": {"region": "string", "code": "int32"}},
    "orders": {
        "kind": "fact",
        "key": "order_id",
        "event_time": "placed",
        "loaded_at": "loaded",
        "foreign_keys": [
            {
                "columns": "customer",
                "to": "customers",
                "to_columns": "id",
                "parent_time": "created",
            },
            SHOP_KEY,
        ],
        "columns": {
            "order_id": "int64",
            "customer": "int64",
            "region": "string",
            "shop": "int32",
            "placed": "timestamp",
            "loaded": "timestamp",
            "cents": "int64",
            "tip": "float64",
        },
    },
    "items": {
        "kind": "fact",
        "key": ["order_id", "line"],
        "event_time": {"through": "orders", "columns": "placed"},
        "loaded_at": "loaded",
        "foreign_keys": [ORDER_KEY],
        "columns": {"order_id": "int64", "line": "int16", "loaded": "timestamp"},
    },
    "stock": {
        "kind": "snapshot",
        "key": ["ds", "region", "shop"],
        "foreign_keys": [SHOP_KEY],
        "columns": {"ds": "date", "region": "string", "shop": "int32", "level": "int32"},
    },
    "authors": {"key": "name", "columns": {"name": "string"}},
    "notes": {
        "kind": "fact",
        "key": "note",
        "event_time": "written",
        "loaded_at": "loaded",
        "foreign_keys": [{"columns": "author", "to": "authors", "to_columns": "name"}],
        "columns": {
            "note": "string",
            "author": "string",
            "written": "date",
            "loaded": "timestamp",
        },
    },
    **{
        table: {
            "kind": "fact",
            "key": table[:-1],
            "event_time": "moment",
            "foreign_keys": [ORDER_KEY],
            "columns": {table[:-1]: "int64", "order_id": "int64", "moment": "timestamp"},
        }
        for table in ("refunds", "voids")
    },
}
MONEY = [
    {"name": "sales", "table": "orders", "amount": "cents", "keyed_by": "order_id"},
    {"name": "tips", "table": "orders", "amount": "tip", "minor_units": 1},
]


def _orders_by_month(context: KpiContext) -> Any:
    rows = context.tables["orders"]
    rows = rows.filter(rows.placed.notnull())
    rows = rows.select("cents", month=context.local_month(rows.placed).cast("int64"))
    rows = rows.filter(rows.month.isin(context.months))
    grouped = rows.group_by("month").agg(n=rows.count(), cents=rows.cents.sum())
    return grouped.select("month", value=grouped.cents / grouped.n)


KIOSK = evolve(
    archetype_of(
        {"name": "kiosk", "tz": "America/Los_Angeles", "tables": TABLES, "money": MONEY}, "kiosk"
    ),
    kpis=(Kpi("order_value", "Order value", "cents", _orders_by_month),),
)

# One share of the linked money: 19,500 cents over seven rows, in millionths, rounded down.
MEAN = 2785.714285
N = None
# (table, column, metric): history (numerator, denominator, cents), window the same. Without money
# reaching a table, None.
SHARES: dict[tuple[str, str, str], tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    ("customers", "", "rows"): ((5, 5, N), (2, 2, N)),
    ("customers", "", "duplicate"): ((1, 5, N), (1, 2, N)),
    ("shops", "", "rows"): ((3, 3, N), (0, 0, N)),
    ("orders", "", "rows"): ((15, 15, 56_900), (8, 8, 43_570)),
    ("orders", "", "key_null"): ((2, 15, 9_050), (1, 8, 5_050)),
    ("orders", "customer", "key_null"): ((1, 15, 4_000), (0, 8, 0)),
    ("orders", "region", "key_null"): ((0, 15, 0), (0, 8, 0)),
    ("orders", "shop", "key_null"): ((1, 15, 5_050), (1, 8, 5_050)),
    ("orders", "", "fk_failure"): ((5, 15, 26_190), (3, 8, 19_190)),
    ("orders", "", "fk_missing"): ((4, 15, 21_140), (2, 8, 14_140)),
    ("orders", "", "fk_temporal"): ((1, 15, 5_050), (1, 8, 5_050)),
    ("orders", "customer", "fk_failure"): ((2, 14, 8_050), (1, 8, 5_050)),
    ("orders", "customer", "fk_missing"): ((1, 14, 3_000), (0, 8, 0)),
    ("orders", "customer", "fk_temporal"): ((1, 14, 5_050), (1, 8, 5_050)),
    ("orders", "region,shop", "fk_failure"): ((3, 14, 18_140), (2, 7, 14_140)),
    ("orders", "region,shop", "fk_missing"): ((3, 14, 18_140), (2, 7, 14_140)),
    ("orders", "", "duplicate"): ((2, 15, 15_150), (2, 8, 15_150)),
    ("orders", "", "late"): ((4, 11, 21_210), (3, 7, 19_190)),
    ("items", "", "rows"): ((9, 9, 19_500 + 2 * MEAN), (6, 6, 16_500 + 2 * MEAN)),
    ("items", "", "key_null"): ((1, 9, MEAN), (1, 6, MEAN)),
    ("items", "", "fk_failure"): ((1, 8, MEAN), (1, 5, MEAN)),
    ("items", "", "duplicate"): ((1, 9, 4_250), (1, 6, 4_250)),
    ("items", "", "late"): ((2, 6, 9_000), (1, 3, 7_000)),
    ("stock", "", "rows"): ((5, 5, N), (4, 4, N)),
    ("stock", "", "duplicate"): ((1, 5, N), (1, 4, N)),
    ("stock", "", "fk_missing"): ((1, 5, N), (1, 4, N)),
    ("stock", "", "key_null"): ((0, 5, N), (0, 4, N)),
    ("notes", "", "rows"): ((6, 6, N), (6, 6, N)),
    ("notes", "", "key_null"): ((1, 6, N), (1, 6, N)),
    ("notes", "", "fk_missing"): ((3, 5, N), (3, 5, N)),
    ("notes", "", "duplicate"): ((0, 6, N), (0, 6, N)),
    ("refunds", "", "rows"): ((0, 0, 0), (0, 0, 0)),
    ("refunds", "", "key_null"): ((0, 0, 0), (0, 0, 0)),
    ("voids", "", "rows"): ((2, 2, 0), (0, 0, 0)),
    ("voids", "", "key_null"): ((2, 2, 0), (0, 0, 0)),
    ("voids", "", "fk_failure"): ((0, 0, 0), (0, 0, 0)),
    ("voids", "", "duplicate"): ((0, 2, 0), (0, 0, 0)),
}
MINUTES = {
    ("orders", "lag_p50_minutes"): (45, 45),
    ("orders", "lag_p95_minutes"): (270, 282),
    ("orders", "freshness_minutes"): (1_320, 1_320),
    ("items", "lag_p50_minutes"): (35, 40),
    ("items", "lag_p95_minutes"): (210, 220),
}
# Rows of orders, failing keys, copies and late rows by local day, over both switches of the clock.
DAYS = {
    date(2024, 3, 9): (1, 0, 0, 0),
    date(2024, 3, 10): (2, 1, 0, 1),
    date(2024, 3, 11): (1, 1, 0, 0),
    date(2024, 11, 2): (1, 1, 0, 1),
    date(2024, 11, 3): (4, 2, 1, 2),
    date(2024, 11, 4): (3, 0, 1, 0),
}
LAG_P95 = {
    date(2024, 3, 9): 30,
    date(2024, 3, 10): 117,
    date(2024, 3, 11): -10,
    date(2024, 11, 2): 120,
    date(2024, 11, 3): 291,
    date(2024, 11, 4): 20,
}
# Each business key once, in cents: sales, tips, and the mean order.
MONTHS = {
    date(2024, 3, 1): (10_000, 30, 2_500),
    date(2024, 11, 1): (28_300, 120, 28_300 / 6),
}
SETTINGS = Settings(report=evolve(ReportSettings(), window_days=30, example_keys=0))


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kiosk") / "kiosk.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(SQL)
    return path


@pytest.fixture(scope="module")
def measured(kiosk: Path, put: Callable[[str, str, Path], str]) -> Callable[[str], HealthResult]:
    known: dict[str, HealthResult] = {}

    def on(backend: str) -> HealthResult:
        if backend not in known:
            with open_warehouse(put(backend, "kiosk", kiosk), KIOSK) as warehouse:
                known[backend] = measure(warehouse, SETTINGS, as_of=AS_OF)
        return known[backend]

    return on


def _totals(health: HealthResult) -> dict[tuple[str, str, str, str], dict[str, Any]]:
    return {
        (row["table"], row["column"], row["metric"], row["scope"]): row
        for row in health.totals.to_pylist()
    }


def test_every_share_is_that_counted_by_hand(
    backend: str, measured: Callable[[str], HealthResult]
) -> None:
    """Nulls, orphans of both kinds, copies, late rows and their money, over history and window."""
    totals = _totals(measured(backend))
    for (table, column, metric), expected in SHARES.items():
        for scope, (numerator, denominator, cents) in zip(
            ("history", "window"), expected, strict=True
        ):
            row = totals[table, column, metric, scope]
            where = (table, column, metric, scope)
            assert (row["numerator"], row["denominator"]) == (numerator, denominator), where
            assert row["revenue_cents"] == (cents if cents is None else pytest.approx(cents)), where


def test_every_lag_is_that_counted_by_hand(
    backend: str, measured: Callable[[str], HealthResult]
) -> None:
    """Median, 95th percentile and freshness, to the second."""
    totals = _totals(measured(backend))
    for (table, metric), expected in MINUTES.items():
        found = tuple(totals[table, "", metric, scope]["value"] for scope in ("history", "window"))
        assert found == pytest.approx(expected, rel=1e-12), (table, metric)


def test_days_are_local_over_both_switches(
    backend: str, measured: Callable[[str], HealthResult]
) -> None:
    """Half a second and a microsecond before midnight are the day before, in March and November."""
    found: dict[Any, dict[str, Any]] = {}
    for row in measured(backend).measures.to_pylist():
        if (row["table"], row["column"]) == ("orders", ""):
            found.setdefault(row["day"], {})[row["metric"]] = row
    names = ("rows", "fk_failure", "duplicate", "late")
    for day, expected in DAYS.items():
        assert tuple(found[day][n]["numerator"] for n in names if n in found[day]) == tuple(
            value for n, value in zip(names, expected, strict=True) if n in found[day]
        ), day
        assert found[day]["lag_p95_minutes"]["value"] == pytest.approx(LAG_P95[day], rel=1e-12)
    filled = {day for day, row in found.items() if row["rows"]["numerator"]}
    assert filled == {None, *DAYS}
    assert found[None]["rows"]["numerator"] == 3


def test_money_by_stream_and_month(backend: str, measured: Callable[[str], HealthResult]) -> None:
    """Each order once, NaN and infinity as none; the KPI sees the same rows."""
    health = measured(backend)
    months = {(figure.name, figure.month): figure.value for figure in health.revenue}
    assert not [line for line in health.not_measured if line.metric == "order_value"]
    means = {figure.month: figure.value for figure in health.kpis}
    for month, (sales, tips, mean) in MONTHS.items():
        assert months["sales", month] == sales
        assert months["tips", month] == tips
        assert means[month] == pytest.approx(mean, rel=1e-12)
    others = {value for (_, month), value in months.items() if month not in MONTHS}
    assert others == {0}


def test_rows_broken_in_two_ways_count_once(
    backend: str, measured: Callable[[str], HealthResult]
) -> None:
    """The union of orphans, late rows and copies is its rows' money, not the sum of the three."""
    total = measured(backend).affected_total
    assert total is not None
    # Window: order 5, both rows of order 7, and the copy of order 8.
    chosen = (("orders", "", "fk_failure"), ("orders", "", "late"), ("orders", "", "duplicate"))
    assert total(chosen) == 5_050 + 2 * 7_070 + 8_080


def test_what_is_not_measured_is_said(
    backend: str, measured: Callable[[str], HealthResult]
) -> None:
    """Empty and all-null tables, days without a time of day, and implausible times are told."""
    health = measured(backend)
    reasons = {(line.table, line.metric): line.reason for line in health.not_measured}
    assert reasons["refunds", "rows"] == "the table is empty"
    assert "no row has a time" in reasons["voids", "rows"]
    assert "no time of day" in reasons["notes", "late"]
    notes = " ".join(health.notes)
    assert "2 rows of orders have an event time before 1900 or after 2100" in notes
    assert "1 rows of orders were loaded before they happened" in notes
    assert "1 rows of orders are of days after the as-of" in notes


def test_limits_say_since_when(backend: str, measured: Callable[[str], HealthResult]) -> None:
    """Copies are over their limit on 3 and 4 November, and were not on the day before."""
    verdicts = {(v.table, v.kind): v for v in measured(backend).slos}
    copies = verdicts["orders", "dup_keys_pct"]
    assert (copies.value, copies.passed, copies.since) == (25.0, False, date(2024, 11, 3))
    assert copies.margin == pytest.approx(0.2 - 25)
    nulls = verdicts["orders", "key_null_pct"]
    # Its last day had none, so it is not over its limit just now.
    assert (nulls.value, nulls.passed, nulls.since) == (12.5, False, None)

"""The shipped companies, by a stranger's SQL: every violation is in the ledger, and vice versa."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import duckdb
import pytest

from dnr_core.config.settings import Settings, WarehouseSettings
from dnr_core.plugins import load_plugins
from dnr_core.warehouse import generate_warehouse, repair

INSTALLED = sorted({"neobank", "marketplace"} & {e.name for e in entry_points(group="dnr")})

# Everything below is written by hand from the definitions: table, required keys, business key,
# event time, and each foreign key as column, parent, parent's column, parent's time.
NEOBANK = [
    (
        "fact_card_transaction",
        ["card_id", "merchant_id"],
        ["txn_id"],
        ("t.event_time", ""),
        [("card_id", "dim_card", "activated_at"), ("merchant_id", "dim_merchant", None)],
    ),
    (
        "fact_subscription_invoice",
        ["customer_id", "plan_id"],
        ["invoice_id"],
        ("coalesce(t.paid_at, t.period_end)", ""),
        [("customer_id", "dim_customer", "created_at"), ("plan_id", "dim_plan", None)],
    ),
]
ORDER_TIME = (
    "o.at",
    "LEFT JOIN (SELECT order_id AS id, min(order_time) AS at FROM fact_order GROUP BY 1) o "
    "ON o.id = t.order_id",
)
MARKETPLACE = [
    (
        "fact_order",
        ["buyer_id"],
        ["order_id"],
        ("t.order_time", ""),
        [("buyer_id", "dim_buyer", "created_at")],
    ),
    (
        "fact_order_item",
        ["order_id", "listing_id", "seller_id"],
        ["order_id", "line_id"],
        ORDER_TIME,
        [
            ("order_id", "fact_order", "order_time"),
            ("listing_id", "dim_listing", "created_at"),
            ("seller_id", "dim_seller", "created_at"),
        ],
    ),
    (
        "fact_payment",
        ["order_id"],
        ["order_id"],
        ("t.captured_at", ""),
        [("order_id", "fact_order", "order_time")],
    ),
]
COMPANIES = {"neobank": NEOBANK, "marketplace": MARKETPLACE}


def opened(data: Path, meta: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for table in sorted(p for p in data.iterdir() if p.is_dir()):
        connection.execute(
            f"CREATE VIEW {table.name} AS SELECT *, file_row_number AS row, "
            "regexp_extract(filename, '([0-9]+)\\.parquet', 1)::INT AS part "
            f"FROM read_parquet('{table}/*.parquet', filename=true, file_row_number=true)"
        )
    connection.execute(f"CREATE TABLE ledger AS FROM read_parquet('{meta}/ledger.parquet')")
    return connection


def differences(connection, found: str, told: str) -> int:
    """Rows `(part, row, what)` that one of two queries gives and the other does not."""
    return connection.execute(
        f"SELECT (SELECT count(*) FROM ({found} EXCEPT ALL {told})) + "
        f"(SELECT count(*) FROM ({told} EXCEPT ALL {found}))"
    ).fetchone()[0]


@pytest.fixture(scope="module")
def catalogue():
    return load_plugins()


@pytest.mark.parametrize("quality", ["typical", "severe"])
@pytest.mark.parametrize("name", INSTALLED)
def test_the_ledger_is_what_sql_finds_and_repair_undoes_it(catalogue, tmp_path, name, quality):
    """For each shipped company: nulls, orphans by sort and extra rows are the ledger's, rates are
    the profile's within a few rows, and the repaired company is the clean one byte for byte."""
    made = {}
    for profile in (quality, "clean"):
        made[profile] = generate_warehouse(
            name,
            Settings(warehouse=WarehouseSettings(quality=profile, scale="tiny", snapshot_days=10)),
            catalogue,
            out=tmp_path / profile / "data",
            meta=tmp_path / profile / "meta",
        )
    data, meta = made[quality].path, made[quality].meta
    times = 3 if quality == "severe" else 1
    with opened(data, meta) as connection:
        for table, required, business_key, (event, join), keys in COMPANIES[name]:
            ledger = f"""FROM ledger WHERE "table" = '{table}' AND"""
            for column in required:
                found = f"SELECT part, row, '' FROM {table} WHERE {column} IS NULL"
                told = f"""SELECT part, row, '' {ledger} "column" = '{column}' AND kind LIKE '%null%'"""
                assert differences(connection, found, told) == 0
            broken = []
            for column, parent, since in keys:
                own = "order_id" if parent == "fact_order" else column
                found = f"""SELECT t.part, t.row,
                      CASE WHEN p.id IS NULL THEN 'missing' ELSE 'temporal' END
                    FROM {table} t {join} LEFT JOIN (SELECT {own} AS id,
                      min({since or "TIMESTAMP '1900-01-01'"}) AS since FROM {parent} GROUP BY 1) p
                      ON p.id = t.{column}
                    WHERE t.{column} IS NOT NULL AND (p.id IS NULL OR p.since > {event})"""
                told = f"""SELECT part, row, subkind {ledger} "column" = '{column}'
                    AND subkind IN ('missing', 'temporal')"""
                assert differences(connection, found, told) == 0
                broken.append(found)
            unique = ", ".join(business_key)
            full = " AND ".join(f"{column} IS NOT NULL" for column in business_key)
            found = f"""SELECT part, row, '' FROM {table} WHERE {full} QUALIFY row_number() OVER
                (PARTITION BY {unique} ORDER BY loaded_at, part, row) > 1"""
            told = f"""SELECT part, row, '' {ledger} "column" = ''"""
            assert differences(connection, found, told) == 0
            any_key = " OR ".join(f"{column} IS NOT NULL" for column in required)
            rows, keyed, orphans, extra = connection.execute(
                f"""SELECT count(*), count(*) FILTER ({any_key}),
                  (SELECT count(DISTINCT (part, row)) FROM ({" UNION ALL ".join(broken)})),
                  (SELECT count(*) FROM ({found})) FROM {table}"""
            ).fetchone()
            assert abs(orphans - 0.05 * times * keyed) <= 3
            assert abs(extra - 0.007 * times * rows) <= 3
    fixed = repair(data, meta, tmp_path / "fixed", catalogue)
    assert fixed.manifest.files == made["clean"].manifest.files

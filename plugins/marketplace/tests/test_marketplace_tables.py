from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import duckdb
import pyarrow as pa
import pytest
from attrs import evolve

from dnr_core.model import load
from dnr_marketplace.archetype import MARKETPLACE

TZ = "America/Los_Angeles"


def local(column: str) -> str:
    return f"timezone('{TZ}', timezone('UTC', {column}))"


def counts(rows, company) -> dict[str, int]:
    return {name: sum(b.num_rows for b in batches) for name, batches in rows(company).items()}


def test_the_plugin_imports_nothing_heavy() -> None:
    """Loading the plugin and its archetype imports no NumPy, Arrow, Ibis or DuckDB."""
    code = (
        "import sys; from dnr_marketplace import plugin as p;"
        "p.dnr_archetypes(); p.dnr_comms_styles(); p.dnr_qc_checks();"
        "print(sorted({'numpy','pyarrow','ibis','duckdb','pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_archetype_is_sound() -> None:
    """Every name in keys, streams and volumes exists, and every dotted path can be loaded."""
    assert MARKETPLACE.problems() == ()
    for kpi in MARKETPLACE.kpis:
        assert callable(load(kpi.expression))
    for guardrail in MARKETPLACE.guardrails:
        assert callable(load(guardrail.measure))
    made = {table for family in load(MARKETPLACE.synthesis).families for table in family.tables}
    assert made == set(MARKETPLACE.schema.names) == set(MARKETPLACE.volumes)


@pytest.mark.parametrize("scale", [0.05, 0.01])
def test_volumes(rows, tiny, scale: float) -> None:
    """Every table has its volume within 10 %; categories do not scale."""
    made = counts(rows, evolve(tiny, scale=scale))
    for name, volume in MARKETPLACE.volumes.items():
        wanted = volume if name in MARKETPLACE.fixed_tables else volume * scale
        assert made[name] == pytest.approx(wanted, rel=0.1)


@pytest.mark.parametrize("scale", [0.0001, 1e-7])
def test_there_is_one_of_everything(rows, tiny, scale: float) -> None:
    """However small the company, no table is empty, and all 90 categories are there."""
    made = counts(rows, evolve(tiny, scale=scale))
    assert set(made) == set(MARKETPLACE.schema.names)
    assert min(made.values()) >= 1
    assert made["dim_category"] == 90


KEYS = [
    ("dim_listing a JOIN dim_seller b USING (seller_id)", "a.created_at >= b.created_at"),
    ("dim_listing a JOIN dim_category b USING (category_id)", "b.parent_id IS NOT NULL"),
    ("fact_order a JOIN dim_buyer b USING (buyer_id)", "a.order_time >= b.created_at"),
    ("fact_order_item a JOIN fact_order b USING (order_id)", "true"),
    (
        "fact_order_item a JOIN fact_order o USING (order_id)"
        " JOIN dim_listing b USING (listing_id)",
        "o.order_time >= b.created_at AND a.seller_id = b.seller_id"
        " AND a.item_price_cents = b.price_cents",
    ),
    (
        "fact_order_item a JOIN fact_order o USING (order_id) JOIN dim_seller b"
        " ON a.seller_id = b.seller_id",
        "o.order_time >= b.created_at",
    ),
    ("fact_payment a JOIN fact_order b USING (order_id)", "a.captured_at >= b.order_time"),
    (
        "snapshot_listing_daily a JOIN dim_listing b USING (listing_id)",
        f"a.ds >= {local('b.created_at')}::DATE",
    ),
]


@pytest.mark.parametrize(("joined", "good"), KEYS)
def test_every_key_finds_its_parent_in_time(market, joined: str, good: str) -> None:
    """No key is null, missing or older than its parent; items cost what their listing costs."""
    table = joined.split(maxsplit=1)[0]
    found = market.one(f"SELECT count(*) FILTER ({good}) FROM {joined}")
    assert found == market.one(f"SELECT count(*) FROM {table}")


@pytest.mark.parametrize("scale", [0.005, 0.0005, 0.00001])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_small_companies_are_clean_too(rows, tiny, scale: float, seed: int) -> None:
    """At sizes where hardly anybody is there, keys still resolve in time."""
    raw = duckdb.connect(":memory:")
    raw.execute("SET TimeZone = 'UTC'")
    for name, batches in rows(evolve(tiny, scale=scale, seed=seed)).items():
        raw.register(name, pa.Table.from_batches(batches))
    for joined, good in KEYS:
        found = raw.execute(f"SELECT count(*) FILTER ({good}) FROM {joined}").fetchone()
        assert found == raw.execute(f"SELECT count(*) FROM {joined.split()[0]}").fetchone()


@pytest.mark.parametrize("table", MARKETPLACE.schema.names)
def test_no_business_key_comes_twice_and_none_is_null(market, table: str) -> None:
    """Business keys are distinct; only a top category's parent is null."""
    schema = MARKETPLACE.schema[table]
    keys = ", ".join(schema.business_key)
    assert market.one(f"SELECT count(*) - count(DISTINCT ({keys})) FROM {table}") == 0
    for column in schema.column_names:
        if column != "parent_id":
            assert market.one(f"SELECT count(*) - count({column}) FROM {table}") == 0


@pytest.mark.parametrize(
    ("table", "time"),
    [
        ("dim_buyer", "created_at"),
        ("dim_seller", "created_at"),
        ("dim_listing", "created_at"),
        ("fact_order", "order_time"),
    ],
)
def test_ids_are_dense_and_in_order_of_time(market, table: str, time: str) -> None:
    """Ids run from 1, and a later id never has an earlier time."""
    key = MARKETPLACE.schema[table].primary_key[0]
    assert market.one(f"SELECT max({key}) - count(*) FROM {table}") == 0
    assert (
        market.one(
            f"SELECT count(*) FROM (SELECT {time} < lag({time}) OVER (ORDER BY {key}) AS back"
            f" FROM {table}) WHERE back"
        )
        == 0
    )


def test_rows_load_when_they_happen(market) -> None:
    """In a clean company `loaded_at` is the event time; for items their order's."""
    assert market.all(
        """SELECT (SELECT count(*) FROM fact_order WHERE loaded_at <> order_time),
                  (SELECT count(*) FROM fact_payment WHERE loaded_at <> captured_at),
                  (SELECT count(*) FROM fact_order_item i JOIN fact_order o USING (order_id)
                   WHERE i.loaded_at <> o.order_time),
                  (SELECT min(order_time) >= '2024-01-01 08:00' FROM fact_order),
                  (SELECT max(captured_at) < '2025-07-01 07:00' FROM fact_payment)"""
    ) == [(0, 0, 0, True, True)]


def test_categories_hold_declared_values(market) -> None:
    """Each category column holds only its declared values, and all of them occur."""
    for table in MARKETPLACE.schema.tables:
        for column in table.columns:
            if column.values:
                found = market.all(f"SELECT DISTINCT {column.name} FROM {table.name}")
                assert {value for (value,) in found} == set(column.values)


def test_the_category_tree(market) -> None:
    """Ten tops with eight leaves each, all with names of their own."""
    assert market.all(
        """SELECT count(*) FILTER (parent_id IS NULL), count(*), count(DISTINCT name)
           FROM dim_category"""
    ) == [(10, 90, 90)]
    leaves = market.all("SELECT parent_id, count(*) FROM dim_category GROUP BY 1 ORDER BY 1")
    assert leaves[:10] == [(top, 8) for top in range(1, 11)]


def test_the_snapshot_is_one_of_every_day(market) -> None:
    """Each listing that was up has a row on each of the last 90 local days, by day and id."""
    told = market.all(
        "SELECT count(DISTINCT ds), min(ds)::TEXT, max(ds)::TEXT FROM snapshot_listing_daily"
    )
    assert told == [(90, "2025-04-02", "2025-06-30")]
    days = market.all("SELECT ds, count(*) FROM snapshot_listing_daily GROUP BY 1")
    for day, count in days:
        assert count == market.one(
            f"SELECT count(*) FROM dim_listing WHERE {local('created_at')}::DATE <= DATE '{day}'"
        )
    assert (
        market.one(
            "SELECT count(*) FROM dim_listing l JOIN snapshot_listing_daily s USING (listing_id)"
            " WHERE s.ds = DATE '2025-06-30' AND s.status <> l.status"
        )
        == 0
    )


def test_the_snapshot_is_sorted(tiny) -> None:
    """Rows come by day and then by listing, over chunks too."""
    for scale in (0.01, 1.3):
        company = evolve(tiny, scale=scale, snapshot_days=2)
        batches = rows_of(company, "snapshot_listing_daily")
        raw = duckdb.connect(":memory:")
        raw.register("s", pa.Table.from_batches(batches))
        assert raw.execute(
            """SELECT count(*) FROM (SELECT (ds, listing_id) <= lag((ds, listing_id)) OVER () AS back
               FROM s) WHERE back"""
        ).fetchone() == (0,)
        assert max(batch.num_rows for batch in batches) <= 300_000
        days = raw.execute("SELECT ds, count(DISTINCT listing_id), count(*) FROM s GROUP BY 1")
        assert all(distinct == found for _, distinct, found in days.fetchall())


def rows_of(company, table: str) -> list:
    family = next(f for f in load(MARKETPLACE.synthesis).families if table in f.tables)
    return [family.generate(company, n)[table] for n in range(family.chunks(company))]


def test_statuses_change_from_day_to_day(market) -> None:
    """Listings pause and come back, and once removed stay removed."""
    changes = market.all(
        """WITH s AS (SELECT status, lead(status) OVER (PARTITION BY listing_id ORDER BY ds) AS next
                      FROM snapshot_listing_daily)
           SELECT status, next, count(*) FROM s WHERE next <> status GROUP BY 1, 2"""
    )
    told = {(one, two) for one, two, _ in changes}
    assert ("active", "paused") in told
    assert ("paused", "active") in told
    assert ("active", "removed") in told
    assert not any(one == "removed" for one, _ in told)


def test_only_active_listings_are_sold(market) -> None:
    """Whatever was sold on a day of the snapshot was active on that day."""
    sold = market.all(
        f"""SELECT s.status, count(*) FROM fact_order_item i JOIN fact_order o USING (order_id)
            JOIN snapshot_listing_daily s
              ON s.listing_id = i.listing_id AND s.ds = {local("o.order_time")}::DATE GROUP BY 1"""
    )
    assert [status for status, _ in sold] == ["active"]
    assert sold[0][1] > 1000


def test_a_chunk_is_the_same_in_any_order(tiny) -> None:
    """Chunks of orders made backwards, or alone, are the chunks made in turn."""
    company = evolve(tiny, scale=0.4)
    family = next(f for f in load(MARKETPLACE.synthesis).families if "fact_order" in f.tables)
    chunks = family.chunks(company)
    assert chunks >= 3
    forward = [family.generate(company, n) for n in range(chunks)]
    for number in reversed(range(chunks)):
        again = family.generate(company, number)
        for table in family.tables:
            assert again[table].equals(forward[number][table])


def test_values_hold_across_versions(rows, tiny) -> None:
    """The values of a small marketplace, hashed; a change means that every company changes."""
    digest = hashlib.sha256()
    for name, batches in rows(evolve(tiny, scale=0.001, snapshot_days=3)).items():
        for batch in batches:
            told = {k: [str(v) for v in col] for k, col in batch.to_pydict().items()}
            digest.update(json.dumps([name, told]).encode())
    assert digest.hexdigest() == "fd2bd8adf06db63183ca98af55bce1b25ca70eb4eb32ee74838b654c225e6dcb"


@pytest.mark.parametrize("tz", ["Asia/Kolkata", "Australia/Lord_Howe"])
def test_other_zones_keep_their_days(rows, tiny, tz: str) -> None:
    """In zones with half-hour offsets and switches, payments stay on their order's local day."""
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    as_of = datetime(2025, 7, 1, tzinfo=ZoneInfo(tz)).astimezone(UTC)
    raw = duckdb.connect(":memory:")
    raw.execute("SET TimeZone = 'UTC'")
    for name, batches in rows(evolve(tiny, tz=tz, as_of=as_of)).items():
        raw.register(name, pa.Table.from_batches(batches))
    days = [f"timezone('{tz}', timezone('UTC', {c}))::DATE" for c in ("order_time", "captured_at")]
    assert raw.execute(
        f"SELECT count(*) FROM fact_order JOIN fact_payment USING (order_id)"
        f" WHERE {days[0]} <> {days[1]}"
    ).fetchone() == (0,)

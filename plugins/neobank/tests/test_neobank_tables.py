from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest
from attrs import evolve

from dnr_core.model import load
from dnr_neobank.archetype import NEOBANK

LOCAL = "timezone('America/Los_Angeles', timezone('UTC', {}))"


def test_the_plugin_imports_nothing_heavy() -> None:
    """Loading the plugin and its archetype imports no NumPy, Arrow, Ibis or DuckDB."""
    code = (
        "import sys; from dnr_neobank import plugin as p;"
        "p.dnr_archetypes(); p.dnr_comms_styles(); p.dnr_qc_checks();"
        "print(sorted({'numpy','pyarrow','ibis','duckdb','pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_archetype_is_sound() -> None:
    """Every name in keys, streams and volumes exists, and every dotted path can be loaded."""
    assert NEOBANK.problems() == ()
    for kpi in NEOBANK.kpis:
        assert callable(load(kpi.expression))
    for guardrail in NEOBANK.guardrails:
        assert callable(load(guardrail.measure))
    made = {table for family in load(NEOBANK.synthesis).families for table in family.tables}
    assert made == set(NEOBANK.schema.names) == set(NEOBANK.volumes)


def test_volumes_at_a_tenth(bank) -> None:
    """Every table has its volume within 10 %; plans do not scale."""
    for name, volume in NEOBANK.volumes.items():
        wanted = volume if name in NEOBANK.fixed_tables else volume / 10
        assert bank.one(f"SELECT count(*) FROM {name}") == pytest.approx(wanted, rel=0.1)


@pytest.mark.parametrize("scale", [0.01, 0.0001, 1e-7])
def test_volumes_of_small_companies(rows, tiny, scale: float) -> None:
    """However small the company, there is at least one of everything, and all four plans."""
    made = {n: sum(b.num_rows for b in bs) for n, bs in rows(evolve(tiny, scale=scale)).items()}
    assert set(made) == set(NEOBANK.schema.names)
    assert made["dim_plan"] == 4
    for name, volume in NEOBANK.volumes.items():
        if name != "fact_subscription_invoice" or scale >= 0.0001:
            assert made[name] >= 1
        if scale == 0.01 and name not in NEOBANK.fixed_tables:
            slack = 0.1 if name != "fact_subscription_invoice" else 0.2
            assert made[name] == pytest.approx(volume / 100, rel=slack)


KEYS = [
    ("dim_account", "customer_id", "dim_customer", "a.created_at >= b.created_at"),
    ("dim_card", "account_id", "dim_account", "a.activated_at >= b.created_at"),
    ("fact_card_transaction", "card_id", "dim_card", "a.event_time >= b.activated_at"),
    ("fact_card_transaction", "merchant_id", "dim_merchant", "true"),
    (
        "fact_subscription_invoice",
        "customer_id",
        "dim_customer",
        "coalesce(a.paid_at, a.period_end) >= b.created_at",
    ),
    ("fact_subscription_invoice", "plan_id", "dim_plan", "true"),
]


@pytest.mark.parametrize(("table", "key", "parent", "in_time"), KEYS)
def test_every_key_finds_its_parent_in_time(bank, table, key, parent, in_time) -> None:
    """No key is null, missing, or older than its parent."""
    good = bank.one(f"SELECT count(*) FROM {table} a JOIN {parent} b USING ({key}) WHERE {in_time}")
    assert good == bank.one(f"SELECT count(*) FROM {table}")


@pytest.mark.parametrize("scale", [0.01, 0.001, 0.0001])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_small_companies_are_clean_too(rows, tiny, scale: float, seed: int) -> None:
    """At sizes where hardly anybody is there, keys still resolve in time."""
    import duckdb
    import pyarrow as pa

    raw = duckdb.connect(":memory:")
    for name, batches in rows(evolve(tiny, scale=scale, seed=seed)).items():
        table = pa.Table.from_batches(batches)
        raw.register(name, table)
    for table, key, parent, in_time in KEYS:
        query = f"SELECT count(*) FROM {table} a JOIN {parent} b USING ({key}) WHERE {in_time}"
        good, whole = (raw.execute(q).fetchone() for q in (query, f"SELECT count(*) FROM {table}"))
        assert good == whole


@pytest.mark.parametrize("table", NEOBANK.schema.names)
def test_ids_are_dense_and_no_key_comes_twice(bank, table: str) -> None:
    """Primary keys run from 1 to the number of rows, in the order in which the rows came."""
    key = NEOBANK.schema[table].primary_key[0]
    low, high, distinct, count = bank.all(
        f"SELECT min({key}), max({key}), count(DISTINCT {key}), count(*) FROM {table}"
    )[0]
    assert (low, high, distinct) == (1, count, count)


@pytest.mark.parametrize(
    ("table", "time"),
    [
        ("dim_customer", "created_at"),
        ("dim_account", "created_at"),
        ("fact_card_transaction", "event_time"),
    ],
)
def test_time_never_falls_with_the_id(bank, table: str, time: str) -> None:
    """A later id never has an earlier time."""
    key = NEOBANK.schema[table].primary_key[0]
    assert (
        bank.one(
            f"SELECT count(*) FROM (SELECT {time} < lag({time}) OVER (ORDER BY {key}) AS back"
            f" FROM {table}) WHERE back"
        )
        == 0
    )


def test_only_payments_that_are_open_are_null(bank) -> None:
    """No column but `paid_at` holds a null."""
    for table in NEOBANK.schema.tables:
        for column in table.column_names:
            if column != "paid_at":
                assert bank.one(f"SELECT count(*) - count({column}) FROM {table.name}") == 0


def test_rows_load_when_they_happen(bank) -> None:
    """In a clean company `loaded_at` is the event time, and all of it lies in the history."""
    assert bank.all(
        "SELECT count(*) FILTER (loaded_at <> event_time),"
        " min(event_time) >= '2024-01-01 08:00', max(event_time) < '2025-07-01 07:00'"
        " FROM fact_card_transaction"
    ) == [(0, True, True)]
    assert bank.all(
        "SELECT count(*) FILTER (loaded_at <> coalesce(paid_at, period_end)),"
        " max(loaded_at) < '2025-07-01 07:00' FROM fact_subscription_invoice"
    ) == [(0, True)]


def test_categories_hold_declared_values(bank) -> None:
    """Each category column holds only its declared values, and all of them occur."""
    for table in NEOBANK.schema.tables:
        for column in table.columns:
            if column.values:
                found = bank.all(f"SELECT DISTINCT {column.name} FROM {table.name}")
                assert {value for (value,) in found} == set(column.values)


def test_a_chunk_is_the_same_in_any_order_and_process(tiny) -> None:
    """A chunk made alone, last, or in another process is the chunk made in turn."""
    company = evolve(tiny, scale=0.2)
    family = next(
        f for f in load(NEOBANK.synthesis).families if "fact_card_transaction" in f.tables
    )
    chunks = family.chunks(company)
    assert chunks >= 4
    turned = [
        family.generate(company, n)["fact_card_transaction"] for n in reversed(range(chunks))
    ][::-1]
    again = family.generate(company, 1)["fact_card_transaction"]
    assert again.equals(turned[1])
    code = (
        "import hashlib,sys;from datetime import datetime,UTC;from dnr_core.model import Company;"
        "from dnr_neobank.spending import TRANSACTIONS as f;"
        "c=Company('neobank',42,0.2,18,datetime(2025,7,1,7,tzinfo=UTC),'America/Los_Angeles','T1',90);"
        "b=f.generate(c,2)['fact_card_transaction'];"
        "print(hashlib.sha256(b.serialize()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(turned[2].serialize()).hexdigest()


def test_values_hold_across_versions(rows, tiny) -> None:
    """The values of a small bank, hashed; a change means that every company changes."""
    digest = hashlib.sha256()
    for name, batches in rows(evolve(tiny, scale=0.001)).items():
        for batch in batches:
            told = {k: [str(v) for v in col] for k, col in batch.to_pydict().items()}
            digest.update(json.dumps([name, told]).encode())
    assert digest.hexdigest() == "133f92889b381b2338fa5d1dad1ee1d9ad10b56b2eefb3dafba664bfe15ffdfa"


def test_another_seed_is_another_company(rows, tiny) -> None:
    """A seed changes the values; months and trajectory change the volumes."""
    one, two = rows(tiny), rows(evolve(tiny, seed=43))
    assert not one["fact_card_transaction"][0].equals(two["fact_card_transaction"][0])
    half = rows(evolve(tiny, months=9))
    assert half["fact_card_transaction"][0].num_rows == pytest.approx(25_000, rel=0.05)

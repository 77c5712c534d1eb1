"""A small shop of the tests' own: six tables, three families, every shape of key that there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from attrs import evolve

from dnr_core.builtin.defects import KINDS
from dnr_core.builtin.profiles import PROFILES
from dnr_core.catalogue import Catalogue
from dnr_core.config.settings import Settings, WarehouseSettings
from dnr_core.model import (
    Archetype,
    Column,
    Company,
    DefectKind,
    DefectProfile,
    EventTime,
    Family,
    ForeignKey,
    Parent,
    Schema,
    Synthesis,
    Table,
)
from dnr_core.synth.seeds import below, raw, stream

HOUR_US = 3_600_000_000
END = datetime(2025, 7, 1, 7, tzinfo=UTC)

SCHEMA = Schema(
    [
        Table(
            "dim_customer",
            [Column("customer_id", "int64"), Column("created_at", "timestamp")],
            primary_key="customer_id",
            created_at="created_at",
        ),
        Table(
            "dim_product",
            [Column("product_id", "string"), Column("name", "string")],
            primary_key="product_id",
        ),
        Table(
            "fact_sale",
            [
                Column("sale_id", "int64", required=True),
                Column("customer_id", "int64", required=True),
                Column("product_id", "string", required=True),
                Column("sold_at", "timestamp", required=True),
                Column("amount_cents", "int64"),
                Column("channel", "string"),
                Column("loaded_at", "timestamp"),
            ],
            primary_key="sale_id",
            foreign_keys=[
                ForeignKey("customer_id", "dim_customer", "customer_id", parent_time="created_at"),
                ForeignKey("product_id", "dim_product", "product_id"),
            ],
            event_time=EventTime("sold_at"),
            loaded_at="loaded_at",
            kind="fact",
        ),
        Table(
            "fact_line",
            [
                Column("sale_id", "int64"),
                Column("line_no", "int16"),
                Column("product_id", "string"),
                Column("qty", "int32"),
                Column("loaded_at", "timestamp"),
            ],
            business_key=("sale_id", "line_no"),
            foreign_keys=[
                ForeignKey("sale_id", "fact_sale", "sale_id", parent_time="sold_at"),
                ForeignKey("product_id", "dim_product", "product_id"),
            ],
            event_time=EventTime("sold_at", through="fact_sale"),
            loaded_at="loaded_at",
            kind="fact",
        ),
        Table(
            "fact_receipt",
            [
                Column("sale_id", "int64"),
                Column("paid_at", "timestamp"),
                Column("paid_cents", "int64"),
                Column("loaded_at", "timestamp"),
            ],
            business_key="sale_id",
            foreign_keys=[ForeignKey("sale_id", "fact_sale", "sale_id", parent_time="sold_at")],
            event_time=EventTime("paid_at"),
            loaded_at="loaded_at",
            kind="fact",
        ),
        Table(
            "snapshot_stock",
            [Column("day", "date"), Column("product_id", "string"), Column("status", "string")],
            primary_key=("day", "product_id"),
            kind="snapshot",
        ),
    ]
)


def _start_us(company: Company) -> int:
    months = company.as_of.year * 12 + company.as_of.month - 1 - company.months
    return int(datetime(months // 12, months % 12 + 1, 1, 8, tzinfo=UTC).timestamp()) * 1_000_000


class Shop:
    """Sizes of a shop, and its families' functions."""

    def __init__(self, sales: int, chunk_rows: int) -> None:
        self.sales = sales
        self.customers = max(20, sales // 20)
        self.products = 50
        self.chunk_rows = chunk_rows

    def scaled(self, company: Company) -> int:
        return max(1, round(self.sales * company.scale))

    def _times(self, company: Company, ids: np.ndarray, count: int) -> np.ndarray:
        start = _start_us(company)
        span = int(company.as_of.timestamp()) * 1_000_000 - start
        return start + ids * (span // count)

    def customer_chunk(self, company: Company, chunk: int) -> Mapping[str, pa.Table]:
        del chunk
        ids = np.arange(self.customers, dtype=np.int64)
        created = self._times(company, ids, self.customers)
        names = [f"p{n:03d}" for n in range(self.products)]
        return {
            "dim_customer": pa.table(
                {"customer_id": ids, "created_at": pa.array(created).cast(pa.timestamp("us"))}
            ),
            "dim_product": pa.table({"product_id": names, "name": [n.upper() for n in names]}),
        }

    def sale_chunks(self, company: Company) -> int:
        return -(-self.scaled(company) // self.chunk_rows)

    def sale_chunk(self, company: Company, chunk: int) -> Mapping[str, pa.Table]:
        count = self.scaled(company)
        ids = np.arange(
            chunk * self.chunk_rows, min((chunk + 1) * self.chunk_rows, count), dtype=np.int64
        )
        sold = self._times(company, ids, count)
        draws = stream(company.seed, "shop")
        alive = 1 + ids * (self.customers - 1) // count
        customer = draws.child("customer").below(ids, alive)
        product = draws.child("product").below(ids, self.products)
        amount = 100 + draws.child("amount").below(ids, 9900)
        lines = 1 + draws.child("lines").below(ids, 3)
        paid = sold + 60_000_000 + draws.child("paid").below(ids, HOUR_US)
        at = np.repeat(np.arange(len(ids)), lines)
        first = np.cumsum(lines) - lines
        number = (np.arange(len(at)) - first[at] + 1).astype(np.int16)
        bought = draws.child("bought").below(ids[at] * 8 + number, self.products)

        def instant(values: np.ndarray) -> pa.Array:
            return pa.array(values).cast(pa.timestamp("us"))

        def named(values: np.ndarray) -> pa.Array:
            return pa.array([f"p{n:03d}" for n in range(self.products)]).take(pa.array(values))

        channels = pa.DictionaryArray.from_arrays(
            pa.array((ids % 3).astype(np.int8)), ["web", "app", "store"]
        )
        return {
            "fact_sale": pa.table(
                {
                    "sale_id": ids,
                    "customer_id": customer,
                    "product_id": named(product),
                    "sold_at": instant(sold),
                    "amount_cents": amount,
                    "channel": channels,
                    "loaded_at": instant(sold),
                }
            ),
            "fact_line": pa.table(
                {
                    "sale_id": ids[at],
                    "line_no": number,
                    "product_id": named(bought),
                    "qty": pa.array(np.ones(len(at), dtype=np.int32)),
                    "loaded_at": instant(sold[at]),
                }
            ),
            "fact_receipt": pa.table(
                {
                    "sale_id": ids,
                    "paid_at": instant(paid),
                    "paid_cents": amount,
                    "loaded_at": instant(paid),
                }
            ),
        }

    def stock_chunk(self, company: Company, chunk: int) -> Mapping[str, pa.Table]:
        del company
        names = [f"p{n:03d}" for n in range(self.products)]
        days = pa.array([20_000 + chunk] * self.products, pa.int32()).cast(pa.date32())
        return {
            "snapshot_stock": pa.table(
                {"day": days, "product_id": names, "status": ["live"] * self.products}
            )
        }

    def missing_customer(self, company: Company, count: int, rng: np.random.Generator) -> Any:
        del company
        return self.customers + 1 + below(raw(rng, count), 1 << 40)

    def missing_sale(self, company: Company, count: int, rng: np.random.Generator) -> Any:
        return self.scaled(company) + 1 + below(raw(rng, count), 1 << 40)

    def missing_product(self, company: Company, count: int, rng: np.random.Generator) -> Any:
        del company
        return np.array([f"x{n}" for n in below(raw(rng, count), 1000)])

    def later_customer(
        self, company: Company, times_us: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        step = self._times(company, np.array([1]), self.customers)[0] - _start_us(company)
        first = (times_us - _start_us(company)) // step + 1
        room = self.customers - first
        found = room > 0
        return first + below(raw(rng, len(first)), np.maximum(room, 1)), found

    def archetype(self, **changes: Any) -> Archetype:
        families = [
            Family("people", ["dim_customer", "dim_product"], lambda _: 1, self.customer_chunk),
            Family(
                "sales",
                ["fact_sale", "fact_line", "fact_receipt"],
                self.sale_chunks,
                self.sale_chunk,
            ),
            Family("stock", ["snapshot_stock"], lambda c: c.snapshot_days, self.stock_chunk),
        ]
        parents = {
            "dim_customer": Parent(self.missing_customer, self.later_customer),
            "dim_product": Parent(self.missing_product),
            "fact_sale": Parent(self.missing_sale),
        }
        kind = Archetype(
            "shop",
            "A shop",
            SCHEMA,
            volumes={
                "dim_customer": self.customers,
                "dim_product": self.products,
                "fact_sale": self.sales,
                "fact_line": self.sales * 2,
                "fact_receipt": self.sales,
                "snapshot_stock": 50 * 90,
            },
            fixed_tables=["dim_customer", "dim_product", "snapshot_stock"],
            synthesis=Synthesis(families, parents),
        )
        return evolve(kind, **changes)


@pytest.fixture(scope="session")
def make_shop() -> Callable[..., Archetype]:
    """An archetype with so many sales, and so many in a chunk."""

    def make(sales: int = 20_000, chunk_rows: int = 3_000, **changes: Any) -> Archetype:
        return Shop(sales, chunk_rows).archetype(**changes)

    return make


@pytest.fixture(scope="session")
def make_catalogue() -> Callable[..., Catalogue]:
    """A catalogue of the builtin kinds and profiles, and what else is given."""

    def make(
        *profiles: DefectProfile, kinds: tuple[DefectKind, ...] = (), shop: Archetype | None = None
    ) -> Catalogue:
        return Catalogue(
            archetypes={shop.name: shop} if shop else {},
            profiles={p.name: p for p in (*PROFILES, *profiles)},
            defect_kinds={k.name: k for k in (*KINDS, *kinds)},
        )

    return make


@pytest.fixture(scope="session")
def settings() -> Callable[..., Settings]:
    """Settings with changes under `warehouse`."""

    def make(**changes: Any) -> Settings:
        return Settings(
            warehouse=WarehouseSettings(**{"workers": 1, "snapshot_days": 3, **changes})
        )

    return make


@pytest.fixture(scope="session")
def sql() -> Callable[[Path, str], list[tuple[Any, ...]]]:
    """Run hand-written SQL over a folder's tables (and the Parquet files of another one)."""

    def run(folder: Path, statement: str, meta: Path | None = None) -> list[tuple[Any, ...]]:
        with duckdb.connect() as connection:
            for table in sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != "."):
                connection.execute(
                    f"CREATE VIEW {table.name} AS SELECT *, file_row_number AS row, "
                    "regexp_extract(filename, '([0-9]+)\\.parquet', 1)::INT AS part "
                    f"FROM read_parquet('{table}/*.parquet', filename=true, file_row_number=true)"
                )
            if meta:
                for name in ("ledger", "incidents"):
                    connection.execute(
                        f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{meta}/{name}.parquet')"
                    )
            return connection.execute(statement).fetchall()

    return run

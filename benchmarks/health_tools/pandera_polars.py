"""The common checks of fact_card_transaction in pandera on Polars, as its documentation does them.

Usage: python pandera_polars.py FOLDER   (pip install 'pandera[polars]')
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import pandera.polars as pa
import polars as pl

folder = sys.argv[1]
cards = pl.read_parquet(f"{folder}/dim_card/*.parquet", columns=["card_id"])["card_id"]
merchants = pl.read_parquet(f"{folder}/dim_merchant/*.parquet", columns=["merchant_id"])
merchants = merchants["merchant_id"]
rows = pl.read_parquet(
    f"{folder}/fact_card_transaction/*.parquet",
    columns=["txn_id", "card_id", "merchant_id", "event_time", "loaded_at"],
)


def known(keys: pl.Series) -> pa.Check:
    """A key that is there is among the parent's keys."""
    return pa.Check(
        lambda data: data.lazyframe.select(
            pl.col(data.key).is_null() | pl.col(data.key).is_in(keys.implode())
        ),
        name="known",
    )


def in_time(data: pa.PolarsData) -> pl.LazyFrame:
    """A row is loaded within 90 minutes."""
    return data.lazyframe.select(
        pl.col("loaded_at") - pl.col("event_time") <= timedelta(minutes=90)
    )


schema = pa.DataFrameSchema(
    {
        "txn_id": pa.Column(pl.Int64, unique=True),
        "card_id": pa.Column(pl.Int64, known(cards), nullable=False),
        "merchant_id": pa.Column(pl.Int64, known(merchants), nullable=False),
        "event_time": pa.Column(pl.Datetime("us")),
    },
    checks=[pa.Check(in_time, name="in time")],
)
found: dict[str, int] = {"rows": rows.height, "newest": int(rows["event_time"].max().timestamp())}
try:
    schema.validate(rows, lazy=True)
except pa.errors.SchemaErrors as error:
    for one in error.schema_errors:
        name = f"{getattr(one.schema, 'name', None) or 'table'}:{one.reason_code.name}"
        name += f":{getattr(one.check, 'name', one.check)}"
        cases = one.failure_cases
        found[name] = cases.height if isinstance(cases, pl.DataFrame) else 1
print(json.dumps(found))

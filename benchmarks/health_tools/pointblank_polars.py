"""The common checks of fact_card_transaction in pointblank on Polars, as its documentation does.

Usage: python pointblank_polars.py FOLDER   (pip install pointblank polars)
"""

from __future__ import annotations

import json
import sys

import pointblank as pb
import polars as pl

folder = sys.argv[1]
cards = pl.read_parquet(f"{folder}/dim_card/*.parquet", columns=["card_id"])["card_id"].to_list()
merchants = pl.read_parquet(f"{folder}/dim_merchant/*.parquet", columns=["merchant_id"])
rows = pl.read_parquet(
    f"{folder}/fact_card_transaction/*.parquet",
    columns=["txn_id", "card_id", "merchant_id", "event_time", "loaded_at"],
)
validation = (
    pb.Validate(data=rows)
    .col_vals_not_null("card_id")
    .col_vals_not_null("merchant_id")
    .rows_distinct(columns_subset="txn_id")
    .col_vals_in_set("card_id", set=[*cards, None])
    .col_vals_in_set("merchant_id", set=[*merchants["merchant_id"].to_list(), None])
    .col_vals_expr(expr=pl.col("loaded_at") - pl.col("event_time") <= pl.duration(minutes=90))
    .interrogate(collect_extracts=False)
)
found = {
    "rows": pb.get_row_count(rows),
    "newest": int(rows["event_time"].max().timestamp()),
    "failed": {str(step): n for step, n in validation.n_failed().items()},
}
print(json.dumps(found))

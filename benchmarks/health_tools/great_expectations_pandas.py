"""The common checks of fact_card_transaction in Great Expectations on pandas, as its docs do them.

Usage: python great_expectations_pandas.py FOLDER   (pip install great_expectations pyarrow)
"""

from __future__ import annotations

import json
import os
import sys

os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd

folder = sys.argv[1]
cards = pd.read_parquet(f"{folder}/dim_card", columns=["card_id"])["card_id"]
merchants = pd.read_parquet(f"{folder}/dim_merchant", columns=["merchant_id"])["merchant_id"]
rows = pd.read_parquet(
    f"{folder}/fact_card_transaction",
    columns=["txn_id", "card_id", "merchant_id", "event_time", "loaded_at"],
)
# It has no expectation over a difference of two columns.
rows["lag_minutes"] = (rows["loaded_at"] - rows["event_time"]).dt.total_seconds() / 60

context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = {"globally": False}
batch = (
    context.data_sources.add_pandas("pandas")
    .add_dataframe_asset(name="fact_card_transaction")
    .add_batch_definition_whole_dataframe("all")
    .get_batch(batch_parameters={"dataframe": rows})
)
suite = gx.ExpectationSuite(
    name="checks",
    expectations=[
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        gxe.ExpectColumnValuesToNotBeNull(column="card_id"),
        gxe.ExpectColumnValuesToNotBeNull(column="merchant_id"),
        gxe.ExpectColumnValuesToBeUnique(column="txn_id"),
        gxe.ExpectColumnValuesToBeInSet(column="card_id", value_set=cards.tolist()),
        gxe.ExpectColumnValuesToBeInSet(column="merchant_id", value_set=merchants.tolist()),
        gxe.ExpectColumnValuesToBeBetween(column="lag_minutes", max_value=90),
        gxe.ExpectColumnMaxToBeBetween(column="event_time", min_value=pd.Timestamp("2000-01-01")),
    ],
)
result = batch.validate(suite, result_format="SUMMARY")
print(
    json.dumps(
        {
            one.expectation_config.type + ":" + one.expectation_config.kwargs.get("column", ""): (
                one.result.get("unexpected_count", str(one.result.get("observed_value")))
            )
            for one in result.results
        }
    )
)

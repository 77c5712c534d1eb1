"""The common checks of fact_card_transaction in Soda on its DuckDB, as its documentation does them.

Usage: python soda_duckdb.py FOLDER   (pip install soda-core-duckdb)
"""

from __future__ import annotations

import json
import logging
import sys

import duckdb
from soda.scan import Scan

folder = sys.argv[1]
connection = duckdb.connect()
for table in ("fact_card_transaction", "dim_card", "dim_merchant"):
    connection.execute(
        f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{folder}/{table}/*.parquet')"
    )
scan = Scan()
scan.disable_telemetry()
scan.add_duckdb_connection(connection)
scan.set_data_source_name("duckdb")
scan.add_sodacl_yaml_str(
    """
checks for fact_card_transaction:
  - row_count > 0
  - missing_count(card_id) = 0
  - missing_count(merchant_id) = 0
  - duplicate_count(txn_id) = 0
  - values in (card_id) must exist in dim_card (card_id):
      samples limit: 0
  - values in (merchant_id) must exist in dim_merchant (merchant_id):
      samples limit: 0
  - late_rows = 0:
      late_rows expression: count(*) filter (loaded_at - event_time > interval 90 minute)
  - freshness(event_time) < 1000000d
"""
)
logging.disable(logging.CRITICAL)
scan.execute()
results = scan.get_scan_results()
print(
    json.dumps(
        {check["name"]: check.get("diagnostics", {}).get("value") for check in results["checks"]}
    )
)

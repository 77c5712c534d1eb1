"""Room: benchmarks. Entry: Great Expectations, a suite a table as its user would write it.

Required keys are not null, foreign keys are in the set of their parents' ids, business keys are
unique. Needs: great_expectations, pandas, pyarrow.
"""

from __future__ import annotations

from typing import Any

import great_expectations as gx
import pandas as pd
from benchmark_data import Tables, enter

CONTEXT = gx.get_context(mode="ephemeral")
SOURCE = CONTEXT.data_sources.add_pandas("benchmark")
WHOLE = {"result_format": "COMPLETE", "unexpected_index_column_names": ["position"]}


def find(tables: Tables, table: dict[str, Any], frame: pd.DataFrame) -> list[tuple[int, str]]:
    """Validate each expectation and read its unexpected rows."""
    rows = frame.astype("object").where(frame.notna(), None)
    rows["position"] = range(len(rows))
    asset = SOURCE.add_dataframe_asset(f"{tables.name}-{table['name']}")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": rows})
    wanted: list[tuple[str, Any]] = [
        ("key_null", gx.expectations.ExpectColumnValuesToNotBeNull(column=name))
        for name in table["required_keys"]
    ]
    for key in table["foreign_keys"]:
        if len(key["columns"]) == 1:
            ids = sorted(tables.parents(key))
            among = gx.expectations.ExpectColumnValuesToBeInSet(
                column=key["columns"][0], value_set=ids
            )
            wanted.append(("fk_failure", among))
    keys = table["business_key"]
    if len(keys) == 1:
        wanted.append(("duplicate", gx.expectations.ExpectColumnValuesToBeUnique(column=keys[0])))
    elif keys:
        together = gx.expectations.ExpectCompoundColumnsToBeUnique(column_list=keys)
        wanted.append(("duplicate", together))
    found: list[tuple[int, str]] = []
    for kind, expectation in wanted:
        result = batch.validate(expectation, result_format=WHOLE)
        rows_named = result.result.get("unexpected_index_list") or ()
        found += [(int(row["position"]), kind) for row in rows_named]
    return found


if __name__ == "__main__":
    enter(find)

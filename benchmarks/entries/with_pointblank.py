"""Room: benchmarks. Entry: pointblank, a validation a table as its user would write it.

Required keys are not null, foreign keys are among their parents' ids, business keys are distinct.
Needs: pointblank, polars, pandas, pyarrow.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pointblank as pb
import polars as pl
from benchmark_data import Tables, enter


def find(tables: Tables, table: dict[str, Any], frame: pd.DataFrame) -> list[tuple[int, str]]:
    """Interrogate, and read the extract of each step."""
    rows = pl.from_pandas(frame).with_columns(pl.int_range(pl.len()).alias("position"))
    check = pb.Validate(data=rows)
    kinds = []
    for name in table["required_keys"]:
        check = check.col_vals_not_null(columns=name)
        kinds.append("key_null")
    for key in table["foreign_keys"]:
        if len(key["columns"]) == 1:
            (name,) = key["columns"]
            # A null is the other step's finding.
            check = check.col_vals_in_set(
                columns=name,
                set=sorted(tables.parents(key)),
                pre=lambda data, name=name: data.filter(pl.col(name).is_not_null()),
            )
            kinds.append("fk_failure")
    if table["business_key"]:
        check = check.rows_distinct(columns_subset=table["business_key"])
        kinds.append("duplicate")
    if not kinds:
        return []
    done = check.interrogate(extract_limit=max(1, len(frame)))
    found: list[tuple[int, str]] = []
    for step, kind in enumerate(kinds, 1):
        extract = done.get_data_extracts(i=step, frame=True)
        if extract is not None and len(extract):
            # The step on distinct rows gives back its own columns and the number of the row.
            if "position" in extract.columns:
                places = extract["position"].to_list()
            else:
                places = [number - 1 for number in extract["_row_num_"]]
            found += [(int(place), kind) for place in places]
    return found


if __name__ == "__main__":
    enter(find)

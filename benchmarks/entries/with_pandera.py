"""Room: benchmarks. Entry: pandera, a schema a table as its user would write it.

Required keys are not null, foreign keys are among their parents' ids, business keys are unique.
Needs: pandera[pandas], pyarrow.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pandera.pandas as pa
from benchmark_data import Tables, enter


def find(tables: Tables, table: dict[str, Any], frame: pd.DataFrame) -> list[tuple[int, str]]:
    """Validate lazily and read the failure cases."""
    columns: dict[str, pa.Column] = {}
    for key in table["foreign_keys"]:
        if len(key["columns"]) != 1:
            continue
        (name,) = key["columns"]
        known = pa.Check.isin(tables.parents(key), name="fk_failure")
        columns[name] = pa.Column(
            nullable=name not in table["required_keys"], checks=[known], required=True
        )
    schema = pa.DataFrameSchema(columns, unique=table["business_key"] or None)
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
        kinds = {"not_nullable": "key_null", "fk_failure": "fk_failure"}
        return [
            (int(index), kinds.get(str(check), "duplicate"))
            for check, index in zip(cases["check"], cases["index"], strict=True)
            if index is not None and not pd.isna(index)
        ]
    return []


if __name__ == "__main__":
    enter(find)

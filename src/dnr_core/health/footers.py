"""Room: health. First and last value of columns as the footers of Parquet files have them.

A writer notes them for each group of rows, and DuckDB itself skips groups by them. Where DuckDB
reads a folder, they save a read of the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import frozen

from dnr_core.errors import let_through
from dnr_core.health.connect import Warehouse
from dnr_core.model.schema import Table

# Only what is noted to be exact is taken; a group whose values are all null has nothing to note.
_ENDS: Final = """
WITH noted AS (
  SELECT
    path_in_schema AS name, num_values AS n, type IN ('INT32', 'INT64') AS plain,
    CASE WHEN path_in_schema IN ({whole}) THEN try_cast(stats_min_value AS BIGINT)
      ELSE epoch_us(try_cast(stats_min_value AS TIMESTAMPTZ)) END AS low,
    CASE WHEN path_in_schema IN ({whole}) THEN try_cast(stats_max_value AS BIGINT)
      ELSE epoch_us(try_cast(stats_max_value AS TIMESTAMPTZ)) END AS high,
    stats_null_count = num_values AS nothing,
    coalesce(min_is_exact AND max_is_exact, false) AND NOT (
      contains(stats_min_value, 'inf') OR contains(stats_max_value, 'inf')
      OR contains(stats_min_value, 'BC')) AS exact
  FROM parquet_metadata([{paths}])
  WHERE path_in_schema IN ({names})
)
SELECT name, min(low), max(high), sum(n)::BIGINT,
  bool_and(plain AND (nothing OR (exact AND low IS NOT NULL AND high IS NOT NULL)))
FROM noted GROUP BY name
"""


@frozen
class Ends:
    """First and last value of a column, None where all are null; and rows, the nulls included.

    Of a time or date in microseconds since 1970.
    """

    low: int | None
    high: int | None
    rows: int


def noted_ends(
    warehouse: Warehouse, table: Table, columns: Sequence[str]
) -> dict[str, Ends] | None:
    """Return what the footers of a table's files say of whole numbers, times and dates.

    None where it is no folder that DuckDB reads, or where a footer says too little of a column.
    """
    paths = warehouse.files.get((table.physical_name or (table.name,))[-1])
    if not paths or warehouse.dialect.name != "duckdb":
        return None
    source = warehouse.table(table.name)
    kinds = {name: source[name].type() for name in columns}
    if not all(_is_noted(name, kind) for name, kind in kinds.items()):
        return None
    whole = [name for name, kind in kinds.items() if kind.is_integer()]
    # Written out, because DuckDB imports pandas to look at a list of parameters.
    sql = _ENDS.format(paths=_quoted(paths), names=_quoted(columns), whole=_quoted(whole or [""]))
    try:
        found = warehouse.connection.con.execute(sql).fetchall()
    except Exception as error:  # noqa: BLE001 - an older DuckDB tells less of footers
        let_through(error)
        return None
    noted = {name: Ends(low, high, int(rows)) for name, low, high, rows, enough in found if enough}
    return {name: noted[name] for name in columns} if set(noted) == set(columns) else None


def _quoted(texts: Sequence[str]) -> str:
    return ", ".join("'" + text.replace("'", "''") + "'" for text in texts)


def _is_noted(name: str, kind: Any) -> bool:
    """Whether a footer has the column under its own name, and its values to the microsecond."""
    if "." in name or "," in name:
        return False
    if kind.is_timestamp():
        return kind.scale is None or int(kind.scale) <= 6
    return bool(kind.is_date() or (kind.is_integer() and kind.is_signed_integer()))

"""Room: health. Rows kept beside what is read: temporary tables and frames, gone with the connection.

Nothing here writes to the warehouse. DuckDB and SQLite keep temporary tables apart from a
read-only database; Spark, Polars and DataFusion keep rows in memory under a name of the session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import ibis.expr.operations as ops
from pyarrow import RecordBatch


def keep(connection: Any, name: str, expression: Any) -> Any:
    """Return the expression's rows as a table of that name, kept for the life of the connection."""
    return KEEPERS[connection.name](connection, name, expression)


def _duckdb(connection: Any, name: str, expression: Any) -> Any:
    connection.raw_sql(f'CREATE TEMP TABLE "{name}" AS {connection.compile(expression)}')
    return connection.table(name, database=("temp", "main"))


def _sqlite(connection: Any, name: str, expression: Any) -> Any:
    from dnr_core.health.dialect import sql_to_run

    # With its types, because SQLite would not tell a time from a text of its own making.
    mapper = connection.compiler.type_mapper
    columns = ", ".join(
        f'"{column}" {mapper.to_string(dtype)}'.replace("UNKNOWN", "")
        for column, dtype in expression.schema().items()
    )
    connection.raw_sql(f'CREATE TEMP TABLE "{name}" ({columns})').close()
    connection.raw_sql(f'INSERT INTO temp."{name}" {sql_to_run(connection, expression)}').close()
    place = ops.Namespace(database="temp")
    return ops.DatabaseTable(name, expression.schema(), connection, place).to_expr()


def _pyspark(connection: Any, name: str, expression: Any) -> Any:
    frame = connection.raw_sql(connection.compile(expression))
    # A checkpoint forgets how the rows came to be, so that later plans stay small.
    frame.localCheckpoint(eager=True).createOrReplaceTempView(name)
    return connection.table(name)


def _polars(connection: Any, name: str, expression: Any) -> Any:
    return connection.create_table(name, connection.compile(expression).collect())


def _datafusion(connection: Any, name: str, expression: Any) -> Any:
    table = connection.raw_sql(connection.compile(expression)).to_arrow_table()
    # A table without a batch makes it panic; one without rows does not.
    batches = table.to_batches() or [RecordBatch.from_pylist([], schema=table.schema)]
    connection.con.register_record_batches(name, [batches])
    return ops.DatabaseTable(name, expression.schema(), connection, ops.Namespace()).to_expr()


KEEPERS: Final[Mapping[str, Callable[[Any, str, Any], Any]]] = {
    "duckdb": _duckdb,
    "sqlite": _sqlite,
    "pyspark": _pyspark,
    "polars": _polars,
    "datafusion": _datafusion,
}
"""Backends that can keep rows without a write, by their Ibis names."""

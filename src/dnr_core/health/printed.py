"""Room: health. An expression as SQL that a person can paste: in the backend's dialect, laid out."""

from __future__ import annotations

from typing import Any

import ibis
from sqlglot import expressions as sge
from sqlglot import parse_one

from dnr_core.health.connect import Warehouse
from dnr_core.health.dialect import unnested


def sql_of(warehouse: Warehouse, expression: Any) -> str:
    """Return an expression's SQL, laid out for reading, ready to paste.

    The tables of a folder of Parquet files are read by their paths, to be run in that folder.
    """
    connection = warehouse.connection
    dialect = warehouse.dialect.sql_name
    deep = warehouse.dialect.lacks("deep_queries")
    if warehouse.folder is None and dialect == warehouse.dialect.name and not deep:
        return _in_zone(dialect) + str(connection.compile(expression, pretty=True))
    if dialect == warehouse.dialect.name:
        # What Ibis compiles to, before it is text: parsing the text again would cost as much.
        tree = connection.compiler.to_sqlglot(expression)
    else:
        tree = parse_one(str(ibis.to_sql(expression, dialect=dialect)), read=dialect)
    for node in list(tree.find_all(sge.Table)):
        if node.name in warehouse.patterns:
            _read_file(node, warehouse.patterns[node.name], dialect)
    tree = unnested(tree) if deep else tree
    sql_dialect = {"pyspark": "spark"}.get(dialect) or getattr(connection, "dialect", dialect)
    return _in_zone(dialect) + str(tree.sql(dialect=sql_dialect, pretty=True, copy=False))


def _in_zone(dialect: str) -> str:
    """Say where the session's zone decides what a time without a zone means."""
    return "-- first: SET TIME ZONE 'UTC'\n" if dialect == "pyspark" else ""


def _read_file(node: sge.Table, pattern: str, dialect: str) -> None:
    """Turn the name of a table into how the dialect reads its files."""
    folder = pattern.removesuffix("/**/*.parquet")
    for part in ("db", "catalog"):
        node.set(part, None)
    match dialect:
        case "duckdb":
            path = sge.Literal.string(pattern)
            node.set("this", sge.Anonymous(this="read_parquet", expressions=[path]))
        case "pyspark":
            node.set("this", sge.to_identifier(folder, quoted=True))
            node.set("db", sge.to_identifier("parquet"))
        case "datafusion":
            # As its command line reads files, and a session after `enable_url_table()`.
            node.set("this", sge.Literal.string(folder if folder == pattern else f"{folder}/"))
        case _:
            pass

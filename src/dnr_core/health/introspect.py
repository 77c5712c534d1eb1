"""Room: health. What a database says of itself: tables, types, declared keys, and counts of values."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import ibis
from attrs import field, frozen

from dnr_core.errors import WarehouseError, first_line, let_through
from dnr_core.health.dialect import fetch
from dnr_core.health.location import Opened
from dnr_core.model.schema import ColumnType

if TYPE_CHECKING:
    import ibis.expr.types as ir

COUNTED_ROWS: Final = 5_000_000
COUNTED_ROWS_WHOLE: Final = 2_000_000
"""Tables with more rows are drafted from names and declarations alone; the second where a database
reads whole rows to count one column."""
_WHOLE_ROWS: Final = {"sqlite", "postgres"}
_SYSTEM: Final = {"information_schema", "pg_catalog", "pg_toast", "temp", "system"}

DUCKDB_KEYS: Final = """
SELECT schema_name, table_name, constraint_type, constraint_column_names,
       referenced_table, referenced_column_names
FROM duckdb_constraints()
WHERE constraint_type IN ('PRIMARY KEY', 'UNIQUE', 'FOREIGN KEY') AND database_name = current_database()
ORDER BY ALL
"""
POSTGRES_KEYS: Final = """
SELECT n.nspname, t.relname,
       CASE c.contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' ELSE 'FOREIGN KEY' END,
       ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k(n, place)
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n ORDER BY place),
       p.relname,
       ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k(n, place)
             JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.n ORDER BY place)
FROM pg_constraint c
JOIN pg_class t ON t.oid = c.conrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_class p ON p.oid = c.confrelid
WHERE c.contype IN ('p', 'u', 'f') AND c.conparentid = 0 AND NOT t.relispartition
ORDER BY n.nspname, t.relname, c.contype, c.conname
"""
POSTGRES_MONEY: Final = """
SELECT n.nspname, c.relname, a.attname
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.atttypid = 'money'::regtype AND a.attnum > 0
"""
"""Columns of a type that Ibis takes for decimal and PostgreSQL does not turn into a number."""
DUCKDB_TABLES: Final = """
SELECT table_schema, table_name, table_type = 'VIEW' FROM information_schema.tables
WHERE table_catalog = current_database() ORDER BY ALL
"""
POSTGRES_TABLES: Final = """
SELECT n.nspname, c.relname, c.relkind IN ('v', 'm')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND NOT EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid)
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
ORDER BY 1, 2
"""


@frozen
class Found:
    """A table as it lies: `path` is schema and name, or the name alone where it is the default."""

    name: str
    path: tuple[str, ...]
    columns: dict[str, ColumnType]
    table: Any = field(eq=False, repr=False)
    rows: int | None = None
    distinct: dict[str, int] = field(factory=dict)
    filled: dict[str, int] = field(factory=dict)


@frozen
class Declared:
    """A key that the database declares; `to` and `to_columns` for foreign keys."""

    table: str
    kind: str
    columns: tuple[str, ...]
    to: str = ""
    to_columns: tuple[str, ...] = ()


@frozen
class Described:
    """Everything a database says of itself. `views` are named and not read."""

    tables: tuple[Found, ...]
    declared: tuple[Declared, ...]
    views: tuple[str, ...]
    unreadable: dict[str, str]


def describe(opened: Opened) -> Described:
    """Read tables, columns, declared keys and counts.

    Raises:
        WarehouseError: there is no table that can be read.
    """
    listed = _tables(opened)
    names = [name for _, name, view in listed if not view]
    tables: list[Found] = []
    unreadable: dict[str, str] = {}
    postgres = opened.dialect.name == "postgres"
    strange = set(_raw(opened, POSTGRES_MONEY)) if postgres else set()
    for schema, name, view in listed:
        if view:
            continue
        label = name if names.count(name) == 1 else f"{schema}.{name}"
        try:
            table = _table(opened, schema, name)
            columns = {column: _type(table[column].type()) for column in table.columns}
            columns |= {c: "other" for c in table.columns if (schema, name, c) in strange}
            tables.append(
                _counted(opened, Found(label, (*schema_path(schema), name), columns, table))
            )
        except Exception as error:  # noqa: BLE001 - no right to one table must not end the draft
            unreadable[label] = first_line(let_through(error))
    if not tables:
        reasons = "; ".join(f"{name}: {why}" for name, why in unreadable.items())
        raise WarehouseError(
            f"{opened.shown} has no table that can be read" + (f" ({reasons})" if reasons else ""),
            hint="is it the right database, and may this user read it?",
        )
    views = tuple(name for _, name, view in listed if view)
    known = {table.name for table in tables}
    declared = tuple(key for key in _declared(opened, tables) if key.table in known)
    return Described(tuple(tables), declared, views, unreadable)


def schema_path(schema: str) -> tuple[str, ...]:
    """The schema as the head of a path; nothing for the default schema."""
    return () if schema in {"", "main", "public"} else (schema,)


def _raw(opened: Opened, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if opened.dialect.name == "duckdb":
        return list(opened.connection.con.execute(sql, list(values)).fetchall())
    with closing(opened.connection.con.cursor()) as cursor:
        cursor.execute(sql, values) if values else cursor.execute(sql)
        return list(cursor.fetchall())


def listed_tables(opened: Opened) -> list[str]:
    """Names of all tables and views, without their schemas."""
    return [name for _, name, _ in _tables(opened)]


def _tables(opened: Opened) -> list[tuple[str, str, bool]]:
    match opened.dialect.name:
        case "duckdb" if opened.files is None:
            rows = _raw(opened, DUCKDB_TABLES)
        case "postgres":
            rows = _raw(opened, POSTGRES_TABLES)
        case "sqlite":
            sql = (
                "SELECT '', name, type = 'view' FROM sqlite_master WHERE type IN ('table', 'view') "
                "AND name NOT LIKE 'sqlite_%' ORDER BY name"
            )
            rows = _raw(opened, sql)
        case _:
            names = opened.files if opened.files is not None else opened.connection.list_tables()
            rows = [("", name, False) for name in sorted(names)]
    return [(str(s), str(n), bool(view)) for s, n, view in rows if s not in _SYSTEM]


def _table(opened: Opened, schema: str, name: str) -> ir.Table:
    path = schema_path(schema)
    return (
        opened.connection.table(name, database=path[0]) if path else opened.connection.table(name)
    )


def _type(dtype: Any) -> ColumnType:
    if dtype.is_boolean():
        return "bool"
    if dtype.is_integer():
        width = int(dtype.nbytes)
        return "int16" if width <= 2 else "int32" if width <= 4 else "int64"
    if dtype.is_decimal():
        return "decimal"
    if dtype.is_floating():
        return "float64"
    if dtype.is_string() or dtype.is_uuid():
        return "string"
    if dtype.is_timestamp():
        return "timestamp"
    return "date" if dtype.is_date() else "other"


def _counted(opened: Opened, found: Found) -> Found:
    from attrs import evolve

    rows = int(fetch(opened.connection, found.table.agg(n=found.table.count()))[0][0])
    if is_large(opened, rows):
        return evolve(found, rows=rows)
    names = [n for n, kind in found.columns.items() if kind not in {"other", "bool"}]
    # What is measured in fractions is no key, and need not be told apart.
    keys = [n for n in names if found.columns[n] not in {"float64", "decimal"}]
    together = opened.dialect.name in _WHOLE_ROWS
    counts: dict[str, Any] = {f"filled_{n}": found.table[n].count() for n in names}
    if together:
        counts |= {f"distinct_{n}": found.table[n].nunique() for n in keys}
    if not counts:
        return evolve(found, rows=rows)
    row = dict(zip(counts, fetch(opened.connection, found.table.agg(**counts))[0], strict=True))
    return evolve(
        found,
        rows=rows,
        filled={n: int(row[f"filled_{n}"]) for n in names},
        distinct={
            n: int(row[f"distinct_{n}"]) if together else _distinct(opened, found.table, n)
            for n in keys
        },
    )


def is_large(opened: Opened, rows: int | None) -> bool:
    """Tell whether a table has too many rows to count its values while a person waits."""
    limit = COUNTED_ROWS_WHOLE if opened.dialect.name in _WHOLE_ROWS else COUNTED_ROWS
    return (rows or 0) > limit


def _distinct(opened: Opened, table: ir.Table, name: str) -> int:
    # A column at a time and as a group-by, so that memory holds the values of one, and may spill.
    values = table.select(v=table[name]).filter(ibis._.v.notnull()).distinct()
    return int(fetch(opened.connection, values.agg(n=values.count()))[0][0])


def _declared(opened: Opened, tables: list[Found]) -> list[Declared]:
    match opened.dialect.name:
        case "duckdb" if opened.files is None:
            rows = _raw(opened, DUCKDB_KEYS)
        case "postgres":
            rows = _raw(opened, POSTGRES_KEYS)
        case "sqlite":
            return _declared_sqlite(opened, tables)
        case _:
            return []
    labels = {(t.path[0] if len(t.path) > 1 else "", t.path[-1]): t.name for t in tables}
    found: list[Declared] = []
    for schema, name, kind, columns, to, to_columns in rows:
        head = schema_path(str(schema))[0] if schema_path(str(schema)) else ""
        label = labels.get((head, str(name)))
        if label:
            target = labels.get((head, str(to)), str(to or ""))
            found.append(
                Declared(label, str(kind), tuple(columns), target, tuple(to_columns or ()))
            )
    return found


def _declared_sqlite(opened: Opened, tables: list[Found]) -> list[Declared]:
    found: list[Declared] = []
    names = {table.name.lower(): table.name for table in tables}
    for table in tables:
        own = _raw(
            opened, "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table.name,)
        )
        if own:
            found.append(Declared(table.name, "PRIMARY KEY", tuple(str(row[0]) for row in own)))
        keys: dict[int, list[tuple[str, str, str | None]]] = {}
        sql = 'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id, seq'
        for place, to, column, to_column in _raw(opened, sql, (table.name,)):
            keys.setdefault(int(place), []).append((str(to), str(column), to_column))
        for parts in keys.values():
            to = names.get(parts[0][0].lower(), parts[0][0])
            columns = tuple(part[1] for part in parts)
            # Without a target column SQLite means the parent's primary key.
            targets = tuple(str(part[2]) for part in parts if part[2]) or tuple(
                str(row[0])
                for row in _raw(
                    opened, "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (to,)
                )
            )
            found.append(Declared(table.name, "FOREIGN KEY", columns, to, targets))
    return found

"""Room: evaluation. What is truly broken in a made company: its finished rows, its ledger, its clean rows.

Every finished row of a fact table is led back to the clean row that it was made from: by the ledger
where it was broken, by its own key where it was not. When it happened, and what money it carries,
is the clean row's. So a payment whose order was lost still has its fee, and an order item whose
order was lost still its share of it, which no reader of the finished tables can know. Money that a table
reaches by a key is shared evenly over the finished rows that truly have that key, copies too.
"""
# ruff: noqa: S608 - identifiers come from the schema and are quoted, and so are values

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import duckdb
from attrs import frozen

from dnr_core.catalogue import Catalogue
from dnr_core.errors import InputError
from dnr_core.model import Archetype, Condition, RevenueStream, Table
from dnr_core.warehouse.truth import LEDGER

RATES: Final = ("key_null", "fk_failure", "duplicate")
BROKEN: Final = (*RATES, "late")
_MICRO: Final = 1_000_000
_OPERATORS: Final = {"eq": "=", "ne": "<>", "ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_P95: Final = 0.95


@frozen
class Cell:
    """Finished rows of a table that happened on one local day and are broken in the same ways.

    `day` counts days since 1970-01-01; `micro_cents` is the clean rows' revenue.
    """

    day: int
    broken: frozenset[str]
    rows: int
    micro_cents: int


@frozen
class TrueTable:
    """One fact table: all its finished rows, by day and by what is wrong with them."""

    name: str
    cells: tuple[Cell, ...]
    keyed_by_one: bool
    lag_p95_minutes: float | None
    """Of the rows of the window."""

    def rows(self, first: int, last: int, *metrics: str) -> int:
        """Count the rows of the days, broken in any of the ways; all rows where none is named."""
        return sum(cell.rows for cell in self._of(first, last, metrics))

    def cents(self, first: int, last: int, *metrics: str) -> float:
        """Add up revenue on the rows of the days that are broken in any of the ways, each row once."""
        return sum(cell.micro_cents for cell in self._of(first, last, metrics)) / _MICRO

    def share(self, first: int, last: int, metric: str) -> float:
        """Return the share of the rows of the days that is broken in that way."""
        whole = self.rows(first, last)
        if metric == "fk_failure" and self.keyed_by_one:
            whole -= self.rows(first, last, "key_null")
        return self.rows(first, last, metric) / whole if whole else 0.0

    def by_day(self, metrics: Sequence[str]) -> dict[int, int]:
        """Return how many rows of each day are broken, a row that is broken twice counted twice."""
        found: dict[int, int] = {}
        for cell in self.cells:
            times = len(cell.broken & set(metrics))
            if times:
                found[cell.day] = found.get(cell.day, 0) + cell.rows * times
        return found

    def _of(self, first: int, last: int, metrics: Sequence[str]) -> list[Cell]:
        wanted = set(metrics)
        return [
            cell
            for cell in self.cells
            if first <= cell.day <= last and (not wanted or cell.broken & wanted)
        ]


@frozen
class TrueRows:
    """The fact tables of a company, and its usual month's revenue in cents (None: no money)."""

    tables: Mapping[str, TrueTable]
    monthly_cents: float | None


def true_rows(
    archetype: Archetype,
    catalogue: Catalogue,
    *,
    warehouse: Path,
    meta: Path,
    clean: Path,
    tz: str,
    window: tuple[int, int],
    late_minutes: Mapping[str, float],
) -> TrueRows:
    """Read what is broken from the ledger, and what it is worth from the clean company.

    Args:
        archetype: its schema and money.
        catalogue: which kinds of defect break what.
        warehouse: the finished tables.
        meta: the folder of the ledger.
        clean: the same company without defects, as `repair` writes it.
        tz: the business zone.
        window: first and last local day, as days since 1970-01-01, both included.
        late_minutes: by table, from when on a row is late.

    Raises:
        InputError: there is no ledger.
    """
    if not (meta / LEDGER).exists():
        raise InputError(
            f"there is no {meta / LEDGER}",
            hint="give the folder of the truth that gen-warehouse wrote",
        )
    kinds = {
        metric: [name for name, kind in catalogue.defect_kinds.items() if kind.metric == metric]
        for metric in RATES
    }
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.execute("SET enable_progress_bar = false")
        for table in archetype.schema.tables:
            connection.execute(
                f"CREATE VIEW {_name('clean_' + table.name)} AS "
                f"SELECT * FROM read_parquet({_text(clean / table.name / '*.parquet')})"
            )
        reader = _Reader(connection, archetype, tz, kinds)
        tables = {
            table.name: reader.table(
                table, warehouse, meta, window, late_minutes.get(table.name, 0.0)
            )
            for table in archetype.schema.facts
            if table.event_time is not None and table.business_key
        }
        monthly = reader.usual_month(window[1])
    return TrueRows(tables, monthly)


@frozen
class _Reader:
    """One company's questions to DuckDB."""

    connection: duckdb.DuckDBPyConnection
    archetype: Archetype
    tz: str
    kinds: Mapping[str, Sequence[str]]

    def table(
        self, table: Table, warehouse: Path, meta: Path, window: tuple[int, int], late: float
    ) -> TrueTable:
        """Lead every finished row back to its clean row."""
        flags = ", ".join(
            f"coalesce(bool_or(kind IN ({_texts(names)})), false) AS {metric}"
            if names
            else f"false AS {metric}"
            for metric, names in self.kinds.items()
        )
        lag = "NULL::DOUBLE"
        if table.loaded_at:
            lag = f"(epoch_us(f.{_name(table.loaded_at)}) - epoch_us(c.event_time)) / 60e6"
        loaded = f", {_name(table.loaded_at)}" if table.loaded_at else ""
        marked = ", ".join(f"coalesce(l.{metric}, false) AS {metric}" for metric in self.kinds)
        self.connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE told AS
            WITH ledger AS (
                SELECT part, "row", any_value(business_key) AS key, {flags}
                FROM read_parquet({_text(meta / LEDGER)})
                WHERE "table" = {_text(table.name)} GROUP BY part, "row"),
            finished AS (
                SELECT regexp_extract(filename, 'part-(\\d+)\\.parquet$', 1)::INTEGER AS part,
                       file_row_number AS "row", {_key(table)} AS key {loaded}
                FROM read_parquet({_text(warehouse / table.name / "*.parquet")},
                                  filename = true, file_row_number = true)),
            clean AS ({self._clean(table)})
            SELECT {_day("c.event_time", self.tz)} AS day, {lag} AS lag, {marked},
                   c.own + {self._shares(table)} AS micro_cents
            FROM finished f LEFT JOIN ledger l USING (part, "row")
            JOIN clean c ON c.key = coalesce(l.key, f.key)
            """
        )
        rows = self.connection.execute(
            f"""
            SELECT day, {", ".join(self.kinds)}, coalesce(lag > {late!r}, false) AS late,
                   count(*), sum(micro_cents)::HUGEINT
            FROM told GROUP BY ALL ORDER BY ALL
            """
        ).fetchall()
        p95 = self.connection.execute(
            f"SELECT quantile_cont(lag, {_P95}) FROM told WHERE day BETWEEN {window[0]} AND {window[1]}"
        ).fetchall()[0][0]
        names = (*self.kinds, "late")
        cells = tuple(
            Cell(
                int(day),
                frozenset(name for name, is_broken in zip(names, broken, strict=True) if is_broken),
                int(count),
                int(cents or 0),
            )
            for day, *broken, count, cents in rows
            if day is not None
        )
        return TrueTable(table.name, cells, len(table.required_keys) == 1, p95)

    def _clean(self, table: Table) -> str:
        """Return the clean rows with key, event time, own revenue, and what they reach by a key."""
        source = _name("clean_" + table.name)
        time, join = self._event_time(table)
        own = [_amount(s, "t") for s in self.archetype.revenue_streams if s.table == table.name]
        reached = ""
        for place, stream in enumerate(self._linked(table)):
            by = ", ".join(_name(column) for column in stream.keyed_by)
            on = " AND ".join(f"t.{_name(c)} = m{place}.{_name(c)}" for c in stream.keyed_by)
            join += (
                f" LEFT JOIN (SELECT {by}, sum({_amount(stream, 's')}) AS amount "
                f"FROM {_name('clean_' + stream.table)} s GROUP BY {by}) m{place} ON {on}"
            )
            link = " || '|' || ".join(f"t.{_name(c)}::VARCHAR" for c in stream.keyed_by)
            reached += f", m{place}.amount AS amount_{place}, {link} AS link_{place}"
        return (
            f"SELECT {_key(table, 't.')} AS key, {time} AS event_time, "
            f"({' + '.join(own or ['0'])})::HUGEINT AS own{reached} FROM {source} t {join}"
        )

    def _linked(self, table: Table) -> list[RevenueStream]:
        """Return the streams of other tables that a table without money of its own reaches."""
        streams = self.archetype.revenue_streams
        if any(stream.table == table.name for stream in streams):
            return []
        return [s for s in streams if s.keyed_by and set(s.keyed_by) <= set(table.column_names)]

    def _shares(self, table: Table) -> str:
        return " + ".join(
            [
                "0",
                *(
                    f"coalesce(c.amount_{place} // count(*) OVER (PARTITION BY c.link_{place}), 0)"
                    for place, _ in enumerate(self._linked(table))
                ),
            ]
        )

    def _event_time(self, table: Table) -> tuple[str, str]:
        event = table.event_time
        if event is None:
            return "NULL::TIMESTAMP", ""
        if event.through is None:
            return f"coalesce({', '.join(f't.{_name(c)}' for c in event.columns)})", ""
        key = next(key for key in table.foreign_keys if key.to == event.through)
        on = " AND ".join(
            f"t.{_name(own)} = p.{_name(other)}"
            for own, other in zip(key.columns, key.to_columns, strict=True)
        )
        columns = ", ".join(f"p.{_name(column)}" for column in event.columns)
        return f"coalesce({columns})", f"JOIN {_name('clean_' + event.through)} p ON {on}"

    def usual_month(self, last_day: int) -> float | None:
        """Return the median revenue of the last three full local months, in cents."""
        totals: dict[int, int] = {}
        for stream in self.archetype.revenue_streams:
            table = self.archetype.schema[stream.table]
            time, join = self._event_time(table)
            if stream.time:
                time = f"t.{_name(stream.time)}"
            rows = f"""
                SELECT year(d) * 12 + month(d), sum(amount)::HUGEINT
                FROM (SELECT {_amount(stream, "t")} AS amount, {_local_day(time, self.tz)} AS d
                      FROM {_name("clean_" + stream.table)} t {join})
                WHERE d IS NOT NULL GROUP BY 1
                """
            for month, amount in self.connection.execute(rows).fetchall():
                totals[int(month)] = totals.get(int(month), 0) + int(amount or 0)
        row = self.connection.execute(
            f"SELECT year(d) * 12 + month(d) FROM (SELECT DATE '1970-01-01' + {last_day} + 1 AS d)"
        ).fetchall()[0]
        full = [totals[m] for m in range(int(row[0]) - 3, int(row[0])) if m in totals]
        return median(full) / _MICRO if full else None


def _amount(stream: RevenueStream, table: str) -> str:
    """Return a row's revenue in millionths of a cent, a whole number."""
    product = " * ".join(f"{table}.{_name(column)}::HUGEINT" for column in stream.amount.product_of)
    divide = stream.amount.divide_by * stream.amount.minor_units
    where = " AND ".join(_condition(condition, table) for condition in stream.where) or "true"
    return f"coalesce(CASE WHEN {where} THEN {product} * {100 * _MICRO} // {divide} END, 0)"


def _condition(condition: Condition, table: str) -> str:
    column = f"{table}.{_name(condition.column)}"
    if condition.op == "not_null":
        return f"{column} IS NOT NULL"
    if condition.op == "in":
        values: Any = condition.value if isinstance(condition.value, tuple) else ()
        return f"{column} IN ({', '.join(_literal(value) for value in values)})"
    return f"{column} {_OPERATORS[condition.op]} {_literal(condition.value)}"


def _literal(value: Any) -> str:
    return _text(value) if isinstance(value, str) else repr(value)


def _key(table: Table, prefix: str = "") -> str:
    parts = (f"coalesce({prefix}{_name(c)}::VARCHAR, '')" for c in table.business_key)
    return " || '|' || ".join(parts)


def _day(time: str, tz: str) -> str:
    """Return the local day of a naive UTC timestamp, as days since 1970-01-01."""
    return f"({_local_day(time, tz)} - DATE '1970-01-01')"


def _local_day(time: str, tz: str) -> str:
    return f"CAST(timezone({_text(tz)}, timezone('UTC', {time})) AS DATE)"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: Any) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _texts(values: Sequence[str]) -> str:
    return ", ".join(_text(value) for value in values)

"""Room: health. The shims that Ibis needs to be right on every backend, and how a query runs.

Ibis compiles, the backend's own driver runs: `to_pyarrow` would import pandas, and
`to_pyarrow_batches` does not cast. What a backend lacks, and why, is in `capabilities`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from decimal import Decimal
from inspect import Parameter, Signature
from typing import Any, Final

import ibis
import ibis.expr.datatypes as dt
import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from sqlglot.optimizer.eliminate_subqueries import eliminate_subqueries

from dnr_core.health.capabilities import Feature, lacks

SECONDS_PER_DAY: Final = 86_400
# Added before an integer division and taken off after it, so that instants before 1970 stay
# positive: DuckDB's integer division cuts towards zero. 719,528 days lie between year 0 and 1970.
_BIAS_DAYS: Final = 719_528
_BIAS_SECONDS: Final = _BIAS_DAYS * SECONDS_PER_DAY


def _builtin(name: str, takes: tuple[Any, ...], gives: Any) -> Callable[..., Any]:
    """Return a function of a backend's own that Ibis has no operation for."""

    def function(*arguments: Any) -> Any:
        """Stand for the backend's function."""

    parameters = [
        Parameter(f"argument_{place}", Parameter.POSITIONAL_OR_KEYWORD)
        for place in range(len(takes))
    ]
    function.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    function.__name__ = name
    made: Callable[..., Any] = ibis.udf.scalar.builtin(
        function, name=name, signature=(takes, gives)
    )
    return made


_epoch_us = _builtin("epoch_us", (dt.timestamp,), dt.int64)
"""Microseconds since 1970."""
_divide = _builtin("divide", (dt.int64, dt.int64), dt.int64)
"""Integer division; Ibis's own goes through floats."""
_subtract = _builtin("subtract", (dt.date, dt.date), dt.int64)
"""Days from the second date to the first."""
_make_timestamp = _builtin("make_timestamp", (dt.int64,), dt.timestamp)
"""The time that many microseconds after 1970."""
_to_timestamp = _builtin("to_timestamp", (dt.int64,), dt.timestamp)
"""The same of seconds, on PostgreSQL, for which Ibis has no operation."""
bit_count = _builtin("bit_count", (dt.int64,), dt.int64)
"""How many bits of a whole number are set."""
_list_extract = _builtin("list_extract", (dt.Array(dt.int64), dt.int64), dt.int64)
_strftime = _builtin("strftime", (dt.string, dt.string), dt.string)
_strftime_of = _builtin("strftime", (dt.string, dt.int64, dt.string), dt.string)
_substr = _builtin("substr", (dt.timestamp, dt.int64, dt.int64), dt.string)
_ltrim = _builtin("ltrim", (dt.string, dt.string), dt.string)
"""SQLite's own, which take a time as the text that it is."""
_arrow_cast = _builtin("arrow_cast", (dt.timestamp, dt.string), dt.timestamp)
_date_part = _builtin("date_part", (dt.string, dt.timestamp), dt.float64)
"""DataFusion's own."""


@frozen
class Dialect:
    """A backend by its Ibis name, with the operations that differ between backends."""

    name: str
    keeps_scratch: bool = field(default=False, kw_only=True)
    """True where temporary tables may be made beside what is read (DuckDB keeps them in memory)."""

    def lacks(self, feature: Feature) -> bool:
        """Tell whether the backend lacks something that dnr would use."""
        return lacks(self.name, feature)

    @property
    def sql_name(self) -> str:
        """The backend whose SQL is printed: its own, or DuckDB's where it has none."""
        return "duckdb" if self.lacks("sql_text") else self.name

    def floor_divide(self, number: Any, by: int, *, positive: bool = False) -> Any:
        """Divide integers, rounding down, for numbers from year 0 on in any unit of time.

        `positive` says that no number is below zero, which leaves less to do for each row.
        """
        if self.name == "duckdb" and positive:
            return _divide(number, ibis.literal(by, "int64"))
        if self.name == "duckdb":
            return _divide(number + _BIAS_DAYS * by, ibis.literal(by, "int64")) - _BIAS_DAYS
        return number // by

    def part_of(self, number: Any, bits: int) -> Any:
        """Divide whole numbers between two times, in seconds, by a power of two, rounding down."""
        if self.name == "duckdb":
            return number >> bits
        by = 1 << bits
        return (number + by * _BIAS_SECONDS) // by - _BIAS_SECONDS

    def epoch_seconds(self, instant: Any, *, positive: bool = False) -> Any:
        """Whole seconds since 1970, cut and not rounded; a date counts as its midnight in UTC.

        `positive` says that no instant is before 1970.
        """
        if instant.type().is_date():
            instant = instant.cast("timestamp")
        if self.name == "duckdb" and positive:
            return _divide(_epoch_us(instant), ibis.literal(1_000_000, "int64"))
        if self.name == "duckdb":
            micros = _epoch_us(instant) + _BIAS_SECONDS * 1_000_000
            return _divide(micros, ibis.literal(1_000_000, "int64")) - _BIAS_SECONDS
        if self.name == "sqlite":
            # SQLite rounds to milliseconds when it reads a time, and so into the next second:
            # the fraction is taken out of its text, the zone's offset behind it stays.
            digits = ibis.literal(".0123456789")
            rest = _ltrim(_substr(instant, 20, 40), digits)
            return _strftime(ibis.literal("%s"), _substr(instant, 1, 19) + rest).cast("int64")
        if self.name == "datafusion":
            # Ibis goes through nanoseconds here, which end in 2262 and take no zone. Fractions of
            # a microsecond are cut first: in a float they could round up into the next second.
            micros = _arrow_cast(instant, ibis.literal("Timestamp(Microsecond, None)"))
            return _date_part(ibis.literal("epoch"), micros).floor().cast("int64")
        return instant.truncate("s").epoch_seconds().cast("int64")

    def epoch_units(self, instant: Any, seconds: int) -> Any:
        """Whole units of so many seconds since 1970, of times none of which is before it."""
        if self.name == "duckdb" and instant.type().is_timestamp():
            return _divide(_epoch_us(instant), ibis.literal(seconds * 1_000_000, "int64"))
        return self.floor_divide(self.epoch_seconds(instant, positive=True), seconds, positive=True)

    def names_zone(self, instant: Any) -> Any:
        """On SQLite, whether a time's text ends in its offset; None where its type would say so."""
        if self.name != "sqlite":
            return None
        return _ltrim(_substr(instant, 20, 40), ibis.literal(".0123456789")) != ""

    def month_of_seconds(self, local_seconds: Any) -> Any:
        """`12 * year + month - 1` of seconds since 1970 on the local clock.

        The session is in UTC, so that a time made of local seconds has the local year and month.
        """
        if self.name == "sqlite":
            parts = [
                _strftime_of(ibis.literal(part), local_seconds, ibis.literal("unixepoch"))
                for part in ("%Y", "%m")
            ]
            return parts[0].cast("int64") * 12 + parts[1].cast("int64") - 1
        match self.name:
            case "duckdb":
                moment = _make_timestamp(local_seconds * 1_000_000)
            case "postgres":
                moment = _to_timestamp(local_seconds)
            case _:
                moment = local_seconds.as_timestamp("s")
        return moment.year().cast("int64") * 12 + moment.month() - 1

    def day_of_date(self, date: Any, *, checked: bool = False) -> Any:
        """Days since 1970 of a date column.

        `checked` says that implausible days are sought out afterwards: DuckDB's cheaper way gives
        an infinite date a day, 2 ** 31 days off, where the other gives none.
        """
        if self.name == "duckdb" and checked:
            return _subtract(date, ibis.date("1970-01-01"))
        if self.lacks("date_difference"):
            return self.floor_divide(self.epoch_seconds(date), SECONDS_PER_DAY)
        return date.delta(ibis.date("1970-01-01"), unit="day").cast("int64")

    def list_at(self, values: Any, place: Any) -> Any:
        """The value of a list at a place, counted from 1, on DuckDB."""
        return _list_extract(values, place)

    def date_of_day(self, day: Any) -> Any:
        """The date that many days after 1970-01-01, on DuckDB."""
        return _make_timestamp(day * (SECONDS_PER_DAY * 1_000_000)).date()


def fetch(connection: Any, expression: Any) -> list[tuple[Any, ...]]:
    """Run an expression and return its rows, with whole decimals as integers."""
    if connection.name == "polars":
        # Ibis compiles to a lazy frame here, not to SQL.
        return _rows(connection.compile(expression).collect().to_arrow())
    return fetch_sql(connection, sql_to_run(connection, expression))


def fetch_columns(connection: Any, expression: Any) -> tuple[npt.NDArray[np.int64], ...]:
    """Run an expression of whole numbers, none null, and return its columns."""
    if connection.name == "duckdb":
        # Straight into arrays: there may be a million rows.
        table = connection.raw_sql(sql_to_run(connection, expression)).to_arrow_table()
        return tuple(_numbers_of(column.combine_chunks()) for column in table.columns)
    rows = fetch(connection, expression)
    columns = zip(*rows, strict=True) if rows else [() for _ in expression.columns]
    return tuple(np.array(column, dtype=np.int64) for column in columns)


def _numbers_of(column: Any) -> npt.NDArray[np.int64]:
    """The whole numbers of a column; `to_numpy` would import pandas, which nothing here needs."""
    width = column.type.bit_width // 8
    numbers = np.frombuffer(column.buffers()[1], np.dtype(f"<i{min(8, width)}"))
    # DuckDB sums to 128 bits, of which the lower half comes first.
    numbers = numbers[:: max(1, width // 8)]
    return numbers[column.offset : column.offset + len(column)].astype(np.int64)


def sql_to_run(connection: Any, expression: Any) -> str:
    """Compile an expression to what the backend can parse."""
    if lacks(connection.name, "deep_queries"):
        tree = unnested(connection.compiler.to_sqlglot(expression))
        return str(tree.sql(dialect=connection.dialect))
    return str(connection.compile(expression))


def unnested(tree: Any) -> Any:
    """Write each query within a query as a named one before it (`WITH`)."""
    return eliminate_subqueries(tree.copy())


def fetch_sql(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    """Run SQL that Ibis compiled and return its rows, with whole decimals as integers."""
    cursor = connection.raw_sql(sql)
    if connection.name == "duckdb":
        # Through Arrow, because fetching a time with a zone would need pytz. This cursor is not
        # closed: that would close the connection.
        return _rows(cursor.to_arrow_table())
    if connection.name == "datafusion":
        return _rows(cursor.to_arrow_table())
    if hasattr(cursor, "collect"):
        rows: Sequence[Any] = cursor.collect()
    else:
        with closing(cursor):
            rows = cursor.fetchall()
    return [tuple(_plain(value) for value in row) for row in rows]


def _rows(table: Any) -> list[tuple[Any, ...]]:
    columns = ([_plain(value) for value in column.to_pylist()] for column in table.columns)
    return list(zip(*columns, strict=True))


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def quantile_of_counts(values: Sequence[int], counts: Sequence[int], share: float) -> float:
    """Interpolated quantile of values given with counts, as `quantile_cont` has it.

    Formula: position `(n - 1) * share` between the two neighbouring order statistics, weighted
    as DuckDB weights them, to the last bit.
    """
    order = np.argsort(np.asarray(values))
    ordered = np.asarray(values)[order]
    upto = np.cumsum(np.asarray(counts)[order])
    position = (int(upto[-1]) - 1) * share
    low = int(position)
    below = float(ordered[np.searchsorted(upto, low, side="right")])
    above = float(ordered[np.searchsorted(upto, min(low + 1, int(upto[-1]) - 1), side="right")])
    beyond = position - low
    return below * (1.0 - beyond) + above * beyond

"""Room: health. The two shims that Ibis needs to be right on every backend, and how a query runs.

Ibis compiles, the backend's own driver runs: `to_pyarrow` would import pandas, and
`to_pyarrow_batches` does not cast. Whatever a backend lacks is said here and nowhere else.
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
from attrs import field, frozen

SECONDS_PER_DAY: Final = 86_400
# Added before an integer division and taken off after it, so that instants before 1970 stay
# positive: DuckDB's integer division cuts towards zero. 719,528 days lie between year 0 and 1970.
_BIAS_DAYS: Final = 719_528
_BIAS_SECONDS: Final = _BIAS_DAYS * SECONDS_PER_DAY


def _builtin(name: str, takes: tuple[Any, ...], gives: Any) -> Callable[..., Any]:
    """Return a function of DuckDB's own that Ibis has no operation for."""

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
_make_timestamp = _builtin("make_timestamp", (dt.int64,), dt.timestamp)
"""The time that many microseconds after 1970."""
bit_count = _builtin("bit_count", (dt.int64,), dt.int64)
"""How many bits of a whole number are set."""


@frozen
class Dialect:
    """A backend by its Ibis name, with the operations that differ between backends."""

    name: str
    keeps_scratch: bool = field(default=False, kw_only=True)
    """True where temporary tables may be made beside what is read (DuckDB keeps them in memory)."""

    @property
    def has_quantiles(self) -> bool:
        """SQLite has none: there, quantiles are taken from counts of rows by day and lag."""
        return self.name != "sqlite"

    @property
    def quantiles_at_once(self) -> bool:
        """Spark's compiler fails on a list of quantiles, so it is asked for one at a time."""
        return self.name in {"duckdb", "postgres"}

    def floor_divide(self, number: Any, by: int) -> Any:
        """Divide integers, rounding down, for numbers from year 0 on in any unit of time."""
        if self.name == "duckdb":
            return _divide(number + _BIAS_DAYS * by, ibis.literal(by, "int64")) - _BIAS_DAYS
        return number // by

    def epoch_seconds(self, instant: Any) -> Any:
        """Whole seconds since 1970, cut and not rounded; a date counts as its midnight in UTC."""
        if instant.type().is_date():
            instant = instant.cast("timestamp")
        if self.name == "duckdb":
            micros = _epoch_us(instant) + _BIAS_SECONDS * 1_000_000
            return _divide(micros, ibis.literal(1_000_000, "int64")) - _BIAS_SECONDS
        if self.name == "sqlite":
            # strftime cuts already, and SQLite has no truncation to seconds.
            return instant.epoch_seconds()
        return instant.truncate("s").epoch_seconds().cast("int64")

    def month_of_seconds(self, local_seconds: Any) -> Any:
        """`12 * year + month - 1` of seconds since 1970 on the local clock.

        Formula: H. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days;
        DuckDB has a faster way of its own.
        """
        if self.name == "duckdb":
            moment = _make_timestamp(local_seconds * 1_000_000)
            return moment.year().cast("int64") * 12 + moment.month() - 1
        divide = self.floor_divide
        shifted = divide(local_seconds, SECONDS_PER_DAY) + 719_468
        era = divide(shifted, 146_097)
        of_era = shifted - era * 146_097
        leaps = divide(of_era, 1460) - divide(of_era, 36_524) + divide(of_era, 146_096)
        year_of_era = divide(of_era - leaps, 365)
        of_year = of_era - (year_of_era * 365 + divide(year_of_era, 4) - divide(year_of_era, 100))
        # The algorithm's year begins in March: month 0 is March, 10 and 11 are the next year's
        # January and February, which `12 * year + month - 1` counts on by itself.
        return (era * 400 + year_of_era) * 12 + divide(of_year * 5 + 2, 153) + 2

    def day_of_date(self, date: Any) -> Any:
        """Days since 1970 of a date column."""
        return date.delta(ibis.date("1970-01-01"), unit="day").cast("int64")


def fetch(connection: Any, expression: Any) -> list[tuple[Any, ...]]:
    """Run an expression and return its rows, with whole decimals as integers."""
    return fetch_sql(connection, connection.compile(expression))


def fetch_sql(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    """Run SQL that Ibis compiled and return its rows, with whole decimals as integers."""
    cursor = connection.raw_sql(sql)
    if hasattr(cursor, "collect"):
        rows: Sequence[Any] = cursor.collect()
    elif connection.name == "duckdb":
        # Through Arrow, because fetching a time with a zone would need pytz. This cursor is not
        # closed: that would close the connection.
        table = cursor.to_arrow_table()
        rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    else:
        with closing(cursor):
            rows = cursor.fetchall()
    return [tuple(_plain(value) for value in row) for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def quantile_of_counts(values: Sequence[int], counts: Sequence[int], share: float) -> float:
    """Interpolated quantile of values given with counts, as `quantile_cont` has it.

    Formula: position `(n - 1) * share` between the two neighbouring order statistics.
    """
    order = np.argsort(np.asarray(values))
    ordered = np.asarray(values)[order]
    upto = np.cumsum(np.asarray(counts)[order])
    position = (int(upto[-1]) - 1) * share
    low = int(position)
    below = float(ordered[np.searchsorted(upto, low, side="right")])
    above = float(ordered[np.searchsorted(upto, min(low + 1, int(upto[-1]) - 1), side="right")])
    return below + (above - below) * (position - low)

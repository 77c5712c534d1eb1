"""Room: health. The long form: a line for each table, column, local day and metric.

Numerators and denominators are sums over groups of rows, so that any roll-up is a sum; only
quantiles and freshness are computed for each span by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from dnr_core.config.zones import zone_of
from dnr_core.health.counts import NO_DAY, Counts, Ints
from dnr_core.health.lag import Lags, Pair
from dnr_core.health.local_time import date_of
from dnr_core.model.health import Metric

if TYPE_CHECKING:
    import pyarrow as pa

LAG_METRICS: Final[tuple[Metric, ...]] = ("lag_p50_minutes", "lag_p95_minutes")
ROWS: Final[tuple[str, Metric]] = ("", "rows")
FK_METRICS: Final[tuple[Metric, ...]] = ("fk_failure", "fk_missing", "fk_temporal")


@frozen
class Span:
    """Local days of history and window, as days since 1970, all included.

    `end_s` is the as-of in seconds since 1970.
    """

    history: int
    window: int
    last: int
    end_s: int
    tz: str


@frozen(eq=False)
class Measured:
    """One table: what was counted, and its lag."""

    counts: Counts
    lags: Lags

    @property
    def name(self) -> str:
        """The table's name."""
        return self.counts.frame.table.name


@frozen
class Line:
    """One line of the long form; `day` None for a total."""

    table: str
    column: str
    day: int | None
    metric: Metric
    numerator: int | None
    denominator: int | None
    value: float | None
    revenue_cents: float | None


def share_metrics(counts: Counts) -> Iterator[tuple[str, Metric]]:
    """Yield the `(column, metric)` that a table has: the whole table first, then its columns."""
    table, frame = counts.frame.table, counts.frame
    if table.required_keys:
        yield "", "key_null"
        for column in table.required_keys:
            yield column, "key_null"
    for name in FK_METRICS:
        if not frame.keys or (name == "fk_temporal" and not counts.affected_bits(name, "")):
            continue
        yield "", name
        for key in frame.keys:
            if name != "fk_temporal" or counts.affected_bits(name, key.label):
                yield key.label, name
    if table.business_key:
        yield "", "duplicate"
    if frame.has_lag:
        yield "", "late"


@frozen(eq=False)
class Daily:
    """Sums of one metric by day. `money` is in the purse's common unit."""

    days: Ints
    numerator: Ints
    denominator: Ints
    money: npt.NDArray[np.object_]


def daily(counts: Counts, column: str, metric: Metric) -> Daily:
    """Sum a metric by day, the rows without a day among them."""
    tally, extra = counts.tally, counts.extra
    days, starts = np.unique(tally.days, return_index=True)
    judged = counts.judged(metric, column)
    denominator = _sums(starts, tally.rows, judged)
    if metric == "duplicate":
        copied, begins = np.unique(extra.days, return_index=True)
        mine, every = np.searchsorted(days, copied), np.ones(len(extra.days), dtype=bool)
        numerator = np.zeros(len(days), dtype=np.int64)
        money = np.zeros(len(days), dtype=object)
        numerator[mine] = _sums(begins, extra.rows, every)
        money[mine] = _sums(begins, extra.money, every)
    else:
        bits = counts.affected_bits(metric, column)
        chosen = judged if metric == "rows" else tally.any_of(bits) & judged
        numerator = _sums(starts, tally.rows, chosen)
        money = _sums(starts, tally.money, chosen)
    return Daily(days, numerator, denominator, money)


def _sums(starts: npt.NDArray[np.intp], values: Any, chosen: npt.NDArray[np.bool_]) -> Any:
    """Sum the chosen values of each run of groups; a tally is in order of days."""
    if not len(starts):
        return values[:0]
    return np.add.reduceat(np.where(chosen, values, 0), starts)


def lines(measured: Measured, span: Span) -> list[Line]:
    """Return the lines of a table by local day over the history."""
    counts = measured.counts
    found: list[Line] = []
    for column, metric in [ROWS, *share_metrics(counts)]:
        figures = daily(counts, column, metric)
        for place, day in enumerate(figures.days.tolist()):
            if day > span.last or (day != NO_DAY and figures.denominator[place] == 0):
                continue
            found.append(
                _line(
                    counts,
                    column,
                    None if day == NO_DAY else day,
                    metric,
                    int(figures.numerator[place]),
                    int(figures.denominator[place]),
                    int(figures.money[place]),
                )
            )
    found += _empty_days(measured, span)
    lagged = daily(counts, "", "late") if counts.frame.has_lag else None
    for day, pair in sorted(measured.lags.by_day.items()):
        rows = int(lagged.denominator[np.searchsorted(lagged.days, day)]) if lagged else None
        found += _lag_lines(measured.name, day, rows, pair)
    zone = zone_of(span.tz)
    for day, newest in sorted(counts.newest.items()):
        if day <= span.last:
            end = _day_end(day, zone)
            found.append(
                Line(
                    measured.name,
                    "",
                    day,
                    "freshness_minutes",
                    None,
                    None,
                    (min(end, span.end_s) - newest) / 60,
                    None,
                )
            )
    return found


def _day_end(day: int, zone: Any) -> int:
    from datetime import datetime, time

    return int(datetime.combine(date_of(day + 1), time(), tzinfo=zone).timestamp())


def _line(
    counts: Counts,
    column: str,
    day: int | None,
    metric: Metric,
    numerator: int,
    denominator: int,
    money: int,
) -> Line:
    if metric == "rows":
        value: float | None = float(numerator)
    else:
        value = 100 * numerator / denominator if denominator else None
    revenue = counts.frame.purse.cents(money) if counts.has_money else None
    name = counts.frame.table.name
    return Line(name, column, day, metric, numerator, denominator, value, revenue)


def _empty_days(measured: Measured, span: Span) -> list[Line]:
    """Days of a fact table on which nothing happened, between its first day and the last."""
    table = measured.counts.frame.table
    days = {int(d) for d in measured.counts.tally.days if d != NO_DAY and d <= span.last}
    if table.kind != "fact" or not days:
        return []
    revenue = 0.0 if measured.counts.has_money else None
    first = max(min(days), span.history)
    return [
        Line(measured.name, "", day, "rows", 0, 0, 0.0, revenue)
        for day in range(first, span.last + 1)
        if day not in days
    ]


def _lag_lines(table: str, day: int | None, rows: int | None, pair: Pair) -> list[Line]:
    return [
        Line(table, "", day, metric, None, rows, value, None)
        for metric, value in zip(LAG_METRICS, pair, strict=True)
    ]


def totals(measured: Measured, span: Span, scope: str) -> list[Line]:
    """Return the lines of a table over the whole history or the window."""
    counts = measured.counts
    first = NO_DAY if scope == "history" else span.window
    found: list[Line] = []
    rows_lagged: int | None = None
    for column, metric in [ROWS, *share_metrics(counts)]:
        figures = daily(counts, column, metric)
        inside = (figures.days >= first) & (figures.days <= span.last)
        numerator = int(figures.numerator[inside].sum())
        denominator = int(figures.denominator[inside].sum())
        money = int(sum(figures.money[inside]))
        found.append(_line(counts, column, None, metric, numerator, denominator, money))
        if metric == "late":
            rows_lagged = denominator
    pair = measured.lags.history if scope == "history" else measured.lags.window
    if pair:
        found += _lag_lines(measured.name, None, rows_lagged, pair)
    newest = [s for d, s in counts.newest.items() if first <= d <= span.last and s <= span.end_s]
    if newest:
        age = (span.end_s - max(newest)) / 60
        found.append(Line(measured.name, "", None, "freshness_minutes", None, None, age, None))
    return found


def to_arrow(found: list[Line], scopes: list[str] | None = None) -> pa.Table:
    """Return lines as an Arrow table with `MEASURE_COLUMNS`, and `scope` where it is given."""
    import pyarrow as pa

    columns: dict[str, Any] = {
        "table": _texts([line.table for line in found]),
        "column": _texts([line.column for line in found]),
        "day": _numbers([line.day for line in found], pa.date32(), np.int32),
        "metric": _texts([line.metric for line in found]),
        "numerator": _numbers([line.numerator for line in found], pa.int64(), np.int64),
        "denominator": _numbers([line.denominator for line in found], pa.int64(), np.int64),
        "value": _numbers([line.value for line in found], pa.float64(), np.float64),
        "revenue_cents": _numbers([line.revenue_cents for line in found], pa.float64(), np.float64),
    }
    if scopes is not None:
        columns["scope"] = _texts(scopes)
    return pa.table(columns)


def _texts(values: Sequence[str]) -> pa.Array:
    # Of buffers, as are the numbers: given a list, pyarrow imports pandas to ask whether it is one
    # of its own, which takes as long as reading four million rows.
    import pyarrow as pa

    coded = [value.encode() for value in values]
    offsets = np.zeros(len(coded) + 1, dtype=np.int32)
    np.cumsum([len(value) for value in coded], out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(coded))]
    return pa.Array.from_buffers(pa.string(), len(coded), buffers)


def _numbers(values: Sequence[Any], kind: pa.DataType, dtype: Any) -> pa.Array:
    import pyarrow as pa

    there = np.array([value is not None for value in values], dtype=bool)
    numbers = np.array([0 if value is None else value for value in values], dtype=dtype)
    known = np.packbits(there, bitorder="little")
    return pa.Array.from_buffers(kind, len(values), [pa.py_buffer(known), pa.py_buffer(numbers)])

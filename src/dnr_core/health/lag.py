"""Room: health. Ingest lag in minutes: exact quantiles by local day, history and window."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import ibis
from attrs import field, frozen

from dnr_core.health.connect import Warehouse
from dnr_core.health.dialect import quantile_of_counts
from dnr_core.health.local_time import LocalClock
from dnr_core.health.times import timed
from dnr_core.model.schema import Table

if TYPE_CHECKING:
    import ibis.expr.types as ir

SHARES: Final = (0.5, 0.95)
MOST_LAGS: Final = 1_000_000
"""So many different lags, in seconds, are counted here rather than sorted by the backend."""
Pair = tuple[float, float]
"""Median and 95th percentile, in minutes."""


@frozen
class Lags:
    """Quantiles of a table's lag. A day without a row that has both times is left out."""

    by_day: dict[int, Pair] = field(factory=dict)
    history: Pair | None = None
    window: Pair | None = None


def lags(
    warehouse: Warehouse, table: Table, clock: LocalClock, first: int, window: int, last: int
) -> Lags:
    """Measure the lag of rows from day `first` to `last`; the window begins on day `window`."""
    rows = timed(warehouse, table, clock).rows
    rows = rows.select("day", lag_s=rows.loaded_s - rows.event_s).filter(
        ibis._.lag_s.notnull(), ibis._.day <= last
    )
    rows = rows.filter(ibis._.day >= first)
    recent = rows.filter(rows.day >= window)
    if warehouse.dialect.lacks("quantiles"):
        return _from_counts(warehouse, rows, window)
    by_day = {
        int(row[0]): pair
        for row in warehouse.rows(_quantiles(warehouse, rows, ["day"]))
        if (pair := _minutes(row[1:]))
    }
    if warehouse.keeps:
        known = _by_lag(warehouse, f"{table.name}:{window}:{last}", rows, window)
        if known is not None:
            return Lags(by_day, *known)
    history = _minutes(warehouse.rows(_quantiles(warehouse, rows, []))[0])
    if window <= first:
        return Lags(by_day, history, history)
    return Lags(by_day, history, _minutes(warehouse.rows(_quantiles(warehouse, recent, []))[0]))


def _quantiles(warehouse: Warehouse, rows: ir.Table, groups: list[str]) -> Any:
    if warehouse.dialect.lacks("quantile_list"):
        both = {f"lag_{place}": rows.lag_s.quantile(s) for place, s in enumerate(SHARES)}
    else:
        both = {"lag": rows.lag_s.quantile(list(SHARES))}
    return rows.group_by(groups).agg(**both) if groups else rows.agg(**both)


def _by_lag(
    warehouse: Warehouse, key: str, rows: ir.Table, window: int
) -> tuple[Pair | None, Pair | None] | None:
    """Quantiles of history and window from one count of rows by lag; None where lags are too many.

    Most lags are of a few hours, so that there are far fewer of them than rows.
    """
    rows = rows.select("lag_s", recent=rows.day >= window)
    counted = warehouse.scratch(
        f"lags:{key}", rows.group_by(["recent", "lag_s"]).agg(n=rows.count())
    )
    if int(warehouse.rows(counted.agg(n=counted.count()))[0][0]) > MOST_LAGS:
        return None
    whole: dict[int, int] = defaultdict(int)
    recent: dict[int, int] = {}
    for is_recent, lag, n in warehouse.rows(counted.select("recent", "lag_s", "n")):
        whole[lag] += n
        if is_recent:
            recent[lag] = n
    return _pair(whole), _pair(recent)


def _minutes(values: tuple[Any, ...]) -> Pair | None:
    found = values[0] if len(values) == 1 else values
    if found is None or found[0] is None:
        return None
    return float(found[0]) / 60, float(found[1]) / 60


def _from_counts(warehouse: Warehouse, rows: ir.Table, window: int) -> Lags:
    counted = rows.group_by(["day", "lag_s"]).agg(n=rows.count())
    days: dict[int, dict[int, int]] = defaultdict(dict)
    whole: dict[int, int] = defaultdict(int)
    recent: dict[int, int] = defaultdict(int)
    for day, lag, n in warehouse.rows(counted.select("day", "lag_s", "n")):
        days[int(day)][int(lag)] = int(n)
        whole[int(lag)] += int(n)
        if day >= window:
            recent[int(lag)] += int(n)
    return Lags(
        {day: pair for day, counts in sorted(days.items()) if (pair := _pair(counts))},
        _pair(whole),
        _pair(recent),
    )


def _pair(counts: dict[int, int]) -> Pair | None:
    if not counts:
        return None
    values, rows = list(counts), list(counts.values())
    low, high = (quantile_of_counts(values, rows, share) / 60 for share in SHARES)
    return low, high

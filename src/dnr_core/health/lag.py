"""Room: health. Ingest lag in minutes: exact quantiles by local day, history and window.

Where rows can be kept in memory, the one read of the table has counted rows by day and part of the
lag, a part being about a minute. That tells in which parts the quantiles lie, and a second read
counts the rows of these few parts by the second. Elsewhere the backend is asked for quantiles.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from dnr_core.health.connect import Warehouse
from dnr_core.health.counts import Counts
from dnr_core.health.dialect import quantile_of_counts
from dnr_core.health.local_time import LocalClock
from dnr_core.health.marks import PART_BITS
from dnr_core.health.times import timed

if TYPE_CHECKING:
    import ibis.expr.types as ir

SHARES: Final = (0.5, 0.95)
MOST_PARTS: Final = 200
"""With quantiles in more parts than this, counting them is no cheaper than sorting."""
Pair = tuple[float, float]
"""Median and 95th percentile, in minutes."""
Ints = npt.NDArray[np.int64]


@frozen
class Lags:
    """Quantiles of a table's lag. A day without a row that has both times is left out."""

    by_day: dict[int, Pair] = field(factory=dict)
    history: Pair | None = None
    window: Pair | None = None


@frozen(eq=False)
class Pile:
    """Rows of a day, or of many, by part of the lag: the parts in order, and rows up to each."""

    parts: Ints
    upto: Ints

    def wanted(self) -> set[int]:
        """Parts in which the rows lie that the quantiles are made of."""
        ranks = [rank for share in SHARES for rank in self._between(share)[:2]]
        return {int(self.parts[np.searchsorted(self.upto, rank, side="right")]) for rank in ranks}

    def pair(self, lags: Ints, rows: Ints) -> Pair:
        """Return the quantiles, from rows by lag of the wanted parts, in order of lags."""
        values: list[float] = []
        for share in SHARES:
            low, high, beyond = self._between(share)
            below, above = self._lag(low, lags, rows), self._lag(high, lags, rows)
            # As DuckDB weighs two neighbours, so that the printed query gives the same last bit.
            values.append((below * (1.0 - beyond) + above * beyond) / 60)
        return values[0], values[1]

    def _between(self, share: float) -> tuple[int, int, float]:
        rows = int(self.upto[-1])
        position = (rows - 1) * share
        low = int(position)
        return low, min(low + 1, rows - 1), position - low

    def _lag(self, rank: int, lags: Ints, rows: Ints) -> float:
        place = int(np.searchsorted(self.upto, rank, side="right"))
        before = int(self.upto[place - 1]) if place else 0
        begin = int(self.parts[place]) << PART_BITS
        first, last = np.searchsorted(lags, (begin, begin + (1 << PART_BITS)))
        inside = np.cumsum(rows[first:last])
        return float(lags[first + np.searchsorted(inside, rank - before, side="right")])


def lags(warehouse: Warehouse, counts: Counts, clock: LocalClock, window: int, last: int) -> Lags:
    """Measure the lag of rows up to day `last`; the window begins on day `window`."""
    # Rows from before the history's first day count in the totals, as everywhere.
    rows = timed(warehouse, counts.frame.table, clock).rows
    rows = rows.select("day", lag_s=rows.loaded_s - rows.event_s)
    if counts.parts is not None:
        found = _by_parts(warehouse, counts.parts, rows, window, last)
        if found is not None:
            return found
    rows = rows.filter(rows.lag_s.notnull(), rows.day <= last)
    if warehouse.dialect.lacks("quantiles"):
        return _from_counts(warehouse, rows, window)
    by_day = {
        int(row[0]): pair
        for row in warehouse.rows(_quantiles(warehouse, rows, ["day"]))
        if (pair := _minutes(row[1:]))
    }
    history = _minutes(warehouse.rows(_quantiles(warehouse, rows, []))[0])
    if window <= min(by_day, default=window):
        return Lags(by_day, history, history)
    recent = rows.filter(rows.day >= window)
    return Lags(by_day, history, _minutes(warehouse.rows(_quantiles(warehouse, recent, []))[0]))


def _by_parts(
    warehouse: Warehouse, parts: ir.Table, rows: ir.Table, window: int, last: int
) -> Lags | None:
    """Quantiles from rows by day and part; None where they lie in too many parts."""
    known = parts.filter(parts.part.notnull(), parts.day <= last).group_by(["day", "part"])
    days, part, n = _sorted(warehouse.columns(known.agg(n=parts.rows.sum())))
    if not len(days):
        return Lags()
    by_day = {
        int(days[first]): Pile(part[first:end], np.cumsum(n[first:end]))
        for first, end in _runs(days)
    }
    recent = days >= window
    history, late = _pile(part, n), _pile(part[recent], n[recent])
    piles = [*by_day.values(), history, *([late] if late else [])]
    wanted = set().union(*(pile.wanted() for pile in piles if pile))
    if len(wanted) > MOST_PARTS:
        return None
    rows = rows.filter(warehouse.dialect.part_of(rows.lag_s, PART_BITS).isin(sorted(wanted)))
    counted = rows.group_by(["day", "lag_s"]).agg(n=rows.count())
    days, lag, n = _sorted(warehouse.columns(counted.select("day", "lag_s", "n")))
    # Left out here, so that the day is computed of the rows that are counted and of no others.
    upto = int(np.searchsorted(days, last, side="right"))
    days, lag, n = days[:upto], lag[:upto], n[:upto]
    recent = days >= window
    return Lags(
        {int(days[i]): by_day[int(days[i])].pair(lag[i:j], n[i:j]) for i, j in _runs(days)},
        history.pair(*_summed(lag, n)) if history else None,
        late.pair(*_summed(lag[recent], n[recent])) if late else None,
    )


def _sorted(columns: tuple[Ints, ...]) -> tuple[Ints, Ints, Ints]:
    first, second, n = columns
    order = np.lexsort((second, first))
    return first[order], second[order], n[order]


def _runs(values: Ints) -> list[tuple[int, int]]:
    """Where each run of equal values begins and ends."""
    cuts = (np.flatnonzero(np.diff(values)) + 1).tolist()
    return list(zip([0, *cuts], [*cuts, len(values)], strict=True))


def _summed(values: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Return the different values in order, with the rows of each."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    if not len(ordered):
        return ordered, rows
    starts = np.array([first for first, _ in _runs(ordered)])
    return ordered[starts], np.add.reduceat(rows[order], starts)


def _pile(parts: Ints, rows: Ints) -> Pile | None:
    different, counted = _summed(parts, rows)
    return Pile(different, np.cumsum(counted)) if len(different) else None


def _quantiles(warehouse: Warehouse, rows: ir.Table, groups: list[str]) -> Any:
    if warehouse.dialect.lacks("quantile_list"):
        both = {f"lag_{place}": rows.lag_s.quantile(s) for place, s in enumerate(SHARES)}
    else:
        both = {"lag": rows.lag_s.quantile(list(SHARES))}
    return rows.group_by(groups).agg(**both) if groups else rows.agg(**both)


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

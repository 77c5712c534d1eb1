"""Room: health. Write gaps: hours in which nothing was loaded though rows were to be expected."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from statistics import median
from typing import Final

from attrs import frozen

from dnr_core.config.zones import zone_of
from dnr_core.health.connect import Warehouse
from dnr_core.health.local_time import LocalClock, instant_of, offset_at
from dnr_core.health.longform import Measured, Span
from dnr_core.health.noise import SQUARE_OF_KEPT, TRIMMED
from dnr_core.health.rates import LEAST_ROWS, significant
from dnr_core.health.statistics import weekend_groups
from dnr_core.model.health import Detectable, DetectedIncident

HOUR: Final = 3600
GAP_CHANCE: Final = 1e-6
NEAR_DAYS: Final = 14
"""The usual rows of a day are the median of the days within so many."""
WORTH_WAITING_FOR: Final = 1.0
"""Rows to expect of an hour whose silence can begin a gap."""


@frozen
class Hours:
    """Rows loaded by hour: `first` in hours since 1970, `rows` an entry an hour."""

    first: int
    rows: tuple[int, ...]


def loaded_hours(
    warehouse: Warehouse, measured: Measured, clock: LocalClock, span: Span
) -> Hours | None:
    """Count a table's rows by the hour of its load time; None where it has none."""
    table = measured.counts.frame.table
    if table.kind != "fact" or table.loaded_at is None:
        return None
    plain = clock.is_plain(table.name, (table.loaded_at,))
    source = warehouse.table(table.name)
    rows = source.select(hour=clock.hours(source[table.loaded_at], plain=plain))
    rows = rows.filter(rows.hour.notnull())
    grouped = rows.group_by("hour").agg(n=rows.count())
    counted = {int(hour): int(n) for hour, n in warehouse.rows(grouped.select("hour", "n"))}
    last = (span.end_s - 1) // HOUR
    counted = {hour: n for hour, n in counted.items() if hour <= last}
    if not counted:
        return None
    first = min(counted)
    return Hours(first, tuple(counted.get(hour, 0) for hour in range(first, last + 1)))


def find_gaps(measured: Measured, hours: Hours, span: Span) -> list[DetectedIncident]:
    """Find runs of hours in which nothing was loaded though rows were to be expected.

    Expected rows of an hour are the day's usual rows (median of the days nearby) times the
    usual share of that local hour and weekday group. Rows may come in clumps (the lines of an
    order, a batch), so there are fewer chances than rows: a run is a gap where the chance of so
    much silence, `exp(-expected / clump)`, is at most `GAP_CHANCE`. Tables of fewer than
    `LEAST_ROWS` rows a day are not judged: their rows come in bursts.
    """
    if not _judged(hours):
        return []
    expected = expected_rows(hours, span.tz)
    clump = clump_factor(hours.rows, expected)
    found: list[DetectedIncident] = []
    start: int | None = None
    silence = 0.0
    for place, rows in enumerate(hours.rows):
        if rows == 0:
            # Hours in which nothing was due are no part of a gap that comes after them.
            if start is None and expected[place] >= WORTH_WAITING_FOR:
                start = place
            silence += expected[place] if start is not None else 0.0
            continue
        # A run that reaches the end is still open, and never judged.
        if start is not None and exp(-silence / clump) <= GAP_CHANCE:
            found.append(_gap(measured, hours, span.tz, (start, place), silence, clump))
        start, silence = None, 0.0
    return found


def smallest_gap(measured: Measured, hours: Hours, span: Span) -> Detectable:
    """Return how many hours of silence, at the table's usual pace, would be called a gap."""
    table = measured.counts.frame.table
    rows_a_day = 24 * sum(hours.rows) / len(hours.rows)
    if not _judged(hours):
        return Detectable("write_gap", table.name, table.loaded_at or "", rows_a_day, None)
    expected = expected_rows(hours, span.tz)
    clump = clump_factor(hours.rows, expected)
    pace = sum(expected) / len(expected)
    needed = max(1.0, -log(GAP_CHANCE) * clump / pace) if pace else None
    return Detectable(
        "write_gap",
        table.name,
        table.loaded_at or "",
        round(rows_a_day, 1),
        None if needed is None else round(needed, 1),
        round(clump**0.5, 2),
    )


def _judged(hours: Hours) -> bool:
    return 24 * sum(hours.rows) >= LEAST_ROWS * len(hours.rows)


def clump_factor(rows: Sequence[int], expected: Sequence[float]) -> float:
    """Return how many times the spread of hourly rows is that of a Poisson draw, at least 1.

    Trimmed, so that gaps and backfills do not raise it.
    """
    squares = sorted(
        (n - mean) ** 2 / mean
        for n, mean in zip(rows, expected, strict=True)
        if mean >= WORTH_WAITING_FOR
    )
    kept = squares[: len(squares) - int(TRIMMED * len(squares))]
    return max(1.0, sum(kept) / len(kept) / SQUARE_OF_KEPT) if kept else 1.0


def expected_rows(hours: Hours, tz: str) -> list[float]:
    """Return the rows to expect of each hour, by day, local hour, and workday or weekend."""
    zone = zone_of(tz)
    local = [
        (hours.first + place) * HOUR + offset_at(zone, (hours.first + place) * HOUR)
        for place in range(len(hours.rows))
    ]
    days = [second // 86_400 for second in local]
    by_day: dict[int, int] = {}
    for day, rows in zip(days, hours.rows, strict=True):
        by_day[day] = by_day.get(day, 0) + rows
    ordered = sorted(by_day)
    usual = dict(zip(ordered, _rolling_median([by_day[d] for d in ordered]), strict=True))
    groups = dict(zip(ordered, weekend_groups(ordered), strict=True))
    shares: dict[tuple[int, int], list[float]] = {}
    slots = [
        (groups[day], second % 86_400 // HOUR) for day, second in zip(days, local, strict=True)
    ]
    for slot, day, rows in zip(slots, days, hours.rows, strict=True):
        if usual[day] > 0:
            shares.setdefault(slot, []).append(rows / usual[day])
    share = {slot: median(values) for slot, values in shares.items()}
    return [usual[day] * share.get(slot, 0.0) for slot, day in zip(slots, days, strict=True)]


def _rolling_median(values: list[int]) -> list[float]:
    return [
        float(median(values[max(0, place - NEAR_DAYS) : place + NEAR_DAYS + 1]))
        for place in range(len(values))
    ]


def _gap(
    measured: Measured, hours: Hours, tz: str, run: tuple[int, int], silence: float, clump: float
) -> DetectedIncident:
    zone = zone_of(tz)
    start, end = run
    begins = instant_of((hours.first + start) * HOUR)
    ends = instant_of((hours.first + end) * HOUR)
    last = instant_of((hours.first + end) * HOUR - 1)
    return DetectedIncident(
        "write_gap",
        measured.name,
        measured.counts.frame.table.loaded_at or "",
        begins.astimezone(zone).date(),
        last.astimezone(zone).date(),
        0.0,
        round(silence / (end - start), 1),
        round(silence),
        p_value=significant(exp(-silence / clump)),
        noise_factor=round(clump**0.5, 2),
        start_time=begins,
        end_time=ends,
    )

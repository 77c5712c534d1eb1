"""Room: health. Volume drops by local day, write gaps by the hour of `loaded_at`, lag surges."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from statistics import median
from typing import Final

from attrs import frozen

from dnr_core.config.zones import zone_of
from dnr_core.health.connect import Warehouse
from dnr_core.health.counts import NO_DAY
from dnr_core.health.local_time import LocalClock, date_of, instant_of, offset_at
from dnr_core.health.longform import Measured, Span, daily
from dnr_core.health.rates import LEAST_ROWS, significant
from dnr_core.health.statistics import MAD_TO_SIGMA, mad, upper_tail, weekday_groups
from dnr_core.health.times import timed
from dnr_core.model.health import DetectedIncident

HOUR: Final = 3600
NEIGHBOUR_DAYS: Final = 28
"""A day is compared with days of its weekday group at most so far away, so that growth is none."""
LEAST_NEIGHBOURS: Final = 4
DROP_Z: Final = 4.0
LEAST_DROP: Final = 0.25
VOLUME_FLOOR: Final = 0.03
"""Least noise of the logarithm of a volume."""
GAP_CHANCE: Final = 1e-6
SURGE_Z: Final = 4.0
LEAST_SURGE: Final = 1.5
LAG_FLOOR: Final = 0.05
LEAST_LAG_MINUTES: Final = 1.0
"""Lags under a minute count as one: a surge from one second to two is none."""


def _neighbours(days: Sequence[int], groups: Sequence[int], place: int) -> list[int]:
    """Places of the days near a day that are of its weekday group, itself left out."""
    day = days[place]
    return [
        other
        for other in range(len(days))
        if other != place
        and groups[other] == groups[place]
        and abs(days[other] - day) <= NEIGHBOUR_DAYS
    ]


def _deviations(days: Sequence[int], logs: Sequence[float]) -> list[float | None]:
    """Each value's distance from the median of its neighbours; None where there are too few."""
    groups = weekday_groups(days)
    found: list[float | None] = []
    for place, value in enumerate(logs):
        near = [logs[other] for other in _neighbours(days, groups, place)]
        found.append(value - median(near) if len(near) >= LEAST_NEIGHBOURS else None)
    return found


def find_drops(measured: Measured, span: Span) -> list[DetectedIncident]:
    """Find local days of a fact table with far fewer rows than days of the same weekday nearby."""
    figures = daily(measured.counts, "", "rows")
    counted = {
        int(day): int(rows)
        for day, rows in zip(figures.days, figures.numerator, strict=True)
        if day != NO_DAY and span.history <= day <= span.last
    }
    if not counted:
        return []
    # The last day is judged only where it is over: as-of lies at or after its end.
    days = list(range(min(counted), span.last + 1))
    rows = [counted.get(day, 0) for day in days]
    if median(rows) < LEAST_ROWS:
        return []
    deviations = _deviations(days, [log(n + 0.5) for n in rows])
    known = [value for value in deviations if value is not None]
    noise = max(VOLUME_FLOOR, MAD_TO_SIGMA * mad(known))
    flagged = [
        place
        for place, value in enumerate(deviations)
        if value is not None and value / noise < -DROP_Z and value < log(1 - LEAST_DROP)
    ]
    found = []
    for run in _runs(flagged):
        seen = sum(rows[place] for place in run)
        usual = sum((rows[place] + 0.5) / exp(deviations[place] or 0.0) for place in run)
        worst = min(deviations[place] or 0.0 for place in run) / noise
        found.append(
            DetectedIncident(
                "volume_drop",
                measured.name,
                "",
                date_of(days[run[0]]),
                date_of(days[run[-1]]),
                seen / len(run),
                round(usual / len(run), 1),
                max(0, round(usual) - seen),
                p_value=significant(upper_tail(-worst)),
                noise_factor=round(noise / VOLUME_FLOOR, 2),
            )
        )
    return found


def _runs(places: list[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for place in places:
        if found and place == found[-1][-1] + 1:
            found[-1].append(place)
        else:
            found.append([place])
    return found


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
    rows = timed(warehouse, table, clock).rows
    rows = rows.select(hour=clock.dialect.floor_divide(rows.loaded_s, HOUR))
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
    usual share of that local hour and weekday group. A run is a gap where the Poisson chance
    of so much silence, `exp(-sum of expected)`, is at most `GAP_CHANCE`. Tables of fewer than
    `LEAST_ROWS` rows a day are not judged: their rows come in bursts.
    """
    if 24 * sum(hours.rows) < LEAST_ROWS * len(hours.rows):
        return []
    expected = _expected(hours, span.tz)
    found: list[DetectedIncident] = []
    start: int | None = None
    silence = 0.0
    for place in range(len(hours.rows) + 1):
        empty = place < len(hours.rows) and hours.rows[place] == 0
        if empty:
            start = place if start is None else start
            silence += expected[place]
            continue
        # A run that reaches the end is still open, and never judged.
        if start is not None and place < len(hours.rows) and exp(-silence) <= GAP_CHANCE:
            found.append(_gap(measured, hours, span.tz, start, place, silence))
        start, silence = None, 0.0
    return found


def _expected(hours: Hours, tz: str) -> list[float]:
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
    groups = dict(zip(ordered, (int((d + 3) % 7 >= 5) for d in ordered), strict=True))
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
    reach = NEIGHBOUR_DAYS // 2
    return [
        float(median(values[max(0, place - reach) : place + reach + 1]))
        for place in range(len(values))
    ]


def _gap(
    measured: Measured, hours: Hours, tz: str, start: int, end: int, silence: float
) -> DetectedIncident:
    zone = zone_of(tz)
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
        p_value=significant(exp(-silence)),
        start_time=begins,
        end_time=ends,
    )


def find_surges(
    measured: Measured, span: Span, gaps: list[DetectedIncident]
) -> list[DetectedIncident]:
    """Find local days whose lag is far above days nearby: at the median, at p95, or at both.

    Days that a write gap touches are left out: rows that wait for loading to go on are late
    because of it, and are one incident.
    """
    quiet = {d for gap in gaps for d in _days(gap)}
    lags = measured.lags.by_day
    late = daily(measured.counts, "", "late")
    rows = dict(zip(late.days.tolist(), late.denominator.tolist(), strict=True))
    days = [d for d in sorted(lags) if span.history <= d <= span.last and rows.get(d, 0) > 0]
    if not days or median(rows[d] for d in days) < LEAST_ROWS:
        return []
    fired: dict[int, list[str]] = {}
    worst: dict[int, float] = {}
    usual: dict[int, float] = {}
    noise: dict[str, float] = {}
    for place, name in ((0, "p50"), (1, "p95")):
        logs = [log(max(LEAST_LAG_MINUTES, lags[day][place])) for day in days]
        deviations = _deviations(days, logs)
        known = [value for value in deviations if value is not None]
        noise[name] = max(LAG_FLOOR, MAD_TO_SIGMA * mad(known))
        for day, value in zip(days, deviations, strict=True):
            if value is None or value / noise[name] <= SURGE_Z or value < log(LEAST_SURGE):
                continue
            if day in quiet:
                continue
            fired.setdefault(day, []).append(name)
            worst[day] = max(worst.get(day, 0.0), value / noise[name])
            if name == "p95" or day not in usual:
                usual[day] = lags[day][place] / exp(value)
    at = {day: place for place, day in enumerate(days)}
    places = sorted(at[day] for day in fired)
    found = []
    for run in _runs(places):
        inside = [days[place] for place in run]
        names = sorted({name for day in inside for name in fired[day]})
        peak = max(inside, key=lambda day: (worst[day], -day))
        which = 1 if "p95" in fired[peak] else 0
        affected = sum(
            int(n)
            for d, n in zip(late.days.tolist(), late.numerator.tolist(), strict=True)
            if d in inside
        )
        money = measured.counts.money_of([("", "late")], inside[0], inside[-1])
        found.append(
            DetectedIncident(
                "lag_surge",
                measured.name,
                measured.counts.frame.table.loaded_at or "",
                date_of(inside[0]),
                date_of(inside[-1]),
                round(lags[peak][which], 2),
                round(usual[peak], 2),
                affected,
                p_value=significant(upper_tail(worst[peak])),
                noise_factor=round(max(noise[name] for name in names) / LAG_FLOOR, 2),
                revenue_cents=None if money is None else measured.counts.frame.purse.cents(money),
                fired=tuple(names),
            )
        )
    return found


def _days(incident: DetectedIncident) -> list[int]:
    from dnr_core.health.local_time import day_number

    # Rows of the day before may wait for the gap to end, too.
    return list(range(day_number(incident.start) - 1, day_number(incident.end) + 1))

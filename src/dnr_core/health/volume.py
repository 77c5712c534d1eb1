"""Room: health. Volume drops: local days of a fact table with far fewer rows than days nearby."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt
from statistics import median
from typing import Final

from attrs import field, frozen

from dnr_core.health.counts import NO_DAY
from dnr_core.health.local_time import date_of
from dnr_core.health.longform import Measured, Span, daily
from dnr_core.health.noise import excess_correlation
from dnr_core.health.rates import LEAST_ROWS, significant
from dnr_core.health.statistics import upper_tail, weekday_groups
from dnr_core.model.health import Detectable, DetectedIncident

NEIGHBOUR_DAYS: Final = 28
"""A day is compared with days of its weekday group at most so far away, so that growth is none."""
LEAST_NEIGHBOURS: Final = 4
DROP_Z: Final = 4.0
LEAST_DROP: Final = 0.25
VOLUME_FLOOR: Final = 0.03
"""Least noise of the logarithm of a volume, beyond chance."""


def deviations(days: Sequence[int], logs: Sequence[float]) -> list[float | None]:
    """Return each value's distance from the median of its weekday nearby, itself left out.

    None where there are too few. `days` rise.
    """
    places: dict[int, list[int]] = {}
    for place, group in enumerate(weekday_groups(days)):
        places.setdefault(group, []).append(place)
    found: list[float | None] = [None] * len(days)
    for mine in places.values():
        low = high = 0
        for place in mine:
            while days[mine[low]] < days[place] - NEIGHBOUR_DAYS:
                low += 1
            while high < len(mine) and days[mine[high]] <= days[place] + NEIGHBOUR_DAYS:
                high += 1
            near = [logs[other] for other in mine[low:high] if other != place]
            if len(near) >= LEAST_NEIGHBOURS:
                found[place] = logs[place] - median(near)
    return found


@frozen
class Drop:
    """A day with too few rows: `z` is negative, `usual` the rows to expect."""

    day: int
    rows: int
    usual: float
    z: float


@frozen
class Drops:
    """Days that dropped, the noise beyond chance, and the smallest drop seen on a usual day."""

    days: list[Drop] = field(factory=list)
    noise: float = VOLUME_FLOOR
    smallest: float | None = None


def drop_days(days: Sequence[int], rows: Sequence[int]) -> Drops:
    """Judge the rows of each local day against days of its weekday within four weeks.

    The logarithm of a day of usual rows u has the variance `1 / u` by chance; what it has beyond
    that is one number a table, so that the few rows of a young table are no drop. Days
    on which fewer than `LEAST_ROWS` rows are usual are not judged.
    """
    offs = deviations(days, [log(n + 0.5) for n in rows])
    judged = [
        (day, n, (n + 0.5) / exp(off), off)
        for day, n, off in zip(days, rows, offs, strict=True)
        if off is not None and (n + 0.5) / exp(off) >= LEAST_ROWS
    ]
    if not judged:
        return Drops()
    usual = [u for _, _, u, _ in judged]
    beyond = sqrt(excess_correlation([off * sqrt(u) for _, _, u, off in judged], usual))
    noise = max(VOLUME_FLOOR, beyond)
    found = []
    for day, n, u, off in judged:
        z = off / sqrt(1 / u + noise * noise)
        if z < -DROP_Z and off < log(1 - LEAST_DROP):
            found.append(Drop(day, n, u, z))
    middle = median(usual)
    smallest = max(LEAST_DROP, 1 - exp(-DROP_Z * sqrt(1 / middle + noise * noise)))
    return Drops(found, noise, smallest)


def find_drops(measured: Measured, span: Span) -> tuple[list[DetectedIncident], Detectable]:
    """Find runs of days that dropped, and say which drop could have been seen."""
    figures = daily(measured.counts, "", "rows")
    counted = {
        int(day): int(rows)
        for day, rows in zip(figures.days, figures.numerator, strict=True)
        if day != NO_DAY and span.history <= day <= span.last
    }
    # The last day is judged only where it is over: as-of lies at or after its end.
    days = list(range(min(counted), span.last + 1)) if counted else []
    rows = [counted.get(day, 0) for day in days]
    judged = drop_days(days, rows)
    factor = round(judged.noise / VOLUME_FLOOR, 2)
    detectable = Detectable(
        "volume_drop",
        measured.name,
        "",
        float(median(rows)) if rows else 0.0,
        None if judged.smallest is None else round(judged.smallest, 4),
        factor,
    )
    found = []
    by_day = {drop.day: drop for drop in judged.days}
    for run in runs_of(sorted(by_day)):
        drops = [by_day[day] for day in run]
        seen, usual = sum(drop.rows for drop in drops), sum(drop.usual for drop in drops)
        worst = min(drop.z for drop in drops)
        found.append(
            DetectedIncident(
                "volume_drop",
                measured.name,
                "",
                date_of(run[0]),
                date_of(run[-1]),
                seen / len(run),
                round(usual / len(run), 1),
                max(0, round(usual) - seen),
                p_value=significant(upper_tail(-worst)),
                noise_factor=factor,
            )
        )
    return found, detectable


def runs_of(places: Sequence[int]) -> list[list[int]]:
    """Split rising whole numbers into runs without a gap."""
    found: list[list[int]] = []
    for place in places:
        if found and place == found[-1][-1] + 1:
            found[-1].append(place)
        else:
            found.append([place])
    return found

"""Room: health. Lag surges: local days whose rows came far later than those of days nearby."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, log
from statistics import median
from typing import Final

from attrs import field, frozen

from dnr_core.health.lag import Pair
from dnr_core.health.levels import near, running_medians
from dnr_core.health.local_time import date_of, day_number
from dnr_core.health.longform import Measured, Span, daily
from dnr_core.health.rates import LEAST_ROWS, significant
from dnr_core.health.statistics import MAD_TO_SIGMA, upper_tail
from dnr_core.health.volume import deviations, runs_of
from dnr_core.model.health import Detectable, DetectedIncident

SURGE_Z: Final = 4.0
LEAST_SURGE: Final = 1.5
LAG_FLOOR: Final = 0.05
"""Least noise of the logarithm of a lag."""
LEAST_LAG_MINUTES: Final = 1.0
"""Lags under a minute count as one: a surge from one second to two is none."""
STATISTICS: Final = ("p50", "p95")


@frozen
class Surge:
    """A local day whose lag is far above usual; `fired` says at which of p50 and p95."""

    day: int
    fired: tuple[str, ...]
    z: float
    noise: float
    value: float
    usual: float


@frozen
class Surges:
    """Days that surged, and the smallest factor that would have been seen (None: not judged)."""

    days: list[Surge] = field(factory=list)
    smallest: float | None = None
    noise: float | None = None


def surge_days(lags: Mapping[int, Pair], rows: Mapping[int, int]) -> Surges:
    """Judge the median and the 95th percentile of each local day, in minutes.

    The logarithm of each is compared with days of the same weekday nearby; its noise is that of
    the days within four weeks, because a quantile of few rows is noisier than one of many. Days
    of fewer than `LEAST_ROWS` rows are not judged.
    """
    days = [day for day in sorted(lags) if rows.get(day, 0) >= LEAST_ROWS]
    found: dict[int, Surge] = {}
    smallest = usual_noise = None
    for place, name in enumerate(STATISTICS):
        logs = [log(max(LEAST_LAG_MINUTES, lags[day][place])) for day in days]
        offs = deviations(days, logs)
        noises = _noises(days, [0.0 if off is None else off for off in offs])
        judged = [noise for noise, off in zip(noises, offs, strict=True) if off is not None]
        if judged:
            usual_noise = median(judged)
            smallest = max(LEAST_SURGE, exp(SURGE_Z * usual_noise))
        for day, off, noise in zip(days, offs, noises, strict=True):
            if off is None or off / noise <= SURGE_Z or off < log(LEAST_SURGE):
                continue
            before = found.get(day)
            value = lags[day][place]
            found[day] = Surge(
                day,
                (*(before.fired if before else ()), name),
                max(off / noise, before.z if before else 0.0),
                max(noise, before.noise if before else 0.0),
                value,
                value / exp(off),
            )
    return Surges([found[day] for day in sorted(found)], smallest, usual_noise)


def _noises(days: Sequence[int], offs: Sequence[float]) -> list[float]:
    """Return the noise around each day: the scaled median of distances within reach."""
    middles = running_medians(days, [abs(off) for off in offs])
    return [
        max(LAG_FLOOR, MAD_TO_SIGMA * middle)
        if _enough(days, place)
        else max(LAG_FLOOR, MAD_TO_SIGMA * median(abs(off) for off in offs))
        for place, middle in enumerate(middles)
    ]


def _enough(days: Sequence[int], place: int) -> bool:
    first, last = near(days, 0, len(days), days[place])
    return last - first >= ENOUGH_DAYS


ENOUGH_DAYS: Final = 21
"""Days that a noise of its own neighbourhood rests on; with fewer it is that of all days."""


def _judged(measured: Measured, span: Span) -> tuple[dict[int, Pair], dict[int, int]]:
    late = daily(measured.counts, "", "late")
    rows = dict(zip(late.days.tolist(), late.denominator.tolist(), strict=True))
    inside = {d: pair for d, pair in measured.lags.by_day.items() if span.history <= d <= span.last}
    return inside, rows


def find_surges(
    measured: Measured, span: Span, gaps: list[DetectedIncident]
) -> tuple[list[DetectedIncident], Detectable]:
    """Find local days whose lag is far above days nearby: at the median, at p95, or at both.

    Days that a write gap touches are left out: rows that wait for loading to go on are late
    because of it, and are one incident.
    """
    quiet = {day for gap in gaps for day in _days(gap)}
    lags, rows = _judged(measured, span)
    judged = surge_days(lags, rows)
    by_day = {surge.day: surge for surge in judged.days if surge.day not in quiet}
    days = sorted(lags)
    at = {day: place for place, day in enumerate(days)}
    found = [
        _incident(measured, [by_day[days[place]] for place in run])
        for run in runs_of(sorted(at[day] for day in by_day))
    ]
    sizes = [rows.get(day, 0) for day in days]
    column = measured.counts.frame.table.loaded_at or ""
    return found, Detectable(
        "lag_surge",
        measured.name,
        column,
        float(median(sizes)) if sizes else 0.0,
        None if judged.smallest is None else round(judged.smallest, 2),
        None if judged.noise is None else round(judged.noise / LAG_FLOOR, 2),
    )


def _incident(measured: Measured, surges: list[Surge]) -> DetectedIncident:
    counts = measured.counts
    peak = max(surges, key=lambda surge: (surge.z, -surge.day))
    first, last = surges[0].day, surges[-1].day
    money = counts.money_of([("", "late")], first, last)
    return DetectedIncident(
        "lag_surge",
        measured.name,
        counts.frame.table.loaded_at or "",
        date_of(first),
        date_of(last),
        round(peak.value, 2),
        round(peak.usual, 2),
        counts.affected_rows([("", "late")], first, last),
        p_value=significant(upper_tail(peak.z)),
        noise_factor=round(peak.noise / LAG_FLOOR, 2),
        revenue_cents=None if money is None else counts.frame.purse.cents(money),
        fired=tuple(sorted({name for surge in surges for name in surge.fired})),
    )


def _days(incident: DetectedIncident) -> list[int]:
    # Rows of the day before may wait for the gap to end, too.
    return list(range(day_number(incident.start) - 1, day_number(incident.end) + 1))

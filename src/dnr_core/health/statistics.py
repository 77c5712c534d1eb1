"""Room: health. Small pieces of statistics, without a library and the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from math import asin, erfc, sin, sqrt
from statistics import NormalDist, median
from typing import Final

from attrs import frozen

FALSE_DISCOVERY_RATE: Final = 0.05
MAD_TO_SIGMA: Final = 1.4826
"""Median absolute deviation of a normal variable times this is its standard deviation."""
WEEKS_FOR_WEEKDAYS: Final = 8
"""From so many weeks on, each weekday has its own usual value; before, workdays and weekends."""


def mad(values: Sequence[float]) -> float:
    """Median absolute deviation from the median; 0 for no values."""
    if not values:
        return 0.0
    middle = median(values)
    return median(abs(value - middle) for value in values)


def upper_tail(z: float) -> float:
    """Chance that a standard normal variable is above `z`."""
    return 0.5 * erfc(z / sqrt(2))


def stable_angle(events: int, rows: int) -> float:
    """Angle of a share whose variance does not depend on it.

    Formula: F. J. Anscombe (1948), `asin(sqrt((k + 3/8) / (n + 3/4)))`.
    """
    return asin(sqrt((events + 0.375) / (rows + 0.75)))


def benjamini_hochberg(p_values: Sequence[float], rate: float = FALSE_DISCOVERY_RATE) -> float:
    """Return the largest p-value that passes, 0 where none does.

    Formula: Y. Benjamini and Y. Hochberg (1995), step-up at false discovery rate `rate`.
    """
    ordered = sorted(p_values)
    limit = 0.0
    for place, p in enumerate(ordered, start=1):
        if p <= rate * place / len(ordered):
            limit = p
    return limit


def weekday_groups(days: Sequence[int]) -> list[int]:
    """Return the group of each day (days since 1970): its weekday, or workday and weekend."""
    if not days:
        return []
    many = max(days) - min(days) + 1 >= 7 * WEEKS_FOR_WEEKDAYS
    # 1970-01-01 was a Thursday; Monday is 0.
    weekdays = [(day + 3) % 7 for day in days]
    return weekdays if many else [int(weekday >= 5) for weekday in weekdays]


@frozen
class RateDay:
    """One column on one day (or week): what was seen, what is usual, how unlikely that is."""

    day: int
    events: int
    rows: int
    usual: float
    p_value: float
    noise_factor: float

    @property
    def share(self) -> float:
        """What was seen."""
        return self.events / self.rows

    @property
    def rise(self) -> float:
        """Share above the usual one."""
        return self.share - self.usual


def rate_days(days: Sequence[int], events: Sequence[int], rows: Sequence[int]) -> list[RateDay]:
    """Judge a share by day against the column's own median, weekday pattern and noise.

    Formula: rule 1 of the incidents page: residuals of Anscombe's angles from the median and from
    the median of the weekday group, scaled by `2 sqrt(n + 3/4)`; noise factor `max(1, 1.4826
    MAD)`, a robust form of D. Laney's p' chart (2002); one-sided normal p-value.
    """
    if not days:
        return []
    angles = [stable_angle(k, n) for k, n in zip(events, rows, strict=True)]
    middle = median(angles)
    groups = weekday_groups(days)
    by_group: dict[int, list[float]] = {}
    for group, angle in zip(groups, angles, strict=True):
        by_group.setdefault(group, []).append(angle - middle)
    pattern = {group: median(values) for group, values in by_group.items()}
    usual = [middle + pattern[group] for group in groups]
    scores = [
        2 * sqrt(n + 0.75) * (angle - expected)
        for n, angle, expected in zip(rows, angles, usual, strict=True)
    ]
    noise = max(1.0, MAD_TO_SIGMA * mad(scores))
    return [
        RateDay(day, k, n, max(0.0, sin(expected)) ** 2, upper_tail(score / noise), noise)
        for day, k, n, expected, score in zip(days, events, rows, usual, scores, strict=True)
    ]


def detectable_rise(usual: float, rows: float, noise: float, tests: int) -> float:
    """Smallest rise of a share that would be flagged on a day of so many rows, as a share.

    It is the rise at which rule 1 flags every second such day, with the strictest limit of the
    false discovery rate: `rate / tests`.
    """
    level = min(0.5, FALSE_DISCOVERY_RATE / max(1, tests))
    needed = NormalDist().inv_cdf(1 - level) * noise / (2 * sqrt(rows + 0.75))
    angle = min(asin(sqrt(min(1.0, usual))) + needed, asin(1.0))
    return float(sin(angle) ** 2 - usual)

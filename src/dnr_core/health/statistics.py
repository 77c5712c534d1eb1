"""Room: health. Small pieces of statistics, without a library and the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from math import asin, erfc, sqrt
from statistics import median
from typing import Final

FALSE_DISCOVERY_RATE: Final = 0.02
"""Share of flags that chance alone may bring. A page that cries wolf is not read twice, and at 5 %
the false flags of columns with a weekday pattern were no fewer than those of a plain noise factor."""
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


def stable_angle(events: float, rows: int) -> float:
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
    return [(day + 3) % 7 for day in days] if many else weekend_groups(days)


def weekend_groups(days: Sequence[int]) -> list[int]:
    """Return 1 for the days (since 1970) that are a Saturday or Sunday, else 0."""
    return [int((day + 3) % 7 >= 5) for day in days]

"""Room: health. The usual level of a daily series: where it shifts, and its weekdays.

A series is cut where its level shifts and stays (rule 4 of the incidents' rules), so that a day
is compared with days of its own level. Days that stand out are pulled in first, so that they
are neither a shift nor part of the usual.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import sqrt
from statistics import median
from typing import Final

from attrs import evolve, frozen

from dnr_core.health.statistics import MAD_TO_SIGMA, mad, weekday_groups

REACH_DAYS: Final = 28
"""A day is compared with days at most so far away: a weekday has eight others within it."""
PULLED_IN: Final = 2.5
"""Values further from the running median than so many standard deviations are pulled in to it."""
SHIFT_Z: Final = 5.0
"""A level has shifted where the means of both sides differ by so many standard errors."""
LEAST_SEGMENT: Final = 7
"""Values on each side of a shift: shorter runs are days that stand out, not a new level."""
MOST_MEMORY: Final = 0.6
"""Cap of the correlation between one day and the next that a shift must rise above."""


@frozen
class Shift:
    """The level changes at `place` of the series; `z` is how many standard errors it does."""

    place: int
    z: float
    error: float
    """Standard error of its height."""


def running_medians(
    days: Sequence[int], values: Sequence[float], reach: int = REACH_DAYS
) -> list[float]:
    """Return, for each day, the median of the values of the days within `reach`.

    `days` rise. At the ends the window is cut, not mirrored.
    """
    found: list[float] = []
    window: list[float] = []
    low = high = 0
    for day in days:
        while high < len(days) and days[high] <= day + reach:
            insort(window, values[high])
            high += 1
        while days[low] < day - reach:
            del window[bisect_left(window, values[low])]
            low += 1
        middle = len(window) // 2
        is_odd = len(window) % 2
        found.append(window[middle] if is_odd else (window[middle - 1] + window[middle]) / 2)
    return found


def weekday_medians(groups: Sequence[int], residuals: Sequence[float]) -> dict[int, float]:
    """Return the median residual of each weekday group, nought for one that cannot be told apart.

    A group's median is kept where it is further from nought than twice its own standard error:
    noise taken for a pattern would be noise added to every day.
    """
    by_group: dict[int, list[float]] = {}
    for group, residual in zip(groups, residuals, strict=True):
        by_group.setdefault(group, []).append(residual)
    found: dict[int, float] = {}
    for group, values in by_group.items():
        middle = median(values)
        # The standard error of a median is that of a mean times sqrt(pi / 2).
        error = 1.2533 * MAD_TO_SIGMA * mad(values) / sqrt(len(values))
        found[group] = middle if abs(middle) > 2 * error else 0.0
    return found


def pulled_in(values: Sequence[float], middles: Sequence[float]) -> list[float]:
    """Return the values with those far from their running median pulled in to it."""
    reach = PULLED_IN * MAD_TO_SIGMA * mad([v - m for v, m in zip(values, middles, strict=True)])
    return [
        min(max(value, middle - reach), middle + reach)
        for value, middle in zip(values, middles, strict=True)
    ]


def find_shifts(values: Sequence[float], middles: Sequence[float], chance: float) -> list[Shift]:
    """Return where the mean of a series changes for good, in order of place.

    Binary segmentation: the series is cut where the means of both sides differ most, if they do
    by `SHIFT_Z` standard errors, and each side is looked at again. The error counts the
    correlation of a day with the next one, so that a slow wander is no shift.

    Args:
        values: weekday pattern and days that stand out taken out.
        middles: the running median, which holds the noise apart from the level.
        chance: variance of a value by the draw of its rows alone; no level is known better.
    """
    if len(values) < 2 * LEAST_SEGMENT:
        return []
    residuals = [value - middle for value, middle in zip(values, middles, strict=True)]
    whole = sum(r * r for r in residuals)
    near = sum(a * b for a, b in pairwise(residuals)) / whole if whole > 0 else 0.0
    memory = min(max(near, 0.0), MOST_MEMORY)
    variance = max(chance, whole / len(residuals)) * (1 + memory) / (1 - memory)
    sums = [0.0, *accumulate(values)]
    found: list[Shift] = []
    parts = [(0, len(values))]
    while parts:
        low, high = parts.pop()
        best = _best_cut(sums, low, high, variance)
        if best is not None and abs(best.z) >= SHIFT_Z:
            found.append(best)
            parts += [(low, best.place), (best.place, high)]
    return sorted(found, key=lambda shift: shift.place)


def settle(values: Sequence[float], shifts: Sequence[Shift]) -> list[Shift]:
    """Return the shifts that the values themselves bear out, each where it divides them best.

    Shifts are found among values that were pulled in, so that no single day makes one. Beside a
    large shift, days of the new level that lie nearer to the old one's are pulled in too: the
    shift comes too late, and they look like a small one of their own. Medians of the stretches
    know better: a shift goes where they differ by less than half of what makes one, and the others
    are put where the values are nearest to the medians of the two sides.
    """
    kept = list(shifts)
    while kept:
        middles = [median(values[low:high]) for low, high in segments(len(values), kept)]
        weak = [
            shift
            for shift, (before, after) in zip(kept, pairwise(middles), strict=True)
            if abs(after - before) < shift.error * SHIFT_Z / 2 or (after > before) != (shift.z > 0)
        ]
        if not weak:
            return _placed(values, kept, middles)
        kept.remove(min(weak, key=lambda shift: abs(shift.z)))
    return kept


def _placed(
    values: Sequence[float], shifts: Sequence[Shift], middles: Sequence[float]
) -> list[Shift]:
    """Put each shift where the distances to the medians are least in sum, a week from others."""
    found: list[Shift] = []
    low = 0
    for number, shift in enumerate(shifts):
        high = shifts[number + 1].place if number + 1 < len(shifts) else len(values)
        before, after = middles[number], middles[number + 1]
        first, last = low + LEAST_SEGMENT, high - LEAST_SEGMENT
        # How much nearer to the median before than to that after: the most of its sum is the cut.
        nearer = [abs(v - after) - abs(v - before) for v in values[first:last]]
        sums = [0.0, *accumulate(nearer)]
        place = first + max(range(len(sums)), key=lambda cut: sums[cut])
        found.append(evolve(shift, place=place))
        low = place
    return found


def _best_cut(sums: Sequence[float], low: int, high: int, variance: float) -> Shift | None:
    best: Shift | None = None
    for cut in range(low + LEAST_SEGMENT, high - LEAST_SEGMENT + 1):
        before, after = cut - low, high - cut
        rise = (sums[high] - sums[cut]) / after - (sums[cut] - sums[low]) / before
        error = sqrt(variance * (1 / before + 1 / after))
        if best is None or abs(rise) / error > abs(best.z):
            best = Shift(cut, rise / error, error)
    return best


def segments(length: int, shifts: Sequence[Shift]) -> list[tuple[int, int]]:
    """Return the stretches between shifts, as places from (included) to (left out)."""
    ends = [0, *(shift.place for shift in shifts), length]
    return [(low, high) for low, high in pairwise(ends) if high > low]


@frozen
class Level:
    """Where a series stands: which stretch each value is in, and the pattern of its weekdays."""

    groups: list[int]
    shifts: list[Shift]

    @classmethod
    def of(cls, days: Sequence[int], values: Sequence[float], chance: float) -> Level:
        """Find weekdays and shifts of a series by day; `chance` is as for `find_shifts`."""
        groups = weekday_groups(days)
        middles = running_medians(days, values)
        pattern = weekday_medians(groups, [v - m for v, m in zip(values, middles, strict=True)])
        even = [value - pattern[group] for value, group in zip(values, groups, strict=True)]
        middles = running_medians(days, even)
        shifts = find_shifts(pulled_in(even, middles), middles, chance)
        return cls(groups, settle(even, shifts))


def near(days: Sequence[int], low: int, high: int, day: int) -> tuple[int, int]:
    """Return the places from `low` to `high` whose days are within reach of a day."""
    return (
        bisect_left(days, day - REACH_DAYS, low, high),
        bisect_right(days, day + REACH_DAYS, low, high),
    )

"""Room: health. Steps and ramps: a share that goes up and stays (rule 4 of the incidents' rules)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal

from attrs import frozen

from dnr_core.health.levels import Shift
from dnr_core.health.shares import JudgedShare
from dnr_core.health.statistics import upper_tail

RAMP_PERIODS: Final = 28
"""Rises that follow one another within so many days (or weeks) are one ramp."""
PART_OF_RISE: Final = 0.5
"""A step rises by at least this part of what a single day must, and has ended once it lost it."""


@frozen
class Step:
    """Places `first` to `last` (included) of a series, with the share before and within.

    `is_open` says that it reaches the end of the series: it is still there.
    """

    first: int
    last: int
    usual: float
    share: float
    p_value: float
    shape: Literal["step", "ramp"]
    is_open: bool


def find_steps(judged: JudgedShare, least_rise: float, least_events: float) -> list[Step]:
    """Return where a share rises to a level and stays, in order.

    The p-value is that of the shift, times the places at which one was looked for.
    """
    levels, shifts = judged.levels, judged.shifts
    found: list[Step] = []
    at = 1
    while at < len(levels):
        base, risen = levels[at - 1][2], levels[at][2]
        if shifts[at - 1].z <= 0 or risen - base < PART_OF_RISE * least_rise:
            at += 1
            continue
        end = _end(levels, at, base)
        first, last = levels[at][0], levels[end][1] - 1
        days = judged.days[first : last + 1]
        rows = sum(day.rows for day in days)
        events = sum(day.events for day in days)
        if events - base * rows >= least_events:
            climbs = [shift for shift in shifts[at - 1 : end] if shift.z > 0]
            found.append(
                Step(
                    first,
                    last,
                    base,
                    events / rows,
                    min(1.0, len(judged.days) * upper_tail(max(shift.z for shift in climbs))),
                    "ramp" if _is_ramp(climbs) else "step",
                    end == len(levels) - 1,
                )
            )
        at = end + 1
    return found


def _end(levels: Sequence[tuple[int, int, float]], at: int, base: float) -> int:
    """Return the last stretch that keeps at least a part of the rise."""
    top = levels[at][2]
    end = at
    while end + 1 < len(levels) and levels[end + 1][2] >= base + PART_OF_RISE * (top - base):
        end += 1
        top = max(top, levels[end][2])
    return end


def _is_ramp(climbs: Sequence[Shift]) -> bool:
    return any(later.place - earlier.place <= RAMP_PERIODS for earlier, later in pairwise(climbs))

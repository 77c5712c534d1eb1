"""Room: synth. Local days and hours of a company's history, daylight-saving switches included."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from attrs import field, frozen

from dnr_core.model import Company
from dnr_core.synth.seeds import I64

EPOCH: Final = date(1970, 1, 1)
US: Final = 1_000_000
"""Microseconds in a second: times are worked out in seconds and stored in microseconds."""
DAY: Final = 86_400


def _seconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)


def _midnight(day: date, zone: ZoneInfo) -> int:
    """First instant of a local day, in seconds."""
    return _seconds(datetime.combine(day, time(), zone).astimezone(UTC))


def _offset(instant: int, zone: ZoneInfo) -> int:
    shift = datetime.fromtimestamp(instant, UTC).astimezone(zone).utcoffset()
    return 0 if shift is None else shift // timedelta(seconds=1)


def months_before(day: date, months: int) -> date:
    """Return the day `months` calendar months earlier, the last of its month where it is missing."""
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    return date(year, month + 1, min(day.day, (following - timedelta(days=1)).day))


@frozen(eq=False)
class Clock:
    """Turns instants (whole seconds since the epoch) into local time, by the zone's transitions.

    `changes` are the instants from which `offsets` (seconds east of UTC) hold; the first offset
    holds before all of them too.
    """

    tz: str
    changes: I64
    offsets: I64

    def offset(self, seconds: I64) -> I64:
        """Seconds to add to UTC for local time."""
        found = np.searchsorted(self.changes, seconds, side="right") - 1
        return self.offsets[np.maximum(found, 0)]

    def day(self, seconds: I64) -> I64:
        """Local days since 1970-01-01."""
        return (seconds + self.offset(seconds)) // DAY

    def hour(self, seconds: I64) -> I64:
        """Local hours, 0 to 23."""
        return (seconds + self.offset(seconds)) % DAY // 3600

    def day_start(self, days: I64) -> I64:
        """The first instant of each local day."""
        first = days * DAY
        return first - self.offset(first - self.offset(first))


@lru_cache(maxsize=64)
def clock(tz: str, first: date, last: date) -> Clock:
    """Return the clock of a zone for the local days from `first` to `last`."""
    zone = ZoneInfo(tz)
    begin, end = _midnight(first, zone), _midnight(last + timedelta(days=1), zone)
    changes, offsets = [begin], [_offset(begin, zone)]
    at = begin
    while at < end:
        step = min(at + DAY, end)
        if _offset(step, zone) != offsets[-1]:
            low, high = at, step
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (
                    (middle, high) if _offset(middle, zone) == offsets[-1] else (low, middle)
                )
            changes.append(high)
            offsets.append(_offset(high, zone))
        at = step
    return Clock(tz, np.array(changes, dtype=np.int64), np.array(offsets, dtype=np.int64))


@frozen(eq=False)
class Slots:
    """Consecutive stretches of time, in seconds, each within one local hour (or shorter).

    `month` counts months of the history from 0; stretches before the history have -1.
    """

    starts: I64
    lengths: I64
    day: I64
    hour: I64
    month: I64
    clock: Clock = field(repr=False)

    @property
    def weekday(self) -> I64:
        """Monday is 0."""
        return (self.day + 3) % 7

    @property
    def end(self) -> int:
        """The first instant after the last stretch."""
        return int(self.starts[-1] + self.lengths[-1])


def opening_day(company: Company) -> date:
    """Return the first local day of the history."""
    last = company.as_of.astimezone(ZoneInfo(company.tz)).date()
    return months_before(last, company.months)


def company_clock(company: Company) -> Clock:
    """Return the clock of the business zone, from a year before the history to a year after it."""
    last = company.as_of.astimezone(ZoneInfo(company.tz)).date()
    return _clock_around(company.tz, opening_day(company), last)


def _clock_around(tz: str, opened: date, last: date) -> Clock:
    return clock(tz, months_before(opened, 13), months_before(last, -12))


def history(company: Company, *, months_earlier: int = 0, seconds_a_slot: int = 3600) -> Slots:
    """Return the company's history as slots; `months_earlier` adds time before it.

    The history is the `months` local months before the as-of. A local day of 23 or 25 hours has
    as many slots as it has hours.
    """
    return _slots(company.as_of, company.tz, company.months, months_earlier, seconds_a_slot)


@lru_cache(maxsize=64)
def _slots(
    as_of: datetime, tz: str, months: int, months_earlier: int, seconds_a_slot: int
) -> Slots:
    zone = ZoneInfo(tz)
    end = _seconds(as_of)
    last = as_of.astimezone(zone).date()
    opened = months_before(last, months)
    first = months_before(opened, months_earlier)
    days = [first + timedelta(days=n) for n in range((last - first).days + 2)]
    bounds = np.array([_midnight(day, zone) for day in days], dtype=np.int64)
    bounds = np.minimum(bounds, max(end, int(bounds[0]) + 1))
    spans = np.diff(bounds)
    pieces = -(-spans // seconds_a_slot)
    begins = np.repeat(bounds[:-1], pieces)
    within = np.arange(int(pieces.sum()), dtype=np.int64)
    within -= np.repeat(np.cumsum(pieces) - pieces, pieces)
    starts = begins + within * seconds_a_slot
    lengths = np.minimum(seconds_a_slot, np.repeat(bounds[1:], pieces) - starts)
    told = _clock_around(tz, opened, last)
    day = told.day(starts)
    heads = [months_before(opened, -number) for number in range(months)]
    edges = np.array([(head - EPOCH).days for head in heads], dtype=np.int64)
    month: I64 = np.searchsorted(edges, day, side="right").astype(np.int64) - 1
    return Slots(starts, lengths, day, told.hour(starts), month, told)


def trend(trajectory: str, months: int) -> list[int]:
    """Return the volume of each month as an integer, relative to the largest (10**9).

    T1 is steady, T2 grows by 3 % a month, T3 falls by 3 % a month, T4 loses 40 % in the middle
    month and takes four months to come back.

    Raises:
        ValueError: there is no such trajectory.
    """
    shapes = {
        "T1": [10**9] * months,
        "T2": _compound(103, months),
        "T3": _compound(97, months),
        "T4": [_shock(number - months // 2) for number in range(months)],
    }
    if trajectory not in shapes:
        raise ValueError(f"unknown trajectory {trajectory!r}: choose T1, T2, T3 or T4")
    shape = shapes[trajectory]
    peak = max(shape)
    return [max(1, value * 10**9 // peak) for value in shape]


def _compound(percent: int, months: int) -> list[int]:
    return [10**12 * percent**number // 100**number for number in range(months)]


def _shock(months_since: int) -> int:
    lost = {0: 40, 1: 30, 2: 20, 3: 10}.get(months_since, 0)
    return 10**7 * (100 - lost)

"""Room: comms. When people write: local days, working hours, and their instants in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from dnr_core.comms.draw import Draw

US_PER_SECOND: Final = 1_000_000
HOUR_US: Final = 3600 * US_PER_SECOND
WEEKDAYS: Final = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"
)  # fmt: skip

_HOURS: Final = {7: 2, 8: 8, 9: 13, 10: 15, 11: 13, 12: 8, 13: 11, 14: 13, 15: 12, 16: 10, 17: 6,
                 18: 3, 19: 2, 20: 1}  # fmt: skip
"""How much is written in each local hour."""
_BUSIEST: Final = max(_HOURS.values())
_WEEKDAY_PERCENT: Final = 97
_WORKDAYS: Final = 5
_NOTICE_MINUTES: Final = (20, 1430)
_LATE_DAYS: Final = (2, 4)
_EPOCH: Final = date(1970, 1, 1)


def to_us(instant: datetime) -> int:
    """Return an instant as microseconds since 1970 in UTC."""
    delta = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * US_PER_SECOND + delta.microseconds


def months_before(day: date, months: int) -> date:
    """Return the day that many months earlier, or that month's last day where it has no such day."""
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    last = (following - timedelta(days=1)).day
    return date(year, month + 1, min(day.day, last))


class WorkClock:
    """The local days of a stretch of talk that ends at `as_of`, and moments within them."""

    def __init__(self, as_of: datetime, tz: str, months: int) -> None:
        self._zone = ZoneInfo(tz)
        self._as_of_us = to_us(as_of)
        end = as_of.astimezone(self._zone).date()
        start = months_before(end, months)
        self.days = [start + timedelta(days=n) for n in range((end - start).days)]
        self._weekdays = [day for day in self.days if day.weekday() < _WORKDAYS]
        self._weekends = [day for day in self.days if day.weekday() >= _WORKDAYS]
        self._offsets: dict[date, int] = {}
        self.start_us = self.at(start, 0)

    def at(self, day: date, second_of_day: int) -> int:
        """Return the UTC microsecond of a local second; its offset is that of local noon.

        Clocks are put forward and back by night, when nobody writes.
        """
        offset = self._offsets.get(day)
        if offset is None:
            noon = datetime.combine(day, time(12), tzinfo=self._zone)
            offset = self._offsets[day] = int((noon.utcoffset() or timedelta()).total_seconds())
        days = (day - _EPOCH).days
        return (days * 86_400 + second_of_day - offset) * US_PER_SECOND

    def local(self, instant_us: int) -> datetime:
        """Return the local time of a UTC microsecond."""
        return datetime.fromtimestamp(instant_us // US_PER_SECOND, tz=self._zone)

    def working_moment(
        self, draw: Draw, first: date | None = None, last: date | None = None
    ) -> int:
        """Return a moment of ordinary work, on a day from `first` to `last` where there is one."""
        pool = self._weekdays if draw.chance(_WEEKDAY_PERCENT) else self._weekends
        if first is not None or last is not None:
            low, high = first or self.days[0], last or self.days[-1]
            within = [day for day in self.days if low <= day <= high]
            pool = [day for day in pool if low <= day <= high] or within or pool
        return self._on(draw.pick(pool or self.days), draw)

    def noticed(self, start_us: int, draw: Draw) -> int:
        """Return a waking moment within 24 hours after `start_us`."""
        moment = start_us
        for _ in range(60):
            moment = start_us + draw.between(*_NOTICE_MINUTES) * 60 * US_PER_SECOND
            weight = _HOURS.get(self.local(moment).hour, 0)
            if draw.below(_BUSIEST) < weight and moment < self._as_of_us:
                return moment
        return min(moment, self._as_of_us - HOUR_US)

    def noticed_late(self, start_us: int, draw: Draw) -> int:
        """Return a working moment two to four days after `start_us`, before the stretch ends."""
        begun = self.local(start_us).date()
        choices = [
            day
            for day in (begun + timedelta(days=n) for n in range(_LATE_DAYS[0], _LATE_DAYS[1] + 1))
            if day <= self.days[-1]
        ]
        working = [day for day in choices if day.weekday() < _WORKDAYS]
        if not choices:
            return self.noticed(start_us, draw)
        return self._on(draw.pick(working or choices), draw)

    def before_end(self, instant_us: int) -> int:
        """Return the moment, or the last second of the stretch where it is later."""
        return min(instant_us, self._as_of_us - US_PER_SECOND)

    def _on(self, day: date, draw: Draw) -> int:
        return self.at(day, draw.weighted(_HOURS) * 3600 + draw.below(3600))

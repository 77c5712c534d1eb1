"""Room: health. Local days, hours and months by integer arithmetic, right on every backend.

Ibis has no time-zone operation, and `cast(timestamp(tz)).date()` gives the UTC (or session) day
without a word. So an instant is cut to whole seconds since 1970, the zone's offset at that
second is added by a CASE over the zone's transitions, and the rest is integer division.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Any, Final

import ibis
from attrs import frozen

from dnr_core.config.zones import zone_of
from dnr_core.health.dialect import SECONDS_PER_DAY, Dialect

EPOCH: Final = date(1970, 1, 1)
_EPOCH_INSTANT: Final = datetime(1970, 1, 1, tzinfo=UTC)

PLAUSIBLE_FROM: Final = -2_208_988_800
PLAUSIBLE_TO: Final = 4_102_444_800
"""1900-01-01 to 2100-01-01 in UTC. An event outside is counted in totals and on no day."""


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def date_of(day: int) -> date:
    """The date that many days after 1970-01-01."""
    return EPOCH + timedelta(days=day)


def seconds_of(instant: datetime) -> int:
    """Whole seconds since 1970; an instant without zone is UTC."""
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return (instant - _EPOCH_INSTANT) // timedelta(seconds=1)


def instant_of(seconds: int) -> datetime:
    """The instant in UTC that many seconds after 1970."""
    return _EPOCH_INSTANT + timedelta(seconds=seconds)


def sound(seconds: Any) -> Any:
    """Seconds since 1970 of a column, null before 1900 and after 2100."""
    return ibis.ifelse(seconds.between(PLAUSIBLE_FROM, PLAUSIBLE_TO), seconds, ibis.null("int64"))


def offset_at(zone: tzinfo, seconds: int) -> int:
    """Seconds that local time is ahead of UTC at an instant."""
    offset = instant_of(seconds).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def transitions(zone: tzinfo, first: int, last: int) -> tuple[tuple[int, int], ...]:
    """Return `(from second, offset in seconds)`, the first entry for all time before the second.

    Found by looking at each day between the two instants and halving the days on which the
    offset changes, so that it needs nothing of a zone but its offset at an instant.
    """
    found = [(first, offset_at(zone, first))]
    step = SECONDS_PER_DAY
    low = first
    while low < last:
        high = low + step
        if (after := offset_at(zone, high)) != found[-1][1]:
            left, right = low, high
            while right - left > 1:
                middle = (left + right) // 2
                if offset_at(zone, middle) == after:
                    right = middle
                else:
                    left = middle
            found.append((right, after))
        low = high
    return tuple(found)


def wall_offsets(zone: tzinfo, first: int, last: int) -> tuple[tuple[int, int], ...]:
    """Return `(from second on the zone's clock, offset)`, to turn its clock back into UTC.

    An hour that the clock shows twice is taken for the first of the two, as Python's `fold=0`; one
    that it leaves out has the offset before it.
    """
    found = transitions(zone, first - SECONDS_PER_DAY, last + SECONDS_PER_DAY)
    walls = [found[0]]
    for (_, before), (second, after) in pairwise(found):
        walls.append((second + max(before, after), after))
    return tuple(walls)


def utc_of_wall(seconds: int, walls: tuple[tuple[int, int], ...]) -> int:
    """Seconds since 1970 in UTC of seconds on a zone's clock."""
    offset = walls[0][1]
    for start, after in walls[1:]:
        offset = after if seconds >= start else offset
    return seconds - offset


@frozen
class LocalClock:
    """Turns timestamp columns into integer columns in the business zone.

    `offsets` are the zone's transitions over the range of the data. `plain` are the columns, as
    `(table, column)`, all of whose times lie between 1970 and 2100: their seconds need no check
    and no care for what is before 1970. A `date` column is a local day already and is taken as
    it is.
    """

    tz: str
    dialect: Dialect
    offsets: tuple[tuple[int, int], ...]
    stored: tuple[tuple[int, int], ...] = ()
    """Wall offsets of the zone in which times without a zone are stored; empty for UTC."""
    plain: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def over(
        cls,
        tz: str,
        dialect: Dialect,
        first: int,
        last: int,
        stored_tz: str | None = None,
        plain: frozenset[tuple[str, str]] = frozenset(),
    ) -> LocalClock:
        """Make a clock that is right for instants between two seconds since 1970."""
        stored = wall_offsets(zone_of(stored_tz), first, last) if stored_tz else ()
        return cls(tz, dialect, transitions(zone_of(tz), first, last), stored, plain)

    def is_plain(self, table: str, columns: tuple[str, ...]) -> bool:
        """Tell whether all times of these columns lie between 1970 and 2100."""
        return bool(columns) and all((table, column) in self.plain for column in columns)

    def seconds(self, instant: Any, *, plain: bool = False) -> Any:
        """Whole seconds since 1970 in UTC."""
        seconds = self.dialect.epoch_seconds(instant, positive=plain)
        if not self.stored or not is_naive(instant):
            return seconds
        shift = _stepped(seconds, self.stored)
        named = self.dialect.names_zone(instant)
        if named is not None:
            shift = ibis.ifelse(named, ibis.literal(0, "int64"), shift)
        return seconds - shift

    def sound_seconds(self, instant: Any, *, plain: bool) -> Any:
        """Whole seconds since 1970 in UTC; null before 1900 and after 2100."""
        seconds = self.seconds(instant, plain=plain)
        return seconds if plain else sound(seconds)

    def hours(self, instant: Any, *, plain: bool) -> Any:
        """Whole hours since 1970 in UTC; null before 1900 and after 2100."""
        if plain and not self.stored:
            return self.dialect.epoch_units(instant, 3600)
        seconds = self.sound_seconds(instant, plain=plain)
        return self.dialect.floor_divide(seconds, 3600, positive=plain)

    def local_seconds(self, seconds: Any) -> Any:
        """Seconds since 1970 on the local clock, of a column of seconds in UTC."""
        return seconds + _stepped(seconds, self.offsets)

    def day_of_seconds(self, seconds: Any, *, plain: bool = False) -> Any:
        """Local day, in days since 1970, of a column of seconds in UTC."""
        local = self.local_seconds(seconds)
        return self.dialect.floor_divide(local, SECONDS_PER_DAY, positive=plain)

    def day(self, instant: Any) -> Any:
        """Local day, in days since 1970."""
        if instant.type().is_date():
            return self.dialect.day_of_date(instant)
        return self.day_of_seconds(self.seconds(instant))

    def day_start(self, day: int) -> int:
        """Second since 1970 at which a local day begins."""
        midnight = datetime.combine(date_of(day), datetime.min.time(), tzinfo=zone_of(self.tz))
        return seconds_of(midnight.astimezone(UTC))

    def hour(self, instant: Any) -> Any:
        """Local hour of the day, 0 to 23."""
        local = self.local_seconds(self.seconds(instant))
        day = self.dialect.floor_divide(local, SECONDS_PER_DAY)
        return self.dialect.floor_divide(local - day * SECONDS_PER_DAY, 3600)

    def month(self, instant: Any) -> Any:
        """Local month as `12 * year + month - 1`."""
        seconds = self.seconds(instant)
        if instant.type().is_date():
            return self.dialect.month_of_seconds(seconds)
        return self.dialect.month_of_seconds(self.local_seconds(seconds))


def is_naive(instant: Any) -> bool:
    """True for a timestamp without a time zone; False for an instant and for a date."""
    kind = instant.type()
    return bool(kind.is_timestamp() and kind.timezone is None)


def _stepped(seconds: Any, steps: tuple[tuple[int, int], ...]) -> Any:
    """The offset that holds at each second."""
    # Compared from the newest down: most rows of a growing table are recent.
    branches = [
        (seconds >= start, ibis.literal(offset, "int64")) for start, offset in reversed(steps[1:])
    ]
    first = ibis.literal(steps[0][1], "int64")
    return ibis.cases(*branches, else_=first) if branches else first


def month_number(day: date) -> int:
    """`12 * year + month - 1` of a date."""
    return day.year * 12 + day.month - 1


def month_start(month: int) -> date:
    """First day of a month number."""
    return date(month // 12, month % 12 + 1, 1)

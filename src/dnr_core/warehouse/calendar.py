"""Room: warehouse. The history of a company in local days, and as-of instants that can be used."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction

import numpy as np
import pyarrow as pa
from attrs import frozen

from dnr_core.config.zones import zone_of
from dnr_core.errors import ConfigError
from dnr_core.model import Company
from dnr_core.synth.calendar import months_before
from dnr_core.synth.draw import Indices


def as_of_instant(moment: datetime, tz: str) -> datetime:
    """Return the as-of in UTC; a moment without a zone is local time.

    Raises:
        ConfigError: it falls in a daylight-saving gap, or is not a local midnight.
    """
    here = zone_of(tz)
    local = moment.replace(tzinfo=here) if moment.tzinfo is None else moment.astimezone(here)
    if moment.tzinfo is None and local.astimezone(UTC).astimezone(here).replace(
        tzinfo=None
    ) != moment.replace(tzinfo=None):
        raise ConfigError(
            f"warehouse.as_of: {moment.isoformat(sep=' ')} does not exist in {tz}: clocks were put forward",
            hint="choose another time, or give it in UTC (with a Z)",
        )
    if local.time() != time(0):
        midnight = datetime.combine(local.date(), time(0), here).astimezone(UTC)
        raise ConfigError(
            f"warehouse.as_of: {moment.isoformat()} is {local:%H:%M} in {tz}, not midnight",
            hint=f"made companies end with a full local day: use {midnight:%Y-%m-%dT%H:%M:%SZ}",
        )
    return local.astimezone(UTC)


@frozen
class History:
    """The local days of a company: `first` to before `end`."""

    tz: str
    first: date
    end: date

    @classmethod
    def of(cls, company: Company) -> History:
        """Return the `months` local months before the as-of; a day of 31 ends in shorter months."""
        end = company.as_of.astimezone(zone_of(company.tz)).date()
        month = end.year * 12 + end.month - 1 - company.months
        if month < 12:
            raise ConfigError(
                f"warehouse.months: {company.months} months before {end} are before the year 1"
            )
        year, index = divmod(month, 12)
        last = calendar.monthrange(year, index + 1)[1]
        return cls(company.tz, date(year, index + 1, min(end.day, last)), end)

    @property
    def days(self) -> int:
        """Number of local days."""
        return (self.end - self.first).days

    def day_at(self, months: Fraction) -> int:
        """Return the number of the day that lies so many local months after the first."""
        whole, part = divmod(months, 1)
        month = months_before(self.first, -int(whole))
        length = (months_before(self.first, -int(whole) - 1) - month).days
        return (month - self.first).days + int(part * length)

    def instant(self, day: int, hour: int = 0) -> datetime:
        """Return the UTC instant of a local hour of the day with that number, 0 the first."""
        local = datetime.combine(self.first + timedelta(days=day), time(hour), zone_of(self.tz))
        return local.astimezone(UTC)


def day_starts_us(days: pa.ChunkedArray, tz: str) -> Indices | None:
    """Return when local days began, as microseconds since the epoch; None where a day is missing."""
    if days.null_count:
        return None
    numbers = days.combine_chunks().cast(pa.int32()).to_numpy(zero_copy_only=False)
    known, place = np.unique(numbers, return_inverse=True)
    zone, epoch = zone_of(tz), date(1970, 1, 1)
    starts = [
        int(datetime.combine(epoch + timedelta(days=day), time(0), zone).timestamp())
        for day in known.tolist()
    ]
    found: Indices = np.array(starts, dtype=np.int64)[place] * 1_000_000
    return found

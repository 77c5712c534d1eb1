"""Room: warehouse. The history of a company in local days, and as-of instants that can be used."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time, timedelta

from attrs import frozen

from dnr_core.config.zones import zone_of
from dnr_core.errors import ConfigError
from dnr_core.model import Company


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

    def instant(self, day: int, hour: int = 0) -> datetime:
        """Return the UTC instant of a local hour of the day with that number, 0 the first."""
        local = datetime.combine(self.first + timedelta(days=day), time(hour), zone_of(self.tz))
        return local.astimezone(UTC)

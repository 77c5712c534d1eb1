"""Room: config. Time zones by name."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dnr_core.errors import ConfigError


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of that name.

    Raises:
        ConfigError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"warehouse.tz: {name!r} is no time zone",
            hint="use a name of the IANA database, such as America/Los_Angeles or UTC",
        ) from None

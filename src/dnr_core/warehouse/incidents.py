"""Room: warehouse. Which dated events a company has: planned once from its seed, before any row.

`plan_incidents` reads nothing but its arguments. A finished warehouse's manifest holds all of
them, so whoever wants a company's incidents (made talk, for one) plans them anew with
`planned_incidents(manifest, ...)` and opens no truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from attrs import frozen

from dnr_core.config.profiles import profile_from
from dnr_core.config.settings import WarehouseSettings
from dnr_core.config.zones import zone_of
from dnr_core.errors import ConfigError, InputError
from dnr_core.model import (
    Archetype,
    Company,
    DefectProfile,
    Incident,
    IncidentRate,
    Schema,
    Table,
)
from dnr_core.synth.draw import exactly, generator, one_below
from dnr_core.warehouse.calendar import History
from dnr_core.workspace import Manifest

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue

PROFILE: Final = "profile"
"""Where a manifest's `extra` holds the profile."""

BUSY_ROWS_A_DAY: Final = 500
"""From this many rows a local day on, a one-day event can be told from chance (definitions)."""

_SETTLED_DAYS: Final = 14
_EDGE_DAYS: Final = 2
_APART_DAYS: Final = 3


def expected_volumes(archetype: Archetype, company: Company) -> dict[str, int]:
    """Return the rows to expect by table: the archetype's volumes times the scale, at least one.

    A snapshot table has as many days as are kept, which its volume counts with the default.
    """
    scale = exactly(company.scale)
    days = min(company.snapshot_days, History.of(company).days)
    kept = Fraction(days, WarehouseSettings().snapshot_days)
    factors = {"snapshot": scale * kept, "dimension": scale, "fact": scale}
    return {
        name: rows
        if name in archetype.fixed_tables
        else max(1, round(rows * factors[archetype.schema[name].kind]))
        for name, rows in archetype.volumes.items()
    }


def can_break(rate: IncidentRate, schema: Schema, table: Table) -> bool:
    """Return whether an incident of that rate can fall on a table."""
    if rate.breaks == "days":
        return table.snapshot_day is not None and bool(columns_of(rate, table))
    if table.kind != "fact":
        return False
    if rate.breaks == "rows":
        # Rows that others point to would leave orphans behind, which no rate asked for.
        return table.event_time is not None and not schema.children(table.name)
    return bool(columns_of(rate, table))


def columns_of(rate: IncidentRate, table: Table) -> tuple[str, ...]:
    """Return the columns of a table that an incident of that rate may break; none where it is rows."""
    if rate.breaks == "rows":
        return ()
    if rate.breaks == "loads":
        return (table.loaded_at,) if table.loaded_at else ()
    if rate.breaks == "days":
        names = tuple(n for n in table.column_names if n not in table.business_key)
        return tuple(n for n in names if not rate.columns or n in rate.columns)
    own = table.required_keys if rate.breaks == "required_keys" else table.column_names
    if rate.breaks == "values" and not rate.columns:
        return ()
    return tuple(name for name in own if not rate.columns or name in rate.columns)


def _how_many(rate: IncidentRate, months: Fraction) -> int:
    if rate.total is not None:
        return rate.total
    return int(exactly(rate.per_quarter) * months / 3 + Fraction(1, 2))


class _Days:
    """Days by table that are busy enough and not near another incident."""

    def __init__(self, days: int, volumes: Mapping[str, int]) -> None:
        self._days = days
        self._volumes = volumes
        self._taken: dict[str, list[tuple[int, int]]] = {}

    def rows(self, table: str, day: int) -> float:
        """Expected rows on a day of a company that grows evenly from nothing: the cautious case."""
        return self._volumes.get(table, 0) * (2 * day + 1) / (self._days * self._days)

    def busy(self, table: str) -> bool:
        return self._volumes.get(table, 0) >= BUSY_ROWS_A_DAY * self._days

    def pick(self, rng: np.random.Generator, table: str, span: Span) -> int:
        """Return a first day for an incident of `span.length` days, and take it."""
        inner = [
            day
            for day in range(
                max(span.low, span.settled), min(span.high, span.end - span.edge - span.length + 1)
            )
            if all(
                (first - day - span.length >= _APART_DAYS - 1 and first > day)
                or day - last >= _APART_DAYS
                for first, last in self._taken.get(table, ())
            )
        ]
        # Where no day of the span is surely busy, its last third comes nearest to it.
        days = [day for day in inner if self.rows(table, day) >= BUSY_ROWS_A_DAY]
        days = days or inner[2 * len(inner) // 3 :]
        days = days or list(range(span.low, max(span.high, span.low + 1)))
        day = days[one_below(rng, len(days))]
        self._taken.setdefault(table, []).append((day, day + span.length - 1))
        return day


@frozen
class Span:
    """Where one incident of `length` days may begin: from day `low` to before day `high`.

    The days before `settled` and the last `edge` days before `end` are avoided.
    """

    low: int
    high: int
    settled: int
    edge: int
    end: int
    length: int


def _spans(rate: IncidentRate, history: History, company: Company) -> list[Span]:
    """Return where each incident of a rate may begin.

    Over the whole history spans are cut by months, so that two a quarter are two in every quarter.
    """
    period = days_of(rate.options, history)
    low, high, settled, edge = 0, history.days, _SETTLED_DAYS, _EDGE_DAYS
    if rate.breaks == "days":
        # A snapshot keeps the last days only, and what a day repeats must be kept too.
        kept = min(company.snapshot_days, history.days)
        low, settled, edge = history.days - kept + max(1, round(rate.size)), 0, 0
    if period is not None:
        # Who names days means them: what is left to chance avoids the ends.
        low, high, settled, edge = max(low, period[0]), min(high, period[1]), 0, 0
    count = _how_many(rate, Fraction(company.months * max(0, high - low), history.days))
    length = rate.days if rate.hours is None else max(1, -(-rate.hours // 24))
    last = max(low + 1, high - length + 1)
    borders = [
        min(last, history.day_at(Fraction(company.months * index, count)))
        if (low, high) == (0, history.days)
        else low + index * (last - low) // count
        for index in range(count + 1 if count else 0)
    ]
    return [
        Span(first, until, low + settled, edge, high, length) for first, until in pairwise(borders)
    ]


def days_of(options: Mapping[str, Any], history: History) -> tuple[int, int] | None:
    """Return the local days, by number, of the options `from` and `until`; None without either."""
    if "from" not in options and "until" not in options:
        return None
    low, high = period_of(options, history.tz)
    zone = zone_of(history.tz)
    first = 0 if low is None else (low.astimezone(zone).date() - history.first).days
    last = history.days if high is None else (high.astimezone(zone).date() - history.first).days
    return first, last


def period_of(options: Mapping[str, Any], tz: str) -> tuple[datetime | None, datetime | None]:
    """Return the instants of the options `from` and `until`; a day is its local midnight."""

    def instant(value: Any) -> datetime | None:
        if value is None:
            return None
        moment = value if isinstance(value, datetime) else datetime.combine(value, time(0))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone_of(tz))
        return moment.astimezone(UTC)

    return instant(options.get("from")), instant(options.get("until"))


def plan_incidents(
    archetype: Archetype,
    company: Company,
    profile: DefectProfile,
    volumes: Mapping[str, int],
) -> tuple[Incident, ...]:
    """Return the incidents of a company, in the profile's order: a pure function of its arguments.

    The history (or the period of the rate) is cut into as many equal spans as there are incidents
    of a rate, and each falls on local days of its span. Tables are fact tables with at least
    `BUSY_ROWS_A_DAY` rows a local day, taken in turns; where there is none, the largest one.

    Args:
        archetype: the kind of company; only its schema is read.
        company: seed, months, as-of, time zone and days of snapshots are used.
        profile: its `incidents` say how many of which kind and size.
        volumes: rows to expect by table, as `expected_volumes` gives them.
    """
    return tuple(incident for incident, _ in rated_incidents(archetype, company, profile, volumes))


def rated_incidents(
    archetype: Archetype,
    company: Company,
    profile: DefectProfile,
    volumes: Mapping[str, int],
) -> list[tuple[Incident, IncidentRate]]:
    """Return the incidents as `plan_incidents` does, each with the rate that it is of."""
    history = History.of(company)
    days = _Days(history.days, volumes)
    planned: list[tuple[Incident, IncidentRate]] = []
    numbers: dict[str, int] = {}
    for place, rate in enumerate(profile.incidents):
        tables = [
            table
            for table in archetype.schema.tables
            if (not rate.tables or table.name in rate.tables)
            and can_break(rate, archetype.schema, table)
        ]
        if not tables:
            continue
        largest = max(tables, key=lambda table: volumes.get(table.name, 0))
        targets = [table for table in tables if days.busy(table.name)] or [largest]
        rng = generator(company.seed, company.archetype, "incidents", rate.kind, place)
        first = one_below(rng, len(targets))
        for index, span in enumerate(_spans(rate, history, company)):
            table = targets[(first + index) % len(targets)]
            day = days.pick(rng, table.name, span)
            number = numbers[rate.kind] = numbers.get(rate.kind, 0) + 1
            columns = columns_of(rate, table)
            if columns and rate.breaks != "days":
                columns = (columns[one_below(rng, len(columns))],)
            start, end = _window(rate, history, day, rng)
            planned.append(
                (
                    Incident(
                        id=f"{rate.kind}-{number:02d}",
                        kind=rate.kind,
                        table=table.name,
                        columns=columns,
                        start=start,
                        end=end,
                        size=rate.size,
                    ),
                    rate,
                )
            )
    return planned


def _window(
    rate: IncidentRate, history: History, day: int, rng: np.random.Generator
) -> tuple[datetime, datetime]:
    if rate.hours is None:
        last = min(day + rate.days, history.days)
        return history.instant(day, rate.from_hour or 0), history.instant(last)
    hour = 9 + one_below(rng, 5) if rate.from_hour is None else rate.from_hour
    start = history.instant(day, hour)
    return start, start + timedelta(hours=rate.hours)


def company_of(manifest: Manifest) -> Company:
    """Return the company that a finished warehouse's manifest tells of.

    Raises:
        InputError: it is not the manifest of a made warehouse.
    """
    told = manifest.settings
    try:
        return Company(
            archetype=manifest.archetype,
            seed=int(told["seed"]),
            scale=float(told["scale"]),
            months=int(told["months"]),
            as_of=datetime.fromisoformat(told["as_of"]),
            tz=str(told["tz"]),
            trajectory=str(told["trajectory"]),
            snapshot_days=int(told["snapshot_days"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the manifest of {manifest.archetype or 'this folder'} does not tell the company "
            f"that was made: {error}"
        ) from None


def recorded_profile(manifest: Manifest, catalogue: Catalogue) -> DefectProfile:
    """Return the profile of a finished warehouse, as its manifest holds it.

    Raises:
        UnknownNameError: a kind of defect is not installed.
        InputError: the manifest is of no made warehouse, or damaged.
    """
    if "quality" not in manifest.settings:
        raise InputError("the manifest names no quality profile, so it is of no made warehouse")
    content = manifest.extra.get(PROFILE)
    if content is None:
        return catalogue.profile(str(manifest.settings["quality"]))
    try:
        return profile_from(content, catalogue)
    except ConfigError as error:
        raise InputError(str(error), hint=error.hint) from None


def planned_incidents(
    manifest: Manifest, archetype: Archetype, catalogue: Catalogue
) -> tuple[Incident, ...]:
    """Return the incidents of a finished warehouse from its manifest alone; opens no truth.

    Raises:
        InputError: it is not the manifest of a made warehouse.
        UnknownNameError: a kind of its profile is not installed.
    """
    company = company_of(manifest)
    profile = recorded_profile(manifest, catalogue)
    return plan_incidents(archetype, company, profile, expected_volumes(archetype, company))


def row_share(rate: IncidentRate) -> float:
    """Return the share of its window's rows that an incident touches."""
    return rate.size if rate.row_share is None else rate.row_share

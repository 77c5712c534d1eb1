"""Room: warehouse. Which dated events a company has: planned once from its seed, before any row.

`plan_incidents` reads nothing but its arguments. A finished warehouse's manifest holds all of
them, so whoever wants a company's incidents (made talk, for one) plans them anew with
`planned_incidents(manifest, ...)` and opens no truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from dnr_core.errors import InputError
from dnr_core.model import Archetype, Company, DefectProfile, Incident, IncidentRate, Table
from dnr_core.synth.draw import exactly, generator, one_below
from dnr_core.warehouse.calendar import History
from dnr_core.workspace import Manifest

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue

BUSY_ROWS_A_DAY: Final = 500
"""From this many rows a local day on, a one-day event can be told from chance (definitions)."""

_SETTLED_DAYS: Final = 14
_EDGE_DAYS: Final = 2
_APART_DAYS: Final = 3


def expected_volumes(archetype: Archetype, company: Company) -> dict[str, int]:
    """Return the rows to expect by table: the archetype's volumes times the scale, at least one."""
    scale = exactly(company.scale)
    return {
        name: rows if name in archetype.fixed_tables else max(1, round(rows * scale))
        for name, rows in archetype.volumes.items()
    }


def columns_of(rate: IncidentRate, table: Table) -> tuple[str, ...]:
    """Return the columns of a table that an incident of that rate may break."""
    if rate.breaks == "loads":
        return (table.loaded_at,) if table.loaded_at else ()
    own = table.required_keys if rate.breaks == "required_keys" else table.column_names
    if rate.breaks == "values" and not rate.columns:
        return ()
    return tuple(name for name in own if not rate.columns or name in rate.columns)


def _how_many(rate: IncidentRate, months: int) -> int:
    if rate.total is not None:
        return rate.total
    return int(exactly(rate.per_quarter) * months / 3 + Fraction(1, 2))


class _Days:
    """Days by table that are busy enough and not near another incident."""

    def __init__(self, days: int, volumes: Mapping[str, int]) -> None:
        self._days = days
        self._volumes = volumes
        self._taken: dict[str, list[int]] = {}

    def rows(self, table: str, day: int) -> float:
        """Expected rows on a day of a company that grows evenly from nothing: the cautious case."""
        return self._volumes.get(table, 0) * (2 * day + 1) / (self._days * self._days)

    def busy(self, table: str) -> bool:
        return self._volumes.get(table, 0) >= BUSY_ROWS_A_DAY * self._days

    def pick(self, rng: np.random.Generator, table: str, low: int, high: int) -> int:
        inner = [
            day
            for day in range(max(low, _SETTLED_DAYS), min(high, self._days - _EDGE_DAYS))
            if all(abs(day - other) >= _APART_DAYS for other in self._taken.get(table, ()))
        ]
        # Where no day of the span is surely busy, its last third comes nearest to it.
        days = [day for day in inner if self.rows(table, day) >= BUSY_ROWS_A_DAY]
        days = days or inner[2 * len(inner) // 3 :]
        days = days or list(range(low, max(high, low + 1)))
        day = days[one_below(rng, len(days))]
        self._taken.setdefault(table, []).append(day)
        return day


def plan_incidents(
    archetype: Archetype,
    company: Company,
    profile: DefectProfile,
    volumes: Mapping[str, int],
) -> tuple[Incident, ...]:
    """Return the incidents of a company, in the profile's order: a pure function of its arguments.

    The history is cut into as many equal spans as there are incidents of a rate, and each
    falls on one local day of its span. Tables are fact tables with at least `BUSY_ROWS_A_DAY`
    rows a local day, taken in turns; where there is none, the largest one.

    Args:
        archetype: the kind of company; only its schema is read.
        company: seed, months, as-of and time zone are used.
        profile: its `incidents` say how many of which kind and size.
        volumes: rows to expect by table, as `expected_volumes` gives them.
    """
    history = History.of(company)
    days = _Days(history.days, volumes)
    planned: list[Incident] = []
    numbers: dict[str, int] = {}
    for place, rate in enumerate(profile.incidents):
        tables = [
            table
            for table in archetype.schema.facts
            if (not rate.tables or table.name in rate.tables) and columns_of(rate, table)
        ]
        if not tables:
            continue
        largest = max(tables, key=lambda table: volumes.get(table.name, 0))
        targets = [table for table in tables if days.busy(table.name)] or [largest]
        rng = generator(company.seed, company.archetype, "incidents", rate.kind, place)
        first = one_below(rng, len(targets))
        count = _how_many(rate, company.months)
        for index in range(count):
            table = targets[(first + index) % len(targets)]
            low, high = index * history.days // count, (index + 1) * history.days // count
            day = days.pick(rng, table.name, low, high)
            columns = columns_of(rate, table)
            column = columns[one_below(rng, len(columns))]
            if rate.hours is None:
                start, end = history.instant(day), history.instant(day + 1)
            else:
                start = history.instant(day, 9 + one_below(rng, 5))
                end = start + timedelta(hours=rate.hours)
            number = numbers[rate.kind] = numbers.get(rate.kind, 0) + 1
            planned.append(
                Incident(
                    id=f"{rate.kind}-{number:02d}",
                    kind=rate.kind,
                    table=table.name,
                    columns=(column,),
                    start=start,
                    end=end,
                    size=rate.size,
                )
            )
    return tuple(planned)


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


def planned_incidents(
    manifest: Manifest, archetype: Archetype, catalogue: Catalogue
) -> tuple[Incident, ...]:
    """Return the incidents of a finished warehouse from its manifest alone; opens no truth.

    Raises:
        InputError: it is not the manifest of a made warehouse.
        UnknownNameError: its profile is not installed.
    """
    if "quality" not in manifest.settings:
        raise InputError("the manifest names no quality profile, so it is of no made warehouse")
    company = company_of(manifest)
    profile = catalogue.profile(str(manifest.settings["quality"]))
    return plan_incidents(archetype, company, profile, expected_volumes(archetype, company))


def rate_of(incident: Incident, profile: DefectProfile) -> IncidentRate:
    """Return the profile's rate that an incident was planned by."""
    fitting = [rate for rate in profile.incidents if rate.kind == incident.kind]
    return next(
        (r for r in fitting if not r.tables or incident.table in r.tables),
        fitting[0],
    )


def row_share(rate: IncidentRate) -> float:
    """Return the share of its window's rows that an incident touches."""
    return rate.size if rate.row_share is None else rate.row_share

"""For the tests of archetypes: a made company in DuckDB, its clock, and its stated distributions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from math import erf, sqrt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from attrs import frozen

from dnr_core.model import Archetype, Company, load

AS_OF = datetime(2025, 7, 1, 7, tzinfo=UTC)
LOS_ANGELES = "America/Los_Angeles"
ALARM = 4.0
"""Deviations from which on a test refuses: by chance 3 times in 100,000."""


@frozen
class IbisClock:
    """Local days and hours as a hand-made CASE over the zone's transitions."""

    company: Company

    def seconds(self, instant: Any) -> Any:
        return instant.epoch_seconds()

    def _local(self, instant: Any) -> Any:
        import ibis

        from dnr_core.synth import company_clock

        told, seconds = company_clock(self.company), self.seconds(instant)
        branches = [
            (seconds >= int(start), int(offset))
            for start, offset in reversed(list(zip(told.changes, told.offsets, strict=True)))
        ]
        return seconds + ibis.cases(*branches, else_=int(told.offsets[0]))

    def day(self, instant: Any) -> Any:
        return self._local(instant) // 86_400

    def hour(self, instant: Any) -> Any:
        return self._local(instant) % 86_400 // 3600

    def month(self, instant: Any) -> Any:
        import ibis

        day = self.day(instant)
        starts = [(date(n // 12, n % 12 + 1, 1), n) for n in range(2023 * 12, 2025 * 12 + 8)]
        branches = [(day >= (start - date(1970, 1, 1)).days, n) for start, n in reversed(starts)]
        return ibis.cases(*branches)


class Made:
    """A made company in DuckDB, to be asked and broken."""

    def __init__(self, archetype: Archetype, company: Company) -> None:
        import duckdb
        import pyarrow as pa

        self.archetype, self.company = archetype, company
        self.raw = duckdb.connect(":memory:", config={"threads": 2})
        self.raw.execute("SET TimeZone = 'UTC'")
        for name, batches in rows_of(archetype, company).items():
            made = pa.Table.from_batches(batches)
            self.raw.register("made", made)
            self.raw.execute(f"CREATE TABLE {name} AS FROM made")
            self.raw.unregister("made")

    def sql(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        cursor = self.raw.execute(query, parameters or None)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def one(self, query: str) -> Any:
        return self.raw.execute(query).fetchone()[0]

    def all(self, query: str) -> list[tuple[Any, ...]]:
        return self.raw.execute(query).fetchall()

    def ibis(self) -> Any:
        import ibis

        return ibis.duckdb.from_connection(self.raw)

    def execute(self, expression: Any) -> list[dict[str, Any]]:
        import ibis

        return self.sql(str(ibis.to_sql(expression, dialect="duckdb")))

    def kpis(self, months: tuple[int, ...]) -> Any:
        from dnr_core.model import KpiContext

        backend, told = self.ibis(), IbisClock(self.company)
        tables = {name: backend.table(name) for name in self.archetype.schema.names}
        return KpiContext(tables, told.day, told.month, months)


def rows_of(archetype: Archetype, company: Company) -> dict[str, list[Any]]:
    """All batches of a company by table, as its families give them."""
    made: dict[str, list[Any]] = {}
    for family in load(archetype.synthesis).families:
        for chunk in range(family.chunks(company)):
            for name, batch in family.generate(company, chunk).items():
                made.setdefault(name, []).append(batch)
    return made


@pytest.fixture(scope="session")
def rows() -> Callable[[Archetype, Company], dict[str, list[Any]]]:
    """All batches of a company by table."""
    return rows_of


@pytest.fixture(scope="session")
def company() -> Callable[..., Company]:
    """A tiny company of an archetype; keywords change it."""

    def make(archetype: str, **changes: Any) -> Company:
        told = {"seed": 42, "scale": 0.01, "months": 18, "as_of": AS_OF, "tz": LOS_ANGELES}
        return Company(
            **{"archetype": archetype, "trajectory": "T1", "snapshot_days": 90, **told, **changes}
        )

    return make


@pytest.fixture(scope="session")
def make() -> Callable[[Archetype, Company], Made]:
    """Make a company in DuckDB."""
    return Made


@pytest.fixture(scope="session")
def clock_of() -> Callable[[Company], IbisClock]:
    return IbisClock


@pytest.fixture(scope="session")
def stated() -> Callable[..., dict[str, list[float]]]:
    """Expected shares of the weekdays, local hours, months and UTC hours of a company's events.

    Worked out by walking through the history hour by hour with the standard library: trend x
    weekday x local hour, as the archetype's documentation states them.
    """

    def shares(
        company: Company,
        weekday: Sequence[int],
        hour: Sequence[int],
        month: Callable[[int], float] = lambda _: 1.0,
    ) -> dict[str, list[float]]:
        zone, at = ZoneInfo(company.tz), datetime(2024, 1, 1, 8, tzinfo=UTC)
        found = {"weekday": [0.0] * 7, "hour": [0.0] * 24, "month": [0.0] * 18, "slot": []}
        while at < company.as_of:
            here = at.astimezone(zone)
            number = here.year * 12 + here.month - 1 - 2024 * 12
            weight = weekday[here.weekday()] * hour[here.hour] * month(number)
            found["weekday"][here.weekday()] += weight
            found["hour"][here.hour] += weight
            found["month"][number] += weight
            found["slot"].append(weight)
            at += timedelta(hours=1)
        whole = sum(found["slot"])
        return {part: [weight / whole for weight in found[part]] for part in found}

    return shares


@pytest.fixture(scope="session")
def chance() -> Callable[..., float]:
    """The chance that a chi-square test at `ALARM` refuses `size` draws that come from the `true`
    shares and not from the `told` ones: its power, by Patnaik's approximation."""

    def power(size: int, told: Iterable[float], true: Iterable[float]) -> float:
        told, true = list(told), list(true)
        low, high = sum(told), sum(true)
        pairs = [(a / low, b / high) for a, b in zip(told, true, strict=True)]
        far = size * sum((b - a) ** 2 / a for a, b in pairs)
        freedom = len(pairs) - 1
        spread = 2 / (9 * freedom)
        limit = freedom * (1 - spread + ALARM * sqrt(spread)) ** 3
        scale = (freedom + 2 * far) / (freedom + far)
        wide = (freedom + far) ** 2 / (freedom + 2 * far)
        spread = 2 / (9 * wide)
        z = ((limit / (scale * wide)) ** (1 / 3) - (1 - spread)) / sqrt(spread)
        return 0.5 * (1 - erf(z / sqrt(2)))

    return power

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import ibis
import numpy as np
import pyarrow as pa
import pytest
from attrs import evolve, frozen

from dnr_core.model import Company, KpiContext, load
from dnr_core.synth import company_clock
from dnr_marketplace.archetype import MARKETPLACE

TINY = Company(
    "marketplace",
    42,
    0.01,
    18,
    datetime(2025, 7, 1, 7, tzinfo=UTC),
    "America/Los_Angeles",
    "T1",
    90,
)


@frozen
class IbisClock:
    """Local days and hours as a hand-made CASE over the zone's transitions."""

    company: Company

    def seconds(self, instant: Any) -> Any:
        return instant.epoch_seconds()

    def _local(self, instant: Any) -> Any:
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
        day = self.day(instant)
        starts = [(date(n // 12, n % 12 + 1, 1), n) for n in range(2023 * 12, 2025 * 12 + 8)]
        branches = [(day >= (start - date(1970, 1, 1)).days, n) for start, n in reversed(starts)]
        return ibis.cases(*branches)


class Market:
    """A made company in DuckDB, to be asked and broken."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.raw = duckdb.connect(":memory:", config={"threads": 2})
        self.raw.execute("SET TimeZone = 'UTC'")
        synthesis = load(MARKETPLACE.synthesis)
        for family in synthesis.families:
            parts = [family.generate(company, n) for n in range(family.chunks(company))]
            for name in family.tables:
                made = pa.Table.from_batches([part[name] for part in parts])
                self.raw.register("made", made)
                self.raw.execute(f"CREATE TABLE {name} AS FROM made")
                self.raw.unregister("made")

    def sql(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        cursor = self.raw.execute(query, parameters or None)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def one(self, query: str) -> Any:
        return self.raw.execute(query).fetchone()[0]

    def all(self, query: str) -> list[tuple]:
        return self.raw.execute(query).fetchall()

    def ibis(self) -> Any:
        return ibis.duckdb.from_connection(self.raw)

    def execute(self, expression: Any) -> list[dict[str, Any]]:
        return self.sql(str(ibis.to_sql(expression, dialect="duckdb")))

    def kpis(self, months: tuple[int, ...]) -> KpiContext:
        backend, told = self.ibis(), IbisClock(self.company)
        tables = {name: backend.table(name) for name in MARKETPLACE.schema.names}
        return KpiContext(tables, told.day, told.month, months)


@pytest.fixture(scope="session")
def tiny() -> Company:
    return TINY


@pytest.fixture(scope="session")
def market() -> Iterator[Market]:
    """A clean marketplace of a twentieth of the evaluation's size; nobody writes to it."""
    made = Market(evolve(TINY, scale=0.05))
    yield made
    made.raw.close()


@pytest.fixture
def broken(tiny: Company) -> Iterator[Market]:
    """A small clean marketplace that the test may break."""
    made = Market(tiny)
    yield made
    made.raw.close()


@pytest.fixture(scope="session")
def clock_of() -> Callable[[Company], IbisClock]:
    return IbisClock


@pytest.fixture(scope="session")
def chi_square() -> Callable[..., float]:
    """How many standard deviations a chi-square of counts lies above its mean."""

    def deviations(counts: Any, shares: Any) -> float:
        counts, shares = np.asarray(counts, float), np.asarray(shares, float)
        wanted = counts.sum() * shares / shares.sum()
        freedom = len(counts) - 1
        spread = 2 / (9 * freedom)
        statistic = ((counts - wanted) ** 2 / wanted).sum()
        return float(((statistic / freedom) ** (1 / 3) - (1 - spread)) / spread**0.5)

    return deviations

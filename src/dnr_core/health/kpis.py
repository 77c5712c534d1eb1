"""Room: health. Figures by local month: revenue by stream, KPIs; and the archetype's guardrails."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from statistics import median
from typing import Any, Final

from attrs import frozen

from dnr_core.config.settings import Settings
from dnr_core.errors import DnrError
from dnr_core.health.connect import Warehouse
from dnr_core.health.counts import NO_DAY, Counts
from dnr_core.health.local_time import LocalClock, date_of, month_number, month_start
from dnr_core.health.longform import Measured, Span
from dnr_core.health.money import row_amount, unit_of
from dnr_core.health.once import once
from dnr_core.health.times import event_columns, first_of
from dnr_core.model.archetype import (
    Archetype,
    Guardrail,
    GuardrailResult,
    Kpi,
    KpiContext,
    RevenueStream,
)
from dnr_core.model.health import MonthlyFigure, NotMeasured
from dnr_core.model.lazy import load
from dnr_core.model.schema import Table

MEDIAN_MONTHS: Final = 3


@frozen
class Months:
    """Local months of the history, as `12 * year + month - 1`, and which of them are whole."""

    numbers: tuple[int, ...]
    whole: frozenset[int]

    @classmethod
    def of(cls, span: Span, first_day: int) -> Months:
        """Months from the one of `first_day` to the last day of the span."""
        first, last = date_of(first_day), date_of(span.last)
        numbers = range(month_number(first), month_number(last) + 1)
        whole = {
            number
            for number in numbers
            if month_start(number) >= first and month_start(number + 1) <= date_of(span.last + 1)
        }
        return cls(tuple(numbers), frozenset(whole))

    def figure(self, name: str, title: str, unit: str, month: int, value: Any) -> MonthlyFigure:
        """Make a figure; values that are no number are left empty."""
        number = None if value is None else float(value)
        if number is not None and not isfinite(number):
            number = None
        start = month_start(month)
        return MonthlyFigure(name, title, unit, start, number, complete=month in self.whole)


def revenue(
    warehouse: Warehouse, tables: list[Measured], months: Months, span: Span, clock: LocalClock
) -> tuple[list[MonthlyFigure], list[NotMeasured]]:
    """Revenue (and other volumes of money) by stream and month, each business key once, in cents."""
    found: list[MonthlyFigure] = []
    missing: list[NotMeasured] = []
    counted = {measured.name: measured.counts for measured in tables}
    for stream in warehouse.archetype.streams:
        if stream.table not in warehouse:
            why = f"stream {stream.name!r} lies in a table that is not there"
            missing.append(NotMeasured(stream.table, "", stream.name, why))
            continue
        counts = counted.get(stream.table)
        if counts and _at_event(warehouse.archetype, stream):
            sums = _from_counts(counts, stream, span)
        else:
            sums = _by_query(warehouse, stream, clock, span)
        unit = unit_of(warehouse.table(stream.table), stream)
        found += [
            months.figure(
                stream.name, stream.title or stream.name, "cents", m, sums.get(m, 0) * 100 / unit
            )
            for m in months.numbers
        ]
    return found, missing


def _at_event(archetype: Archetype, stream: RevenueStream) -> bool:
    """True where the stream's money belongs to the month of the row's own event."""
    own = event_columns(archetype.schema[stream.table])
    if stream.time is None:
        return True
    if not own or own[0] != stream.time:
        return False
    sure = any(c.column == stream.time and c.op == "not_null" for c in stream.where)
    return len(own) == 1 or sure


def _from_counts(counts: Counts, stream: RevenueStream, span: Span) -> dict[int, int]:
    place = next(i for i, r in enumerate(counts.frame.purse.reaches) if r.stream == stream)
    sums: dict[int, int] = {}
    for sign, tally in ((1, counts.tally), (-1, counts.extra)):
        for day, amount in zip(tally.days.tolist(), tally.streams[:, place], strict=True):
            if day != NO_DAY and day <= span.last and amount:
                month = month_number(date_of(day))
                sums[month] = sums.get(month, 0) + sign * amount
    return sums


def _by_query(
    warehouse: Warehouse, stream: RevenueStream, clock: LocalClock, span: Span
) -> dict[int, int]:
    table = once(warehouse, warehouse.archetype.schema[stream.table])
    time = table[stream.time or ""]
    rows = table.select(day=clock.day(time), amount=row_amount(table, stream))
    rows = rows.filter(rows.day.notnull(), rows.day <= span.last)
    grouped = rows.group_by("day").agg(amount=rows.amount.sum())
    sums: dict[int, int] = {}
    for day, amount in warehouse.rows(grouped.select("day", "amount")):
        month = month_number(date_of(int(day)))
        sums[month] = sums.get(month, 0) + int(amount or 0)
    return sums


def usual_month(archetype: Archetype, figures: list[MonthlyFigure]) -> tuple[float | None, str]:
    """Median revenue of the last three whole local months, in cents, and a note where it is not.

    None where no money is declared, or no month is whole.
    """
    names = {stream.name for stream in archetype.revenue_streams}
    by_month: dict[Any, float] = {}
    for figure in figures:
        if figure.name in names and figure.complete:
            by_month[figure.month] = by_month.get(figure.month, 0.0) + (figure.value or 0.0)
    if not names:
        return None, ""
    last = [by_month[month] for month in sorted(by_month)][-MEDIAN_MONTHS:]
    if not last:
        return None, "no month is whole, so there is no usual month to compare money with"
    if len(last) < MEDIAN_MONTHS:
        return median(last), f"the usual month is the median of {len(last)} whole months, not of 3"
    return median(last), ""


def kpis(
    warehouse: Warehouse, tables: list[Measured], months: Months, span: Span, clock: LocalClock
) -> tuple[list[MonthlyFigure], list[NotMeasured]]:
    """The archetype's KPIs by local month, each row once, rows of days after the as-of left out."""
    if not warehouse.archetype.kpis:
        return [], []
    schema = warehouse.archetype.schema
    given = {t.name: once(warehouse, t) for t in schema.tables if t.name in warehouse}
    for measured in tables:
        if (measured.counts.tally.days > span.last).any():
            given[measured.name] = _until(given[measured.name], schema[measured.name], span, clock)
    context = KpiContext(given, clock.day, clock.month, months.numbers)
    found: list[MonthlyFigure] = []
    missing: list[NotMeasured] = []
    for kpi in warehouse.archetype.kpis:
        try:
            expression = load(kpi.expression)(context)
            rows = warehouse.rows(expression.select("month", "value"))
        except Exception as error:  # noqa: BLE001 - an archetype's own code may raise anything
            missing.append(NotMeasured("", "", kpi.name, _fault("KPI", kpi, error)))
            continue
        values = {int(month): value for month, value in rows if month is not None}
        found += [
            months.figure(kpi.name, kpi.title, kpi.unit, m, values.get(m)) for m in months.numbers
        ]
    return found, missing


def _until(rows: Any, table: Table, span: Span, clock: LocalClock) -> Any:
    columns = event_columns(table)
    if not columns:
        return rows
    event = first_of(rows, columns)
    if event.type().is_date():
        return rows.filter(event.isnull() | (clock.day(event) <= span.last))
    seconds = clock.seconds(event)
    return rows.filter(seconds.isnull() | (seconds < clock.day_start(span.last + 1)))


def _fault(what: str, thing: Kpi | Guardrail, error: Exception) -> str:
    first = str(error) if isinstance(error, DnrError) else f"{type(error).__name__}: {error}"
    return f"the {what} {thing.title!r} failed: {(first.splitlines() or [first])[0]}"


def guardrails(
    warehouse: Warehouse, settings: Settings, clock: LocalClock
) -> tuple[dict[str, GuardrailResult], list[NotMeasured]]:
    """The archetype's own checks, with the limits of the settings or their defaults."""
    found: dict[str, GuardrailResult] = {}
    missing: list[NotMeasured] = []
    names = warehouse.archetype.schema.names
    tables: Mapping[str, Any] = {n: warehouse.table(n) for n in names if n in warehouse}
    for guardrail in warehouse.archetype.guardrails:
        try:
            limits = settings.guardrails.get(guardrail.settings_path)
            limits = guardrail.settings() if limits is None else limits
            measure = load(guardrail.measure)
            found[guardrail.name] = measure(tables, limits, clock, warehouse.dicts)
        except Exception as error:  # noqa: BLE001 - an archetype's own code may raise anything
            missing.append(
                NotMeasured("", "", guardrail.name, _fault("guardrail", guardrail, error))
            )
    return found, missing

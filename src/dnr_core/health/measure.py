"""Room: health. Measures a whole warehouse: tables one by one, then what is made of their counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from attrs import frozen

from dnr_core.config.settings import DEFAULT_AS_OF, Settings
from dnr_core.config.zones import zone_of
from dnr_core.errors import InputError
from dnr_core.health.capabilities import told
from dnr_core.health.connect import Warehouse
from dnr_core.health.counts import NO_DAY, Counts, count
from dnr_core.health.incidents import Findings, detect
from dnr_core.health.kpis import Months, guardrails, kpis, revenue, usual_month
from dnr_core.health.lag import Lags, lags
from dnr_core.health.local_time import (
    LocalClock,
    date_of,
    day_number,
    instant_of,
    offset_at,
    seconds_of,
)
from dnr_core.health.longform import Measured, Span, lines, to_arrow, totals
from dnr_core.health.proof import proofs
from dnr_core.health.ranges import present_tables, range_of_times
from dnr_core.health.rates import RateFindings
from dnr_core.health.slo import Limits, verdicts
from dnr_core.health.times import naive_columns
from dnr_core.model.health import DetectedIncident, HealthResult, NotMeasured
from dnr_core.progress import Progress, Silent

TASK: Final = "health"


@frozen
class Setup:
    """What is settled before a table is read."""

    clock: LocalClock
    limits: Limits
    tz: str
    as_of: datetime

    @property
    def last_day(self) -> int:
        """The local day on which the as-of ends, as days since 1970."""
        end = seconds_of(self.as_of)
        return (end - 1 + offset_at(zone_of(self.tz), end - 1)) // 86_400


def prepare(warehouse: Warehouse, settings: Settings, as_of: datetime | None = None) -> Setup:
    """Settle zone, limits and as-of.

    Raises:
        InputError: no as-of is given and no row has an event time.
        ConfigError: a wrong zone or limit.
    """
    archetype = warehouse.archetype
    told = warehouse.manifest.settings if warehouse.manifest else {}
    tz = str(told.get("tz") or archetype.tz or settings.warehouse.tz)
    zone_of(tz)
    names = [
        name
        for table in archetype.schema.tables
        for name in (
            table.name,
            *(f"{table.name}.{c}" for c in table.column_names),
            *(f"{table.name}.{k.label}" for k in table.foreign_keys),
        )
    ]
    limits = Limits.of(settings.report, tuple(dict.fromkeys(names)))
    # Asked again when the rows of the top needs are looked into.
    times = warehouse.remember("range of times", lambda: range_of_times(warehouse))
    as_of = as_of or settings.warehouse.as_of
    if as_of is None and told.get("as_of"):
        as_of = datetime.fromisoformat(str(told["as_of"]))
    if as_of is None and warehouse.made:
        as_of = DEFAULT_AS_OF
    if as_of is None:
        if times.last_event is None:
            raise InputError(
                f"no row of {warehouse.shown} has an event time, so there is no day to report on",
                hint="name the event time of a fact table in the schema file, or give --as-of",
            )
        as_of = _day_end(tz, times.last_event)
    if as_of.tzinfo is None:
        as_of = as_of.replace(tzinfo=zone_of(tz))
    as_of = as_of.astimezone(UTC)
    end = seconds_of(as_of)
    clock = LocalClock.over(
        tz,
        warehouse.dialect,
        min(times.first, end) - 86_400,
        max(times.last, end) + 86_400,
        archetype.stored_tz,
        times.plain,
    )
    return Setup(clock, limits, tz, as_of)


def _day_end(tz: str, second: int) -> datetime:
    zone = zone_of(tz)
    day = instant_of(second).astimezone(zone).date()
    following = date_of(day_number(day) + 1)
    return datetime.combine(following, datetime.min.time(), tzinfo=zone).astimezone(UTC)


def _span(setup: Setup, settings: Settings, counted: list[Counts]) -> Span:
    last = setup.last_day
    facts = [c for c in counted if c.frame.table.kind == "fact"] or counted
    days = [
        int(day) for counts in facts for day in counts.tally.days if day != NO_DAY and day <= last
    ]
    history = min(days, default=last)
    length = settings.report.window_days
    window = history if length is None else max(history, last - length + 1)
    return Span(history, window, last, seconds_of(setup.as_of), setup.tz)


def measure(
    warehouse: Warehouse,
    settings: Settings,
    *,
    as_of: datetime | None = None,
    on_incidents: Callable[[tuple[DetectedIncident, ...]], None] | None = None,
    progress: Progress | None = None,
) -> HealthResult:
    """Measure the health of an open warehouse; nothing is written, and only aggregates are read.

    `as_of` is the instant the report looks back from; without it the settings', the manifest's, or
    the end of the last local day with events counts. Rows of later days are left out.
    `on_incidents` is told the incidents once they are known, before the figures by month and the
    proofs: what needs no more of health can begin.

    Raises:
        InputError: there is nothing to measure.
        WarehouseError: a query failed.
        ConfigError: a limit names a table or column that is not there.
    """
    progress = progress or Silent()
    setup = prepare(warehouse, settings, as_of)
    present = present_tables(warehouse)
    progress.start(TASK, len(present) + 2, "tables")
    missing = list(warehouse.not_there())
    counted: list[Counts] = []
    left_out = frozenset(settings.report.leave_out)
    with_lag = "lag" not in left_out
    for table in present:
        late = setup.limits.of_table(table.name, "p95_ingest_lag_min")
        counted.append(count(warehouse, table, setup.clock, late, with_lag=with_lag))
        missing += counted[-1].frame.not_measured
        progress.advance(TASK)
    missing += _silent_tables(counted)
    span = _span(setup, settings, counted)
    found = [_lags(warehouse, c, setup.clock, span) if with_lag else Lags() for c in counted]
    tables = [Measured(c, lag) for c, lag in zip(counted, found, strict=True)]
    missing += _left_out(tables, left_out)
    least_rise = settings.report.min_rise_points / 100
    findings = (
        Findings((), (), RateFindings())
        if "incidents" in left_out
        else detect(warehouse, tables, setup.clock, span, least_rise)
    )
    if on_incidents:
        on_incidents(findings.incidents)
    months = Months.of(span, _first_day(warehouse, setup, span))
    figures, without = revenue(warehouse, tables, months, span, setup.clock)
    missing += without
    usual, note = usual_month(warehouse.archetype, figures)
    progress.advance(TASK)
    own, without = kpis(warehouse, tables, months, span, setup.clock)
    missing += without
    checks, without = guardrails(warehouse, settings, setup.clock)
    missing += without
    spikes = findings.shares
    missing += spikes.too_few
    judged = [verdict for table in tables for verdict in verdicts(table, span, setup.limits)]
    examples = settings.report.example_keys
    shown = (
        ()
        if "proofs" in left_out
        else proofs(warehouse, setup.clock, setup.limits, tables, span, examples)
    )
    progress.advance(TASK)
    progress.done(TASK)
    long = [line for table in tables for line in lines(table, span)]
    whole = [line for table in tables for line in totals(table, span, "history")]
    recent = [line for table in tables for line in totals(table, span, "window")]
    scopes = ["history"] * len(whole) + ["window"] * len(recent)
    return HealthResult(
        archetype=warehouse.archetype.name,
        tz=setup.tz,
        as_of=setup.as_of,
        window_start=date_of(span.window),
        window_end=date_of(span.last),
        history_start=date_of(span.history),
        history_end=date_of(span.last),
        measures=to_arrow(long),
        totals=to_arrow([*whole, *recent], scopes),
        slos=tuple(judged),
        incidents=findings.incidents,
        revenue=tuple(figures),
        kpis=tuple(own),
        guardrails=checks,
        not_measured=tuple(missing),
        proofs=shown,
        notes=tuple(
            filter(
                None,
                [note, *_notes(tables, span), _read_as(warehouse), *told(warehouse.dialect.name)],
            )
        ),
        column_days_tested=spikes.tested,
        false_flags_expected=round(spikes.false_flags, 2),
        revenue_monthly_median_cents=usual,
        affected_total=_affected_total(tables, span),
        backend=warehouse.dialect.name,
        detectable_rise=spikes.detectable,
        detectable=findings.detectable,
    )


def _lags(warehouse: Warehouse, counts: Counts, clock: LocalClock, span: Span) -> Lags:
    if not counts.frame.has_lag or not len(counts.tally.days):
        return Lags()
    return lags(warehouse, counts, clock, span.window, span.last)


def _left_out(tables: list[Measured], left_out: frozenset[str]) -> list[NotMeasured]:
    """Say of each fact table what the settings leave out of it; a proof is no figure."""
    why = "left out by report.leave_out"
    facts = [t for t in tables if t.counts.frame.table.kind == "fact"]
    found = [NotMeasured(t.name, "", "incidents", why) for t in facts if "incidents" in left_out]
    if "lag" in left_out:
        lagged = [t.name for t in facts if t.counts.frame.has_lag]
        found += [NotMeasured(name, "", "lag_p95_minutes", why) for name in lagged]
    return found


def _first_day(warehouse: Warehouse, setup: Setup, span: Span) -> int:
    """First day that the history covers: of a made company as its manifest says."""
    months = warehouse.manifest.settings.get("months") if warehouse.manifest else None
    if not months:
        return span.history
    end = setup.as_of.astimezone(zone_of(setup.tz)).date()
    start = end.year * 12 + end.month - 1 - int(months)
    return day_number(datetime(start // 12, start % 12 + 1, 1, tzinfo=UTC).date())


def _silent_tables(counted: list[Counts]) -> list[NotMeasured]:
    found: list[NotMeasured] = []
    for counts in counted:
        table = counts.frame.table
        if not len(counts.tally.days):
            found.append(NotMeasured(table.name, "", "rows", "the table is empty"))
        elif counts.frame.has_event and set(counts.tally.days.tolist()) == {NO_DAY}:
            why = "no row has a time that can be used, so there are no figures by day"
            found.append(NotMeasured(table.name, "", "rows", why))
    return found


def _read_as(warehouse: Warehouse) -> str:
    """Say how times without a zone are read; of a made company it is settled."""
    naive = () if warehouse.made else naive_columns(warehouse)
    if not naive:
        return ""
    more = f" and {len(naive) - 3} more" if len(naive) > 3 else ""
    zone = warehouse.archetype.stored_tz or "UTC"
    return f"times without a zone are read as {zone}: {', '.join(naive[:3])}{more}"


def _notes(tables: list[Measured], span: Span) -> list[str]:
    found: list[str] = []
    for measured in tables:
        tally, layout = measured.counts.tally, measured.counts.layout
        for kind, words in (
            ("implausible", "have an event time before 1900 or after 2100; they are on no day"),
            ("early", "were loaded before they happened"),
            ("unkeyed", "have a null in their business key, so they are no one's duplicate"),
        ):
            bit = layout.bit(kind)
            rows = int(tally.rows[tally.any_of(bit)].sum()) if bit else 0
            if rows:
                found.append(f"{rows:,} rows of {measured.name} {words}")
        later = int(tally.rows[tally.days > span.last].sum())
        if later:
            found.append(f"{later:,} rows of {measured.name} are of days after the as-of; left out")
    return found


def _affected_total(
    tables: list[Measured], span: Span
) -> Callable[[tuple[tuple[str, str, str], ...]], float | None]:
    counted = {measured.name: measured.counts for measured in tables}

    def total(chosen: tuple[tuple[str, str, str], ...]) -> float | None:
        """Cents in the window on rows affected by any of `(table, column, metric)`."""
        cents: float | None = None
        for name in dict.fromkeys(table for table, _, _ in chosen):
            counts = counted.get(name)
            mine = [(column, metric) for table, column, metric in chosen if table == name]
            money = counts.money_of(mine, span.window, span.last) if counts else None
            if counts and money is not None:
                cents = (cents or 0.0) + counts.frame.purse.cents(money)
        return cents

    return total

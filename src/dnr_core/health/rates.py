"""Room: health. Spikes and steps of key nulls, orphans and duplicates, and what could be seen."""

from __future__ import annotations

from statistics import median
from typing import Final, Literal

from attrs import field, frozen

from dnr_core.health.local_time import date_of
from dnr_core.health.longform import Measured, Span, daily
from dnr_core.health.shares import (
    JudgedShare,
    RateDay,
    detectable_rise,
    judge_together,
)
from dnr_core.health.shares import Series as Counted
from dnr_core.health.statistics import FALSE_DISCOVERY_RATE, benjamini_hochberg
from dnr_core.health.steps import Step, find_steps
from dnr_core.model.health import Detectable, DetectedIncident, Metric, NotMeasured

LEAST_ROWS: Final = 150
"""Days with fewer rows are pooled to weeks; weeks with fewer are not judged."""
LEAST_EVENTS: Final = 5
"""Rows by which a day must rise to be worth a look."""
LEAST_PERIODS: Final = 10
"""Days (or weeks) without which there is no usual value."""

SpikeKind = Literal["null_spike", "orphan_spike", "duplicate_spike"]


@frozen
class Series:
    """A share by day or week, as it was judged."""

    measured: Measured
    kind: SpikeKind
    metric: Metric
    column: str
    judged: JudgedShare
    step: int
    """Days in a period: 1, or 7 where days were pooled."""

    @property
    def days(self) -> list[RateDay]:
        """The periods, each with its p-value."""
        return self.judged.days


@frozen
class RateFindings:
    """Spikes, and how much was looked at."""

    incidents: list[DetectedIncident] = field(factory=list)
    tested: int = 0
    false_flags: float = 0.0
    detectable: dict[str, float] = field(factory=dict)
    by_column: list[Detectable] = field(factory=list)
    too_few: list[NotMeasured] = field(factory=list)


def find_spikes(tables: list[Measured], span: Span, least_rise: float) -> RateFindings:
    """Find spikes of shares by local day; `least_rise` is the least rise, as a share."""
    too_few: list[NotMeasured] = []
    judged: list[Series] = []
    for measured in tables:
        for series in _judged(measured, span):
            if series.days:
                judged.append(series)
            elif measured.name not in {line.table for line in too_few}:
                why = "too few rows a day to find spikes, drops, gaps or surges"
                too_few.append(NotMeasured(measured.name, "", "incidents", why))
    p_values = [day.p_value for series in judged for day in series.days]
    limit = benjamini_hochberg(p_values)
    found: list[DetectedIncident] = []
    flagged = 0
    for series in judged:
        flags = [day for day in series.days if _is_spike(day, limit, least_rise)]
        flagged += len(flags)
        found += [_incident(series, run) for run in runs(flags, series.step)]
        steps = find_steps(series.judged, least_rise, LEAST_EVENTS)
        found += [_stayed(series, step) for step in steps]
    tested = len(p_values)
    return RateFindings(
        found,
        tested,
        # Of what passes, the rate is the share that chance alone is expected to bring.
        FALSE_DISCOVERY_RATE * flagged,
        _detectable(judged, tested, least_rise),
        [_smallest(series, tested, least_rise) for series in judged],
        too_few,
    )


def _columns(measured: Measured) -> list[tuple[SpikeKind, Metric, str]]:
    frame = measured.counts.frame
    table = frame.table
    found: list[tuple[SpikeKind, Metric, str]] = []
    if table.kind != "fact":
        return found
    found += [("null_spike", "key_null", column) for column in table.required_keys]
    found += [("orphan_spike", "fk_failure", key.label) for key in frame.keys]
    if table.business_key:
        found.append(("duplicate_spike", "duplicate", ""))
    return found


def _judged(measured: Measured, span: Span) -> list[Series]:
    """Judge the shares of a table together."""
    columns = _columns(measured)
    counted = [_counted(measured, metric, column, span) for _, metric, column in columns]
    judged = judge_together([series for series, _ in counted])
    return [
        Series(measured, kind, metric, column, result, step)
        for (kind, metric, column), (_, step), result in zip(columns, counted, judged, strict=True)
    ]


def _counted(measured: Measured, metric: Metric, column: str, span: Span) -> tuple[Counted, int]:
    """Return a share's days, or weeks where days have too few rows, and the days in a period."""
    figures = daily(measured.counts, column, metric)
    inside = [
        (int(day), int(k), int(n))
        for day, k, n in zip(figures.days, figures.numerator, figures.denominator, strict=True)
        if span.history <= day <= span.last and n > 0
    ]
    step = 1
    if inside and median(n for _, _, n in inside) < LEAST_ROWS:
        inside, step = _weeks(inside, span), 7
    inside = [period for period in inside if period[2] >= LEAST_ROWS]
    if len(inside) < LEAST_PERIODS:
        inside = []
    days, events, rows = ([period[part] for period in inside] for part in range(3))
    return Counted(days, events, rows), step


def _weeks(days: list[tuple[int, int, int]], span: Span) -> list[tuple[int, int, int]]:
    """Pool days to whole weeks that end with the last day; a week has its first day's number."""
    weeks: dict[int, tuple[int, int]] = {}
    for day, events, rows in days:
        start = span.last - 6 - 7 * ((span.last - day) // 7)
        before = weeks.get(start, (0, 0))
        weeks[start] = (before[0] + events, before[1] + rows)
    return [(start, *sums) for start, sums in sorted(weeks.items()) if start >= span.history]


def _is_spike(day: RateDay, limit: float, least_rise: float) -> bool:
    return (
        day.p_value <= limit
        and day.rise >= least_rise
        and day.events - day.usual * day.rows >= LEAST_EVENTS
    )


def runs(days: list[RateDay], step: int) -> list[list[RateDay]]:
    """Split days into runs without a gap: one incident each."""
    found: list[list[RateDay]] = []
    for day in days:
        if found and day.day - found[-1][-1].day == step:
            found[-1].append(day)
        else:
            found.append([day])
    return found


def _incident(series: Series, run: list[RateDay]) -> DetectedIncident:
    counts = series.measured.counts
    rows, events = sum(day.rows for day in run), sum(day.events for day in run)
    first, last = run[0].day, run[-1].day + series.step - 1
    money = counts.money_of([(series.column, series.metric)], first, last)
    return DetectedIncident(
        series.kind,
        series.measured.name,
        series.column,
        date_of(first),
        date_of(last),
        events / rows,
        sum(day.usual * day.rows for day in run) / rows,
        events,
        p_value=significant(min(day.p_value for day in run)),
        noise_factor=round(run[0].noise_factor, 2),
        revenue_cents=None if money is None else counts.frame.purse.cents(money),
    )


def _stayed(series: Series, step: Step) -> DetectedIncident:
    counts = series.measured.counts
    days = series.days[step.first : step.last + 1]
    first, last = days[0].day, days[-1].day + series.step - 1
    money = counts.money_of([(series.column, series.metric)], first, last)
    return DetectedIncident(
        series.kind,
        series.measured.name,
        series.column,
        date_of(first),
        date_of(last),
        step.share,
        step.usual,
        sum(day.events for day in days),
        p_value=significant(step.p_value),
        noise_factor=round(median(day.noise_factor for day in days), 2),
        revenue_cents=None if money is None else counts.frame.purse.cents(money),
        shape=step.shape,
    )


def significant(value: float) -> float:
    """Keep three digits: the last bits of a library's functions differ between machines.

    What is too small for a float to hold is shown as the smallest round number it holds.
    """
    return max(float(f"{value:.2e}"), 1e-300)


def _smallest(series: Series, tested: int, least_rise: float) -> Detectable:
    rows = median(day.rows for day in series.days)
    usual = median(day.usual for day in series.days)
    noise = median(day.noise_factor for day in series.days)
    rise = max(detectable_rise(usual, rows, noise, tested), least_rise, LEAST_EVENTS / rows)
    name = series.measured.name
    # A rise on one day is a seventh of it in a week.
    rise = round(min(1.0, rise * series.step), 4)
    a_day = round(rows / series.step, 1)
    return Detectable(series.kind, name, series.column, a_day, rise, round(noise, 2))


def _detectable(judged: list[Series], tested: int, least_rise: float) -> dict[str, float]:
    """By table: the worst of its columns, in a period of usual size."""
    found: dict[str, float] = {}
    for series in judged:
        line = _smallest(series, tested, least_rise)
        found[line.table] = max(found.get(line.table, 0.0), line.smallest or 0.0)
    return found

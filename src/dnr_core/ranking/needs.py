"""Room: ranking. Candidates: each theme on each table with evidence in warehouse or talk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

from dnr_core.config.settings import ReportSettings
from dnr_core.model.demand import DemandResult
from dnr_core.model.health import METRIC_THEME, HealthResult
from dnr_core.model.need import Need
from dnr_core.ranking.measures import Measures, day_number
from dnr_core.ranking.peak import is_over_last_week, peak_day
from dnr_core.ranking.talk import Talk, Voice

MONTH_DAYS: Final = 30
UNION_TABLES: Final = 12
"""Needs with two broken metrics whose shared rows are counted exactly, by most money."""

METRICS_OF: Final[dict[str, tuple[str, ...]]] = {
    theme: tuple(metric for metric, named in METRIC_THEME.items() if named == theme)
    for theme in dict.fromkeys(METRIC_THEME.values())
}
INCIDENT_THEME: Final = {
    "null_spike": "join_keys_orphans",
    "orphan_spike": "join_keys_orphans",
    "duplicate_spike": "duplicates_dedup",
    "volume_drop": "freshness_ingest_lag",
    "write_gap": "freshness_ingest_lag",
    "lag_surge": "freshness_ingest_lag",
}

Key = tuple[str, str]
"""Theme and table."""


@frozen
class Candidate:
    """A need with what its resamples are drawn from.

    `metrics` are the broken metrics that make it; `union_ratio` is revenue on rows broken in any
    way over the sum by metric, so that rows broken twice count once.
    """

    need: Need
    metrics: tuple[str, ...]
    union_ratio: float
    voice: Voice | None
    looked_at: bool
    """True where the warehouse could show this theme on this table."""


@frozen
class Evidence:
    """Both sides, as arrays; either may be missing."""

    health: HealthResult | None
    demand: DemandResult | None
    measures: Measures | None
    talk: Talk | None

    @property
    def monthly_cents(self) -> float | None:
        """Median revenue of the last three full local months; None where no money is known."""
        value = self.health.revenue_monthly_median_cents if self.health else None
        return value if value and value > 0 else None

    @property
    def last_day(self) -> int:
        """Last local day of the window: of the warehouse, else of the talk."""
        if self.measures:
            return self.measures.last
        days = [
            voice.days[-1]
            for voice in (self.talk.voices if self.talk else {}).values()
            if voice.days.size
        ]
        return int(max(days, default=0))


def gather(health: HealthResult | None, demand: DemandResult | None) -> Evidence:
    """Read both results into arrays."""
    return Evidence(
        health,
        demand,
        Measures(health) if health else None,
        Talk(demand) if demand else None,
    )


def candidates(settings: ReportSettings, evidence: Evidence) -> list[Candidate]:
    """Return every theme on every table that the warehouse or the talk gives evidence of."""
    broken = _broken(evidence.measures)
    events = _events(evidence.health)
    voices = dict(evidence.talk.voices) if evidence.talk else {}
    if any(table for _, table in voices) or broken:
        # Demand that names no table stays in the themes; a need must say where to begin.
        voices = {key: voice for key, voice in voices.items() if key[1]}
    unions = _union_ratios(evidence, broken)
    return [
        _candidate(
            settings,
            evidence,
            key,
            metrics=broken.get(key, ()),
            has_events=key in events,
            voice=voices.get(key),
            union_ratio=unions.get(key, 1.0),
        )
        for key in sorted({*broken, *events, *voices})
    ]


def _broken(measures: Measures | None) -> dict[Key, tuple[str, ...]]:
    found: dict[Key, tuple[str, ...]] = {}
    for table in measures.tables if measures else ():
        for theme, metrics in METRICS_OF.items():
            mine = tuple(
                metric
                for metric in metrics
                if measures
                and (total := measures.totals.get((table, metric)))
                and total.numerator > 0
            )
            if mine:
                found[theme, table] = mine
    return found


def _events(health: HealthResult | None) -> set[Key]:
    """Return what incidents of the window point to."""
    found: set[Key] = set()
    for incident in health.incidents if health else ():
        if health and incident.end >= health.window_start and incident.start <= health.window_end:
            found.add((INCIDENT_THEME[incident.kind], incident.table))
    return found


def _union_ratios(evidence: Evidence, broken: dict[Key, tuple[str, ...]]) -> dict[Key, float]:
    count = evidence.health.affected_total if evidence.health else None
    measures = evidence.measures
    if count is None or measures is None:
        return {}
    sums = {
        key: sum(measures.totals[key[1], m].revenue_cents or 0.0 for m in metrics)
        for key, metrics in broken.items()
        if len([m for m in metrics if measures.totals[key[1], m].revenue_cents]) > 1
    }
    largest = sorted(sums, key=lambda key: (-sums[key], key))[:UNION_TABLES]
    return {key: _ratio(count, key, broken[key], sums[key]) for key in largest}


def _ratio(
    count: Callable[[tuple[tuple[str, str, str], ...]], float | None],
    key: Key,
    metrics: tuple[str, ...],
    added_cents: float,
) -> float:
    once = count(tuple((key[1], "", metric) for metric in metrics))
    return 1.0 if once is None else min(1.0, once / added_cents)


def _candidate(
    settings: ReportSettings,
    evidence: Evidence,
    key: Key,
    *,
    metrics: tuple[str, ...],
    has_events: bool,
    voice: Voice | None,
    union_ratio: float,
) -> Candidate:
    theme, table = key
    measures, talk = evidence.measures, evidence.talk
    metric, value, limit = _worst(measures, table, metrics)
    affected, rows = _row_counts(measures, table, metrics)
    cents = _money(measures, table, metrics, union_ratio)
    monthly = evidence.monthly_cents
    peak = peak_day(measures, table, metrics, voice, evidence.last_day)
    need = Need(
        theme=theme,
        table=table,
        columns=_columns(measures, table, metrics),
        metric=metric or ("rows" if has_events else ""),
        affected_rows=affected,
        rows=rows,
        revenue_cents=cents if monthly else None,
        revenue_share=_impact_share(cents, monthly, affected, rows) if metrics else None,
        table_revenue_share=_table_share(measures, table, monthly),
        demand_share=talk.share(voice) if talk else 0.0,
        demand_items=voice.items if voice else 0,
        people=voice.people if voice else 0,
        roles=dict(voice.roles) if voice else {},
        value=value,
        slo=limit,
        over_slo_last_week=is_over_last_week(measures, settings, table, metrics),
        peak=peak,
        days_since_peak=max(0, evidence.last_day - day_number(peak)) if peak else 0,
        has_broken_rows=affected > 0,
        class_confidence=voice.class_confidence if voice else None,
        entity_confidence=voice.entity_confidence if voice else None,
    )
    return Candidate(need, metrics, union_ratio, voice, _looked_at(measures, theme, table))


def _looked_at(measures: Measures | None, theme: str, table: str) -> bool:
    if measures is None:
        return False
    return any(
        (total := measures.totals.get((table, metric))) is not None and total.denominator > 0
        for metric in METRICS_OF.get(theme, ())
    )


def overage(value: float | None, limit: float | None) -> float:
    """Return how many times the limit the value is; a limit of zero counts as a tiny one."""
    if value is None or limit is None:
        return 0.0
    return value / max(limit, 1e-9)


def _worst(
    measures: Measures | None, table: str, metrics: tuple[str, ...]
) -> tuple[str, float | None, float | None]:
    """Return the metric furthest over its limit, with its value and limit in its unit."""
    best: tuple[str, float | None, float | None] = ("", None, None)
    for metric in metrics:
        verdict = measures.verdict(table, metric) if measures else None
        value, limit = (verdict.value, verdict.slo) if verdict else (None, None)
        if not best[0] or overage(value, limit) > overage(best[1], best[2]):
            best = (metric, value, limit)
    return best


def _row_counts(measures: Measures | None, table: str, metrics: tuple[str, ...]) -> tuple[int, int]:
    if measures is None:
        return 0, 0
    total = measures.totals.get((table, "rows"))
    rows = int(total.numerator) if total else 0
    # Rows broken in two ways are counted in both, as the health table shows them.
    affected = sum(int(measures.totals[table, metric].numerator) for metric in metrics)
    return (min(affected, rows) if rows else affected), rows


def _money(
    measures: Measures | None, table: str, metrics: tuple[str, ...], union_ratio: float
) -> float | None:
    if measures is None or not metrics:
        return None
    parts = [measures.totals[table, metric].revenue_cents for metric in metrics]
    if all(part is None for part in parts):
        return None
    added = sum(part or 0.0 for part in parts)
    return added * union_ratio * MONTH_DAYS / measures.window_days


def _impact_share(
    cents: float | None, monthly: float | None, affected: int, rows: int
) -> float | None:
    if monthly is None:
        return affected / rows if rows else None
    return None if cents is None else cents / monthly


def _table_share(measures: Measures | None, table: str, monthly: float | None) -> float | None:
    total = measures.totals.get((table, "rows")) if measures else None
    if measures is None or total is None or monthly is None or total.revenue_cents is None:
        return None
    return min(1.0, total.revenue_cents * MONTH_DAYS / measures.window_days / monthly)


def _columns(measures: Measures | None, table: str, metrics: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns (or keys) of the broken metrics, most broken rows first."""
    broken: dict[str, float] = {}
    for metric in metrics if measures else ():
        if measures:
            for column, total in measures.parts.get((table, metric), {}).items():
                if total.numerator:
                    broken[column] = broken.get(column, 0.0) + total.numerator
    return tuple(sorted(broken, key=lambda column: (-broken[column], column)))

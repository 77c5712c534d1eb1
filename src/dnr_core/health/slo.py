"""Room: health. Verdicts: a table's figure over the window against its limit."""

from __future__ import annotations

from datetime import date
from typing import Final, Literal

import numpy as np
from attrs import asdict, fields, frozen

from dnr_core.config.settings import ReportSettings, Slos
from dnr_core.errors import ConfigError
from dnr_core.health.local_time import date_of
from dnr_core.health.longform import Measured, Span, daily
from dnr_core.model.health import Metric, SloVerdict
from dnr_core.suggestions import did_you_mean

Kind = Literal["key_null_pct", "fk_orphan_pct", "dup_keys_pct", "p95_ingest_lag_min"]
KINDS: Final[dict[Kind, Metric]] = {
    "key_null_pct": "key_null",
    "fk_orphan_pct": "fk_failure",
    "dup_keys_pct": "duplicate",
    "p95_ingest_lag_min": "lag_p95_minutes",
}


@frozen
class Limits:
    """Limits of each table, and of `table.column` where the settings name one."""

    default: dict[str, float]
    overrides: dict[str, dict[str, float]]

    @classmethod
    def of(cls, settings: ReportSettings, known: tuple[str, ...]) -> Limits:
        """Read limits from the settings; `known` are the names that may be overridden.

        Raises:
            ConfigError: an override names a table, column or kind that is not there.
        """
        kinds = [attribute.name for attribute in fields(Slos)]
        for name, limits in settings.table_slos.items():
            if name not in known:
                raise ConfigError(
                    f"report.table_slos: there is no table or key {name!r}",
                    hint=did_you_mean(name, known) or f"known: {', '.join(known[:12])}",
                )
            for kind in limits:
                if kind not in kinds:
                    raise ConfigError(
                        f"report.table_slos.{name}: there is no limit {kind!r}",
                        hint=did_you_mean(kind, kinds) or f"allowed: {', '.join(kinds)}",
                    )
        overrides = {name: dict(limits) for name, limits in settings.table_slos.items()}
        return cls(asdict(settings.slos), overrides)

    def of_table(self, table: str, kind: str, column: str = "") -> float:
        """The limit of a table, or of one of its columns or keys."""
        own = self.overrides.get(f"{table}.{column}", {}) if column else {}
        value = own.get(kind, self.overrides.get(table, {}).get(kind, self.default[kind]))
        return float(value)

    def named(self, table: str, kind: str) -> list[str]:
        """Columns and keys of the table with a limit of their own."""
        start = f"{table}."
        return [
            n[len(start) :]
            for n, own in self.overrides.items()
            if n.startswith(start) and kind in own
        ]


def verdicts(measured: Measured, span: Span, limits: Limits) -> list[SloVerdict]:
    """Judge a fact or snapshot table; dimensions have figures, and no limit of their own."""
    table = measured.counts.frame.table
    if table.kind == "dimension":
        return []
    found: list[SloVerdict] = []
    for kind, metric in KINDS.items():
        if not _has(measured, metric):
            continue
        for column in ("", *limits.named(table.name, kind)):
            limit = limits.of_table(table.name, kind, column)
            found.append(_verdict(measured, span, kind, metric, column, limit))
    return found


def _has(measured: Measured, metric: Metric) -> bool:
    frame = measured.counts.frame
    match metric:
        case "key_null":
            return bool(frame.table.required_keys)
        case "fk_failure":
            return bool(frame.keys)
        case "duplicate":
            return bool(frame.table.business_key)
        case _:
            return frame.has_lag


def _verdict(
    measured: Measured, span: Span, kind: Kind, metric: Metric, column: str, limit: float
) -> SloVerdict:
    window = range(span.window, span.last + 1)
    middle = span.window + len(window) // 2
    if metric == "lag_p95_minutes":
        by_day = {day: pair[1] for day, pair in measured.lags.by_day.items()}
        value = measured.lags.window[1] if measured.lags.window else None
        halves = [
            [by_day[d] for d in part if d in by_day]
            for part in (range(span.window, middle), range(middle, span.last + 1))
        ]
        # Quantiles cannot be added up: the trend is that of the usual day.
        first, second = (float(np.median(half)) if half else None for half in halves)
    else:
        figures = daily(measured.counts, column, metric)
        days = figures.days
        by_day = {
            int(d): 100 * int(k) / int(n)
            for d, k, n in zip(days, figures.numerator, figures.denominator, strict=True)
            if n > 0
        }

        def share(low: int, high: int) -> float | None:
            inside = (days >= low) & (days <= high)
            rows = int(figures.denominator[inside].sum())
            return 100 * int(figures.numerator[inside].sum()) / rows if rows else None

        value = share(span.window, span.last)
        first, second = share(span.window, middle - 1), share(middle, span.last)
    trend = None if first is None or second is None else second - first
    passed = None if value is None else value <= limit
    since = None if passed or value is None else _since(by_day, span, limit)
    return SloVerdict(measured.name, column, kind, value, limit, passed, since=since, trend=trend)


def _since(by_day: dict[int, float], span: Span, limit: float) -> date | None:
    """First day of the unbroken run of breaching days that reaches the window's end."""
    first = None
    for day in range(span.last, span.history - 1, -1):
        if day not in by_day:
            # A day without rows breaks no run and begins none.
            continue
        if by_day[day] <= limit:
            break
        first = day
    return None if first is None else date_of(first)

"""Room: evaluation. The true ranking of a made company: the same scorer, on what is true.

Nothing that a report measured is used. Broken rows are those of the ledger, their money is the
clean company's, demand is what the labels of the whole corpus say, and no need is hidden for want
of confidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
from attrs import frozen

from dnr_core.comms.tables import LABEL_FILES
from dnr_core.config.settings import ReportSettings, Settings, Slos
from dnr_core.demand.weights import source_weights
from dnr_core.errors import InputError
from dnr_core.evaluation.oracle_rows import BROKEN, RATES, TrueRows, TrueTable
from dnr_core.model import CommsTables, Need, Score, load
from dnr_core.model.health import METRIC_THEME

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue

_EPOCH: Final = date(1970, 1, 1)
_MONTH_DAYS: Final = 30
_PEAK_DAYS: Final = 7
_SPLIT: Final = 2520
_LIMIT: Final = {
    "key_null": "key_null_pct",
    "fk_failure": "fk_orphan_pct",
    "duplicate": "dup_keys_pct",
    "late": "p95_ingest_lag_min",
}
_LATE_TAIL: Final = 0.05

Key = tuple[str, str]
"""Theme and table."""


@frozen
class TrueNeed:
    """A need as it truly is. `worth_cents` is what its broken rows cost a month, late ones at their weight."""

    need: Need
    score: Score
    worth_cents: float

    @property
    def key(self) -> Key:
        """Theme and table."""
        return self.need.theme, self.need.table


@frozen
class Oracle:
    """All true needs, best first, and the best ones of different themes."""

    needs: tuple[TrueNeed, ...]
    top: tuple[TrueNeed, ...]

    def worth_cents(self, keys: Sequence[Key]) -> float:
        """Add up what the needs of these keys are worth."""
        by_key = {need.key: need.worth_cents for need in self.needs}
        return sum(by_key.get(key, 0.0) for key in keys)


@frozen
class Voiced:
    """True demand of one need: its share of all demand, and the local day of each item."""

    share: float
    items: int
    days: tuple[int, ...]


def true_demand(meta: Path, comms: CommsTables, settings: Settings, tz: str) -> dict[Key, Voiced]:
    """Return what people ask for, by the labels of all items.

    A source's demand is shared evenly over its labelled items (of threads and mails, the positive
    ones), an item's over its tables; sources have the weights that the settings give their volumes.

    Raises:
        InputError: there are no labels.
    """
    labels = {source: _labels(meta, source) for source in LABEL_FILES}
    if not any(labels.values()):
        raise InputError(
            f"{meta} has no labels", hint="give the folder of the truth that gen-comms wrote"
        )
    days = _days_of_items(comms, tz)
    volumes = {source: len(rows) for source, rows in labels.items()}
    weights = source_weights(
        settings.report.demand_base_weights, volumes, settings.report.demand_weight_caps
    )
    asked = {
        source: [row for row in rows if row["theme"] and row["relevance"] == "positive"]
        for source, rows in labels.items()
    }
    heard = {source: rows for source, rows in asked.items() if rows}
    whole = sum(weights[source] for source in heard)
    found: dict[Key, tuple[float, int, list[int]]] = {}
    for source, rows in heard.items():
        parts: dict[Key, int] = {}
        for row in rows:
            tables = row["tables"] or [""]
            for table in tables:
                key = (row["theme"], table)
                parts[key] = parts.get(key, 0) + _SPLIT // len(tables)
                share, items, when = found.setdefault(key, (0.0, 0, []))
                day = days.get((source, row["item_id"]))
                found[key] = (share, items + 1, when if day is None else [*when, day])
        for key, part in sorted(parts.items()):
            share, items, when = found[key]
            more = weights[source] / whole * part / (_SPLIT * len(rows))
            found[key] = (share + more, items, when)
    return {
        key: Voiced(share, items, tuple(sorted(when)))
        for key, (share, items, when) in sorted(found.items())
    }


def _labels(meta: Path, source: str) -> list[dict[str, Any]]:
    path = meta / LABEL_FILES[source]
    if not path.exists():
        return []
    columns = ["item_id", "theme", "relevance", "tables"]
    rows: list[dict[str, Any]] = pq.read_table(path, columns=columns).to_pylist()
    return rows


def _days_of_items(comms: CommsTables, tz: str) -> dict[tuple[str, str], int]:
    zone = ZoneInfo(tz)
    found: dict[tuple[str, str], int] = {}
    for source, table, column in (
        ("slack", comms.slack, "thread_id"),
        ("email", comms.email, "message_id"),
        ("nlq", comms.nlq, "query_id"),
    ):
        rows = table.to_table(columns=[column, "ts"]) if hasattr(table, "to_table") else table
        for item, at in zip(rows[column].to_pylist(), rows["ts"].to_pylist(), strict=True):
            if at is None:
                continue
            day = (at.astimezone(zone).date() - _EPOCH).days
            key = (source, item)
            found[key] = min(day, found.get(key, day))
    return found


def oracle_ranking(
    settings: Settings,
    catalogue: Catalogue,
    rows: TrueRows,
    demand: Mapping[Key, Voiced],
    *,
    window: tuple[int, int],
) -> Oracle:
    """Score every true need by the scorer of the settings, and pick the best of different themes."""
    report = settings.report
    score = load(catalogue.scorer(report.scorer).score)
    broken = {
        (theme, name): metrics
        for name, table in rows.tables.items()
        for theme in dict.fromkeys(METRIC_THEME.values())
        if (
            metrics := tuple(
                metric
                for metric in BROKEN
                if METRIC_THEME[metric] == theme and table.rows(*window, metric)
            )
        )
    }
    found: list[TrueNeed] = []
    for key in sorted({*broken, *(key for key in demand if key[1])}):
        need = _need(key, broken.get(key, ()), rows, demand.get(key), report, window)
        found.append(TrueNeed(need, score(need, report), _worth(need, report)))
    # Within its limit and asked for by nobody is no need, whatever the money: limits are agreed.
    found = [one for one in found if one.need.demand_items or _is_over(one.need)]
    ranked = tuple(sorted(found, key=_order))
    best: dict[str, TrueNeed] = {}
    for one in ranked:
        best.setdefault(one.need.theme, one)
    return Oracle(ranked, tuple(best.values())[: report.top])


def _is_over(need: Need) -> bool:
    return need.value is not None and need.slo is not None and need.value > need.slo


def _order(one: TrueNeed) -> tuple[Any, ...]:
    need = one.need
    return (
        -round(one.score.value, 9),
        -(need.revenue_share or 0.0),
        -need.demand_share,
        need.table,
        need.theme,
    )


def _worth(need: Need, report: ReportSettings) -> float:
    cents = need.revenue_cents or 0.0
    return cents * report.late_weight if need.metric == "late" else cents


def _need(
    key: Key,
    metrics: tuple[str, ...],
    rows: TrueRows,
    voiced: Voiced | None,
    report: ReportSettings,
    window: tuple[int, int],
) -> Need:
    theme, name = key
    table = rows.tables.get(name)
    days = window[1] - window[0] + 1
    worst = _worst(table, name, metrics, report, window)
    cents = table_share = None
    monthly = rows.monthly_cents
    if table and monthly:
        cents = table.cents(*window, *metrics) * _MONTH_DAYS / days if metrics else None
        table_share = min(1.0, table.cents(*window) * _MONTH_DAYS / days / monthly)
    peak = _peak(table.by_day(metrics) if table else {}, voiced, window[1])
    return Need(
        theme=theme,
        table=name,
        columns=(),
        metric=worst[0],
        affected_rows=table.rows(*window, *metrics) if table and metrics else 0,
        rows=table.rows(*window) if table else 0,
        revenue_cents=cents,
        revenue_share=cents / monthly if cents is not None and monthly else None,
        table_revenue_share=table_share,
        demand_share=voiced.share if voiced else 0.0,
        demand_items=voiced.items if voiced else 0,
        people=0,
        roles={},
        value=worst[1],
        slo=worst[2],
        over_slo_last_week=_over_last_week(table, name, metrics, report, window[1]),
        peak=None if peak is None else _EPOCH + timedelta(days=peak),
        days_since_peak=0 if peak is None else max(0, window[1] - peak),
        has_broken_rows=bool(metrics),
    )


def limit_of(report: ReportSettings, table: str, metric: str) -> float:
    """Return the limit of a table's metric: percent, or minutes for `late`."""
    kind = _LIMIT[metric]
    own = report.table_slos.get(table, {})
    slos: Slos = report.slos
    return float(own.get(kind, getattr(slos, kind)))


def _worst(
    table: TrueTable | None,
    name: str,
    metrics: Sequence[str],
    report: ReportSettings,
    window: tuple[int, int],
) -> tuple[str, float | None, float | None]:
    best: tuple[str, float | None, float | None] = ("", None, None)
    times = -1.0
    for metric in metrics if table else ():
        limit = limit_of(report, name, metric)
        value = None
        if table:
            value = 100 * table.share(*window, metric) if metric in RATES else table.lag_p95_minutes
        over = (value or 0.0) / max(limit, 1e-9)
        if over > times:
            best, times = (metric, value, limit), over
    return best


def _over_last_week(
    table: TrueTable | None, name: str, metrics: Sequence[str], report: ReportSettings, last: int
) -> bool:
    if table is None:
        return False
    return any(
        table.share(last - 6, last, metric)
        > (_LATE_TAIL if metric == "late" else limit_of(report, name, metric) / 100)
        for metric in metrics
    )


def _peak(by_day: Mapping[int, int], voiced: Voiced | None, last: int) -> int | None:
    """Return the last day whose seven days had at least half of the evidence of the worst seven.

    Messages are counted, so that their number is known to its square root: that is forgiven.
    """
    said: dict[int, int] = {}
    for day in voiced.days if voiced else ():
        if day <= last:
            said[day] = said.get(day, 0) + 1
    broken = {day: count for day, count in by_day.items() if day <= last}
    tracks = [
        {day: count / max(track.values()) for day, count in track.items()}
        for track in (broken, said)
        if track
    ]
    if not tracks:
        return None
    ends = range(min(min(track) for track in tracks), last + 1)
    evidence = {end: sum(_of_week(track, end) for track in tracks) for end in ends}
    slack = 0.0
    if said:
        slack = sqrt(max(_of_week(said, end) for end in ends) / 2) / max(said.values())
    least = max(evidence.values()) / 2 - slack
    return max(end for end, amount in evidence.items() if amount > 0 and amount >= least - 1e-9)


def _of_week(track: Mapping[int, float], end: int) -> float:
    return sum(track.get(day, 0) for day in range(end - _PEAK_DAYS + 1, end + 1))

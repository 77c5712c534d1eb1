"""Room: report. A need at one of the two days that a comparison looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

from dnr_core.ranking.measures import Measures
from dnr_core.ranking.needs import METRICS_OF
from dnr_core.report import facts
from dnr_core.report import wording as say
from dnr_core.report.earlier import Figure

HALF_80: Final = 1.2816
"""Standard errors from the middle to an end of an 80 % range."""

Figures = Mapping[tuple[str, str], Figure]
LimitOf = Callable[[str, str], float | None]
"""A table and a metric to the limit that is judged by."""


@frozen
class Side:
    """A need at one of the two days. `money` is cents a month: value, low and high."""

    over: bool
    measured: bool
    metric: str
    value: float | None
    share: tuple[float, float] | None
    """The affected (or, of talk, the asked) share, and its standard error."""
    money: tuple[float, float, float] | None
    late: bool
    asks: int
    rank: int


def side_of(
    theme: str,
    table: str,
    need: Mapping[str, Any] | None,
    figures: Figures,
    limit_of: LimitOf,
) -> Side:
    """Read one day's side of a need from its figures, and its document where it was a candidate."""
    metric, value, over, measured = "", None, False, False
    for name in METRICS_OF.get(theme, ()):
        figure = figures.get((table, name))
        if figure is None or figure.of_rows <= 0:
            continue
        measured = True
        current, limit = _value(figures, table, name, figure), limit_of(table, name)
        failed = current is not None and limit is not None and current > limit
        if not metric or (failed and not over):
            metric, value = name, current
        over = over or failed
    if need is None:
        share = (0.0, 0.0) if measured else None
        return Side(over, measured, metric, value, share, None, metric == "late", 0, 0)
    severity, asks, money = need["severity"], need["asks"], need["money"]
    own = bool(need["metric"])
    of = severity if own else asks
    return Side(
        over,
        measured,
        need["metric"] or metric,
        severity["value"] if own else value,
        _share(of["share"], of["share_low"], of["share_high"]),
        (money["cents"], money["low"]["cents"], money["high"]["cents"])
        if money["kind"] != "none"
        else None,
        money["kind"] == "late",
        int(asks["items"]),
        int(need["rank"]),
    )


def _value(figures: Figures, table: str, metric: str, figure: Figure) -> float | None:
    """A figure as its limit is given: percent of rows, or the p95 of lag in minutes."""
    if metric == "late":
        lag = figures.get((table, "lag_p95_minutes"))
        return lag.value if lag else None
    return figure.rows / figure.of_rows * 100.0


def _share(
    value: float | None, low: float | None, high: float | None
) -> tuple[float, float] | None:
    if value is None:
        return None
    spread = 0.0 if low is None or high is None else (high - low) / 2 / HALF_80
    return value, spread


def figures_now(measures: Measures | None) -> Figures:
    """Return the whole-table figures of this report's window."""
    if measures is None:
        return {}
    return {
        place: Figure(total.numerator, total.denominator, total.value)
        for place, total in measures.totals.items()
    }


def side_document(side: Side, currency: str) -> dict[str, Any]:
    """Return a side as the document has it, in words and in numbers."""
    money = say.money(side.money[0], currency) if side.money else None
    if side.metric and not side.measured:
        text = "not measured"
    elif side.metric:
        text = f"{facts.METRIC_WORDS[side.metric]} {facts.value_text(side.metric, side.value)}"
    elif side.asks:
        text = say.counted(side.asks, "ask")
        text += f", {say.percent(side.share[0])} of the demand" if side.share else ""
    else:
        text = "nobody asked"
    return {
        "over": side.over,
        "metric": side.metric,
        "value": None if side.value is None else round(side.value, 6),
        "share": None if side.share is None else round(side.share[0], 6),
        "asks": side.asks,
        "rank": side.rank,
        "money": money,
        "text": text,
        "money_text": f"{money['text']} a month" if money else "",
    }

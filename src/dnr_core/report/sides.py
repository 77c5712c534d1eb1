"""Room: report. A need at one of the two days that a comparison looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt
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
    """The affected (or, of talk, the asked) share, and its standard error; None: not known."""
    shares: Mapping[str, float]
    """Affected shares of all metrics of the need's theme."""
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
    metric, value, over = "", None, False
    shares: dict[str, float] = {}
    for name in METRICS_OF.get(theme, ()):
        figure = figures.get((table, name))
        if figure is None or figure.of_rows <= 0:
            continue
        shares[name] = figure.rows / figure.of_rows
        current, limit = _value(figures, table, name, figure), limit_of(table, name)
        failed = current is not None and limit is not None and current > limit
        if not metric or (failed and not over):
            metric, value = name, current
        over = over or failed
    if need is None:
        late = metric == "late"
        return Side(over, bool(shares), metric, value, None, shares, None, late, 0, 0)
    severity, asks, money = need["severity"], need["asks"], need["money"]
    own = bool(need["metric"])
    of = severity if own else asks
    return Side(
        over,
        bool(shares),
        need["metric"] or metric,
        severity["value"] if own else value,
        _share(of["share"], of["share_low"], of["share_high"]),
        shares,
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


def moved(then: Side, now: Side, beyond: float) -> int:
    """Return 1 where the share rose by more than `beyond` standard errors, -1 where it fell, else 0.

    A side whose scatter is not known is taken to scatter like the other.
    """
    metric = now.metric if now.over or not then.over else then.metric
    (was, error_then), (is_, error_now) = _at(then, metric), _at(now, metric)
    if was is None or is_ is None:
        return 0
    errors = [error for error in (error_then, error_now) if error is not None]
    scatter = sqrt(sum(error**2 for error in errors) * (2 / len(errors) if errors else 0))
    change = is_ - was
    return (change > beyond * scatter) - (change < -beyond * scatter)


def _at(side: Side, metric: str) -> tuple[float | None, float | None]:
    """A side's share of a metric and its standard error; None for what is not known."""
    if side.share is not None and (side.metric == metric or metric not in side.shares):
        return side.share
    return side.shares.get(metric), None


def side_document(side: Side, currency: str) -> dict[str, Any]:
    """Return a side as the document has it, in words and in numbers."""
    money = say.money(side.money[0], currency) if side.money else None
    share = side.share[0] if side.share else side.shares.get(side.metric)
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
        "share": None if share is None else round(share, 6),
        "asks": side.asks,
        "rank": side.rank,
        "money": money,
        "text": text,
        "money_text": f"{money['text']} a month" if money else "",
    }

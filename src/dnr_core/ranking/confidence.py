"""Room: ranking. How sure a need is: its parts, rescaled where one has no source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dnr_core.model.need import Need
from dnr_core.ranking.measures import Measures
from dnr_core.ranking.needs import Candidate, Evidence, overage

WEIGHTS: Final[Mapping[str, float]] = {
    "class": 0.45,
    "entity": 0.25,
    "coverage": 0.20,
    "agreement": 0.10,
}


def coverage(evidence: Evidence, table: str) -> float | None:
    """Return the share of items seen and of the window's days of the table, averaged.

    A side that was not looked at is left out; None where neither was.
    """
    parts = [
        part for part in (_items_seen(evidence), _days_seen(evidence, table)) if part is not None
    ]
    return sum(parts) / len(parts) if parts else None


def _items_seen(evidence: Evidence) -> float | None:
    if evidence.demand is None:
        return None
    items = sum(source.items for source in evidence.demand.coverage)
    decided = sum(source.decided for source in evidence.demand.coverage)
    return decided / items if items else None


def _days_seen(evidence: Evidence, table: str) -> float | None:
    measures: Measures | None = evidence.measures
    if measures is None:
        return None
    days = measures.window_series(table, "rows").days.size
    # A table without an event time (a dimension) has no days to be seen on.
    return min(1.0, int(days) / measures.window_days) if days else None


def agreement(evidence: Evidence, candidate: Candidate) -> float:
    """Return 1 where both sides name the need, 0.5 where one was looked at, 0 where they differ."""
    if evidence.demand is None or not candidate.looked_at:
        return 0.5
    return 1.0 if says_health(candidate.need) and candidate.need.demand_items else 0.0


def says_health(need: Need) -> bool:
    """Tell whether the warehouse alone would name this need: it is over its limit."""
    return overage(need.value, need.slo) > 1.0


def confidence(need: Need) -> tuple[float, dict[str, float]]:
    """Return the confidence in [0, 1] and its parts.

    Without messages, the bootstrap probability of being over the limit stands in for class
    and entity. A part that has no source is left out, and the others are rescaled.
    """
    alone = not need.demand_items and need.breach_probability is not None
    values = {
        "class": need.breach_probability if alone else need.class_confidence,
        "entity": need.breach_probability if alone else need.entity_confidence,
        "coverage": need.coverage,
        "agreement": need.agreement,
    }
    parts = {name: value for name, value in values.items() if value is not None}
    if not parts:
        return 0.0, {}
    weight = sum(WEIGHTS[name] for name in parts)
    return sum(WEIGHTS[name] * value for name, value in parts.items()) / weight, parts


def hidden_reason(need: Need, value: float, least: float) -> str:
    """Return why the need is hidden, "" where it is not. `value` is its confidence."""
    if value >= least:
        return ""
    why = f"confidence {value:.2f} is under {least:.2f}"
    if need.demand_items and not need.has_broken_rows:
        return f"{why}: the warehouse shows no such rows"
    if not need.demand_items and not says_health(need):
        return f"{why}: it is within its limit and nobody asks"
    return why

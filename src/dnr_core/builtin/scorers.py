"""Room: builtin. The scorer that ships: money, demand and severity, faded by age."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from dnr_core.model.need import Need, Score, Scorer

if TYPE_CHECKING:
    from dnr_core.config.settings import ReportSettings

LATE_METRIC: Final = "late"
SEVERITY_SPAN: Final = 4.0
"""Five times the limit is as severe as it gets."""


@lru_cache(maxsize=4096)
def _fade(days: int, scale_days: float) -> float:
    # Decimal rounds correctly everywhere; the last bit of a C library's exp does not repeat.
    return float((Decimal(-days) / Decimal(repr(scale_days))).exp())


def _revenue_part(need: Need, settings: ReportSettings) -> float:
    if need.has_broken_rows:
        share = need.revenue_share or 0.0
        if need.metric == LATE_METRIC:
            share *= settings.late_weight
        return min(1.0, share / settings.revenue_full_scale)
    return min(settings.talk_only_cap, need.demand_share * (need.table_revenue_share or 0.0))


def severity(value: float | None, limit: float | None) -> float:
    """Return the overage over the limit, scaled to [0, 1]; 0 at or below it, or where not measured.

    A limit of zero is overstepped in full by any value above it.
    """
    if value is None or limit is None or value <= limit:
        return 0.0
    if limit <= 0:
        return 1.0
    return min(1.0, (value / limit - 1.0) / SEVERITY_SPAN)


def formula(need: Need, settings: ReportSettings) -> Score:
    """Weigh one need: the weighted sum of its three parts, faded by the days since its peak.

    Formula: `(w_r revenue + w_d demand + w_s severity) x recency`, each part in [0, 1].
    """
    revenue = _revenue_part(need, settings)
    demand = min(1.0, need.demand_share / settings.demand_full_scale)
    severe = severity(need.value, need.slo)
    recency = 1.0 if need.over_slo_last_week else _fade(need.days_since_peak, settings.recency_days)
    weights = settings.scoring_weights
    value = weights.revenue * revenue + weights.demand * demand + weights.severity * severe
    return Score(
        value * recency,
        {"revenue": revenue, "demand": demand, "severity": severe, "recency": recency},
    )


SCORERS: Final = (
    Scorer("formula", "money, demand and severity, weighted and faded by age", formula),
)

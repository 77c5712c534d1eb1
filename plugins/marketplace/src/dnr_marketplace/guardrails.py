"""Room: marketplace. The evening guardrail: how many payments fall into the local evening."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ibis

from dnr_core.model import GuardrailResult
from dnr_marketplace.settings import EveningSettings


def evening_window(
    tables: Mapping[str, Any],
    settings: EveningSettings,
    local_clock: Any,
    execute: Callable[[Any], list[dict[str, Any]]],
) -> GuardrailResult:
    """Measure the share of payments in the evening window, over all and by local day.

    Only captured payments count, as they lie. Without payments nothing is judged.
    """
    payments = tables["fact_payment"]
    payments = payments.filter(payments.captured_at.notnull())
    first, last = settings.hours
    rows = payments.select(
        day=local_clock.day(payments.captured_at), hour=local_clock.hour(payments.captured_at)
    )
    evening = ibis.ifelse((rows.hour >= first) & (rows.hour < last), 1, 0)
    by_day = execute(rows.group_by("day").agg(payments=rows.count(), evening=evening.sum()))
    if not by_day:
        return GuardrailResult({"payments": 0, "days": 0}, ())
    total = sum(int(row["payments"]) for row in by_day)
    within = sum(int(row["evening"]) for row in by_day)
    reached = sum(
        int(row["evening"]) * 100 >= settings.min_share_pct * int(row["payments"]) for row in by_day
    )
    share, days = 100 * within / total, 100 * reached / len(by_day)
    return GuardrailResult(
        {
            "payments": total,
            "days": len(by_day),
            "share_pct": share,
            "days_reaching_pct": days,
        },
        (
            _at_least("share_pct", share, settings.min_share_pct),
            _at_least("days_reaching_pct", days, settings.min_days_pct),
        ),
    )


def _at_least(name: str, measured: float, limit: float) -> Mapping[str, Any]:
    passed = measured >= limit
    return {"name": name, "measured": measured, "sign": ">=", "limit": limit, "passed": passed}

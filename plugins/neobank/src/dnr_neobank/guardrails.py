"""Room: neobank. The invoice guardrails: missing, on time, duplicates, payment lag."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ibis

from dnr_core.model import GuardrailResult
from dnr_neobank.settings import InvoiceSettings

_DAY_SECONDS = 86_400


def invoice_aggregates(
    tables: Mapping[str, Any],
    settings: InvoiceSettings,
    local_clock: Any,
    execute: Callable[[Any], list[dict[str, Any]]],
) -> GuardrailResult:
    """Measure the invoices as they lie.

    Missing: invoices whose period has ended without a payment. On time: paid at most
    `on_time_days` after `period_start`, of all invoices. Duplicates: invoices less distinct
    invoice numbers. Lag: the 95th percentile of `paid_at - period_start` over paid invoices, to
    the minute. Without invoices nothing is judged.
    """
    slos, rows = settings.slos, tables["fact_subscription_invoice"]
    lag = local_clock.seconds(rows.paid_at) - local_clock.seconds(rows.period_start)
    rows = rows.select("invoice_id", paid=rows.paid_at.notnull(), lag=lag)
    on_time = rows.paid & (rows.lag <= slos.on_time_days * _DAY_SECONDS)
    counted = execute(
        rows.agg(
            rows=rows.count(),
            unpaid=(~rows.paid).sum(),
            on_time=on_time.sum(),
            keyed=rows.invoice_id.count(),
            keys=rows.invoice_id.nunique(),
        )
    )[0]
    total = int(counted["rows"] or 0)
    if not total:
        return GuardrailResult({"invoices": 0}, ())
    missing = 100 * int(counted["unpaid"] or 0) / total
    punctual = 100 * int(counted["on_time"] or 0) / total
    duplicate = 100 * (int(counted["keyed"]) - int(counted["keys"])) / total
    p95 = _p95_days(rows, execute)
    checks = [
        _check("missing_pct", missing, "<=", slos.max_missing_pct),
        _check("paid_on_time_pct", punctual, ">=", slos.min_paid_on_time_pct),
        _check("duplicate_pct", duplicate, "<=", slos.max_duplicate_pct),
    ]
    if p95 is not None:
        checks.append(_check("p95_payment_lag_days", p95, "<=", slos.max_p95_payment_lag_days))
    return GuardrailResult(
        {
            "invoices": total,
            "missing_pct": missing,
            "paid_on_time_pct": punctual,
            "duplicate_pct": duplicate,
            "p95_payment_lag_days": p95,
        },
        tuple(checks),
    )


def _p95_days(rows: Any, execute: Callable[[Any], list[dict[str, Any]]]) -> float | None:
    # A histogram by the minute, because not every backend has quantiles.
    paid = rows.filter(rows.lag.notnull())
    minutes = paid.select(minute=(paid.lag // 60).cast("int64"))
    counts = execute(minutes.group_by("minute").agg(n=ibis._.count()))
    total = sum(int(row["n"]) for row in counts)
    reached = 0
    for row in sorted(counts, key=lambda row: int(row["minute"])):
        reached += int(row["n"])
        if reached * 100 >= total * 95:
            return int(row["minute"]) / 1440
    return None


def _check(name: str, measured: float, sign: str, limit: float) -> Mapping[str, Any]:
    passed = measured <= limit if sign == "<=" else measured >= limit
    return {"name": name, "measured": measured, "sign": sign, "limit": limit, "passed": passed}

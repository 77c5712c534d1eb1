"""Room: neobank. Limits of the invoice guardrails."""

from __future__ import annotations

from attrs import field, frozen, validators

_percent = validators.and_(validators.ge(0.0), validators.le(100.0))


@frozen
class InvoiceSlos:
    """Limits: percent of invoices, days for the lag from the period's start to the payment."""

    max_missing_pct: float = field(default=1.0, validator=_percent)
    min_paid_on_time_pct: float = field(default=97.0, validator=_percent)
    on_time_days: int = field(default=5, validator=validators.ge(0))
    max_duplicate_pct: float = field(default=0.2, validator=_percent)
    max_p95_payment_lag_days: float = field(default=3.0, validator=validators.ge(0.0))


@frozen
class InvoiceSettings:
    """Settings below `report.invoice_aggregates`."""

    slos: InvoiceSlos = InvoiceSlos()

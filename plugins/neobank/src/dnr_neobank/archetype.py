"""Room: neobank. The digital bank as an object: tables, money, figures, guardrails, words."""

from __future__ import annotations

from typing import Final

from dnr_core.model import (
    Amount,
    Archetype,
    Check,
    Condition,
    Guardrail,
    Kpi,
    RevenueStream,
)
from dnr_neobank.settings import InvoiceSettings
from dnr_neobank.tables import CAPTURED, SCHEMA
from dnr_neobank.words import VOCABULARY

_CAPTURED: Final = Condition("auth_result", "eq", CAPTURED)

NEOBANK: Final = Archetype(
    "neobank",
    "Neobank",
    SCHEMA,
    streams=(
        RevenueStream(
            "interchange",
            "fact_card_transaction",
            Amount(("amount_cents", "interchange_bps"), divide_by=10_000),
            time="event_time",
            where=(_CAPTURED,),
            title="Interchange",
        ),
        RevenueStream(
            "subscriptions",
            "fact_subscription_invoice",
            Amount("amount_cents"),
            time="paid_at",
            where=(Condition("paid_at", "not_null"),),
            title="Premium subscriptions",
        ),
        RevenueStream(
            "gmv",
            "fact_card_transaction",
            Amount("amount_cents"),
            time="event_time",
            where=(_CAPTURED,),
            title="Card spend (GMV)",
            is_revenue=False,
        ),
    ),
    kpis=(
        Kpi("active_customers", "Active customers (30 days)", "count", "dnr_neobank.kpis:active"),
        Kpi("new_accounts", "New accounts", "count", "dnr_neobank.kpis:new_accounts"),
        Kpi("card_spend", "Card spend", "cents", "dnr_neobank.kpis:card_spend"),
        Kpi("interchange_revenue", "Interchange revenue", "cents", "dnr_neobank.kpis:interchange"),
        Kpi(
            "subscription_revenue",
            "Subscription revenue",
            "cents",
            "dnr_neobank.kpis:subscriptions",
        ),
    ),
    guardrails=(
        Guardrail(
            "invoice_aggregates",
            "Invoices",
            "invoice_aggregates",
            InvoiceSettings,
            "dnr_neobank.guardrails:invoice_aggregates",
        ),
    ),
    volumes={
        "dim_customer": 50_000,
        "dim_account": 58_000,
        "dim_card": 55_000,
        "dim_merchant": 6_000,
        "dim_plan": 4,
        "fact_card_transaction": 5_000_000,
        "fact_subscription_invoice": 52_000,
    },
    fixed_tables=("dim_plan",),
    vocabulary=VOCABULARY,
    synthesis="dnr_neobank.synthesis:SYNTHESIS",
)

CHECKS: Final = (
    Check(
        "neobank_money",
        "Captured share, interchange and attach are in their bands",
        "dnr_neobank.checks:money",
        archetypes=("neobank",),
    ),
    Check(
        "neobank_rhythm",
        "Card spend follows weekday and local hour",
        "dnr_neobank.checks:rhythm",
        archetypes=("neobank",),
    ),
)

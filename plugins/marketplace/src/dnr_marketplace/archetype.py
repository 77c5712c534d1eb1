"""Room: marketplace. The marketplace as an object: tables, money, figures, guardrails, words."""

from __future__ import annotations

from typing import Final

from dnr_core.model import Amount, Archetype, Check, Guardrail, Kpi, RevenueStream
from dnr_marketplace.settings import EveningSettings
from dnr_marketplace.tables import SCHEMA
from dnr_marketplace.words import VOCABULARY

MARKETPLACE: Final = Archetype(
    "marketplace",
    "Marketplace",
    SCHEMA,
    streams=(
        RevenueStream(
            "platform_fees",
            "fact_payment",
            Amount("platform_fee_cents"),
            time="captured_at",
            keyed_by="order_id",
            title="Platform fees",
        ),
        RevenueStream(
            "gmv",
            "fact_order_item",
            Amount(("qty", "item_price_cents")),
            title="Goods sold (GMV)",
            is_revenue=False,
        ),
    ),
    kpis=(
        Kpi("gmv", "Goods sold (GMV)", "cents", "dnr_marketplace.kpis:gmv"),
        Kpi("take_rate", "Take rate", "share", "dnr_marketplace.kpis:take_rate"),
        Kpi("net_revenue", "Net revenue", "cents", "dnr_marketplace.kpis:net_revenue"),
        Kpi("orders", "Orders", "count", "dnr_marketplace.kpis:orders"),
        Kpi("aov", "Average order value", "cents", "dnr_marketplace.kpis:order_value"),
        Kpi("active_buyers", "Active buyers (30 days)", "count", "dnr_marketplace.kpis:buyers"),
        Kpi("active_sellers", "Active sellers (30 days)", "count", "dnr_marketplace.kpis:sellers"),
        Kpi("live_listings", "Live listings", "count", "dnr_marketplace.kpis:live_listings"),
    ),
    guardrails=(
        Guardrail(
            "marketplace_evening_window",
            "Evening payments",
            "marketplace.evening_window",
            EveningSettings,
            "dnr_marketplace.guardrails:evening_window",
        ),
    ),
    volumes={
        "dim_buyer": 100_000,
        "dim_seller": 20_000,
        "dim_category": 90,
        "dim_listing": 200_000,
        "fact_order": 1_000_000,
        "fact_order_item": 1_800_000,
        "fact_payment": 1_000_000,
        "snapshot_listing_daily": 18_000_000,
    },
    fixed_tables=("dim_category",),
    vocabulary=VOCABULARY,
    synthesis="dnr_marketplace.synthesis:SYNTHESIS",
)

CHECKS: Final = (
    Check(
        "marketplace_money",
        "Take rate and lines an order are in their bands",
        "dnr_marketplace.checks:money",
        archetypes=("marketplace",),
    ),
    Check(
        "marketplace_sums",
        "Amounts of sound orders add up to the cent",
        "dnr_marketplace.checks:sums",
        archetypes=("marketplace",),
        needs=("meta",),
    ),
    Check(
        "marketplace_rhythm",
        "Orders follow weekday and local hour, and are paid on their day",
        "dnr_marketplace.checks:rhythm",
        archetypes=("marketplace",),
    ),
    Check(
        "marketplace_snapshot",
        "Every listing has one row on every day of the retention",
        "dnr_marketplace.checks:snapshot",
        archetypes=("marketplace",),
    ),
)

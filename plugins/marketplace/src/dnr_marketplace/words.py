"""Room: marketplace. What people of a marketplace call things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dnr_core.model import CommsStyle

VOCABULARY: Final[Mapping[str, tuple[str, ...]]] = {
    "dashboard": (
        "the GMV board",
        "the seller health dashboard",
        "the checkout funnel board",
        "the evening peak monitor",
        "the catalogue overview",
        "the buyer retention board",
        "the category heat map",
        "the payouts page",
    ),
    "report": (
        "the weekly trading pack",
        "the take rate report",
        "the seller payout statement",
        "the category review",
        "the board pack",
        "the month-end fee summary",
        "the returns digest",
        "the holiday forecast",
    ),
    "team": (
        "seller success",
        "buyer growth",
        "checkout",
        "catalogue operations",
        "trust and safety",
        "the category managers",
        "payouts",
        "search and ranking",
        "finance planning",
    ),
    "metric": (
        "GMV",
        "take rate",
        "net revenue",
        "average order value",
        "active buyers",
        "active sellers",
        "live listings",
        "conversion",
        "items per order",
        "repeat rate",
    ),
    "source_system": (
        "the checkout service",
        "the payment gateway",
        "the listing service",
        "the seller portal",
        "the order export",
        "the catalogue crawler",
        "the payout engine",
    ),
    "segment": (
        "power sellers",
        "first-time buyers",
        "cross-border orders",
        "new shops",
        "gift buyers",
        "app shoppers",
        "vintage sellers",
    ),
    "feature": (
        "saved baskets",
        "shop vouchers",
        "bundle offers",
        "express checkout",
        "promoted listings",
        "gift wrapping",
        "shop breaks",
    ),
    "process": (
        "the nightly catalogue sync",
        "the payout run",
        "the month-end close",
        "the daily snapshot",
        "the fee settlement",
        "the category re-tagging",
        "the order replay",
    ),
    "field_wish": (
        "the device type",
        "the refund reason",
        "the shipping carrier",
        "the voucher code",
        "the promoted flag",
        "the listing colour",
        "the delivery date",
    ),
    "sensitive": (
        "buyer addresses",
        "seller bank details",
        "phone numbers",
        "tax identifiers",
        "private messages",
        "card fingerprints",
    ),
    "campaign": (
        "the spring sale",
        "the free-shipping weekend",
        "the new-seller push",
        "the gift guide",
        "the app launch",
        "the win-back vouchers",
    ),
}

STYLE: Final = CommsStyle(
    "trader",
    "Quick people of a marketplace",
    vocabulary={
        "greeting": ("hey", "hiya", "hey folks", "yo", "hi all", "quick one"),
        "thanks": ("ta", "thx", "cheers", "thanks a ton", "you rock"),
        "urgency": (
            "before the evening peak",
            "before the sale starts",
            "asap",
            "by tonight",
            "before the trading call",
            "no rush",
        ),
    },
    traits={"lowercase": 0.45, "typo": 0.08, "no_punctuation": 0.3},
    instructions="Write like busy staff of an online marketplace: short, quick, informal.",
)

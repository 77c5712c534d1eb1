"""Room: neobank. What people of a bank call things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dnr_core.model import CommsStyle

VOCABULARY: Final[Mapping[str, tuple[str, ...]]] = {
    "dashboard": (
        "the card spend board",
        "the interchange dashboard",
        "the premium members page",
        "the growth funnel board",
        "the weekly banking deck",
        "the fraud overview",
        "the activation board",
        "the merchant league table",
    ),
    "report": (
        "the monthly revenue pack",
        "the interchange statement",
        "the premium renewal report",
        "the regulator's return",
        "the card programme summary",
        "the board pack",
        "the unit economics sheet",
        "the cohort report",
    ),
    "team": (
        "card operations",
        "the premium squad",
        "growth",
        "treasury",
        "risk and fraud",
        "customer care",
        "the onboarding team",
        "partner banking",
        "finance planning",
    ),
    "metric": (
        "active customers",
        "interchange revenue",
        "card spend",
        "new accounts",
        "subscription revenue",
        "attach rate",
        "churn",
        "approval rate",
        "spend per card",
        "revenue per customer",
    ),
    "source_system": (
        "the card processor",
        "the billing service",
        "the ledger service",
        "the identity vendor",
        "the issuer feed",
        "the core banking export",
        "the merchant registry",
    ),
    "segment": (
        "premium members",
        "students",
        "joint accounts",
        "new sign-ups",
        "travellers",
        "savers",
        "dormant customers",
    ),
    "feature": (
        "virtual cards",
        "round-ups",
        "the travel add-on",
        "instant top-up",
        "the savings pot",
        "cash-back offers",
        "shared accounts",
    ),
    "process": (
        "the nightly settlement",
        "the chargeback run",
        "the renewal run",
        "the month-end close",
        "the merchant refresh",
        "the card re-issue",
        "the identity re-check",
    ),
    "field_wish": (
        "the wallet type",
        "the chargeback flag",
        "the merchant country",
        "the card product",
        "the cancellation reason",
        "the acquisition channel",
        "the settlement date",
    ),
    "sensitive": (
        "card holder details",
        "identity documents",
        "home addresses",
        "phone numbers",
        "salary payments",
        "dates of birth",
    ),
    "campaign": (
        "the summer cash-back push",
        "the refer-a-friend drive",
        "the student launch",
        "the premium trial",
        "the travel promotion",
        "the win-back mails",
    ),
}

STYLE: Final = CommsStyle(
    "banker",
    "Careful people of a bank",
    vocabulary={
        "greeting": ("hello all", "good morning", "hi team", "morning", "hello", "dear all"),
        "thanks": ("many thanks", "thank you", "much appreciated", "thanks in advance"),
        "urgency": (
            "before the close",
            "ahead of the audit",
            "by end of day",
            "before settlement",
            "when you can",
            "this week please",
        ),
    },
    traits={"lowercase": 0.1, "typo": 0.03, "no_punctuation": 0.05},
    instructions="Write like careful staff of a bank: complete sentences, polite, exact.",
)

"""Room: neobank. Customers, their accounts and cards, and the plans on offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from dnr_core.model import Company, Family
from dnr_core.synth import (
    DAY,
    I64,
    Arrivals,
    Followers,
    Mix,
    Rhythm,
    arrivals,
    followers,
    instants,
    rows_by_id,
    stream_of,
    volume,
    words,
)
from dnr_neobank.tables import (
    ACCOUNT,
    ACCOUNT_STATUS,
    ACCOUNT_TYPES,
    CARD,
    CARD_STATUS,
    CUSTOMER,
    KYC,
    PLAN,
)

SIGN_UPS: Final = Rhythm(
    weekday=(105, 104, 102, 100, 100, 96, 93),
    hour=(18, 10, 6, 5, 6, 14, 38, 72, 104, 122, 130, 134, 138, 130, 122, 118, 120, 132, 150, 168,
          172, 150, 98, 46),
)  # fmt: skip
EARLIER_PERMILLE: Final = 500
"""Half of the customers were there before the history; the others come over all of it."""
_ACTIVATION_SECONDS: Final = 10 * DAY

PLANS: Final = (
    ("Standard", 0, "monthly"),
    ("Student", 0, "monthly"),
    ("Premium", 999, "monthly"),
    ("Premium yearly", 9_990, "yearly"),
)
PREMIUM_ID: Final = 3
PREMIUM_CENTS: Final = PLANS[PREMIUM_ID - 1][1]

_KYC = Mix.of((955, 30, 15))
_TYPES = Mix.of((90, 4, 6))
_SECOND_TYPES = Mix.of((10, 72, 18))
_ACCOUNT_STATUS = Mix.of((950, 12, 38))
_CARD_STATUS = Mix.of((925, 25, 50))


def customers(company: Company) -> Arrivals:
    """Return when customers signed up."""
    return arrivals(
        company,
        "dim_customer",
        volume(company, 50_000),
        earlier_permille=EARLIER_PERMILLE,
        rhythm=SIGN_UPS,
    )


def accounts(company: Company) -> Followers:
    """Return when accounts were opened: one with each sign-up, second ones in between."""
    return followers(company, "dim_account", volume(company, 58_000), customers(company))


def cards(company: Company) -> Followers:
    """Return when cards were activated: up to ten days after their account was opened."""
    return followers(
        company,
        "dim_card",
        volume(company, 55_000),
        accounts(company),
        delay_seconds=_ACTIVATION_SECONDS,
    )


def _customer_columns(company: Company, ids: I64) -> Mapping[str, Any]:
    kyc = _KYC.pick(stream_of(company, "dim_customer", "kyc_status").bits(ids))
    return {
        "customer_id": ids,
        "created_at": instants(customers(company).created(ids)),
        "kyc_status": words(kyc, KYC),
    }


def _account_columns(company: Company, ids: I64) -> Mapping[str, Any]:
    known, stream = accounts(company), stream_of(company, "dim_account")
    latest = known.leader(ids)
    first = latest != known.leader(ids - 1)
    # A second account belongs to anybody who had signed up by then.
    holder = np.where(first, latest, 1 + stream.child("customer_id").below(ids, latest))
    draws = stream.child("type").bits(ids)
    return {
        "account_id": ids,
        "customer_id": holder,
        "type": words(
            np.where(first, _TYPES.pick(draws), _SECOND_TYPES.pick(draws)), ACCOUNT_TYPES
        ),
        "created_at": instants(known.created(ids)),
        "status": words(_ACCOUNT_STATUS.pick(stream.child("status").bits(ids)), ACCOUNT_STATUS),
    }


def _card_columns(company: Company, ids: I64) -> Mapping[str, Any]:
    known, stream = cards(company), stream_of(company, "dim_card")
    return {
        "card_id": ids,
        "account_id": known.leader(ids),
        "status": words(_CARD_STATUS.pick(stream.child("status").bits(ids)), CARD_STATUS),
        "activated_at": instants(known.created(ids)),
    }


def _plan_columns(_: Company, ids: I64) -> Mapping[str, Any]:
    return {
        "plan_id": ids,
        "name": [name for name, _, _ in PLANS],
        "price_cents": [cents for _, cents, _ in PLANS],
        "cadence": [cadence for _, _, cadence in PLANS],
    }


CUSTOMERS: Final[Family] = rows_by_id(CUSTOMER, lambda c: customers(c).count, _customer_columns)
ACCOUNTS: Final[Family] = rows_by_id(ACCOUNT, lambda c: accounts(c).count, _account_columns)
CARDS: Final[Family] = rows_by_id(CARD, lambda c: cards(c).count, _card_columns)
PLAN_LIST: Final[Family] = rows_by_id(PLAN, lambda _: len(PLANS), _plan_columns)

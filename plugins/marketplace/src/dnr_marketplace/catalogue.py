"""Room: marketplace. Categories, sellers and listings, and what a listing's status is on a day.

A seller puts up listings in batches of five: one seller, one category, one fate. So the
listings that can share an order are known from a number alone, without a list of each seller's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnr_core.model import Company, Family
from dnr_core.synth import (
    I64,
    Amounts,
    Arrivals,
    Mix,
    Rhythm,
    Shuffle,
    arrivals,
    company_clock,
    history,
    instants,
    rows_by_id,
    stream_of,
    volume,
    words,
    zipf,
)
from dnr_marketplace.tables import (
    CATEGORY,
    COUNTRIES,
    LISTING,
    LISTING_STATUS,
    SELLER,
    SHOP_STATUS,
)

BATCH: Final = 5
ACTIVE, PAUSED, SOLD_OUT, REMOVED = range(len(LISTING_STATUS))

DAYTIME: Final = Rhythm(
    weekday=(104, 103, 102, 101, 98, 96, 96),
    hour=(22, 12, 8, 6, 8, 16, 38, 70, 102, 122, 134, 136, 130, 134, 136, 132, 128, 122, 126, 136,
          146, 132, 92, 52),
)  # fmt: skip

TOPS: Final = (
    ("Home", 3_400, 1_180),
    ("Clothing", 2_900, 1_260),
    ("Jewellery", 4_200, 1_320),
    ("Toys", 2_200, 1_160),
    ("Electronics", 8_900, 1_060),
    ("Books", 1_400, 1_240),
    ("Garden", 3_100, 1_180),
    ("Sports", 4_600, 1_140),
    ("Beauty", 1_900, 1_240),
    ("Art", 5_600, 1_340),
)
"""Top categories: name, median price in cents, platform fee in basis points."""
_KINDS: Final = (
    "basics", "classics", "vintage", "handmade", "gifts", "outdoor", "premium", "clearance",
)  # fmt: skip
_FACTORS: Final = (60, 75, 90, 100, 110, 125, 190, 45)
"""Median price of a leaf, in percent of its top category's."""
LEAVES: Final = len(TOPS) * len(_KINDS)
FEE_BPS: Final = np.repeat(np.array([bps for _, _, bps in TOPS], dtype=np.int64), len(_KINDS))
"""Platform fee of each leaf."""

_COUNTRY: Final = Mix.of((620, 90, 40, 80, 60, 50, 40, 20))
_SHOP: Final = Mix.of((930, 45, 25))
_PRICES: Final = Amounts.of(
    [(median * factor // 100, 650) for _, median, _ in TOPS for factor in _FACTORS]
)
_SELLER_ROUNDS: Final = 4
_SPELLS: Final = Mix.of((925, 45, 30, 0))
"""Active, paused, sold out; by week of a batch."""
_LISTED_BATCHES: Final = 1 << 21
_BLOCK: Final = 1 << 16
STAPLES: Final = 8
"""Of this many batches, the first is always on sale, so that every order finds one."""


def sellers(company: Company) -> Arrivals:
    """Return when shops opened: seven of ten before the history."""
    size = volume(company, 20_000)
    return arrivals(company, "dim_seller", size, earlier_permille=700, rhythm=DAYTIME)


def listings(company: Company) -> Arrivals:
    """Return when listings went up: 65 % before the history."""
    size = volume(company, 200_000)
    return arrivals(company, "dim_listing", size, earlier_permille=650, rhythm=DAYTIME)


@lru_cache(maxsize=8)
def _seller_ranks(company: Company) -> Shuffle:
    return Shuffle.of(sellers(company).count, stream_of(company, "dim_seller", "rank"))


@lru_cache(maxsize=8)
def _leaf_ranks(company: Company) -> Shuffle:
    return Shuffle.of(LEAVES, stream_of(company, "dim_category", "rank"))


def batch_count(company: Company) -> int:
    """Return how many batches there are, the last one perhaps not full."""
    return -(-listings(company).count // BATCH)


def _of_batch(
    made: Callable[[Company, I64], I64], dtype: type, company: Company, number: I64
) -> I64:
    """Return what `made` gives for each batch, from a list of all batches where that is short.

    The list is a shortcut and no other way: orders ask for the same batches over and over.
    """
    if batch_count(company) > _LISTED_BATCHES:
        return made(company, number)
    return _all_batches(made, dtype, company).take(number).astype(np.int64)


@lru_cache(maxsize=16)
def _all_batches(
    made: Callable[[Company, I64], I64], dtype: type, company: Company
) -> NDArray[np.int32]:
    blocks = [
        made(company, np.arange(low, min(low + _BLOCK, batch_count(company)), dtype=np.int64))
        for low in range(0, batch_count(company), _BLOCK)
    ]
    return np.concatenate([block.astype(dtype) for block in blocks])


def _created(company: Company, number: I64) -> I64:
    return listings(company).created(number * BATCH + 1)


def _ended(company: Company, number: I64) -> I64:
    """First local day on which each batch is gone: two in three stay, others 30 to 750 days."""
    stream = stream_of(company, "dim_listing", "life")
    born = company_clock(company).day(_created(company, number))
    stays = (number % STAPLES == 0) | (stream.child("stays").below(number, 100) < 65)
    return np.where(stays, 10**6, born + 30 + stream.child("days").below(number, 720))


def _phase(company: Company, number: I64) -> I64:
    """Weekday on which a batch's weeks begin."""
    return stream_of(company, "dim_listing", "spell").child("phase").below(number, 7)


def status_on(company: Company, number: I64, day: I64 | int) -> NDArray[np.uint8]:
    """Return the status code of each batch on a local day: spells of pauses are weeks long."""
    week = (day + _of_batch(_phase, np.int8, company, number)) // 7
    kind = stream_of(company, "dim_listing", "spell").child("kind")
    code = _SPELLS.pick(kind.bits(number * 8192 + week))
    code[number % STAPLES == 0] = ACTIVE
    code[day >= _of_batch(_ended, np.int32, company, number)] = REMOVED
    return code


def leaf_of(company: Company, number: I64) -> I64:
    """Return the category leaf (from 0) of each batch; their popularity is Zipf."""
    return _of_batch(_leaf, np.uint8, company, number)


def _leaf(company: Company, number: I64) -> I64:
    stream = stream_of(company, "dim_listing", "category_id")
    return _leaf_ranks(company).to_id(zipf(LEAVES).pick(stream.bits(number))) - 1


def category_id(leaf: I64) -> I64:
    """Return the id of a leaf: the ids of the top categories come first."""
    return len(TOPS) + 1 + leaf


def seller_of(company: Company, number: I64) -> I64:
    """Return the seller of each batch: Zipf over all sellers, among those who were there."""
    return _of_batch(_seller, np.int32, company, number)


def _seller(company: Company, number: I64) -> I64:
    known, stream = sellers(company), stream_of(company, "dim_listing", "seller_id")
    present = known.existing(_created(company, number))
    ranks, shuffle = zipf(known.count, 80), _seller_ranks(company)
    chosen = np.zeros_like(number)
    open_ = np.arange(len(chosen))
    for attempt in range(_SELLER_ROUNDS):
        rank = ranks.pick(stream.child(attempt).bits(number[open_]))
        candidate = shuffle.to_id(rank)
        fits = candidate <= present[open_]
        chosen[open_[fits]] = candidate[fits]
        open_ = open_[~fits]
    chosen[open_] = 1 + stream.child("any").below(number[open_], present[open_])
    return chosen


def price_of(company: Company, listing: I64, leaf: I64) -> I64:
    """Return the price of each listing in cents, lognormal around its category's median."""
    return _PRICES.pick(stream_of(company, "dim_listing", "price_cents").bits(listing), leaf)


def _seller_columns(company: Company, ids: I64) -> Mapping[str, Any]:
    stream = stream_of(company, "dim_seller")
    return {
        "seller_id": ids,
        "created_at": instants(sellers(company).created(ids)),
        "country": words(_COUNTRY.pick(stream.child("country").bits(ids)), COUNTRIES),
        "shop_status": words(_SHOP.pick(stream.child("shop_status").bits(ids)), SHOP_STATUS),
    }


def _category_columns(_: Company, ids: I64) -> Mapping[str, Any]:
    tops = [name for name, _, _ in TOPS]
    leaves = [f"{kind} {name.lower()}".capitalize() for name in tops for kind in _KINDS]
    parents = np.repeat(np.arange(1, len(TOPS) + 1), len(_KINDS))
    return {
        "category_id": ids,
        "name": [*tops, *leaves],
        "parent_id": pa.array([None] * len(tops) + parents.tolist(), pa.int64()),
    }


def _listing_columns(company: Company, ids: I64) -> Mapping[str, Any]:
    own = (ids - 1) // BATCH
    number, where = np.unique(own, return_inverse=True)
    leaf = leaf_of(company, number)[where]
    last = int(history(company).day[-1])
    return {
        "listing_id": ids,
        "seller_id": seller_of(company, number)[where],
        "category_id": category_id(leaf),
        "created_at": instants(listings(company).created(ids)),
        "status": words(status_on(company, number, last)[where], LISTING_STATUS),
        "price_cents": price_of(company, ids, leaf),
    }


SELLERS: Final[Family] = rows_by_id(SELLER, lambda c: sellers(c).count, _seller_columns)
CATEGORIES: Final[Family] = rows_by_id(CATEGORY, lambda _: len(TOPS) + LEAVES, _category_columns)
LISTINGS: Final[Family] = rows_by_id(LISTING, lambda c: listings(c).count, _listing_columns)

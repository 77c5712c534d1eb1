"""Room: neobank. Merchants: 40 category codes in 8 sectors, and who is popular."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen
from numpy.typing import NDArray

from dnr_core.model import Company, Family
from dnr_core.synth import (
    I64,
    Mix,
    Shuffle,
    Zipf,
    rows_by_id,
    stream_of,
    volume,
    words,
    zipf,
)
from dnr_neobank.tables import MERCHANT


@frozen
class Sector:
    """A kind of shop: its amounts (median in cents, sigma in permille) and its channel mix.

    `channels` are weights in the order of `tables.CHANNELS`.
    """

    name: str
    median_cents: int
    sigma_permille: int
    channels: tuple[int, int, int, int]


SECTORS: Final = (
    Sector("groceries", 3_200, 750, (52, 32, 15, 1)),
    Sector("dining", 1_700, 650, (55, 25, 20, 0)),
    Sector("transport", 2_400, 700, (44, 34, 18, 4)),
    Sector("retail", 4_200, 900, (30, 28, 42, 0)),
    Sector("digital", 1_300, 650, (0, 0, 62, 38)),
    Sector("travel", 16_000, 900, (12, 18, 70, 0)),
    Sector("health", 3_900, 800, (38, 34, 22, 6)),
    Sector("home", 7_800, 750, (20, 26, 36, 18)),
)


@frozen
class Mcc:
    """A merchant category: code, noun for names, sector, share of swipes (permille), interchange."""

    code: int
    noun: str
    sector: int
    permille: int
    interchange_bps: int


MCCS: Final = (
    Mcc(5411, "Market", 0, 140, 137),
    Mcc(5422, "Butcher", 0, 18, 146),
    Mcc(5441, "Sweets", 0, 14, 150),
    Mcc(5451, "Dairy", 0, 14, 146),
    Mcc(5499, "Deli", 0, 54, 148),
    Mcc(5812, "Kitchen", 1, 78, 158),
    Mcc(5813, "Tavern", 1, 18, 162),
    Mcc(5814, "Diner", 1, 76, 156),
    Mcc(5462, "Bakery", 1, 22, 154),
    Mcc(5811, "Catering", 1, 6, 160),
    Mcc(5541, "Fuel", 2, 46, 118),
    Mcc(5542, "Pumps", 2, 24, 120),
    Mcc(4111, "Transit", 2, 28, 140),
    Mcc(4121, "Cabs", 2, 24, 150),
    Mcc(7523, "Parking", 2, 8, 148),
    Mcc(5311, "Store", 3, 44, 150),
    Mcc(5651, "Outfitters", 3, 36, 155),
    Mcc(5732, "Electronics", 3, 30, 150),
    Mcc(5942, "Books", 3, 18, 155),
    Mcc(5945, "Toys", 3, 22, 155),
    Mcc(5815, "Media", 4, 38, 162),
    Mcc(5816, "Games", 4, 26, 165),
    Mcc(5817, "Apps", 4, 26, 165),
    Mcc(4899, "Streaming", 4, 22, 160),
    Mcc(5968, "Subscriptions", 4, 8, 165),
    Mcc(4511, "Airways", 5, 10, 172),
    Mcc(7011, "Hotel", 5, 14, 170),
    Mcc(7512, "Rentals", 5, 6, 170),
    Mcc(4722, "Tours", 5, 4, 172),
    Mcc(4112, "Rail", 5, 6, 155),
    Mcc(5912, "Pharmacy", 6, 30, 146),
    Mcc(8011, "Clinic", 6, 8, 150),
    Mcc(8021, "Dental", 6, 6, 150),
    Mcc(8043, "Optics", 6, 6, 155),
    Mcc(7997, "Gym", 6, 10, 160),
    Mcc(5200, "Hardware", 7, 18, 142),
    Mcc(5712, "Furniture", 7, 10, 150),
    Mcc(4814, "Telecom", 7, 16, 145),
    Mcc(4900, "Utilities", 7, 12, 130),
    Mcc(5261, "Garden", 7, 4, 145),
)
"""Shares add up to 1,000; interchange averages 1.5 % over swipes and over their amounts."""

MCC_CODES: Final = np.array([mcc.code for mcc in MCCS], dtype=np.int32)
MCC_BPS: Final = np.array([mcc.interchange_bps for mcc in MCCS], dtype=np.int32)
MCC_SECTOR: Final = np.array([mcc.sector for mcc in MCCS], dtype=np.uint8)

_FIRST_WORDS: Final = (
    "Amber", "Birch", "Copper", "Dune", "Ember", "Fern", "Granite", "Harbor", "Indigo", "Juniper",
    "Kestrel", "Lantern", "Maple", "North", "Opal", "Prairie", "Quartz", "River", "Saffron",
    "Timber", "Umber", "Valley", "Willow", "Yarrow", "Zephyr",
)  # fmt: skip


def count(company: Company) -> int:
    """Return how many merchants there are."""
    return volume(company, 6_000)


@frozen(eq=False)
class Popularity:
    """Who is how popular: rank 0 is the most popular merchant."""

    zipf: Zipf
    shuffle: Shuffle
    mcc_of_rank: NDArray[np.uint8]


@lru_cache(maxsize=8)
def popularity(company: Company) -> Popularity:
    """Return the popularity of the company's merchants.

    Popular ranks are given, one by one, to the category that still lacks most of its share, and
    the long tail at random in proportion to what is then still lacking; so categories keep their
    shares of swipes although the first few merchants have much of all of them.
    """
    size, stream = count(company), stream_of(company, "dim_merchant")
    ranks = zipf(size)
    whole = sum(ranks.weights)
    lacking = [mcc.permille * whole for mcc in MCCS]
    head: list[int] = []
    unused = set(range(len(MCCS)))
    for number, weight in enumerate(ranks.weights[:1024]):
        # The last ranks of a small company go to categories that no merchant has yet.
        choices = unused if unused and min(size, 1024) - number <= len(unused) else lacking
        chosen = max(
            sorted(unused) if choices is unused else range(len(MCCS)), key=lacking.__getitem__
        )
        unused.discard(chosen)
        lacking[chosen] -= weight * 1000
        head.append(chosen)
    tail = np.arange(len(head), size, dtype=np.int64)
    rest = Mix.of([max(1, part >> 20) for part in lacking]).pick(stream.child("mcc").bits(tail))
    table = np.concatenate([np.array(head, dtype=np.uint8), rest])
    return Popularity(ranks, Shuffle.of(size, stream.child("rank")), table)


def _columns(company: Company, ids: I64) -> Mapping[str, Any]:
    known = popularity(company)
    mcc = known.mcc_of_rank[known.shuffle.to_rank(ids)]
    first = stream_of(company, "dim_merchant", "name").below(ids, len(_FIRST_WORDS))
    name = pc.binary_join_element_wise(
        words(first, _FIRST_WORDS).dictionary_decode(),
        words(mcc, [each.noun for each in MCCS]).dictionary_decode(),
        pa.array(ids).cast(pa.string()),
        " ",
    )
    return {"merchant_id": ids, "mcc": MCC_CODES[mcc], "name": name}


MERCHANTS: Final[Family] = rows_by_id(MERCHANT, count, _columns)

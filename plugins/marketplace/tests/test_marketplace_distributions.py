"""The marketplace's distributions against the parameters that its documentation states, by hand.

The figures stand here once more, so that a wrong factor in the plugin is caught. Seeds are fixed;
a test refuses by chance 3 times in 100,000, and `chance` works out how surely it sees a fault.
"""

from __future__ import annotations

from functools import lru_cache
from math import erf, log, sqrt

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from attrs import evolve

from dnr_core.synth import company_clock
from dnr_marketplace import trading
from dnr_marketplace.trading import ORDERS

WEEKDAY = (94, 92, 92, 94, 100, 124, 122)
HOUR = (24, 14, 9, 7, 8, 14, 30, 46, 60, 70, 76, 84, 92, 84, 80, 84, 100, 172, 214, 238, 226, 180,
        88, 46)  # fmt: skip
MONTH = {
    "T1": lambda number: 1.0,
    "T2": lambda number: 1.03**number,
    "T3": lambda number: 0.97**number,
    "T4": lambda number: {9: 0.6, 10: 0.7, 11: 0.8, 12: 0.9}.get(number, 1.0),
}
LINES = (560, 220, 120, 60, 40)
QUANTITIES = (860, 105, 35)
SHIPPING = {0: 400, 399: 180, 599: 220, 899: 140, 1299: 60}
# Top category: median price in cents, platform fee in basis points.
TOPS = {
    "Home": (3400, 1180),
    "Clothing": (2900, 1260),
    "Jewellery": (4200, 1320),
    "Toys": (2200, 1160),
    "Electronics": (8900, 1060),
    "Books": (1400, 1240),
    "Garden": (3100, 1180),
    "Sports": (4600, 1140),
    "Beauty": (1900, 1240),
    "Art": (5600, 1340),
}
LEAVES = (60, 75, 90, 100, 110, 125, 190, 45)
"""Median price of a top category's leaves, in percent of its own; sigma is 0.65 everywhere."""
KS_ALARM = 2.3
"""D times the root of n from which on a Kolmogorov-Smirnov test refuses: 5 in 100,000."""


def orders(company) -> np.ndarray:
    """The instants of all orders, in seconds."""
    batches = [ORDERS.generate(company, n)["fact_order"] for n in range(ORDERS.chunks(company))]
    times = [b.column("order_time").cast("int64").to_numpy(zero_copy_only=False) for b in batches]
    return np.concatenate(times) // 1_000_000


@lru_cache(maxsize=1)
def counted(company) -> dict[str, list[int]]:
    """Orders by local weekday, hour and month, and by UTC hour."""
    seconds, told = orders(company), company_clock(company)
    days = told.day(seconds)
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(int) - (2024 - 1970) * 12
    return {
        "weekday": np.bincount((days + 3) % 7, minlength=7).tolist(),
        "hour": np.bincount(told.hour(seconds), minlength=24).tolist(),
        "month": np.bincount(month, minlength=18).tolist(),
        "slot": np.bincount((seconds - 1_704_096_000) // 3600, minlength=13_127).tolist(),
    }


@pytest.fixture(scope="module")
def half(company):
    """A marketplace with a third of a million orders."""
    return company("marketplace", scale=0.35)


def test_orders_follow_weekday_hour_and_poisson(half, stated, chi_square, chance) -> None:
    """Weekdays, local hours and months have the stated shares, daylight-saving switches included, and
    hourly counts vary as a Poisson process does. A factor that is off by 5 % (a weekday's) or 10 %
    (an hour's, from 8 to 22 h) would be seen 99 times in 100."""
    told, found = stated(half, WEEKDAY, HOUR), counted(half)
    size = sum(found["month"])
    for part in ("weekday", "hour", "month"):
        assert abs(chi_square(found[part], told[part])) < 4
    for part, places, off in (("weekday", range(7), 1.05), ("hour", range(8, 23), 1.10)):
        for at in places:
            true = [share * (off if n == at else 1) for n, share in enumerate(told[part])]
            assert chance(size, told[part], true) > 0.99
    size = 350_000
    pairs = zip(found["slot"], told["slot"], strict=True)
    statistic = sum((n - size * p) ** 2 / (size * p) for n, p in pairs)
    # Small means add 1 / mean to the variance of each term.
    spread = sum(2 + 1 / (size * p) for p in told["slot"])
    assert abs(statistic - len(told["slot"])) < 4 * sqrt(spread)


@pytest.mark.parametrize("trajectory", ["T2", "T3", "T4"])
def test_trajectories_shape_the_months(half, stated, chi_square, trajectory) -> None:
    """Months grow by 3 %, fall by 3 %, or lose 40 % and come back over four (chi-square)."""
    made = evolve(half, scale=0.1, trajectory=trajectory)
    told = stated(made, WEEKDAY, HOUR, MONTH[trajectory])["month"]
    assert abs(chi_square(counted(made)["month"], told)) < 4
    assert chi_square(counted(evolve(made, trajectory="T1"))["month"], told) > 4


def test_a_wrong_weekday_factor_is_caught(half, stated, chi_square, monkeypatch) -> None:
    """With Sunday at 128 instead of 122 (5 %) the test above refuses."""
    wrong = evolve(trading.SHOPPING, weekday=(94, 92, 92, 94, 100, 124, 128))
    monkeypatch.setattr(trading, "SHOPPING", wrong)
    found = counted.__wrapped__(half)["weekday"]
    assert chi_square(found, stated(half, WEEKDAY, HOUR)["weekday"]) > 4


def test_baskets_have_their_mixes(market, chi_square, chance) -> None:
    """Lines an order, quantities and shipping have the stated weights (chi-square); lines that are
    one point off would be seen 95 times in 100."""
    lines = market.all(
        """SELECT n, count(*) FROM (SELECT count(*) AS n FROM fact_order_item GROUP BY order_id)
           GROUP BY 1 ORDER BY 1"""
    )
    assert [n for n, _ in lines] == [1, 2, 3, 4, 5]
    assert abs(chi_square([count for _, count in lines], LINES)) < 4
    assert chance(50_000, LINES, (560, 210, 130, 60, 40)) > 0.95
    told = market.all("SELECT qty, count(*) FROM fact_order_item GROUP BY 1 ORDER BY 1")
    assert abs(chi_square([count for _, count in told], QUANTITIES)) < 4
    told = dict(market.all("SELECT shipping_cents, count(*) FROM fact_order GROUP BY 1"))
    assert abs(chi_square([told[cents] for cents in SHIPPING], list(SHIPPING.values()))) < 4


def test_fees_are_those_of_the_category(market) -> None:
    """Each order's fee is its top category's share of the goods, to the cent."""
    fees = ", ".join(f"('{name}', {bps})" for name, (_, bps) in TOPS.items())
    assert (
        market.one(
            f"""SELECT count(*) FROM fact_payment p JOIN fact_order o USING (order_id) JOIN (
                  SELECT DISTINCT order_id, bps FROM fact_order_item JOIN dim_listing USING (listing_id)
                  JOIN dim_category leaf USING (category_id)
                  JOIN dim_category top ON top.category_id = leaf.parent_id
                  JOIN (VALUES {fees}) f(name, bps) ON f.name = top.name) USING (order_id)
                WHERE platform_fee_cents <> subtotal_cents * bps // 10000"""
        )
        == 0
    )


def test_prices_are_lognormal(market) -> None:
    """Prices over the medians of their leaf categories are lognormal with a sigma of 0.65
    (Kolmogorov-Smirnov): medians 6 % off would be seen with a power of over 99 %."""
    leaves = [
        f"({11 + 8 * top + leaf}, {median * percent // 100})"
        for top, (median, _) in enumerate(TOPS.values())
        for leaf, percent in enumerate(LEAVES)
    ]
    found = market.all(
        f"""SELECT price_cents, median FROM dim_listing
            JOIN (VALUES {", ".join(leaves)}) m(category_id, median) USING (category_id)"""
    )
    assert len(found) == market.one("SELECT count(*) FROM dim_listing")
    # A cent's middle: cheap leaves have medians of six dollars, where a cent is little.
    scores = np.sort(np.array([log((cents + 0.5) / median) / 0.65 for cents, median in found]))
    told = np.array([0.5 * (1 + erf(score / sqrt(2))) for score in scores.tolist()])
    root = sqrt(len(scores))
    places = np.arange(1, len(scores) + 1) / len(scores)
    assert np.abs(places - told).max() * root < KS_ALARM
    shift = 0.5 * (1 + erf(log(1.06) / 0.65 / sqrt(2))) - 0.5
    assert root * shift > KS_ALARM + 2.4 * 0.5
    moved = np.array([0.5 * (1 + erf((s - log(1.06) / 0.65) / sqrt(2))) for s in scores.tolist()])
    assert np.abs(places - moved).max() * root > KS_ALARM


def test_categories_are_zipf(company, chi_square) -> None:
    """Batches of listings are spread over the 80 leaves as 1, 1/2, 1/3, ... (chi-square over the
    first eight and the rest)."""
    from dnr_marketplace.catalogue import LISTINGS

    made = company("marketplace", scale=1.0)
    batches = [LISTINGS.generate(made, n)["dim_listing"] for n in range(LISTINGS.chunks(made))]
    raw = duckdb.connect(":memory:")
    raw.register("l", pa.Table.from_batches(batches))
    found = [
        count
        for (count,) in raw.execute(
            """SELECT count(DISTINCT (listing_id - 1) // 5) AS n FROM l
               GROUP BY category_id ORDER BY n DESC"""
        ).fetchall()
    ]
    shares = [1 / rank for rank in range(1, 81)]
    assert len(found) == 80
    assert abs(chi_square([*found[:8], sum(found[8:])], [*shares[:8], sum(shares[8:])])) < 4

"""Room: marketplace. How the marketplace comes to be: families, and what defects may ask of parents."""

from __future__ import annotations

from typing import Final

from dnr_core.model import Synthesis
from dnr_core.synth import parent
from dnr_marketplace import catalogue, trading
from dnr_marketplace.snapshots import SNAPSHOTS

SYNTHESIS: Final = Synthesis(
    (
        trading.BUYERS,
        catalogue.SELLERS,
        catalogue.CATEGORIES,
        catalogue.LISTINGS,
        trading.ORDERS,
        SNAPSHOTS,
    ),
    parents={
        "dim_buyer": parent(lambda company: trading.buyers(company).count, trading.buyers),
        "dim_seller": parent(lambda company: catalogue.sellers(company).count, catalogue.sellers),
        "dim_category": parent(lambda _: len(catalogue.TOPS) + catalogue.LEAVES),
        "dim_listing": parent(
            lambda company: catalogue.listings(company).count, catalogue.listings
        ),
        # A missing order is part of a business key, so that no two rows may share one.
        "fact_order": parent(
            lambda company: trading.orders(company).count, trading.orders, spread=1 << 50
        ),
    },
)

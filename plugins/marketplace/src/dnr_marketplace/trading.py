"""Room: marketplace. Buyers, and their orders with items and payments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
from attrs import frozen

from dnr_core.model import Company, Family
from dnr_core.synth import (
    I64,
    Arrivals,
    Events,
    Happenings,
    Mix,
    Rhythm,
    arrivals,
    below,
    busier,
    company_clock,
    events,
    instants,
    of_bps,
    over_history,
    record_batch,
    rows_by_id,
    stream_of,
    volume,
    words,
)
from dnr_marketplace.catalogue import (
    ACTIVE,
    BATCH,
    DAYTIME,
    FEE_BPS,
    STAPLES,
    leaf_of,
    listings,
    price_of,
    seller_of,
    status_on,
)
from dnr_marketplace.tables import BUYER, COUNTRIES, CURRENCY, ITEM, ORDER, PAYMENT

SHOPPING: Final = Rhythm(
    weekday=(94, 92, 92, 94, 100, 124, 122),
    hour=(24, 14, 9, 7, 8, 14, 30, 46, 60, 70, 76, 84, 92, 84, 80, 84, 100, 172, 214, 238, 226,
          180, 88, 46),
)  # fmt: skip
EARLIER_PERMILLE: Final = 389
"""Share of buyers before the history, so that 100,000 buyers have 1.25 M buyer-months."""
CAPTURE_SECONDS: Final = 1200
LINES_PERMILLE: Final = (560, 220, 120, 60, 40)
"""Orders of one to five lines; 1.8 on average."""

_LINES: Final = Mix.of(LINES_PERMILLE)
_LINE_COUNTS: Final = np.arange(1, 6, dtype=np.int64)
_QTY: Final = Mix.of((860, 105, 35))
_DISCOUNT: Final = Mix.of((850, 80, 50, 20))
_DISCOUNT_BPS: Final = np.array([0, 1000, 1500, 2000], dtype=np.int64)
_TAX: Final = Mix.of((220, 200, 280, 200, 100))
_TAX_BPS: Final = np.array([0, 600, 725, 875, 1000], dtype=np.int64)
_SHIPPING: Final = Mix.of((400, 180, 220, 140, 60))
_SHIPPING_CENTS: Final = np.array([0, 399, 599, 899, 1299], dtype=np.int64)
_COUNTRY: Final = Mix.of((700, 80, 40, 60, 40, 40, 25, 15))
_SECOND, _LOW, _FOURTH = np.uint64(16), np.uint64(32), np.uint64(48)
_BATCH_ROUNDS: Final = 3


def buyers(company: Company) -> Arrivals:
    """Return when buyers signed up."""
    return arrivals(
        company,
        "dim_buyer",
        volume(company, 100_000),
        earlier_permille=EARLIER_PERMILLE,
        rhythm=DAYTIME,
    )


def orders(company: Company) -> Events:
    """Return when orders were placed."""
    total = over_history(company, 1_000_000)
    return events(company, "fact_order", total, rhythm=SHOPPING, rows_a_chunk=120_000)


def _buyer_columns(company: Company, ids: I64) -> Mapping[str, Any]:
    country = _COUNTRY.pick(stream_of(company, "dim_buyer", "country").bits(ids))
    return {
        "buyer_id": ids,
        "created_at": instants(buyers(company).created(ids)),
        "country": words(country, COUNTRIES),
    }


@frozen(eq=False)
class Baskets:
    """Whose listings each order takes: its batch, how many of the batch were up, and lines."""

    batch: I64
    size: I64
    lines: I64


def _baskets(company: Company, known: Events, happened: Happenings, lines: I64) -> Baskets:
    ids, day = happened.ids, happened.each(known.slots.day[happened.slots])
    up = listings(company).existing(known.slots.starts[happened.slots])
    whole = happened.each(np.maximum(1, up // BATCH))
    stream = stream_of(company, "fact_order", "batch")
    appeal = stream_of(company, "dim_listing", "appeal")

    batch = np.zeros_like(ids)
    open_ = np.arange(len(ids))
    for attempt in range(_BATCH_ROUNDS):
        draws = stream.child(attempt).bits(ids[open_])
        one, two = below(draws, whole[open_]), below(draws << _LOW, whole[open_])
        chosen = busier(one, two, appeal)
        batch[open_] = chosen
        open_ = open_[status_on(company, chosen, day[open_]) != ACTIVE]
    # Whoever has found nothing on sale by now takes the nearest batch that always is.
    batch[open_] -= batch[open_] % STAPLES
    size = happened.each(np.minimum(BATCH, up))
    return Baskets(batch, size, np.minimum(lines, size))


@frozen(eq=False)
class Items:
    """Lines of the orders of a chunk, from 0, order by order; `order` is the place of the order."""

    order: I64
    line: I64
    listing: I64
    qty: I64
    price: I64


def _items(company: Company, ids: I64, baskets: Baskets, leaf: I64) -> Items:
    lines = baskets.lines
    ends = np.cumsum(lines)
    # Looking up by place is several times as fast as repeating.
    order = np.repeat(np.arange(len(ids)), lines)
    line = np.arange(ends[-1], dtype=np.int64) - (ends - lines).take(order)
    stream = stream_of(company, "fact_order_item")
    place = line + stream.child("listing_id").below(ids, baskets.size).take(order)
    size = baskets.size.take(order)
    # Both are below the size: its rest, without a slow division.
    place -= size * (place >= size)
    listing = place + (baskets.batch * BATCH + 1).take(order)
    qty = 1 + _QTY.pick(stream.child("qty").bits((ids * BATCH).take(order) + line))
    price = price_of(company, listing, leaf.take(order))
    return Items(order, line, listing, qty.astype(np.int64), price)


def _sums(values: I64, lengths: I64) -> I64:
    """Return the sums of stretches of these lengths, each at least 1, that follow one another."""
    upto = np.cumsum(values)[np.cumsum(lengths) - 1]
    return np.diff(upto, prepend=0)


def _generate(company: Company, chunk: int) -> Mapping[str, pa.RecordBatch]:
    known = orders(company)
    happened = known.chunk(chunk)
    ids, seconds, stream = happened.ids, happened.seconds, stream_of(company, "fact_order")
    at = instants(seconds)

    present = happened.each(buyers(company).existing(known.slots.starts[happened.slots]))
    draws = stream.child("buyer_id").bits(ids)
    one, two = below(draws, present), below(draws << _LOW, present)
    buyer = 1 + busier(one, two, stream_of(company, "dim_buyer", "busyness"))

    # One draw has 16 bits for each of four choices.
    shared = stream.child("lines", "discount_cents", "tax_cents", "shipping_cents").bits(ids)
    baskets = _baskets(company, known, happened, _LINE_COUNTS.take(_LINES.pick(shared)))
    leaf = leaf_of(company, baskets.batch)
    items = _items(company, ids, baskets, leaf)
    subtotal = _sums(items.qty * items.price, baskets.lines)
    discount = of_bps(subtotal, _DISCOUNT_BPS.take(_DISCOUNT.pick(shared << _SECOND)))
    tax = of_bps(subtotal - discount, _TAX_BPS.take(_TAX.pick(shared << _LOW)))
    shipping = _SHIPPING_CENTS.take(_SHIPPING.pick(shared << _FOURTH))
    order = {
        "order_id": ids,
        "buyer_id": buyer,
        "order_time": at,
        "currency": words(np.zeros(len(ids), dtype=np.int8), (CURRENCY,)),
        "subtotal_cents": subtotal,
        "tax_cents": tax,
        "shipping_cents": shipping,
        "discount_cents": discount,
        "loaded_at": at,
    }
    item = {
        "order_id": ids.take(items.order),
        "line_id": items.line + 1,
        "listing_id": items.listing,
        "seller_id": seller_of(company, baskets.batch).take(items.order),
        "qty": items.qty,
        "item_price_cents": items.price,
        "loaded_at": instants(seconds.take(items.order)),
    }
    return {
        "fact_order": record_batch(ORDER, order),
        "fact_order_item": record_batch(ITEM, item),
        "fact_payment": record_batch(
            PAYMENT,
            _payments(
                ids,
                _captured(company, known, happened),
                subtotal + tax + shipping - discount,
                (subtotal, of_bps(subtotal, FEE_BPS[leaf])),
            ),
        ),
    }


def _captured(company: Company, known: Events, happened: Happenings) -> I64:
    """Payments follow their order by minutes and stay on its local day."""
    days = known.slots.day[happened.slots]
    day_ends = happened.each(company_clock(company).day_start(days + 1))
    room = np.minimum(CAPTURE_SECONDS, day_ends - happened.seconds)
    delay = stream_of(company, "fact_payment", "captured_at").below(happened.ids, room)
    return happened.seconds + delay


def _payments(
    ids: I64, captured: I64, paid: I64, goods_and_fee: tuple[I64, I64]
) -> Mapping[str, Any]:
    goods, fee = goods_and_fee
    at = instants(captured)
    return {
        "order_id": ids,
        "captured_at": at,
        "buyer_paid_cents": paid,
        "seller_earnings_cents": goods - fee,
        "platform_fee_cents": fee,
        "loaded_at": at,
    }


BUYERS: Final[Family] = rows_by_id(BUYER, lambda c: buyers(c).count, _buyer_columns)
ORDERS: Final = Family(
    "orders",
    ("fact_order", "fact_order_item", "fact_payment"),
    lambda company: orders(company).chunks,
    _generate,
)

"""Room: testing. The bench: a little company on which kinds, profiles and checks are tried.

It has one of everything that a defect may look for: dimensions with and without a time, a fact with
required keys, categories and money, a child of that fact, and a daily snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa

from dnr_core import synth
from dnr_core.model import (
    Amount,
    Archetype,
    Column,
    Company,
    EventTime,
    Family,
    ForeignKey,
    RevenueStream,
    Schema,
    Synthesis,
    Table,
)

CHANNELS: Final = ("counter", "phone", "internet")
STATES: Final = ("plenty", "scarce", "gone")
MEMBERS: Final = 40_000
ITEMS: Final = 60
ORDERS: Final = 300_000
DAYS_A_CHUNK: Final = 30
_HOUR: Final = 3600

MEMBER: Final = Table(
    "dim_member",
    (Column("member_id", "int64", required=True), Column("joined_at", "timestamp")),
    primary_key="member_id",
    created_at="joined_at",
    title="members",
    aliases=("members",),
)
ITEM: Final = Table(
    "dim_item",
    (Column("item_id", "int64", required=True), Column("colour", "string")),
    primary_key="item_id",
    title="items",
    aliases=("items",),
)
ORDER: Final = Table(
    "fact_order",
    (
        Column("order_id", "int64", required=True, aliases=("order number",)),
        Column("member_id", "int64", required=True, aliases=("ordering member",)),
        Column("item_id", "int64", required=True, aliases=("ordered item",)),
        Column("ordered_at", "timestamp", aliases=("order time",)),
        Column("amount_cents", "int64", aliases=("order amount",)),
        Column("pieces", "int32"),
        Column("channel", "string", values=CHANNELS),
        Column("loaded_at", "timestamp"),
    ),
    primary_key="order_id",
    foreign_keys=(
        ForeignKey("member_id", "dim_member", "member_id", parent_time="joined_at"),
        ForeignKey("item_id", "dim_item", "item_id"),
    ),
    event_time=EventTime("ordered_at"),
    loaded_at="loaded_at",
    kind="fact",
    title="orders",
    aliases=("orders",),
)
PAYMENT: Final = Table(
    "fact_payment",
    (
        Column("payment_id", "int64", required=True, aliases=("payment number",)),
        Column("order_id", "int64", required=True, aliases=("paid order",)),
        Column("paid_at", "timestamp", aliases=("payment time",)),
        Column("paid_cents", "int64", aliases=("paid amount",)),
        Column("loaded_at", "timestamp"),
    ),
    primary_key="payment_id",
    foreign_keys=(ForeignKey("order_id", "fact_order", "order_id", parent_time="ordered_at"),),
    event_time=EventTime("paid_at"),
    loaded_at="loaded_at",
    kind="fact",
    title="payments",
    aliases=("payments",),
)
STOCK: Final = Table(
    "snapshot_stock",
    (
        Column("day", "date", required=True),
        Column("item_id", "int64", required=True),
        Column("pieces", "int64"),
        Column("state", "string", values=STATES),
    ),
    primary_key=("day", "item_id"),
    foreign_keys=(ForeignKey("item_id", "dim_item", "item_id"),),
    kind="snapshot",
    title="stock",
    aliases=("stock levels",),
)


def _members(company: Company) -> synth.Arrivals:
    size = synth.volume(company, MEMBERS)
    return synth.arrivals(company, "dim_member", size, earlier_permille=500)


def _orders(company: Company) -> synth.Events:
    size = synth.over_history(company, ORDERS)
    # Small chunks, so that even a tiny bench has several.
    return synth.events(company, "fact_order", size, rhythm=synth.EVEN, rows_a_chunk=3_000)


def _member_rows(company: Company, ids: synth.I64) -> Mapping[str, Any]:
    return {"member_id": ids, "joined_at": synth.instants(_members(company).created(ids))}


def _item_rows(company: Company, ids: synth.I64) -> Mapping[str, Any]:
    del company
    return {"item_id": ids, "colour": synth.words(ids % 3, ("red", "green", "blue"))}


def _order_rows(company: Company, chunk: int) -> Mapping[str, pa.RecordBatch]:
    known, stream = _orders(company), synth.stream_of(company, "fact_order")
    happened = known.chunk(chunk)
    ids = happened.ids
    present = _members(company).existing(known.slots.starts)[happened.slot]
    amounts = 200 + stream.child("amount_cents").below(ids, 9_800)
    at = synth.instants(happened.seconds)
    # Nobody pays before an order, and none after the end of the history.
    last = int(company.as_of.timestamp()) - 1
    paid = np.minimum(happened.seconds + 60 + stream.child("paid_at").below(ids, _HOUR), last)
    paid_at = synth.instants(np.maximum(paid, happened.seconds))
    return {
        "fact_order": synth.record_batch(
            ORDER,
            {
                "order_id": ids,
                "member_id": 1 + stream.child("member_id").below(ids, present),
                "item_id": 1 + stream.child("item_id").below(ids, ITEMS),
                "ordered_at": at,
                "amount_cents": amounts,
                "pieces": 1 + stream.child("pieces").below(ids, 5),
                "channel": synth.words(stream.child("channel").below(ids, 3), CHANNELS),
                "loaded_at": at,
            },
        ),
        "fact_payment": synth.record_batch(
            PAYMENT,
            {
                "payment_id": ids,
                "order_id": ids,
                "paid_at": paid_at,
                "paid_cents": amounts,
                "loaded_at": paid_at,
            },
        ),
    }


def _stock_chunks(company: Company) -> int:
    return -(-company.snapshot_days // DAYS_A_CHUNK)


def _stock_rows(company: Company, chunk: int) -> Mapping[str, pa.RecordBatch]:
    last = int(synth.company_clock(company).day(np.array([int(company.as_of.timestamp()) - 1]))[0])
    first = last - company.snapshot_days + 1 + chunk * DAYS_A_CHUNK
    days = np.arange(first, min(first + DAYS_A_CHUNK, last + 1), dtype=np.int64)
    ids = np.tile(np.arange(1, ITEMS + 1, dtype=np.int64), len(days))
    day = np.repeat(days, ITEMS)
    stream, place = synth.stream_of(company, "snapshot_stock"), day * ITEMS + ids
    rows = {
        "day": synth.dates(day),
        "item_id": ids,
        "pieces": 10 + stream.child("pieces").below(place, 90),
        "state": synth.words(stream.child("state").below(place, 3), STATES),
    }
    return {"snapshot_stock": synth.record_batch(STOCK, rows)}


SYNTHESIS: Final = Synthesis(
    (
        synth.rows_by_id(MEMBER, lambda company: _members(company).count, _member_rows),
        synth.rows_by_id(ITEM, lambda _: ITEMS, _item_rows),
        Family("orders", ("fact_order", "fact_payment"), lambda c: _orders(c).chunks, _order_rows),
        Family("stock", ("snapshot_stock",), _stock_chunks, _stock_rows),
    ),
    parents={
        "dim_member": synth.parent(lambda company: _members(company).count, _members),
        "dim_item": synth.parent(lambda _: ITEMS),
        "fact_order": synth.parent(lambda company: _orders(company).count, _orders),
    },
)

BENCH: Final = Archetype(
    "bench",
    "Bench",
    Schema((MEMBER, ITEM, ORDER, PAYMENT, STOCK)),
    streams=(RevenueStream("sales", "fact_order", Amount("amount_cents"), title="Sales"),),
    volumes={
        "dim_member": MEMBERS,
        "dim_item": ITEMS,
        "fact_order": ORDERS,
        "fact_payment": ORDERS,
        "snapshot_stock": 90 * ITEMS,
    },
    fixed_tables=("dim_item", "snapshot_stock"),
    vocabulary={
        "dashboard": ("the sales board", "the stock page"),
        "report": ("the weekly sales report", "the board pack"),
        "team": ("sales", "stock keeping", "finance"),
        "metric": ("sales", "orders a member", "stock days"),
        "source_system": ("the till", "the stock system"),
    },
    synthesis="dnr_core.testing.bench:SYNTHESIS",
)
"""The company itself; at its `evaluation` scale it has about 650,000 rows."""

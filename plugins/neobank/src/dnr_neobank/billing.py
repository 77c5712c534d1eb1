"""Room: neobank. Premium subscribers and their monthly invoices."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
from attrs import frozen
from numpy.typing import NDArray

from dnr_core.model import Company, Family
from dnr_core.synth import (
    DAY,
    I64,
    Mix,
    Stream,
    company_clock,
    history,
    instants,
    record_batch,
    stream_of,
    volume,
)
from dnr_neobank.people import PREMIUM_CENTS, PREMIUM_ID, customers
from dnr_neobank.tables import INVOICE

SUBSCRIBERS: Final = 4_340
"""At evaluation scale: 8.7 % of the customers ever attach, and about 7 % are members at the end."""
STAY_PERMILLE: Final = 982
"""A member is still one a month later with this chance: churn is 1.8 % a month."""
_BLOCK: Final = 100_000
_ROWS_A_CHUNK: Final = 200_000

# Payments by delay: same day, two days, to the limit, late, never.
_DELAY = Mix.of((810, 168, 14, 7, 1))
_DELAY_FROM = np.array([3600, DAY // 2, 2 * DAY, 5 * DAY + 3600, 0], dtype=np.int64)
_DELAY_SPAN = np.array([DAY // 2 - 3600, DAY + DAY // 2, 3 * DAY, 15 * DAY, 1], dtype=np.int64)
_NEVER: Final = 4


@frozen(eq=False)
class Members:
    """Subscribers (numbers from 1): customer, first billed month of theirs, months billed.

    Months count from 1970-01; `anchor` is the day of the month, 1 to 28, on which periods begin.
    """

    number: I64
    customer: I64
    anchor: I64
    first_month: I64
    months: I64


def subscribers(company: Company) -> int:
    """Return how many customers ever subscribe."""
    return min(volume(company, SUBSCRIBERS), customers(company).count)


def _month_starts(month: I64, anchor: I64) -> I64:
    return month.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + anchor - 1


def _months_stayed(stream: Stream, number: I64, most: int) -> I64:
    """Months that each member stays, geometric, at least one."""
    stays = [(1 << 64) * STAY_PERMILLE**n // 1000**n for n in range(1, most + 1)]
    table = np.array(stays[::-1], dtype=np.uint64)
    return 1 + most - np.searchsorted(table, stream.bits(number), side="right")


def members(company: Company, number: I64) -> Members:
    """Return those subscribers. Each comes from an equal share of the customers, in order.

    The first period begins on the day after sign-up; those who were members before the
    history are first billed in it at their first period that begins in it.
    """
    known, stream = customers(company), stream_of(company, "subscriber")
    size, total = subscribers(company), known.count
    begin, end = (number - 1) * total // size, number * total // size
    customer = begin + 1 + stream.child("customer_id").below(number, end - begin)
    told = company_clock(company)
    day = told.day(known.created(customer)) + 1
    month = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    anchor = np.minimum(28, day - _month_starts(month, np.ones_like(day)) + 1)
    slots = history(company)
    opening = int(slots.day[0])
    opened = np.datetime64(opening, "D").astype("datetime64[M]").astype(np.int64)
    # A period that begins on an earlier day of the sign-up month than the sign-up is the next one.
    month = np.where(_month_starts(month, anchor) < day, month + 1, month)
    in_history = np.where(_month_starts(np.full_like(day, opened), anchor) < opening, 1, 0) + opened
    stayed = _months_stayed(stream.child("months"), number, company.months + 1)
    return Members(number, customer, anchor, np.maximum(month, in_history), stayed)


def _invoices(company: Company, block: Members, months: NDArray[np.int64]) -> dict[str, I64]:
    """Invoices of these members for these months, by time, without ids."""
    age = months[None, :] - block.first_month[:, None]
    who, when = np.nonzero((age >= 0) & (age < block.months[:, None]))
    month, anchor, number = months[when], block.anchor[who], block.number[who]
    told = company_clock(company)
    start = told.day_start(_month_starts(month, anchor))
    stop = told.day_start(_month_starts(month + 1, anchor))
    stream = stream_of(company, "fact_subscription_invoice", "paid_at")
    # A member's month names the draw, so that an invoice does not depend on the others.
    draw = number * 4096 + month
    kind = _DELAY.pick(stream.bits(draw))
    delay = _DELAY_FROM[kind] + stream.child("within").below(draw, _DELAY_SPAN[kind])
    paid = kind != _NEVER
    event = np.where(paid, start + delay, stop)
    known = np.flatnonzero(event < history(company).end)
    order = known[np.lexsort((number[known], event[known]))]
    return {
        "customer_id": block.customer[who][order],
        "period_start": start[order],
        "period_end": stop[order],
        "paid": paid[order].astype(np.int64),
        "event": event[order],
    }


@frozen(eq=False)
class Billing:
    """Chunks of invoices: months by months, and in them blocks of members."""

    blocks: tuple[I64, ...]
    groups: tuple[I64, ...]
    before: I64

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return len(self.blocks) * len(self.groups)


def _part(
    company: Company, blocks: tuple[I64, ...], groups: tuple[I64, ...], chunk: int
) -> dict[str, I64]:
    group, block = divmod(chunk, len(blocks))
    return _invoices(company, members(company, blocks[block]), groups[group])


@lru_cache(maxsize=8)
def billing(company: Company) -> Billing:
    """Return the plan of the invoices: which chunk holds what, and how many come before it."""
    everyone = np.arange(1, subscribers(company) + 1, dtype=np.int64)
    blocks = tuple(np.split(everyone, np.arange(_BLOCK, len(everyone), _BLOCK)))
    days = history(company).day
    bounds = days[[0, -1]].astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    months = np.arange(bounds[0], bounds[1] + 1, dtype=np.int64)
    size = max(1, _ROWS_A_CHUNK // len(blocks[0]))
    groups = tuple(np.split(months, np.arange(size, len(months), size)))
    chunks = range(len(blocks) * len(groups))
    counts = [len(_part(company, blocks, groups, chunk)["event"]) for chunk in chunks]
    return Billing(blocks, groups, np.cumsum([0, *counts], dtype=np.int64))


def _generate(company: Company, chunk: int) -> Mapping[str, pa.RecordBatch]:
    plan = billing(company)
    rows = _part(company, plan.blocks, plan.groups, chunk)
    size = len(rows["event"])
    at = instants(rows["event"])
    values = {
        "invoice_id": plan.before[chunk] + np.arange(1, size + 1, dtype=np.int64),
        "customer_id": rows["customer_id"],
        "plan_id": np.full(size, PREMIUM_ID, dtype=np.int64),
        "period_start": instants(rows["period_start"]),
        "period_end": instants(rows["period_end"]),
        "paid_at": instants(rows["event"], rows["paid"] == 1),
        "amount_cents": np.full(size, PREMIUM_CENTS, dtype=np.int64),
        "loaded_at": at,
    }
    return {"fact_subscription_invoice": record_batch(INVOICE, values)}


INVOICES: Final = Family(
    "invoices", ("fact_subscription_invoice",), lambda company: billing(company).chunks, _generate
)

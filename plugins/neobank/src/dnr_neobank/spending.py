"""Room: neobank. Card transactions: a Poisson process over trend, weekday and local hour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa

from dnr_core.model import Company, Family
from dnr_core.synth import (
    Amounts,
    Events,
    Mix,
    MixByGroup,
    Rhythm,
    below,
    busier,
    events,
    instants,
    over_history,
    record_batch,
    stream_of,
    words,
)
from dnr_neobank.merchants import MCC_BPS, MCC_SECTOR, SECTORS, popularity
from dnr_neobank.people import cards
from dnr_neobank.tables import AUTH_RESULTS, CHANNELS, TRANSACTION

SPENDING: Final = Rhythm(
    weekday=(92, 93, 96, 100, 112, 118, 99),
    hour=(22, 12, 8, 6, 8, 18, 44, 82, 104, 100, 98, 122, 152, 136, 112, 110, 122, 148, 166, 160,
          132, 100, 68, 40),
)  # fmt: skip
AUTH_PERMILLE: Final = (965, 24, 7, 4)
"""Captured, declined, reversed, expired."""

_AUTH = Mix.of(AUTH_PERMILLE)
_CHANNEL = MixByGroup.of([sector.channels for sector in SECTORS])
_AMOUNT = Amounts.of([(sector.median_cents, sector.sigma_permille) for sector in SECTORS])
_LOW, _LOWEST = np.uint64(32), np.uint64(48)


def swipes(company: Company) -> Events:
    """Return when cards were used."""
    total = over_history(company, 5_000_000)
    return events(company, "fact_card_transaction", total, rhythm=SPENDING)


def _chunks(company: Company) -> int:
    return swipes(company).chunks


def _generate(company: Company, chunk: int) -> Mapping[str, pa.RecordBatch]:
    known, stream = swipes(company), stream_of(company, "fact_card_transaction")
    happened = known.chunk(chunk)
    ids = happened.ids

    # Cards that were active when the hour began; the busier of two makes some cards the daily one.
    present = happened.each(cards(company).existing(known.slots.starts[happened.slots]))
    draws = stream.child("card_id").bits(ids)
    one, two = below(draws, present), below(draws << _LOW, present)
    card = 1 + busier(one, two, stream_of(company, "dim_card", "busyness"))

    shops = popularity(company)
    rank = shops.zipf.pick(stream.child("merchant_id").bits(ids))
    mcc = shops.mcc_of_rank.take(rank).astype(np.intp)
    sector = MCC_SECTOR.take(mcc)
    at = instants(happened.seconds)
    # One draw has bits for three columns: 32 for the amount, 16 for each of the others.
    shared = stream.child("amount_cents", "channel", "auth_result").bits(ids)
    values = {
        "txn_id": ids,
        "card_id": card,
        "merchant_id": shops.shuffle.to_id(rank),
        "event_time": at,
        "amount_cents": _AMOUNT.pick(shared, sector),
        "interchange_bps": MCC_BPS.take(mcc),
        "channel": words(_CHANNEL.pick(shared << _LOW, sector), CHANNELS),
        "auth_result": words(_AUTH.pick(shared << _LOWEST), AUTH_RESULTS),
        "loaded_at": at,
    }
    return {"fact_card_transaction": record_batch(TRANSACTION, values)}


TRANSACTIONS: Final = Family("card_transactions", ("fact_card_transaction",), _chunks, _generate)

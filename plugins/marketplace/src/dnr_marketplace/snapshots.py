"""Room: marketplace. The daily snapshot: the status of every listing on every day kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
from attrs import frozen

from dnr_core.model import Company, Family
from dnr_core.synth import (
    I64,
    company_clock,
    dates,
    history,
    record_batch,
    words,
)
from dnr_marketplace.catalogue import BATCH, listings, status_on
from dnr_marketplace.tables import LISTING_STATUS, SNAPSHOT

_ROWS_A_CHUNK: Final = 250_000


@frozen(eq=False)
class Retention:
    """Which days are kept, and how they are cut: whole days, or slices of one day's listings."""

    days: I64
    days_a_chunk: int
    listings_a_chunk: int
    slices: int

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return -(-len(self.days) // self.days_a_chunk) * self.slices


def retention(company: Company) -> Retention:
    """Return the days kept: the last `snapshot_days` local days of the history."""
    slots = history(company)
    last, first = int(slots.day[-1]), int(slots.day[0])
    days = np.arange(max(first, last - company.snapshot_days + 1), last + 1, dtype=np.int64)
    size = listings(company).count
    return Retention(days, max(1, _ROWS_A_CHUNK // size), _ROWS_A_CHUNK, -(-size // _ROWS_A_CHUNK))


def _generate(company: Company, chunk: int) -> Mapping[str, pa.RecordBatch]:
    kept = retention(company)
    block, piece = divmod(chunk, kept.slices)
    days = kept.days[block * kept.days_a_chunk : (block + 1) * kept.days_a_chunk]
    low = piece * kept.listings_a_chunk
    high = min(low + kept.listings_a_chunk, listings(company).count)
    batch = np.arange(low // BATCH, -(-high // BATCH), dtype=np.int64)
    # A listing is in the snapshot of the day on which it went up, and of every day after it.
    up = np.clip(listings(company).existing(company_clock(company).day_start(days + 1)), low, high)
    codes = [
        np.repeat(status_on(company, batch, int(day)).astype(np.int32), BATCH)[: last - low]
        for day, last in zip(days, up.tolist(), strict=True)
    ]
    values = {
        "ds": dates(np.repeat(days.astype(np.int32), up - low)),
        "listing_id": np.concatenate([np.arange(low + 1, last + 1) for last in up.tolist()]),
        "status": words(np.concatenate(codes), LISTING_STATUS),
    }
    return {"snapshot_listing_daily": record_batch(SNAPSHOT, values)}


SNAPSHOTS: Final = Family(
    "listing_snapshots",
    ("snapshot_listing_daily",),
    lambda company: retention(company).chunks,
    _generate,
)

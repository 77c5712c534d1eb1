"""Room: warehouse. The base lag between an event and its load: a pure function of seed and row."""

from __future__ import annotations

from typing import Final

import numpy as np

from dnr_core.model import Company, LagProfile
from dnr_core.synth.draw import Indices, below_each, choose, dithered, exactly, generator
from dnr_core.synth.seeds import raw

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US


def base_lag_us(company: Company, lag: LagProfile, table: str, chunk: int, rows: int) -> Indices:
    """Return the lag of each of a chunk's rows in microseconds, in whole seconds.

    Usual lags are (2 min + max) / 3 of two even draws over the usual range: most lie in its
    lower half and few at its end, so the 95th percentile stays inside the range. Slow rows are
    a fixed number a chunk, one in each stratum, so that small tables have no more of them than
    large ones and their 95th percentile does not jump into the slow range.
    """
    rng = generator(company.seed, company.archetype, "lag", table, chunk)
    # Four draws of 16 bits a word; little-endian on every machine.
    words = raw(rng, (2 * rows + 3) // 4).astype("<u8", copy=False).view("<u2")
    first, second = words[: 2 * rows].reshape(2, rows)
    low, high = (minutes * 60 for minutes in lag.usual_minutes)
    # Three draws of 16 bits times a range of under six hours fit into 32 bits, at half the cost.
    narrow = high - low < (1 << 32) // (3 << 16)
    drawn = np.minimum(first, second).astype(np.uint32 if narrow else np.int64)
    # min + (first + second) is 2 min + max.
    drawn += first
    drawn += second
    drawn *= high - low
    drawn //= 3 << 16
    drawn += low
    seconds: Indices = drawn.astype(np.int64)
    wanted = dithered(
        exactly(lag.slow_share) * rows, company.seed, chunk, company.archetype, "slow", table
    )
    slow = choose(rng, rows, wanted)
    low, high = (minutes * 60 for minutes in lag.slow_minutes)
    seconds[slow] = low + below_each(rng, high - low, len(slow))
    seconds *= SECOND_US
    return seconds

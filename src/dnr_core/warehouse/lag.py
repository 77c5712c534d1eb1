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
    words = raw(rng, (2 * rows + 3) // 4).astype("<u8").view("<u2")
    draws: Indices = words[: 2 * rows].reshape(2, rows).astype(np.int64)
    low, high = (minutes * 60 for minutes in lag.usual_minutes)
    seconds: Indices = np.minimum(draws[0], draws[1])
    seconds += draws[0]
    seconds += draws[1]
    # min + (first + second) is 2 min + max.
    seconds *= high - low
    seconds //= 3 << 16
    seconds += low
    wanted = dithered(
        exactly(lag.slow_share) * rows, company.seed, chunk, company.archetype, "slow", table
    )
    slow = choose(rng, rows, wanted)
    low, high = (minutes * 60 for minutes in lag.slow_minutes)
    seconds[slow] = low + below_each(rng, high - low, len(slow))
    seconds *= SECOND_US
    return seconds

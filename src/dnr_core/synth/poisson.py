"""Room: synth. Exact Poisson counts from integer tables."""

from __future__ import annotations

from decimal import Context, Decimal
from functools import lru_cache
from typing import Final

import numpy as np

from dnr_core.synth.seeds import I64, U64, Stream

FRACTION_BITS: Final = 16
"""Means are given in units of 2**-16."""
_LARGEST: Final = 12
_EXACT: Final = Context(prec=50, Emin=-999_999, Emax=999_999)


@lru_cache(maxsize=64)
def _table(power: int) -> U64:
    """Cumulative probabilities of Poisson(2**power) in units of 2**-64."""
    mean = Decimal(2) ** power if power >= 0 else 1 / Decimal(2**-power)
    term = _EXACT.exp(-mean)
    total, count, cuts = term, 0, []
    while (cut := int(_EXACT.multiply(total, Decimal(1 << 64)))) < (1 << 64) - 1:
        cuts.append(cut)
        count += 1
        term = _EXACT.divide(_EXACT.multiply(term, mean), Decimal(count))
        if count > mean and term < Decimal(2) ** -66:
            break
        total = _EXACT.add(total, term)
    return np.array(cuts, dtype=np.uint64)


def poisson(stream: Stream, means: I64) -> I64:
    """Return a Poisson count for each mean (in units of 2**-16).

    A Poisson count of a mean is the sum of counts of the powers of two that add up to it, and
    each of those comes from a table of exact cumulative probabilities.
    """
    index = np.arange(len(means), dtype=np.int64)
    counts = np.zeros(len(means), dtype=np.int64)
    top = int(means.max(initial=0)).bit_length()
    for bit in range(top):
        where = index[(means >> bit) & 1 == 1]
        if not len(where):
            continue
        power = bit - FRACTION_BITS
        for part in range(1 << max(0, power - _LARGEST)):
            table = _table(min(power, _LARGEST))
            draws = stream.child("poisson", bit, part).bits(where)
            counts[where] += np.searchsorted(table, draws, side="right")
    return counts

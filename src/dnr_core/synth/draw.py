"""Room: synth. Random choice by seed and name, in integers only, so that it repeats anywhere."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import numpy as np

from dnr_core.synth.seeds import below, raw, stream

Indices = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

_GOLDEN: Final = 0x9E3779B97F4A7C15
_WORD: Final = 1 << 64


def generator(seed: int, *path: str | int) -> np.random.Generator:
    """Return a generator that depends on `seed` and `path` alone, not on what was drawn before."""
    return stream(seed, *path).generator()


def shuffled(rng: np.random.Generator, values: Indices) -> Indices:
    """Return the values in random order."""
    draws = raw(rng, len(values))
    order = np.argsort(draws)
    ordered = draws[order]
    if (ordered[1:] == ordered[:-1]).any():
        # Only a stable sort, at twice the cost, orders equal draws alike everywhere.
        order = np.argsort(draws, kind="stable")
    return values[order]


def below_each(rng: np.random.Generator, limit: int | Indices, count: int) -> Indices:
    """Return `count` integers, each uniform in [0, limit)."""
    return below(raw(rng, count), limit)


def one_below(rng: np.random.Generator, limit: int) -> int:
    """Return one integer, uniform in [0, limit)."""
    return int(below_each(rng, limit, 1)[0])


def exactly(share: float) -> Fraction:
    """Return the decimal that a person wrote (0.02) as a fraction (1/50)."""
    return Fraction(repr(float(share)))


def dithered(amount: Fraction, seed: int, position: int, *path: str | int) -> int:
    """Round `amount` up or down so that the sum over positions 0, 1, 2, ... stays on target.

    The threshold of position i is frac(start + i x golden ratio), a sequence of low discrepancy:
    for equal amounts the sum of n rounded ones is off by O(log n) rows, never by a growing bias.
    """
    start = int.from_bytes(stream(seed, *path).digest[:8], "big")
    threshold = (start + position * _GOLDEN) % _WORD
    whole = amount.numerator * _WORD + threshold * amount.denominator
    return int(whole // (amount.denominator * _WORD))


def choose(rng: np.random.Generator, available: int, count: int) -> Indices:
    """Choose `count` distinct positions of `available`, ascending, one in each of `count` strata.

    Strata keep a day's share of the chosen rows near the table's, at a cost of O(count).
    """
    if count <= 0:
        return np.empty(0, dtype=np.int64)
    if count >= available:
        return np.arange(available, dtype=np.int64)
    edges = np.arange(count + 1, dtype=np.int64) * available // count
    chosen: Indices = edges[:-1] + below_each(rng, np.diff(edges), count)
    return chosen

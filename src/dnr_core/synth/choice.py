"""Room: synth. Weighted choices by integer tables: mixes, popularity, shuffles."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from functools import lru_cache
from math import gcd
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from dnr_core.synth.seeds import I64, U64, Stream, below

_CELL_BITS: Final = 16
_CELLS: Final = 1 << _CELL_BITS
_S48, _S32 = np.uint64(48), np.uint64(32)
_LOW_32: Final = np.uint64(0xFFFFFFFF)
_EXACT: Final = Context(prec=34)


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Divide `total` by weights, exactly, by largest remainder; ties go to the first."""
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    rest = [total * weight % whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda n: (-rest[n], n))
    for n in order[: total - sum(shares)]:
        shares[n] += 1
    return shares


@frozen(eq=False)
class Mix:
    """A choice among few outcomes; each weight holds to 1 in 65,536."""

    table: NDArray[np.uint8]

    @classmethod
    def of(cls, weights: Sequence[int]) -> Mix:
        """Return the mix of up to 256 outcomes with these integer weights."""
        counts = apportion(_CELLS, weights)
        return cls(np.repeat(np.arange(len(weights), dtype=np.uint8), counts))

    def pick(self, bits: U64) -> NDArray[np.uint8]:
        """Return the outcome (position of its weight) of each draw, by its highest 16 bits."""
        return self.table.take((bits >> _S48).view(np.int64))


@frozen(eq=False)
class MixByGroup:
    """A mix for each of several groups."""

    table: NDArray[np.uint8]

    @classmethod
    def of(cls, weights: Sequence[Sequence[int]]) -> MixByGroup:
        """Return the mixes of groups 0, 1, ... ."""
        return cls(np.concatenate([Mix.of(row).table for row in weights]))

    def pick(self, bits: U64, group: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the outcome of each draw in its group's mix, by the highest 16 bits."""
        cell = (bits >> _S48).view(np.int64)
        cell += group.astype(np.int64) << _CELL_BITS
        return self.table.take(cell)


@frozen(eq=False)
class Alias:
    """A choice among many outcomes by Walker's alias method, in integers.

    Source: A. J. Walker, "An efficient method for generating discrete random variables with
    general distributions" (1977), with Vose's construction (1991).
    """

    cut: U64
    other: I64

    @classmethod
    def of(cls, weights: Sequence[int]) -> Alias:
        """Return the choice with these weights, each at least 0."""
        size, whole = len(weights), sum(weights)
        level = [weight * size for weight in weights]
        other, cut = list(range(size)), [1 << 32] * size
        small = [n for n in range(size) if level[n] < whole]
        large = [n for n in range(size) if level[n] >= whole]
        while small and large:
            low, high = small.pop(), large[-1]
            cut[low], other[low] = (level[low] << 32) // whole, high
            level[high] -= whole - level[low]
            if level[high] < whole:
                small.append(large.pop())
        return cls(np.array(cut, dtype=np.uint64), np.array(other, dtype=np.int64))

    def pick(self, bits: U64) -> I64:
        """Return the position of the outcome of each draw."""
        column = below(bits, len(self.other))
        coin = bits & np.uint64(0xFFFFFFFF)
        return np.where(coin < self.cut[column], column, self.other[column])


@frozen(eq=False)
class Zipf:
    """Popularity of `count` ranks: rank r (from 0) has a weight of `1 / (r + 1) ** exponent`.

    Ranks below 1,024 are weighed one by one and the others in 64 bands an octave, evenly within
    a band, so that the table stays small at any count and a weight is within 1 % of its own.
    """

    first: I64
    width: I64
    weights: tuple[int, ...]
    size_bits: int
    cut: NDArray[np.uint32]
    """Alias table over `2**size_bits` columns, in units of `2**(size_bits - 32)`."""
    first_of: I64
    width_of: U64
    """First rank and width of the band of column c under its cut (at 2 c) and over it (2 c + 1)."""

    def pick(self, bits: U64) -> I64:
        """Return the rank of each draw: the upper 32 bits choose the band, the lower ones in it."""
        cell = (bits >> np.uint64(64 - self.size_bits)).view(np.int64)
        coin = (bits >> _S32).astype(np.uint32)
        coin &= np.uint32((1 << (32 - self.size_bits)) - 1)
        over = coin >= self.cut.take(cell)
        cell <<= 1
        cell += over
        rank = bits & _LOW_32
        rank *= self.width_of.take(cell)
        rank >>= _S32
        ranks = rank.view(np.int64)
        ranks += self.first_of.take(cell)
        return ranks


@lru_cache(maxsize=32)
def zipf(count: int, exponent_percent: int = 100) -> Zipf:
    """Return Zipf popularity over `count` ranks with the exponent `exponent_percent / 100`."""
    first = list(range(min(count, 1024)))
    at = 1024
    while at < count:
        first.append(at)
        at += max(1, (1 << (at.bit_length() - 1)) // 64)
    bounds = np.array([*first, count], dtype=np.int64)
    width = np.diff(bounds)
    weights = [
        _weight(2 * start + size + 1, exponent_percent) * size
        for start, size in zip(first, width.tolist(), strict=True)
    ]
    size_bits = max(1, (len(weights) - 1).bit_length())
    padding = [0] * ((1 << size_bits) - len(weights))
    alias = Alias.of([*weights, *padding])
    bands = np.stack([np.arange(1 << size_bits), alias.other], axis=1).ravel()
    # No draw ends on padding, whose cut is 0.
    bands = np.minimum(bands, len(weights) - 1)
    return Zipf(
        bounds[:-1],
        width,
        tuple(weights),
        size_bits,
        (alias.cut >> np.uint64(size_bits)).astype(np.uint32),
        bounds[:-1][bands],
        width[bands].astype(np.uint64),
    )


def _weight(twice_rank: int, exponent_percent: int) -> int:
    """`2**40 / (twice_rank / 2) ** exponent`, rounded down; decimal, so that it repeats anywhere."""
    if exponent_percent == 100:
        return (1 << 41) // twice_rank
    power = _EXACT.multiply(_EXACT.ln(Decimal(twice_rank) / 2), Decimal(-exponent_percent) / 100)
    return int(_EXACT.exp(power) * (1 << 40))


@frozen
class Shuffle:
    """A fixed rearrangement of 0 ... count - 1, so that popularity does not follow the ids."""

    count: int
    factor: int
    shift: int

    @classmethod
    def of(cls, count: int, stream: Stream) -> Shuffle:
        """Return the rearrangement that `stream` names."""
        factor = max(1, count * 618 // 1000)
        while gcd(factor, count) != 1:
            factor += 1
        return cls(count, factor, int(stream.below(0, count)[0]))

    def to_id(self, rank: I64) -> I64:
        """Return the id (from 1) at each rank (from 0)."""
        ids = (rank * self.factor + self.shift).view(np.uint64)
        # By a multiplication: NumPy divides by one number much faster than it takes the rest.
        ids -= ids // np.uint64(self.count) * np.uint64(self.count)
        ids += np.uint64(1)
        return ids.view(np.int64)

    def to_rank(self, ids: I64) -> I64:
        """Return the rank (from 0) of each id (from 1)."""
        back = pow(self.factor, -1, self.count) if self.count > 1 else 0
        return (ids - 1 - self.shift) % self.count * back % self.count


def busier(one: I64, two: I64, busyness: Stream) -> I64:
    """Return, of each pair of ids, the one with the higher mark in the stream `busyness`.

    Where both are drawn evenly, an id's share of all draws grows in proportion to its rank: from
    none to twice the mean.
    """
    return np.where(busyness.marks(one) >= busyness.marks(two), one, two)

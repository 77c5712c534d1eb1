"""Room: synth. Random bits that are a pure function of names and positions.

A stream is named by a path (`seed, archetype, table, column, ...`), and a draw in it by an index,
usually the row's id. So a value depends on nothing else: not on the chunk it is made in, not on
the draws before it, not on which other columns and tables exist. The bits come from integer
arithmetic alone (SHA-256 for the stream, the SplitMix64 finaliser for the draw, MurmurHash3's for
short ones), so that they hold on every machine and under every version of NumPy, whose own
`Generator` methods may change.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import ArrayLike, NDArray

from dnr_core.model import Company

I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_GOLDEN_32: Final = np.uint32(0x9E3779B1)
_HIGH: Final = np.uint32(0xC2B2AE3D)
_FIRST_32: Final = np.uint32(0x85EBCA6B)
_SECOND_32: Final = np.uint32(0xC2B2AE35)
_S16, _S13 = np.uint32(16), np.uint32(13)
_BLOCK: Final = 1 << 14
_S30, _S27, _S31, _S32 = (np.uint64(n) for n in (30, 27, 31, 32))


@frozen
class Stream:
    """A named, endless, randomly accessible sequence of 64-bit draws."""

    digest: bytes

    def child(self, *path: str | int) -> Stream:
        """Return the stream of that name below this one."""
        name = json.dumps(path, separators=(",", ":")).encode()
        return Stream(hashlib.sha256(self.digest + name).digest())

    def bits(self, index: ArrayLike) -> U64:
        """Return the draws at `index` (integers of at least 0), one uniform 64-bit value each."""
        start = np.uint64(int.from_bytes(self.digest[:8], "big"))
        twist = np.uint64(int.from_bytes(self.digest[8:16], "big"))
        draws = np.atleast_1d(np.asarray(index)).astype(np.uint64, order="C")
        flat = draws.reshape(-1)
        shifted = np.empty(min(len(flat), _BLOCK), dtype=np.uint64)
        # In blocks that stay in the processor's cache.
        for begin in range(0, len(flat), _BLOCK):
            z = flat[begin : begin + _BLOCK]
            rest = shifted[: len(z)]
            z *= _GOLDEN
            z += start
            z ^= np.right_shift(z, _S30, out=rest)
            z *= _FIRST
            # All streams lie on one Weyl sequence; this keeps two that overlap from looking alike.
            z ^= twist
            z ^= np.right_shift(z, _S27, out=rest)
            z *= _SECOND
            z ^= np.right_shift(z, _S31, out=rest)
        return draws

    def marks(self, index: I64) -> U32:
        """Return 32-bit draws at `index` (integers of at least 0), at a third of the cost of `bits`.

        Take them for marks of entities, such as how busy one is, which are asked for again and
        again; not for the draws of rows, of which there are more than 32 bits can tell apart.
        """
        start, twist = (
            np.uint32(int.from_bytes(self.digest[place : place + 4], "big")) for place in (0, 4)
        )
        z = index.astype(np.uint32)
        if len(index) and int(index.max()) >> 32:
            z ^= (index >> 32).astype(np.uint32) * _HIGH
        z *= _GOLDEN_32
        z += start
        z ^= z >> _S16
        z *= _FIRST_32
        z ^= twist
        z ^= z >> _S13
        z *= _SECOND_32
        z ^= z >> _S16
        return z

    def below(self, index: ArrayLike, limit: int | I64) -> I64:
        """Return draws at `index`, uniform in `[0, limit)`."""
        return below(self.bits(index), limit)

    def generator(self) -> np.random.Generator:
        """Return a NumPy generator of this stream, for callers that want one.

        Take its draws with `raw`, which holds across versions of NumPy; `Generator`'s own methods
        need not.
        """
        return np.random.Generator(np.random.Philox(key=int.from_bytes(self.digest[:16], "big")))


def stream(seed: int, *path: str | int) -> Stream:
    """Return the stream of that seed and path."""
    return Stream(hashlib.sha256(f"dnr/{seed}".encode()).digest()).child(*path)


def stream_of(company: Company, *path: str | int) -> Stream:
    """Return a stream of a company: its seed and archetype, then the path."""
    return stream(company.seed, company.archetype, *path)


def raw(rng: np.random.Generator, count: int) -> U64:
    """Return `count` uniform 64-bit draws of a generator, the same under every NumPy."""
    bits: Any = rng.bit_generator
    return np.asarray(bits.random_raw(count), dtype=np.uint64)


def below(bits: U64, limit: int | I64) -> I64:
    """Map uniform 64-bit values to integers in `[0, limit)`.

    `limit` is at least 1, one number or one a draw. The bias is at most `limit / 2**32` for limits
    below 2**31 and `limit / 2**64` above.
    """
    wide = np.asarray(limit, dtype=np.int64).view(np.uint64)
    if int(wide.max(initial=0)) < 1 << 31:
        scaled = bits >> _S32
        scaled *= wide
        scaled >>= _S32
        return scaled.view(np.int64)
    return (bits % wide).view(np.int64)

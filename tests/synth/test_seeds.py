from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnr_core.synth import below, raw, stream

MASK = (1 << 64) - 1


def mixed(digest: bytes, index: int) -> int:
    """SplitMix64's finaliser on one draw, in Python's integers."""
    z = (index * 0x9E3779B97F4A7C15 + int.from_bytes(digest[:8], "big")) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z ^= int.from_bytes(digest[8:16], "big")
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


@given(
    st.integers(0, 2**63),
    st.lists(st.text(max_size=8) | st.integers(0, 99), max_size=3),
    st.integers(0, 2**40),
)
def test_bits_are_those_of_plain_integers(seed: int, path: list[str | int], index: int) -> None:
    """A draw is what Python's own integers give for its seed, path and position."""
    known = stream(seed, *path)
    assert int(known.bits(index)[0]) == mixed(known.digest, index)


def test_draws_hold_across_versions() -> None:
    """These draws are part of the format: a change of any of them changes every company."""
    known = stream(42, "neobank", "fact_card_transaction", "amount_cents")
    assert [int(b) for b in known.bits([0, 1, 10**9])] == [
        14725006621382959652,
        15183540452426124022,
        16372348671725903332,
    ]
    assert [int(b) for b in raw(known.generator(), 2)] == [1697758859557026099, 8421331563326106622]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1, "a", "b"), (2, "a", "b")),
        ((1, "a", "b"), (1, "ab")),
        ((1, "a", 1), (1, "a", "1")),
        ((1, "a", 11), (1, "a", 1, 1)),
    ],
)
def test_paths_do_not_collide(one: tuple, other: tuple) -> None:
    """Seeds and paths that differ in any way name streams that differ everywhere."""
    index = np.arange(1000)
    assert not (stream(*one).bits(index) == stream(*other).bits(index)).any()


def test_a_child_is_the_longer_path_of_its_parent_only() -> None:
    """A child depends on its parent's name and its own, and on nothing drawn before."""
    parent = stream(7, "table")
    first = parent.child("column").bits(np.arange(5))
    parent.bits(np.arange(1000))
    assert (parent.child("column").bits(np.arange(5)) == first).all()


def test_order_of_positions_does_not_matter() -> None:
    """The draw at a position is the same alone, in a crowd, and in any order."""
    known, index = stream(1, "x"), np.arange(10_000)
    together = known.bits(index)
    assert (known.bits(index[::-1])[::-1] == together).all()
    assert known.bits(4321)[0] == together[4321]


def test_marks_hold_across_versions_and_are_uniform(chi_square) -> None:
    """Short draws are the same everywhere, depend on all bits of the position, and fall evenly."""
    known = stream(42, "neobank", "dim_card", "busyness")
    assert known.marks(np.array([0, 1, 10**9, 1 + 2**32])).tolist() == [
        1625777800,
        3937889555,
        454237488,
        2006789518,
    ]
    counts = np.bincount(known.marks(np.arange(200_000)) >> 24, minlength=256)
    assert abs(chi_square(counts.tolist(), [1.0] * 256)) < 4


@pytest.mark.parametrize("limit", [2, 7, 100, 4096])
def test_below_is_uniform(limit: int, chi_square) -> None:
    """Draws below a limit fall evenly on all values (chi-square, fixed seed)."""
    drawn = stream(3, "uniform", limit).below(np.arange(200_000), limit)
    counts = np.bincount(drawn, minlength=limit)
    assert abs(chi_square(counts.tolist(), [1.0] * limit)) < 4


def test_neighbouring_draws_are_independent(chi_square) -> None:
    """Pairs of neighbours, and equal positions of two streams, are uniform on a grid."""
    one = stream(3, "a").below(np.arange(200_001), 10)
    two = stream(3, "b").below(np.arange(200_001), 10)
    for left, right in ((one[:-1], one[1:]), (one, two)):
        counts = np.bincount(left * 10 + right, minlength=100)
        assert abs(chi_square(counts.tolist(), [1.0] * 100)) < 4


@given(st.integers(1, 2**62))
def test_below_stays_below(limit: int) -> None:
    """Any limit holds, also above 2**31, where the arithmetic is another one."""
    bits = np.array([0, 1, 2**32, 2**63, 2**64 - 1], dtype=np.uint64)
    drawn = below(bits, limit)
    assert drawn.min() >= 0
    assert drawn.max() < limit


def test_below_takes_a_limit_for_each_draw() -> None:
    """With one limit a draw, each stays below its own."""
    limits = np.array([1, 2, 1000, 2**40])
    drawn = stream(1).below(np.arange(4), limits)
    assert (drawn < limits).all()
    assert (drawn >= 0).all()

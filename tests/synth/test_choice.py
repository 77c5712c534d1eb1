from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnr_core.synth import Alias, Mix, MixByGroup, Shuffle, apportion, busier, stream, zipf

ROWS = np.arange(200_000)


@given(st.integers(0, 10**6), st.lists(st.integers(0, 1000), min_size=1).filter(sum))
def test_apportion_divides_everything(total: int, weights: list[int]) -> None:
    """Shares add up to the total, and each is its exact share rounded down or up."""
    shares = apportion(total, weights)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - total * weight / sum(weights)) < 1 + 1e-6


def test_mix_keeps_its_weights(chi_square) -> None:
    """Outcomes come in the shares of their weights; a weight of 0 never comes."""
    weights = (965, 24, 0, 7, 4)
    counts = np.bincount(Mix.of(weights).pick(stream(1, "mix").bits(ROWS)), minlength=5)
    assert counts[2] == 0
    kept = [n for n, weight in enumerate(weights) if weight]
    assert abs(chi_square(counts[kept].tolist(), [weights[n] for n in kept])) < 4


def test_a_wrong_weight_is_caught(chi_square) -> None:
    """The same test refuses weights that are off by one in twenty."""
    counts = np.bincount(Mix.of((50, 50)).pick(stream(1, "mix").bits(ROWS)))
    assert chi_square(counts.tolist(), [51.25, 48.75]) > 4


def test_mix_by_group_uses_the_group_of_each_row(chi_square) -> None:
    """Each group has its own weights."""
    mix = MixByGroup.of([(90, 10), (30, 70), (0, 100)])
    group = ROWS % 3
    picked = mix.pick(stream(2, "mix").bits(ROWS), group)
    for number, weights in enumerate([(90, 10), (30, 70)]):
        counts = np.bincount(picked[group == number], minlength=2)
        assert abs(chi_square(counts.tolist(), weights)) < 4
    assert (picked[group == 2] == 1).all()


def test_alias_keeps_its_weights(chi_square) -> None:
    """Walker's tables give back the weights they were made of."""
    weights = [1, 10, 100, 5, 0, 84, 300]
    counts = np.bincount(Alias.of(weights).pick(stream(4).bits(ROWS)), minlength=7)
    assert counts[4] == 0
    kept = [0, 1, 2, 3, 5, 6]
    assert abs(chi_square(counts[kept].tolist(), [weights[n] for n in kept])) < 4


@pytest.mark.parametrize("exponent", [100, 80])
@pytest.mark.parametrize("count", [1, 7, 1024, 6000])
def test_zipf_follows_its_law(count: int, exponent: int, chi_square) -> None:
    """Ranks are as frequent as `1 / rank ** exponent` says, one by one and in the tail."""
    picked = zipf(count, exponent).pick(stream(5).bits(ROWS))
    assert picked.min() >= 0
    assert picked.max() < count
    if count == 1:
        return
    weights = np.arange(1, count + 1) ** (-exponent / 100)
    edges = np.unique(np.geomspace(1, count + 1, 25).astype(int)) - 1
    counts = np.add.reduceat(np.bincount(picked, minlength=count), edges[:-1])
    shares = np.add.reduceat(weights, edges[:-1])
    assert abs(chi_square(counts.tolist(), shares.tolist())) < 4


def test_zipf_over_millions_needs_a_small_table() -> None:
    """The table stays small at any count, and its last rank can be drawn."""
    ranks = zipf(200_000_000)
    assert len(ranks.first) < 3000
    assert int(ranks.first[-1] + ranks.width[-1]) == 200_000_000
    assert int(ranks.first[0]) == 0
    assert (np.diff(ranks.first) == ranks.width[:-1]).all()


@pytest.mark.parametrize("count", [1, 2, 3, 80, 6000, 99_991])
def test_shuffle_is_one_to_one(count: int) -> None:
    """Every rank has an id of its own, and back."""
    shuffle = Shuffle.of(count, stream(8))
    ids = shuffle.to_id(np.arange(count))
    assert sorted(ids.tolist()) == list(range(1, count + 1))
    assert (shuffle.to_rank(ids) == np.arange(count)).all()


def test_busier_gives_shares_by_rank() -> None:
    """An id's share grows with its busyness: the top tenth has about 19 % of the draws."""
    ids = np.arange(1000)
    busyness = stream(9)
    one, two = stream(10).below(ROWS, 1000), stream(11).below(ROWS, 1000)
    chosen = busier(one, two, busyness)
    top = np.argsort(busyness.marks(ids))[-100:]
    assert np.isin(chosen, top).mean() == pytest.approx(0.19, abs=0.005)

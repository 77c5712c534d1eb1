from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnr_core.model import Company
from dnr_core.synth import (
    EVEN,
    Rhythm,
    arrivals,
    events,
    expected_shares,
    followers,
    history,
    poisson,
    stream,
)

BUSY = Rhythm(
    weekday=(80, 90, 100, 100, 110, 140, 130), hour=(*(20,) * 8, *(100,) * 9, *(250,) * 5, 60, 40)
)


@pytest.mark.parametrize("count", [1, 2, 37, 5000])
def test_entities_come_in_the_order_of_their_ids(company, count: int) -> None:
    """Creation never goes back as ids go up, the first one comes first, all before the as-of."""
    made = company()
    known = arrivals(made, "dim_thing", count, earlier_permille=400)
    created = known.created(np.arange(1, count + 1))
    assert (np.diff(created) >= 0).all()
    assert created[0] == history(made, months_earlier=12).starts[0]
    assert created[-1] < history(made).end


def test_arrivals_keep_their_share_and_rhythm(company, chi_square) -> None:
    """The stated share comes before the history; the others follow the rhythm in it."""
    made = company()
    known = arrivals(made, "dim_thing", 60_000, earlier_permille=389, rhythm=BUSY)
    created = known.created(np.arange(1, 60_001))
    slots = history(made)
    inside = created[created >= slots.starts[0]]
    assert len(inside) == pytest.approx(60_000 * 0.611, abs=2)
    weekday = (slots.clock.day(inside) + 3) % 7
    counts = np.bincount(weekday, minlength=7).tolist()
    assert chi_square(counts, expected_shares(made, BUSY, "weekday")) < 4


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3000), st.integers(1, 1000), st.integers(0, 2**32), st.integers(0, 10**9))
def test_who_existed_and_who_came_later(count: int, earlier: int, seed: int, shift: int) -> None:
    """Ids up to `existing` were there, ids from `first_later` came later: at any instant."""
    made = _testland(seed)
    known = arrivals(made, "dim_thing", count, earlier_permille=earlier)
    cards = followers(made, "dim_card", max(1, count * 11 // 10), known, delay_seconds=864_000)
    slots = history(made)
    span = slots.end - int(slots.starts[0])
    times = slots.starts[0] + (np.arange(50) * 7919 * 997 + shift) % span
    draws = stream(seed, "pick").bits(np.arange(50))
    for comers in (known, cards):
        created = comers.created(np.arange(1, comers.count + 1))
        present = comers.existing(times)
        assert present.min() >= 1
        assert all((created[:n] <= t).all() for n, t in zip(present, times, strict=True))
        after = comers.first_later(times)
        assert all((created[n - 1 :] >= t).all() for n, t in zip(after, times, strict=True))
        ids, found = comers.later(times, draws)
        assert (created[ids - 1][found] > times[found]).all()
        assert ids.min() >= 1
        assert ids.max() <= comers.count


def test_existing_is_exact_at_midnight(company) -> None:
    """At the beginning of a local day, `existing` counts exactly who had come before it."""
    made = company()
    known = arrivals(made, "dim_thing", 4000, earlier_permille=500, rhythm=BUSY)
    created = known.created(np.arange(1, 4001))
    slots = history(made)
    midnights = slots.clock.day_start(np.unique(slots.day))
    assert known.existing(midnights).tolist() == np.searchsorted(created, midnights).tolist()


@pytest.mark.parametrize(("count", "leaders"), [(58, 50), (55, 58), (50, 50), (1, 1), (7, 3)])
def test_followers_are_spread_over_their_leaders(company, count: int, leaders: int) -> None:
    """More followers than leaders leave no leader out; fewer share none."""
    made = company()
    known = arrivals(made, "dim_thing", leaders, earlier_permille=500)
    after = followers(made, "dim_card", count, known)
    chosen = after.leader(np.arange(1, count + 1))
    assert chosen[0] == 1
    assert (np.diff(chosen) >= 0).all()
    assert len(set(chosen.tolist())) == min(count, leaders)
    assert chosen.max() <= leaders


@pytest.mark.parametrize("mean", [0.02, 0.9, 7.3, 200.0, 20_000.0])
def test_poisson_counts_have_mean_and_variance(mean: float) -> None:
    """Counts have the mean as their mean and as their variance, within five standard errors."""
    size = 20_000
    counts = poisson(stream(1, str(mean)), np.full(size, int(mean * 65_536)))
    assert counts.mean() == pytest.approx(mean, abs=5 * (mean / size) ** 0.5)
    variance_error = ((mean + 2 * mean**2) / size) ** 0.5
    assert counts.var() == pytest.approx(mean, abs=5 * variance_error)


def test_poisson_counts_follow_the_law(chi_square) -> None:
    """Counts of a mean of 2.5 are as frequent as `mean ** k / k! * e ** -mean` says."""
    size, mean = 100_000, 2.5
    counts = np.bincount(poisson(stream(1), np.full(size, int(mean * 65_536))), minlength=12)
    shares = [2.718281828459045**-mean]
    for k in range(1, 9):
        shares.append(shares[-1] * mean / k)
    told = [*counts[:9].tolist(), int(counts[9:].sum())]
    assert abs(chi_square(told, [*shares, 1 - sum(shares)])) < 4


def test_events_follow_weekday_hour_and_trend(company, chi_square) -> None:
    """Counts by weekday, local hour and month are those of the rates (chi-square)."""
    made = company(trajectory="T4")
    known = events(made, "fact_thing", 300_000, rhythm=BUSY)
    assert known.count == pytest.approx(300_000, abs=5 * 300_000**0.5)
    happened = [known.chunk(n) for n in range(known.chunks)]
    seconds = np.concatenate([part.seconds for part in happened])
    told = history(made).clock
    weekday, hour = (told.day(seconds) + 3) % 7, told.hour(seconds)
    slot_month = np.concatenate([known.slots.month[part.slot] for part in happened])
    for part, values in (("weekday", weekday), ("hour", hour), ("month", slot_month)):
        counts = np.bincount(values).tolist()
        assert abs(chi_square(counts, expected_shares(made, BUSY, part))) < 4


def test_a_wrong_weekday_is_caught(company, chi_square) -> None:
    """A weekday whose factor is 4 % off is refused by the same test."""
    made = company()
    known = events(made, "fact_thing", 300_000, rhythm=BUSY)
    seconds = np.concatenate([known.chunk(n).seconds for n in range(known.chunks)])
    counts = np.bincount((history(made).clock.day(seconds) + 3) % 7).tolist()
    wrong = Rhythm(weekday=(80, 90, 104, 100, 110, 140, 130), hour=BUSY.hour)
    assert chi_square(counts, expected_shares(made, wrong, "weekday")) > 4


def test_an_hour_that_comes_twice_has_twice_the_events(company) -> None:
    """On the autumn switch hour 1 happens twice, on the spring switch hour 2 never."""
    made = company()
    known = events(made, "fact_thing", 2_000_000, rhythm=EVEN)
    seconds = np.concatenate([known.chunk(n).seconds for n in range(known.chunks)])
    told = history(made).clock
    day, hour = told.day(seconds), told.hour(seconds)
    autumn = np.bincount(hour[day == 20_030], minlength=24)  # 2024-11-03
    spring = np.bincount(hour[day == 19_792], minlength=24)  # 2024-03-10
    usual = 2_000_000 / 547 / 24
    assert autumn[1] == pytest.approx(2 * usual, abs=5 * (2 * usual) ** 0.5)
    assert spring[2] == 0
    assert spring[3] == pytest.approx(usual, abs=5 * usual**0.5)


@pytest.mark.parametrize("rows_a_chunk", [500, 4096, 10**6])
def test_chunks_do_not_change_the_events(company, rows_a_chunk: int) -> None:
    """However events are cut, they are the same, in time order, with ids 1 to n."""
    made = company()
    whole = events(made, "fact_thing", 20_000, rhythm=BUSY, rows_a_chunk=10**6).chunk(0)
    cut = events(made, "fact_thing", 20_000, rhythm=BUSY, rows_a_chunk=rows_a_chunk)
    parts = [cut.chunk(n) for n in range(cut.chunks)]
    ids = np.concatenate([part.ids for part in parts])
    seconds = np.concatenate([part.seconds for part in parts])
    assert ids.tolist() == list(range(1, cut.count + 1))
    assert (np.diff(seconds) >= 0).all()
    if (cut.slots.lengths[:5] == whole_slot(made)).all():
        assert (seconds == whole.seconds).all()
    assert max(len(part.ids) for part in parts) <= 1.3 * rows_a_chunk + 100


def whole_slot(made: Company) -> int:
    return int(history(made).lengths[0])


def test_a_busy_company_has_small_chunks(company) -> None:
    """At volumes where one hour is more than a chunk, hours are cut."""
    known = events(company(months=1), "fact_thing", 40_000_000, rhythm=BUSY, rows_a_chunk=20_000)
    sizes = np.diff(known.before[known.bounds])
    assert sizes.max() < 30_000
    assert len(known.chunk(known.chunks // 2).ids) == sizes[known.chunks // 2]


def test_the_smallest_company_has_an_event(company) -> None:
    """One event at the least, however small the volume."""
    known = events(company(seed=3), "fact_thing", 1, rhythm=BUSY)
    assert known.count >= 1
    assert sum(len(known.chunk(n).ids) for n in range(known.chunks)) == known.count


def test_later_events_are_later(company) -> None:
    """An event named as later has a later instant; at the very end there is none."""
    made = company()
    known = events(made, "fact_thing", 5_000, rhythm=BUSY)
    seconds = known.chunk(0).seconds
    ids, found = known.later(seconds, stream(1).bits(np.arange(len(seconds))))
    assert (seconds[ids - 1][found] > seconds[found]).all()
    assert found.mean() > 0.99
    assert not known.later(np.array([history(made).end - 1]), stream(1).bits([0]))[1].any()


def test_adding_a_stream_changes_no_other(company) -> None:
    """What one name draws does not depend on what other names have drawn."""
    made = company()
    before = arrivals(made, "dim_a", 100, earlier_permille=500).created(np.arange(1, 101))
    arrivals(made, "dim_new", 100, earlier_permille=500).created(np.arange(1, 101))
    events(made, "fact_new", 1000, rhythm=EVEN).chunk(0)
    again = arrivals(company(), "dim_a", 100, earlier_permille=500).created(np.arange(1, 101))
    assert (before == again).all()


def test_companies_without_a_beginning_are_refused(company) -> None:
    """Nobody before the history, or followers a year late, would leave events without parents."""
    with pytest.raises(ValueError, match="from 1 to 1000"):
        arrivals(company(), "dim_thing", 10, earlier_permille=0)
    known = arrivals(company(), "dim_thing", 10, earlier_permille=1)
    with pytest.raises(ValueError, match="300 days"):
        followers(company(), "dim_card", 10, known, delay_seconds=400 * 86_400)


@pytest.mark.parametrize(
    "wrong", [{"weekday": (100,) * 6}, {"hour": (100,) * 23 + (-1,)}, {"hour": (0,) * 24}]
)
def test_a_rhythm_that_cannot_be_is_refused(wrong: dict) -> None:
    """Seven weekdays, twenty-four hours, none negative, not all zero."""
    with pytest.raises(ValueError, match="must be"):
        Rhythm(**wrong)


def _testland(seed: int) -> Company:
    from datetime import UTC, datetime

    as_of = datetime(2025, 7, 1, 7, tzinfo=UTC)
    return Company("testland", seed, 1.0, 18, as_of, "America/Los_Angeles", "T1", 90)

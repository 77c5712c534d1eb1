from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from dnr_core.synth import clock, history, months_before, opening_day, trend

ZONES = [
    "America/Los_Angeles",
    "UTC",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Africa/Cairo",
    "Pacific/Auckland",
]
EPOCH = date(1970, 1, 1)


@pytest.mark.parametrize("tz", ZONES)
def test_clock_agrees_with_zoneinfo(tz: str) -> None:
    """Local day, hour and offset are those of zoneinfo at every half hour of two years."""
    told = clock(tz, date(2024, 1, 1), date(2025, 12, 31))
    start = int(datetime(2024, 1, 2, tzinfo=UTC).timestamp())
    seconds = np.arange(start, start + 728 * 86_400, 1800)
    for shift in (0, -1):
        moments = [
            datetime.fromtimestamp(s, UTC).astimezone(ZoneInfo(tz)) for s in (seconds + shift)
        ]
        assert told.day(seconds + shift).tolist() == [(m.date() - EPOCH).days for m in moments]
        assert told.hour(seconds + shift).tolist() == [m.hour for m in moments]


@pytest.mark.parametrize("tz", [zone for zone in ZONES if zone != "Africa/Cairo"])
def test_days_start_at_local_midnight(tz: str) -> None:
    """The first second of a local day is on it, and the second before is on the day before."""
    told = clock(tz, date(2024, 1, 1), date(2025, 12, 31))
    days = np.arange((date(2024, 1, 2) - EPOCH).days, (date(2025, 12, 30) - EPOCH).days)
    starts = told.day_start(days)
    assert (told.day(starts) == days).all()
    assert (told.day(starts - 1) == days - 1).all()


def test_switch_days_have_23_and_25_hours(company) -> None:
    """The spring day lacks its hour 2, the autumn day has its hour 1 twice."""
    slots = history(company())

    def hours(day: date) -> list[int]:
        return slots.hour[slots.day == (day - EPOCH).days].tolist()

    assert hours(date(2024, 3, 10)) == [h for h in range(24) if h != 2]
    assert hours(date(2024, 11, 3)) == sorted([*range(24), 1])
    assert hours(date(2025, 3, 9)) == [h for h in range(24) if h != 2]
    assert hours(date(2024, 7, 4)) == list(range(24))


@pytest.mark.parametrize("tz", ZONES)
@pytest.mark.parametrize("seconds_a_slot", [3600, 900])
def test_slots_tile_the_history(company, tz: str, seconds_a_slot: int) -> None:
    """Slots follow one another without gap or overlap, from local midnight to the as-of."""
    as_of = datetime(2025, 7, 1, tzinfo=ZoneInfo(tz)).astimezone(UTC)
    made = company(tz=tz, as_of=as_of)
    slots = history(made, seconds_a_slot=seconds_a_slot)
    ends = slots.starts + slots.lengths
    assert (ends[:-1] == slots.starts[1:]).all()
    assert (slots.lengths > 0).all()
    assert slots.starts[0] == datetime(2024, 1, 1, tzinfo=ZoneInfo(tz)).timestamp()
    assert slots.end == as_of.timestamp()
    assert set(np.unique(slots.month)) == set(range(18))


def test_months_are_local_months(company) -> None:
    """Each month of the history begins on its local first, and time before has month -1."""
    slots = history(company(), months_earlier=12)
    for number in (0, 1, 10, 17):
        first = slots.day[slots.month == number].min()
        assert first == (months_before(date(2024, 1, 1), -number) - EPOCH).days
    assert slots.starts[0] == datetime(2023, 1, 1, 8, tzinfo=UTC).timestamp()
    assert (slots.month[slots.day < (date(2024, 1, 1) - EPOCH).days] == -1).all()


def test_months_before_keeps_to_the_calendar() -> None:
    """A month back from the 31st is the last of a shorter month; years carry over."""
    assert months_before(date(2025, 3, 31), 1) == date(2025, 2, 28)
    assert months_before(date(2024, 3, 31), 1) == date(2024, 2, 29)
    assert months_before(date(2025, 1, 15), 1) == date(2024, 12, 15)
    assert months_before(date(2025, 1, 15), 13) == date(2023, 12, 15)
    assert months_before(date(2024, 12, 1), -1) == date(2025, 1, 1)


def test_an_as_of_in_the_middle_of_a_day_ends_the_last_slot(company) -> None:
    """The history never goes past the as-of, also where that is no midnight."""
    as_of = datetime(2025, 6, 15, 20, 20, tzinfo=UTC)
    slots = history(company(as_of=as_of, months=2))
    assert slots.end == as_of.timestamp()
    assert opening_day(company(as_of=as_of, months=2)) == date(2025, 4, 15)


def test_trajectories_have_their_shapes() -> None:
    """T1 steady, T2 +3 % a month, T3 -3 %, T4 -40 % in one month and back over four."""
    assert trend("T1", 18) == [10**9] * 18
    for name, factor in (("T2", 1.03), ("T3", 0.97)):
        shape = trend(name, 18)
        for one, two in pairwise(shape):
            assert two / one == pytest.approx(factor, rel=1e-6)
    shock = [value / 10**9 for value in trend("T4", 18)]
    assert shock == [1.0] * 9 + [0.6, 0.7, 0.8, 0.9] + [1.0] * 5
    with pytest.raises(ValueError, match="T9"):
        trend("T9", 18)


def test_long_histories_keep_their_growth() -> None:
    """Fifty years of growth stay positive and never fall."""
    shape = trend("T2", 600)
    assert min(shape) >= 1
    assert shape == sorted(shape)

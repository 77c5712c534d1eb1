"""Room: tests. Detectors on series made here: levels, noise, steps, drops, surges, clumps."""

from __future__ import annotations

from math import comb

import pytest

from dnr_core.health.gaps import clump_factor
from dnr_core.health.levels import running_medians
from dnr_core.health.noise import events_tail, excess_correlation
from dnr_core.health.shares import Series, judge, judge_together
from dnr_core.health.steps import find_steps
from dnr_core.health.surges import surge_days
from dnr_core.health.volume import drop_days

# A fixed scramble of -3 to 3: noise that every machine has.
WOBBLE = [(day * 47 + day * day * 13) % 7 - 3 for day in range(240)]


def test_the_tail_is_that_of_the_urn() -> None:
    """Beta-binomial with two even parameters is uniform; without correlation it is binomial."""
    assert events_tail(3, 9, 0.5, 1 / 3) == pytest.approx(7 / 10)
    binomial = sum(comb(20, k) * 0.1**k * 0.9 ** (20 - k) for k in range(5, 21))
    assert events_tail(5, 20, 0.1, 0.0) == pytest.approx(binomial)


def test_noise_is_found_whatever_a_tenth_of_the_days_does() -> None:
    """Scores of twice the usual spread give the correlation that explains it; spikes change little."""
    scores = [-3.29, -2.07, -1.35, -0.76, -0.25, 0.25, 0.76, 1.35, 2.07, 3.29] * 20
    found = excess_correlation(scores, [100.0] * 200)
    spiked = excess_correlation([*scores[:-10], *[50.0] * 10], [100.0] * 200)
    assert 0.02 < found < 0.06
    assert spiked == pytest.approx(found, rel=0.25)


def test_running_medians_are_cut_at_the_ends() -> None:
    """The median of the days within reach, by hand."""
    assert running_medians([0, 1, 2, 9], [1.0, 5.0, 3.0, 7.0], reach=2) == [3.0, 3.0, 3.0, 7.0]


def test_a_level_that_rises_and_stays_is_one_step_and_no_spike() -> None:
    """Six points more from day 100 to 159: a step with its days, its level before and within."""
    rows = [2000] * 240
    events = [40 + 2 * w + (120 if 100 <= day < 160 else 0) for day, w in enumerate(WOBBLE)]
    judged = judge(range(240), events, rows)
    (step,) = find_steps(judged, 0.05, 5)
    assert (step.first, step.last, step.shape, step.is_open) == (100, 159, "step", False)
    assert step.usual == pytest.approx(0.02, abs=0.001)
    assert step.share == pytest.approx(0.08, abs=0.001)
    assert step.p_value < 1e-6
    assert min(day.p_value for day in judged.days) > 1e-4


def test_a_defect_that_stays_is_open() -> None:
    """A rise that is still there on the last day says so."""
    events = [40 + 2 * w + (120 if day >= 200 else 0) for day, w in enumerate(WOBBLE)]
    (step,) = find_steps(judge(range(240), events, [2000] * 240), 0.05, 5)
    assert (step.first, step.last, step.is_open) == (200, 239, True)


def test_a_large_step_begins_on_its_first_day_however_near_the_end() -> None:
    """Forty points for the last 26 days, the first one half, are one step from that day on.

    Within four weeks of its start most days near it are of the level before, so that a running
    median takes the first ones for days that stand out.
    """
    rise = [0 if day < 214 else 400 if day == 214 else 800 for day in range(240)]
    events = [40 + 2 * w + more for w, more in zip(WOBBLE, rise, strict=True)]
    judged = judge(range(240), events, [2000] * 240)
    (step,) = find_steps(judged, 0.05, 5)
    assert (step.first, step.last, step.shape) == (214, 239, "step")
    assert min(day.p_value for day in judged.days[:214]) > 1e-4


def test_a_slow_rise_is_a_ramp() -> None:
    """Three rises within four weeks are one incident, not three."""
    climb = [min(3, max(0, (day - 100) // 10 + 1)) * 100 for day in range(240)]
    events = [40 + 2 * w + more for w, more in zip(WOBBLE, climb, strict=True)]
    (step,) = find_steps(judge(range(240), events, [2000] * 240), 0.05, 5)
    assert (step.shape, step.first) == ("ramp", 100)


def test_days_are_judged_by_their_own_level() -> None:
    """A spike is found before and after the level has shifted."""
    events = [40 + 2 * w + (200 if day >= 120 else 0) for day, w in enumerate(WOBBLE)]
    for day in (60, 180):
        events[day] += 200
    judged = judge(range(240), events, [2000] * 240).days
    assert [day.day for day in judged if day.p_value < 1e-6] == [60, 180]


def test_weekends_have_their_own_usual_value() -> None:
    """Twice the share on Saturdays and Sundays is a pattern, and no incident."""
    events = [(80 if (day + 3) % 7 >= 5 else 40) + w for day, w in enumerate(WOBBLE)]
    judged = judge(range(240), events, [2000] * 240).days
    assert min(day.p_value for day in judged) > 1e-3
    assert judged[2].usual == pytest.approx(0.04, abs=0.002)


def test_a_column_without_events_is_as_quiet_as_chance() -> None:
    """No event on any day, of many rows or few: noise factor 1, and the first event is rare."""
    rows = [500 + 10 * (day % 40) for day in range(240)]
    assert {d.noise_factor for d in judge(range(240), [0] * 240, rows).days} == {1.0}
    events = [30 if day == 50 else 0 for day in range(240)]
    assert judge(range(240), events, rows).days[50].p_value < 1e-12


def test_columns_that_are_alike_share_their_noise() -> None:
    """Six columns of equal spread are nearer to one another together than alone."""
    table = [
        Series(range(60), [60 + (w * (day + n) * 7) % 11 * 4 for day, w in enumerate(WOBBLE[:60])], [2000] * 60)
        for n in range(6)
    ]  # fmt: skip
    alone = [judge(s.days, s.events, s.rows).days[0].noise_factor for s in table]
    together = [judged.days[0].noise_factor for judged in judge_together(table)]
    assert max(together) - min(together) < max(alone) - min(alone)


def test_a_young_table_has_no_drops() -> None:
    """Few rows wander by chance; only a half of a grown day is a drop."""
    rows = [int(1000 * (day + 1) / 240) + WOBBLE[day] * int((day + 1) ** 0.5) for day in range(240)]
    assert drop_days(range(240), rows).days == []
    rows[200] //= 2
    (drop,) = drop_days(range(240), rows).days
    assert drop.day == 200
    assert drop.usual == pytest.approx(837, rel=0.1)


def test_a_surge_is_told_from_days_nearby() -> None:
    """Six times the 95th percentile on one day fires p95 alone; days of few rows are not judged."""
    lags = {day: (60.0 + WOBBLE[day], 150.0 + 2 * WOBBLE[day]) for day in range(240)}
    lags[100] = (62.0, 800.0)
    lags[20] = (60.0, 900.0)
    rows = {day: 20 if day == 20 else 600 for day in range(240)}
    (surge,) = surge_days(lags, rows).days
    assert (surge.day, surge.fired) == (100, ("p95",))
    assert surge.usual == pytest.approx(150, abs=8)


def test_rows_in_clumps_are_fewer_chances() -> None:
    """Hours of 0, 4 or 8 rows spread more than a Poisson draw of as many; single rows do not."""
    clumps = [0, 4, 8, 4] * 60
    assert clump_factor(clumps, [4.0] * 240) > 2
    assert clump_factor([3, 4, 5, 4] * 60, [4.0] * 240) == 1.0

"""Room: health. A share by day, judged against its own level, weekdays and noise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import asin, exp, log, sin, sqrt
from statistics import NormalDist, median
from typing import Final

from attrs import evolve, frozen

from dnr_core.health.levels import Level, Shift, near, segments
from dnr_core.health.noise import MOST_CORRELATION, events_tail, excess_correlation
from dnr_core.health.statistics import (
    FALSE_DISCOVERY_RATE,
    stable_angle,
    upper_tail,
    weekday_groups,
    weekend_groups,
)

STANDS_OUT: Final = 3.0
"""Days further from usual than so many standard deviations are no part of the usual share."""
WORTH_SUMMING: Final = 1.5
"""Below so many standard deviations the normal curve will do."""
MOST_EVENTS: Final = 5_000
"""Up to so many events a tail is summed; of more the normal curve is right."""
LEAST_SHARE: Final = 1e-9
ROUNDS: Final = 2
MOST_RATIO: Final = 4.0
"""Shares so many times the usual one's are no noisier, for the noise is known near the usual."""
KNOWN_DAYS: Final = 0.7
"""Share of the days that the trimmed noise is as good as."""
LEAST_ALIKE: Final = 5
"""Columns from which on it can be told whether their noises are alike."""


@frozen
class RateDay:
    """One column on one day (or week): what was seen, what is usual, how unlikely that is."""

    day: int
    events: int
    rows: int
    usual: float
    p_value: float
    noise_factor: float

    @property
    def share(self) -> float:
        """What was seen."""
        return self.events / self.rows

    @property
    def rise(self) -> float:
        """Share above the usual one."""
        return self.share - self.usual


@frozen
class JudgedShare:
    """A column: its days, and where its level shifts."""

    days: list[RateDay]
    shifts: list[Shift]
    levels: list[tuple[int, int, float]]
    """Stretches between shifts: places from and to, and the share of all their sound days."""


@frozen
class Series:
    """Events and rows by day (or week); days rise, and each has at least one row."""

    days: Sequence[int]
    events: Sequence[int]
    rows: Sequence[int]


@frozen
class _Fit:
    """A series beside what is usual; `score` is in standard deviations of chance."""

    series: Series
    usual: list[float]
    scores: list[float]
    weights: list[float]
    correlation: float
    shifts: list[Shift]
    levels: list[tuple[int, int, float]]

    @property
    def spread(self) -> float:
        """Variance of the scores on a usual day, 1 by chance alone."""
        return 1 + max(1.0, median(self.weights)) * self.correlation

    def correlation_at(self, spread: float) -> float:
        """Return the correlation that gives a usual day that variance."""
        return max(0.0, (spread - 1) / max(1.0, median(self.weights)))


def judge(days: Sequence[int], events: Sequence[int], rows: Sequence[int]) -> JudgedShare:
    """Judge one share by day; see `judge_together`."""
    return judge_together([Series(days, events, rows)])[0]


def judge_together(table: Sequence[Series]) -> list[JudgedShare]:
    """Judge the shares of a table's columns.

    The usual share of a day is that of the sound days of its stretch within four weeks, times what
    its weekday usually has. The noise is one number a column, the excess correlation of rows of
    one day; columns that are alike in it lend one another strength. The p-value is the upper tail
    of the beta-binomial with both, over what the noise may be.
    """
    fits = [_fitted(series) for series in table]
    known = [fit for fit in fits if fit is not None]
    noises = iter(_moderated(known))
    return [
        JudgedShare([], [], []) if fit is None else _judged_fit(fit, *next(noises)) for fit in fits
    ]


def _fitted(series: Series) -> _Fit | None:
    days, events, rows = series.days, series.events, series.rows
    if not days:
        return None
    angles = [stable_angle(k, n) for k, n in zip(events, rows, strict=True)]
    # The variance of Anscombe's angle is 1 / (4 n + 2), whatever the share.
    level = Level.of(days, angles, median(1 / (4 * n + 2) for n in rows))
    stretches = segments(len(days), level.shifts)
    # First guess: the angle's own medians. Then the sound days are known, and pooled.
    usual = _median_shares(angles, stretches)
    sound = [True] * len(days)
    for _ in range(ROUNDS):
        scores, weights = _scores(angles, rows, usual), _weights(rows, usual)
        correlation = excess_correlation(scores, weights)
        sound = [
            abs(z) < STANDS_OUT * sqrt(1 + w * correlation)
            for z, w in zip(scores, weights, strict=True)
        ]
        usual = _pooled_shares(days, events, rows, sound, stretches)
    scores, weights = _scores(angles, rows, usual), _weights(rows, usual)
    levels = [
        (low, high, _share(events[low:high], rows[low:high], sound[low:high]))
        for low, high in stretches
    ]
    return _Fit(
        series, usual, scores, weights, excess_correlation(scores, weights), level.shifts, levels
    )


def _moderated(fits: Sequence[_Fit]) -> list[tuple[float, float]]:
    """Return each column's logarithm of spread, drawn to the others', and its variance.

    The logarithm of a variance from n days has the variance 2 / n, here of the days that are not
    trimmed. As far as columns differ by no more than that, they are alike (G. Smyth 2004).
    """
    logs = [log(fit.spread) for fit in fits]
    own = [2 / (KNOWN_DAYS * len(fit.usual)) for fit in fits]
    if len(fits) < LEAST_ALIKE:
        return list(zip(logs, own, strict=True))
    mean = sum(logs) / len(logs)
    between = sum((value - mean) ** 2 for value in logs) / (len(logs) - 1) - sum(own) / len(own)
    between = max(between, 1 / len(logs) * sum(own) / len(own))
    return [
        (mean + (value - mean) * between / (between + v), v * between / (between + v))
        for value, v in zip(logs, own, strict=True)
    ]


def _judged_fit(fit: _Fit, log_spread: float, variance: float) -> JudgedShare:
    """Judge each day by what the noise may be: three points for its normal curve (Gauss, Hermite)."""
    correlation = fit.correlation_at(exp(log_spread))
    step = sqrt(3 * variance)
    noises = [
        (part, fit.correlation_at(exp(log_spread + place * step)))
        for part, place in ((1 / 6, -1), (2 / 3, 0), (1 / 6, 1))
    ]
    series = fit.series
    judged = [
        _judged(RateDay(day, k, n, share, 1.0, sqrt(1 + w * correlation)), z, w, m, noises)
        for day, k, n, share, z, w, m in zip(
            series.days,
            series.events,
            series.rows,
            fit.usual,
            fit.scores,
            fit.weights,
            _peers(series.days, [(low, high) for low, high, _ in fit.levels]),
            strict=True,
        )
    ]
    return JudgedShare(judged, fit.shifts, fit.levels)


def _median_shares(angles: Sequence[float], stretches: Sequence[tuple[int, int]]) -> list[float]:
    found: list[float] = []
    for low, high in stretches:
        middle = median(angles[low:high])
        found += [max(LEAST_SHARE, sin(middle) ** 2)] * (high - low)
    return found


def _scores(angles: Sequence[float], rows: Sequence[int], usual: Sequence[float]) -> list[float]:
    """Return distances from usual in standard deviations of a binomial."""
    return [
        2 * sqrt(n + 0.75) * (angle - stable_angle(n * share, n))
        for angle, n, share in zip(angles, rows, usual, strict=True)
    ]


def _weights(rows: Sequence[int], usual: Sequence[float]) -> list[float]:
    """Return by what the correlation of a usual day raises each day's variance.

    The noise of a share is taken as in proportion to it: a weekday with twice the share wanders
    twice as far.
    """
    middle = median(usual)
    return [
        (n - 1) * min(MOST_RATIO, max(1 / MOST_RATIO, share / middle))
        for n, share in zip(rows, usual, strict=True)
    ]


def _share(events: Sequence[int], rows: Sequence[int], sound: Sequence[bool]) -> float:
    """Return the share of the sound days, never quite none: half an event in one row more."""
    k = sum(e for e, s in zip(events, sound, strict=True) if s)
    n = sum(r for r, s in zip(rows, sound, strict=True) if s)
    return (k + 0.5) / (n + 1)


def _pooled_shares(
    days: Sequence[int],
    events: Sequence[int],
    rows: Sequence[int],
    sound: Sequence[bool],
    stretches: Sequence[tuple[int, int]],
) -> list[float]:
    kept_events = [k if s else 0 for k, s in zip(events, sound, strict=True)]
    kept_rows = [n if s else 0 for n, s in zip(rows, sound, strict=True)]
    factors = [1.0] * len(days)
    found: list[float] = []
    # Weekdays are found against the level, and the level with the weekdays taken out.
    for _ in range(ROUNDS):
        expected = [n * factor for n, factor in zip(kept_rows, factors, strict=True)]
        local = _local_shares(days, kept_events, expected, stretches)
        factors = _weekday_factors(days, kept_events, kept_rows, local)
        found = [share * factor for share, factor in zip(local, factors, strict=True)]
    return [min(share, 0.999) for share in found]


def _local_shares(
    days: Sequence[int],
    events: Sequence[int],
    rows: Sequence[float],
    stretches: Sequence[tuple[int, int]],
) -> list[float]:
    k_sums, n_sums = [0, *accumulate(events)], [0.0, *accumulate(rows)]
    found: list[float] = []
    for low, high in stretches:
        for place in range(low, high):
            first, last = near(days, low, high, days[place])
            k, n = k_sums[last] - k_sums[first], n_sums[last] - n_sums[first]
            found.append((k + 0.5) / (n + 1))
    return found


def _weekday_factors(
    days: Sequence[int], events: Sequence[int], rows: Sequence[int], shares: Sequence[float]
) -> list[float]:
    """Return what each day's weekday has, as a factor of the level, shrunk towards none.

    Weekends are told from workdays first, and then each weekday from its kind.
    """
    factors = [1.0] * len(days)
    for groups in (weekend_groups(days), weekday_groups(days)):
        by_group = _shrunk(
            events, rows, [s * f for s, f in zip(shares, factors, strict=True)], groups
        )
        factors = [f * by_group[g] for f, g in zip(factors, groups, strict=True)]
    return factors


def _shrunk(
    events: Sequence[int], rows: Sequence[int], shares: Sequence[float], groups: Sequence[int]
) -> dict[int, float]:
    """Return each group's events over those to expect, shrunk towards 1.

    As much is kept as the spread between groups is above the spread within them: the estimate of
    W. James and C. Stein (1961), with the noise of the days themselves.
    """
    seen: dict[int, int] = {}
    wanted: dict[int, float] = {}
    squares: dict[int, float] = {}
    for k, n, share, group in zip(events, rows, shares, groups, strict=True):
        seen[group] = seen.get(group, 0) + k
        wanted[group] = wanted.get(group, 0.0) + n * share
    if len(seen) < 2 or not all(wanted.values()):
        # A group without a sound day has nothing to say.
        return dict.fromkeys(seen, 1.0)
    # Half an event more, so that a weekday that had none is not taken to have none ever.
    ratio = {g: (seen[g] + 0.5) / (wanted[g] + 0.5) for g in seen}
    for k, n, share, group in zip(events, rows, shares, groups, strict=True):
        squares[group] = squares.get(group, 0.0) + (k - n * share * ratio[group]) ** 2
    variance = {g: squares[g] / wanted[g] ** 2 for g in seen}
    between = sum((ratio[g] - 1) ** 2 - variance[g] for g in seen) / len(seen)
    if between <= 0:
        return dict.fromkeys(seen, 1.0)
    return {g: 1 + (ratio[g] - 1) * between / (between + variance[g]) for g in seen}


def _judged(
    day: RateDay,
    score: float,
    weight: float,
    peers: int,
    noises: Sequence[tuple[float, float]],
) -> RateDay:
    """Return the day with its p-value.

    The usual share is itself a mean of `peers` days, and its error adds to the day's own.
    """
    if score < WORTH_SUMMING * day.noise_factor:
        return evolve(day, p_value=upper_tail(score / day.noise_factor))
    spreads = [(part, (1 + weight * c) * (1 + 1 / peers)) for part, c in noises]
    if day.events > MOST_EVENTS:
        p_value = sum(part * upper_tail(score / sqrt(spread)) for part, spread in spreads)
    else:
        p_value = sum(
            part * events_tail(day.events, day.rows, day.usual, _correlation(spread, day.rows))
            for part, spread in spreads
        )
    return evolve(day, p_value=p_value)


def _correlation(spread: float, rows: int) -> float:
    return min(MOST_CORRELATION, (spread - 1) / max(1, rows - 1))


def _peers(days: Sequence[int], stretches: Sequence[tuple[int, int]]) -> list[int]:
    """Return for each day how many days its usual share rests on: of its stretch, its kind, near."""
    weekend = weekend_groups(days)
    sums = [0, *accumulate(weekend)]
    found: list[int] = []
    for low, high in stretches:
        for place in range(low, high):
            first, last = near(days, low, high, days[place])
            weekends = sums[last] - sums[first]
            found.append(max(1, weekends if weekend[place] else last - first - weekends))
    return found


def detectable_rise(usual: float, rows: float, noise: float, tests: int) -> float:
    """Smallest rise of a share that would be flagged on a day of so many rows, as a share.

    It is the rise at which every second such day is flagged, with the strictest limit of the
    false discovery rate: `rate / tests`.
    """
    level = min(0.5, FALSE_DISCOVERY_RATE / max(1, tests))
    needed = NormalDist().inv_cdf(1 - level) * noise / (2 * sqrt(rows + 0.75))
    angle = min(asin(sqrt(min(1.0, usual))) + needed, asin(1.0))
    return float(sin(angle) ** 2 - usual)

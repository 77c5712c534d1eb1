"""Room: ranking. Resamples of local days and of threads, carried through to the ranking."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from dnr_core.config.settings import ReportSettings
from dnr_core.model.need import Interval, Need, Score
from dnr_core.ranking.measures import LATE_TAIL_SHARE, Floats, Ints, Measures
from dnr_core.ranking.needs import Candidate, Evidence
from dnr_core.ranking.peak import (
    PEAK_DAYS,
    first_day,
    on_days,
    over_last_week,
    peak_of,
    rows_track,
    talk_track,
)
from dnr_core.ranking.talk_draws import TalkDraws

MAX_CONTENDERS: Final = 64
"""Needs whose place is resampled, by score; those further down do not reach the top three."""
SHARE_UNIT: Final = 1e-9
"""Shares are summed as whole numbers of this, so that sums repeat and no unit of money matters."""


@frozen
class Draws:
    """What each resample says of each candidate; every array is resamples x candidates.

    `share_ratio` is the revenue (or rows) share over its point value; `breach` tells whether the
    worst metric is over its limit; `table_ratio` is the table's revenue over its point value.
    `times` says how often each resample drew each local day of the history that ends with the
    window; None where there is no warehouse.
    """

    share_ratio: Floats
    value_ratio: Floats
    breach: npt.NDArray[np.bool_]
    demand_share: Floats
    table_ratio: Floats
    times: Floats | None
    talk: TalkDraws | None


def draw(evidence: Evidence, found: Sequence[Candidate], settings: ReportSettings) -> Draws:
    """Resample local days (health) and threads (demand), by the report's seed."""
    shape = (settings.resamples, len(found))
    share_ratio, value_ratio, table_ratio = np.ones(shape), np.ones(shape), np.ones(shape)
    breach = np.zeros(shape, dtype=bool)
    demand = np.zeros(shape)
    times = talk = None
    if evidence.measures:
        measures = evidence.measures
        times = _day_counts(measures, settings)
        window = times[:, -measures.window_days :]
        of_table: dict[str, Floats] = {}
        for number, candidate in enumerate(found):
            share_ratio[:, number], value_ratio[:, number], breach[:, number] = _health(
                measures, candidate, window, by_money=evidence.monthly_cents is not None
            )
            name = candidate.need.table
            if name not in of_table:
                rows = measures.window_series(name, "rows")
                of_table[name] = _ratio(_daily(measures, rows.days, rows.revenue_cents), window)
            table_ratio[:, number] = of_table[name]
    if evidence.talk and (voices := [v for candidate in found if (v := candidate.voice)]):
        talk = TalkDraws(evidence.talk, settings.resamples, settings.seed)
        spoken = [n for n, candidate in enumerate(found) if candidate.voice]
        demand[:, spoken] = talk.shares(voices)
    return Draws(share_ratio, value_ratio, breach, demand, table_ratio, times, talk)


def _day_counts(measures: Measures, settings: ReportSettings) -> Floats:
    """Return how often each resample draws each local day of the history.

    Days of the window are drawn among themselves, and those before it among themselves.
    """
    rng = np.random.default_rng([settings.seed, 0])
    before, days = measures.first - measures.history_first, measures.window_days
    counts = np.empty((settings.resamples, before + days))
    for row in counts:
        row[before:] = np.bincount(rng.integers(0, days, days), minlength=days)
    for row in counts:
        row[:before] = np.bincount(rng.integers(0, max(before, 1), before), minlength=before)
    return counts


def drawn_ages(
    evidence: Evidence, candidate: Candidate, draws: Draws, settings: ReportSettings
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return by resample the days since the need's peak, and whether it is over its limit still.

    Where it is, its days are not counted: the score does not fade.
    """
    measures, need, last = evidence.measures, candidate.need, evidence.last_day
    ages = np.full(settings.resamples, need.days_since_peak, np.int64)
    over = np.zeros(settings.resamples, dtype=bool)
    if measures and draws.times is not None:
        days = draws.times[:, -PEAK_DAYS:]
        if days.shape[1] == PEAK_DAYS:
            over = over_last_week(measures, settings, need.table, candidate.metrics, days)
    left = np.flatnonzero(~over)
    rows = rows_track(measures, need.table, candidate.metrics, last)
    first = first_day(rows, talk_track(candidate.voice, last))
    if first is None or not left.size:
        return ages, over
    talk = np.zeros((left.size, last - first + 1))
    if draws.talk and candidate.voice:
        talk = draws.talk.by_day(candidate.voice, first, last)[left]
    counted = None
    if measures and draws.times is not None and rows[1].any():
        counted = np.zeros((left.size, last - first + 1))
        known = draws.times[left, max(0, first - measures.history_first) :]
        counted[:, -known.shape[1] :] = known
    places = peak_of(on_days(rows, first, last), talk, counted)
    ages[left] = last - first - places
    return ages, over


def _health(
    measures: Measures, candidate: Candidate, times: Floats, *, by_money: bool
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    resamples = times.shape[0]
    amount = np.zeros(measures.window_days)
    value_ratio = np.ones(resamples)
    breach = np.zeros(resamples, dtype=bool)
    for metric in candidate.metrics:
        series = measures.window_series(candidate.need.table, metric)
        at = series.days - measures.first
        amount[at] += series.revenue_cents if by_money else series.numerator
        if metric != candidate.need.metric or not series.days.size:
            continue
        drawn = times[:, at]
        # Counts of rows are whole numbers below 2**53, so these products are exact in any order.
        broken, rows = drawn @ series.numerator, drawn @ series.denominator
        share = broken / np.maximum(rows, 1.0)
        point = float(series.numerator.sum()) / max(float(series.denominator.sum()), 1.0)
        if metric == "late":
            breach = share > LATE_TAIL_SHARE
            value_ratio = _tail_ratio(measures, candidate.need.table, times)
        else:
            breach = share * 100.0 > (candidate.need.slo or 0.0)
            value_ratio = share / point if point else np.ones(resamples)
    return _ratio(amount, times), value_ratio, breach


def _daily(measures: Measures, days: Ints, amounts: Floats) -> Floats:
    daily = np.zeros(measures.window_days)
    daily[days - measures.first] = amounts
    return daily


def _ratio(amount: Floats, times: Floats) -> Floats:
    """Return each resample's sum of a daily amount over the sum itself."""
    total = float(sum(amount.tolist()))
    if total <= 0:
        return np.ones(times.shape[0])
    parts = np.rint(amount / total / SHARE_UNIT)
    return np.asarray((times @ parts) * SHARE_UNIT)


def _tail_ratio(measures: Measures, table: str, times: Floats) -> Floats:
    """Return the resampled mean of the daily p95 over the mean itself, weighted by rows."""
    tail = measures.window_series(table, "lag_p95_minutes")
    at = tail.days - measures.first
    known = np.isfinite(tail.value) & (tail.denominator > 0)
    if not known.any():
        return np.ones(times.shape[0])
    rows = tail.denominator[known]
    minutes = np.rint(tail.value[known] * 1000.0) * rows
    drawn = times[:, at[known]]
    point = float(minutes.sum()) / float(rows.sum())
    if point <= 0:
        return np.ones(times.shape[0])
    return np.asarray((drawn @ minutes) / np.maximum(drawn @ rows, 1.0) / point)


def interval(value: float, draws: Floats) -> Interval:
    """Return a figure with the bounds of the middle 80 % of its resamples."""
    ordered = np.sort(draws)
    last = ordered.size - 1
    low, high = float(ordered[round(0.1 * last)]), float(ordered[round(0.9 * last)])
    return Interval(value, min(low, value), max(high, value))


def resampled_needs(
    evidence: Evidence,
    candidate: Candidate,
    draws: Draws,
    column: int,
    settings: ReportSettings,
) -> Iterator[Need]:
    """Return the need as each resample sees it, in every part that a score may use."""
    need = candidate.need
    share, value, table = need.revenue_share, need.value, need.table_revenue_share
    ages, over = drawn_ages(evidence, candidate, draws, settings)
    for drawn in zip(
        draws.share_ratio[:, column].tolist(),
        draws.value_ratio[:, column].tolist(),
        draws.demand_share[:, column].tolist(),
        draws.table_ratio[:, column].tolist(),
        ages.tolist(),
        over.tolist(),
        strict=True,
    ):
        yield evolve(
            need,
            revenue_share=None if share is None else share * drawn[0],
            value=None if value is None else value * drawn[1],
            demand_share=drawn[2],
            table_revenue_share=None if table is None else min(1.0, table * drawn[3]),
            days_since_peak=drawn[4],
            over_slo_last_week=drawn[5],
        )


def scores(
    evidence: Evidence,
    found: Sequence[Candidate],
    columns: Sequence[int],
    draws: Draws,
    score: Callable[[Need, Any], Score],
    settings: ReportSettings,
) -> Floats:
    """Score the candidates in `columns` in every resample."""
    result = np.empty((settings.resamples, len(columns)))
    for place, column in enumerate(columns):
        for resample, need in enumerate(
            resampled_needs(evidence, found[column], draws, column, settings)
        ):
            result[resample, place] = score(need, settings).value
    return result


def places(
    result: Floats, themes: Sequence[str], top: int
) -> tuple[list[float], npt.NDArray[np.bool_]]:
    """Return each need's share of resamples in the top, and who is there in which resample.

    Columns of `result` are in the order that breaks ties. The top holds one need a theme.
    """
    resamples, count = result.shape
    order = list(dict.fromkeys(themes))
    best = np.zeros((resamples, len(order)), np.int64)
    height = np.zeros((resamples, len(order)))
    for number, theme in enumerate(order):
        members = np.array([n for n, named in enumerate(themes) if named == theme])
        best[:, number] = members[np.argmax(result[:, members], axis=1)]
        height[:, number] = result[:, members].max(axis=1)
    inside = np.zeros((resamples, count), dtype=bool)
    for resample in range(resamples):
        ahead = sorted(range(len(order)), key=lambda n: (-height[resample, n], best[resample, n]))
        inside[resample, best[resample, ahead[:top]]] = True
    share = [int(np.count_nonzero(inside[:, n])) / resamples for n in range(count)]
    return share, inside


def rival_of(place: int, top: Sequence[int], inside: npt.NDArray[np.bool_]) -> int | None:
    """Return the need that most often swaps places with this one across the edge of the top.

    `top` are the places on the cards. For one of them it is who stands there in the resamples
    that it misses; for another, whom it drives out.
    """
    mine = place in top
    rows = inside[inside[:, place] != mine]
    swaps = {
        other: int(np.count_nonzero(rows[:, other] == mine))
        for other in range(inside.shape[1])
        if (other in top) != mine
    }
    best = min(swaps, key=lambda other: (-swaps[other], other), default=None)
    return best if best is not None and swaps[best] else None


def breach_probability(candidate: Candidate, draws: Draws, column: int) -> float | None:
    """Return the share of resamples over the limit; None where there is no limit to be over."""
    need = candidate.need
    if need.value is None or need.slo is None or not candidate.metrics:
        return None
    over = int(np.count_nonzero(draws.breach[:, column]))
    return over / len(draws.breach)

"""Room: ranking. When a need was at its peak, and whether it is over its limit to this day.

Both can be told of the days as they were, and of days that were drawn: a drawn week is worth the
mean of its drawn days, each as often as it was drawn.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from dnr_core.config.settings import ReportSettings
from dnr_core.ranking.measures import EPOCH, LATE_TAIL_SHARE, SLO_KIND, Floats, Ints, Measures
from dnr_core.ranking.talk import Voice

PEAK_DAYS: Final = 7
PEAK_PART: Final = 0.5
"""Seven days with this part of the most evidence are still of the peak: what goes on as before has not
faded, and which of many like weeks was the very busiest is chance."""
ROUNDING: Final = 1e-9

Track = tuple[Ints, Floats]
"""Days since 1970, in order, and how much there was on each."""


def peak_day(
    measures: Measures | None,
    table: str,
    metrics: tuple[str, ...],
    voice: Voice | None,
    last_day: int,
) -> date | None:
    """Return the peak's last day, None where nothing has a day."""
    rows = rows_track(measures, table, metrics, last_day)
    talk = talk_track(voice, last_day)
    first = first_day(rows, talk)
    if first is None:
        return None
    best = peak_of(on_days(rows, first, last_day), on_days(talk, first, last_day))
    return EPOCH + timedelta(days=first + int(best))


def rows_track(
    measures: Measures | None, table: str, metrics: tuple[str, ...], last_day: int
) -> Track:
    """Return broken rows by day, over the history to the last day."""
    if measures is None:
        return _merged([], last_day)
    found = [measures.series(table, metric) for metric in metrics]
    return _merged([(series.days, series.numerator) for series in found], last_day)


def talk_track(voice: Voice | None, last_day: int) -> Track:
    """Return messages by day, over the history to the last day."""
    return _merged([(voice.days, np.ones(voice.days.size))] if voice else [], last_day)


def first_day(*tracks: Track) -> int | None:
    """Return the first day of all tracks that have anything, None where none has."""
    return min((int(days[0]) for days, counts in tracks if counts.any()), default=None)


def on_days(track: Track, first: int, last: int) -> Floats:
    """Lay counts out over the days from `first` to `last`."""
    daily = np.zeros(last - first + 1)
    inside = track[0] >= first
    daily[track[0][inside] - first] = track[1][inside]
    return daily


def _merged(tracks: list[Track], last_day: int) -> Track:
    """Add several daily counts up, over the days to `last_day`."""
    if not tracks:
        return np.empty(0, np.int64), np.empty(0)
    days = np.concatenate([days for days, _ in tracks])
    counts = np.concatenate([counts for _, counts in tracks])
    days, counts = days[days <= last_day], counts[days <= last_day]
    every, place = np.unique(days, return_inverse=True)
    return np.asarray(every, np.int64), np.bincount(place, counts, every.size).astype(np.float64)


def peak_of(rows: Floats, talk: Floats, times: Floats | None = None) -> Ints:
    """Return the place of the peak's last day, 0 where there is no evidence.

    The peak's last day is that of the last seven days that had at least half of the most evidence,
    rows and messages each scaled to their own busiest day and added. Messages are few: what seven
    days of them lack may be chance, so one standard deviation of half the most is forgiven.

    Args:
        rows: broken rows by day, along the last axis.
        talk: messages by day; with a row for each resample where days were drawn.
        times: how often each resample drew each day; None takes the days as they were.
    """
    busiest = np.maximum(talk.max(axis=-1, keepdims=True), 1e-300)
    messages = _week_sums(talk)
    evidence = messages / busiest
    if rows.any():
        evidence += _row_weeks(rows, times)
    most = evidence.max(axis=-1, keepdims=True)
    slack = np.sqrt(messages.max(axis=-1, keepdims=True) * PEAK_PART) / busiest
    # A day without any evidence before it is never of the peak.
    enough = evidence >= np.maximum(most * PEAK_PART - slack - ROUNDING, ROUNDING)
    places = evidence.shape[-1] - 1 - np.argmax(enough[..., ::-1], axis=-1)
    return np.asarray(np.where(most[..., 0] > 0, places, 0), np.int64)


def _row_weeks(rows: Floats, times: Floats | None) -> Floats:
    """Return broken rows of the seven days to each day, in parts of the busiest day's."""
    if times is None:
        return np.asarray(_week_sums(rows) / max(float(rows.max()), 1e-300))
    counted = times > 0
    busiest = np.maximum(np.where(counted, rows, 0.0).max(axis=-1, keepdims=True), 1e-300)
    length = _week_sums(np.ones(rows.shape[-1]))
    # Counts are whole numbers below 2**53, so these sums are exact in any order.
    drawn = _week_sums(times * rows) / np.maximum(_week_sums(times), 1.0)
    return np.asarray(drawn * length / busiest)


def _week_sums(daily: Floats) -> Floats:
    summed = np.cumsum(daily, axis=-1)
    result = summed.copy()
    result[..., PEAK_DAYS:] -= summed[..., :-PEAK_DAYS]
    return np.asarray(result)


def is_over_last_week(
    measures: Measures | None, settings: ReportSettings, table: str, metrics: tuple[str, ...]
) -> bool:
    """Tell whether any metric is over its limit over the last seven days together."""
    if measures is None:
        return False
    return bool(over_last_week(measures, settings, table, metrics, np.ones((1, PEAK_DAYS)))[0])


def over_last_week(
    measures: Measures,
    settings: ReportSettings,
    table: str,
    metrics: tuple[str, ...],
    times: Floats,
) -> npt.NDArray[np.bool_]:
    """Tell of each resample whether any metric is over its limit over the last seven days together.

    `times` says how often each resample (row) drew each of the seven days; where it drew none of
    them that have rows, the days are taken as they were.
    """
    first = measures.last - PEAK_DAYS + 1
    over = np.zeros(times.shape[0], dtype=bool)
    for metric in metrics:
        verdict = measures.verdict(table, metric)
        limit = verdict.slo if verdict else float(getattr(settings.slos, SLO_KIND[metric]))
        most = LATE_TAIL_SHARE if metric == "late" else limit / 100.0
        week = measures.series(table, metric).within(first, measures.last)
        if not week.denominator.sum() > 0:
            continue
        drawn = times[:, week.days - first]
        rows = drawn @ week.denominator
        drawn = np.where(rows[:, np.newaxis] > 0, drawn, 1.0)
        over |= drawn @ week.numerator / (drawn @ week.denominator) > most
    return over

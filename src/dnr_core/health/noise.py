"""Room: health. How noisy a share is beyond chance, and how unlikely a day is, given that.

A column's share wanders from day to day by more than the draw of its rows explains. The number
of events of a day is then beta-binomial: a binomial whose share is itself drawn anew each day.
Its upper tail is summed exactly, because a normal curve is wrong where it matters: for few events,
far out, on the skewed side.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, lgamma, log, log1p
from typing import Final

TRIMMED: Final = 0.10
"""Share of the days that may be anything at all without changing the noise."""
SQUARE_OF_KEPT: Final = 0.6230
"""Mean square of a standard normal variable within its middle 90 %."""
MOST_CORRELATION: Final = 0.5
_TINY: Final = 1e-13
_MOST_TERMS: Final = 100_000
_STEPS: Final = 50


def excess_correlation(scores: Sequence[float], weights: Sequence[float]) -> float:
    """Return the correlation between rows of one day that explains the spread of the scores.

    A score is a standardised distance from the usual share, of variance 1 by chance alone; with
    correlation c it is `1 + weight c`. The c is taken at which the trimmed mean square of
    the scaled scores is that of a normal variable.
    """
    if not scores:
        return 0.0
    kept = max(1, len(scores) - int(TRIMMED * len(scores)))

    def spread(correlation: float) -> float:
        scaled = sorted(
            z * z / (1 + weight * correlation) for z, weight in zip(scores, weights, strict=True)
        )
        return sum(scaled[:kept]) / kept

    if spread(0.0) <= SQUARE_OF_KEPT:
        return 0.0
    low, high = 0.0, MOST_CORRELATION
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if spread(middle) > SQUARE_OF_KEPT else (low, middle)
    return (low + high) / 2


def events_tail(events: int, rows: int, share: float, correlation: float) -> float:
    """Return the chance of at least so many events of a beta-binomial day.

    Args:
        events, rows: what was seen.
        share: the usual share, in (0, 1).
        correlation: between rows of one day; 0 is the binomial.
    """
    if events <= 0:
        return 1.0
    if correlation <= 0:
        return _binomial_tail(events, rows, share)
    whole = (1 - correlation) / correlation
    a, b = share * whole, (1 - share) * whole
    log_term = (
        lgamma(rows + 1) - lgamma(events + 1) - lgamma(rows - events + 1)
        + lgamma(events + a) + lgamma(rows - events + b) - lgamma(rows + whole)
        + lgamma(whole) - lgamma(a) - lgamma(b)
    )  # fmt: skip
    total = term = 1.0
    for k in range(events, min(rows, events + _MOST_TERMS)):
        # Term of k + 1 over term of k.
        term *= (rows - k) * (k + a) / ((k + 1) * (rows - k - 1 + b))
        total += term
        if term < _TINY * total:
            break
    return min(1.0, exp(min(0.0, log_term + log(total))))


def _binomial_tail(events: int, rows: int, share: float) -> float:
    log_term = (
        lgamma(rows + 1) - lgamma(events + 1) - lgamma(rows - events + 1)
        + events * log(share) + (rows - events) * log1p(-share)
    )  # fmt: skip
    total = term = 1.0
    odds = share / (1 - share)
    for k in range(events, rows):
        term *= (rows - k) / (k + 1) * odds
        total += term
        if term < _TINY * total:
            break
    return min(1.0, exp(min(0.0, log_term + log(total))))

"""Room: evaluation. Shares and counts with intervals, wider where observations come in clusters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from statistics import NormalDist
from typing import Any, Final

from attrs import frozen

LEVEL: Final = 0.95
_STEPS: Final = 80


@frozen
class Share:
    """`hits` of `trials` with an interval at `LEVEL`; `value` and bounds are None without trials.

    `design_effect` is how many times wider in variance the interval is made, because trials of
    one cluster (a company) are alike.
    """

    hits: int
    trials: int
    value: float | None
    low: float | None
    high: float | None
    design_effect: float = 1.0

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, rounded to what an interval can bear."""
        return {
            "hits": self.hits,
            "trials": self.trials,
            "value": _rounded(self.value),
            "low": _rounded(self.low),
            "high": _rounded(self.high),
            "design_effect": round(self.design_effect, 3),
        }


@frozen
class Rate:
    """`count` events over an `exposure` (company-quarters, say), with an exact interval."""

    count: int
    exposure: float
    value: float | None
    low: float | None
    high: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "count": self.count,
            "exposure": round(self.exposure, 4),
            "value": _rounded(self.value),
            "low": _rounded(self.low),
            "high": _rounded(self.high),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def wilson(hits: float, trials: float, level: float = LEVEL) -> tuple[float, float] | None:
    """Return E. B. Wilson's score interval (1927) of a share; None without trials.

    Both may be fractions: of an effective number of trials.
    """
    if trials <= 0:
        return None
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = hits / trials
    middle = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    whole = 1 + z * z / trials
    return max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole)


def clustered_share(clusters: Iterable[tuple[int, int]], level: float = LEVEL) -> Share:
    """Return the pooled share of `(hits, trials)` a cluster, with Wilson's interval.

    Its number of trials is divided by the design effect: the variance of the ratio over clusters
    by the variance of as many independent trials, at least 1 (J. N. K. Rao and A. J. Scott 1992).
    """
    pairs = [(h, n) for h, n in clusters if n]
    hits, trials = sum(h for h, _ in pairs), sum(n for _, n in pairs)
    if not trials:
        return Share(0, 0, None, None, None)
    share = hits / trials
    effect = 1.0
    if len(pairs) > 1 and 0 < hits < trials:
        many = len(pairs)
        squares = math.fsum((h - share * n) ** 2 for h, n in pairs)
        variance = many / (many - 1) * squares / trials**2
        effect = max(1.0, variance / (share * (1 - share) / trials))
    bounds = wilson(hits / effect, trials / effect, level)
    low, high = bounds if bounds else (None, None)
    return Share(hits, trials, share, low, high, effect)


def poisson_rate(count: int, exposure: float, level: float = LEVEL) -> Rate:
    """Return events an exposure with F. Garwood's exact interval (1936)."""
    if exposure <= 0:
        return Rate(count, exposure, None, None, None)
    tail = (1 - level) / 2
    # `count` or more events have the chance `tail` at the lower bound, `count` or fewer at the upper.
    low = 0.0 if not count else _root(lambda m: 1 - _at_most(count - 1, m) - tail, count)
    high = _root(lambda m: tail - _at_most(count, m), count)
    return Rate(count, exposure, count / exposure, low / exposure, high / exposure)


def _at_most(count: int, mean: float) -> float:
    """Chance of at most `count` events where `mean` are expected."""
    if mean <= 0:
        return 1.0
    logs = (k * math.log(mean) - mean - math.lgamma(k + 1) for k in range(count + 1))
    return min(1.0, math.fsum(math.exp(log) for log in logs))


def _root(rising: Callable[[float], float], count: int) -> float:
    """Return where a rising function of the mean is zero."""
    low, high = 0.0, count + 10 * math.sqrt(count + 1) + 20
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2

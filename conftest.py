"""For all tests, the plugins' too: Hypothesis judges answers, not the speed of a busy machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "dnr",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    # The same examples each time where a change is judged; new ones on a developer's machine.
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("dnr")


@pytest.fixture(scope="session")
def chi_square() -> Callable[[Sequence[int], Sequence[float]], float]:
    """How many standard deviations a chi-square of counts lies above its mean (0 is typical).

    The Wilson-Hilferty transformation of the statistic, so that no table of critical values is
    needed: above 4 the counts do not come from those shares.
    """

    def deviations(counts: Sequence[int], shares: Sequence[float]) -> float:
        total, whole = sum(counts), sum(shares)
        terms = [
            (count - total * share / whole) ** 2 / (total * share / whole)
            for count, share in zip(counts, shares, strict=True)
        ]
        freedom = len(counts) - 1
        spread = 2 / (9 * freedom)
        return float(((sum(terms) / freedom) ** (1 / 3) - (1 - spread)) / spread**0.5)

    return deviations

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from dnr_core.model import Company


@pytest.fixture
def company() -> Callable[..., Company]:
    """Make a company with the default history; keywords change it."""

    def make(**changes: object) -> Company:
        values: dict[str, object] = {
            "archetype": "testland",
            "seed": 42,
            "scale": 1.0,
            "months": 18,
            "as_of": datetime(2025, 7, 1, 7, tzinfo=UTC),
            "tz": "America/Los_Angeles",
            "trajectory": "T1",
            "snapshot_days": 90,
        }
        return Company(**(values | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture
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

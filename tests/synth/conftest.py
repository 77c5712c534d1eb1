from __future__ import annotations

from collections.abc import Callable
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

"""For all tests, the plugins' too: Hypothesis judges answers, not the speed of a busy machine."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "dnr",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    # The same examples each time where a change is judged; new ones on a developer's machine.
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("dnr")

"""Room: builtin. The defect profiles that come with dnr: `clean`, `typical`, `severe`."""

from __future__ import annotations

from typing import Final

from dnr_core.model import DefectProfile, DefectRate, IncidentRate, LagProfile

LAG: Final = LagProfile(usual_minutes=(30, 180), slow_minutes=(240, 720), slow_share=0.02)
"""Half of the rows are later than 90 minutes, and the 95th percentile is about 158."""


def _rates(times: int) -> tuple[DefectRate, ...]:
    return (
        DefectRate("key_null", times * 20 / 1000),
        DefectRate("fk_failure", times * 50 / 1000, options={"temporal_share": 0.3}),
        DefectRate("duplicate", times * 7 / 1000),
    )


def _incidents(times: int) -> tuple[IncidentRate, ...]:
    return (
        IncidentRate("null_spike", 2.0 * times, 0.10, breaks="required_keys"),
        IncidentRate("lag_surge", 0.5 * times, 6.0, breaks="loads", row_share=0.3),
        IncidentRate("write_gap", 0.0, 6.0, breaks="loads", row_share=1.0, total=times, hours=6),
    )


PROFILES: Final[tuple[DefectProfile, ...]] = (
    DefectProfile("clean", "No defects; rows load when they happen"),
    DefectProfile(
        "typical",
        "What a warehouse of some years has",
        rates=_rates(1),
        incidents=_incidents(1),
        lag=LAG,
    ),
    DefectProfile(
        "severe",
        "Three times the rates and incidents of typical",
        rates=_rates(3),
        incidents=_incidents(3),
        lag=LAG,
    ),
)

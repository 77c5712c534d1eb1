"""What a reader could take wrongly is said: reasons instead of gaps, no false precision."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from types import ModuleType
from typing import Any

import pytest
from attrs import evolve

from dnr_core.model.archetype import GuardrailResult
from dnr_core.model.need import Interval
from dnr_core.report import Report
from dnr_core.report.wording import money_range


def incident(made: ModuleType, day: date, p_value: float) -> Any:
    """A spike of empty keys on one day."""
    return made.DetectedIncident(
        "null_spike", "fact_order", "buyer_id", day, day, 0.15, 0.03, 300, p_value=p_value
    )


def test_the_sentence_says_what_at_risk_means(whole: Report) -> None:
    """Who reads the page for the first time is told what is counted as at risk."""
    assert whole.document["answer"]["beside"].startswith("At risk is revenue on broken rows, ")
    assert "of a usual month;" in whole.document["answer"]["beside"]
    assert "At risk is revenue on broken rows" in whole.html()


def test_a_range_whose_ends_are_equal_is_no_range(made: ModuleType) -> None:
    """A range that would read as one amount twice says so."""
    told = money_range(Interval(1_527_000.0, 1_527_001.0, 1_527_002.0), "USD")
    assert told
    assert told["range_text"] == "$15.3k at both ends"


def test_no_chance_is_known_to_three_hundred_digits(
    made: ModuleType, report_of: Callable[..., Report], talk: Any
) -> None:
    """A tiny p-value is said to be tiny; one that means something is given."""
    first, second = date(2025, 6, 6), date(2025, 6, 16)
    health = made.health(
        {("fact_order", "key_null"): 0.03},
        incidents=(incident(made, first, 1e-300), incident(made, second, 0.002)),
    )
    rows = report_of(health, talk).document["incidents"]["rows"]
    assert {row["start"]: row["noise_text"] for row in rows} == {
        first.isoformat(): "p under 1e-09",
        second.isoformat(): "p 2.0e-03",
    }


def test_a_rise_that_stays_is_no_spike(
    made: ModuleType, report_of: Callable[..., Report], talk: Any
) -> None:
    """What began on a day and is still there is said to have begun; what ended has both days."""
    began = made.LAST - made.timedelta(days=20)

    def cause(end: date) -> str:
        step = evolve(incident(made, began, 1e-9), end=end, shape="step")
        other = incident(made, made.LAST - made.timedelta(days=25), 1e-9)
        health = made.health(
            {("fact_order", "key_null"): 0.03}, incidents=(step, evolve(other, rows=5))
        )
        return next(
            need["cause"]
            for need in report_of(health, talk).document["needs"]
            if need["table"] == "fact_order" and "incident" in need["cause"]
        )

    assert cause(made.LAST).endswith("more empty keys since 10 June 2025, and one more incident")
    assert "more empty keys from 10 to 20 June 2025" in cause(date(2025, 6, 20))


def test_an_incident_is_told_once(
    made: ModuleType, report_of: Callable[..., Report], talk: Any
) -> None:
    """Where an incident is all that is known of the cause, it does not stand there twice."""
    day = made.LAST - made.timedelta(days=3)
    surge = made.DetectedIncident(
        "lag_surge", "fact_payment", "loaded_at", day, day, 700.0, 160.0, 10**6
    )
    health = made.health({("fact_payment", "late"): 0.04}, incidents=(surge,))
    causes = [
        need["cause"]
        for need in report_of(health, talk).document["needs"]
        if "urge of late loads" in need["cause"]
    ]
    assert [cause.casefold().count("surge of late loads") for cause in causes] == [1]


def test_a_limit_says_its_side_where_it_is_known(
    made: ModuleType, report_of: Callable[..., Report], talk: Any
) -> None:
    """A figure and its verdict tell whether a limit is a least or a most; equal ones do not."""
    checks = tuple(
        {"name": name, "measured": measured, "limit": 30, "passed": passed}
        for name, measured, passed in (
            ("a", 50, True),
            ("b", 20, False),
            ("c", 20, True),
            ("d", 50, False),
            ("e", 30, True),
        )
    )
    health = evolve(
        made.health({("fact_order", "key_null"): 0.03}),
        guardrails={"evening": GuardrailResult(metrics={}, checks=checks)},
    )
    told = report_of(health, talk).document["health"]["guardrails"]
    assert [check["limit_text"] for check in told] == [
        "at least 30",
        "at least 30",
        "at most 30",
        "at most 30",
        "30",
    ]


def test_talk_that_was_not_kept_is_not_none(
    made: ModuleType, report_of: Callable[..., Report], talk: Any
) -> None:
    """Of an incident before the first message it is not said that nobody spoke of it."""
    health = made.health(
        {("fact_order", "key_null"): 0.03},
        incidents=(incident(made, date(2025, 3, 10), 0.001), incident(made, made.LAST, 0.001)),
    )
    rows = report_of(health, talk).document["incidents"]["rows"]
    said = {row["start"]: row["talk_text"] for row in rows}
    assert said["2025-03-10"] == "none kept so far back"
    assert "message" in said[made.LAST.isoformat()]


def test_days_of_talk_are_local(
    made: ModuleType, report_of: Callable[..., Report], sick: Any, talk: Any
) -> None:
    """A message of the evening of 30 June in Los Angeles is not of July."""
    late = evolve(talk, end=datetime(2025, 7, 1, 3, tzinfo=UTC))
    asks = report_of(sick, late).document["themes"]["items_text"]
    assert asks.endswith("30 June 2025")


def test_a_figure_that_is_missing_has_its_reason(
    made: ModuleType, report_of: Callable[..., Report]
) -> None:
    """A table without keys or load time says so, and no empty row is drawn for it by day."""
    health = made.health({("fact_order", "key_null"): 0.03})
    buyers = {
        "table": "dim_buyer", "column": "", "day": None, "metric": "rows", "numerator": 9,
        "denominator": 9, "value": 9.0, "revenue_cents": None, "scope": "window",
    }  # fmt: skip
    totals = health.totals.from_pylist([*health.totals.to_pylist(), buyers], health.totals.schema)
    document = report_of(evolve(health, totals=totals)).document
    row = next(row for row in document["health"]["rows"] if row["table"] == "dim_buyer")
    assert [cell["text"] for cell in row["cells"]] == [
        "no keys",
        "no foreign keys",
        "not measured",
        "no load time",
    ]
    assert document["health"]["heat"]["tables"] == ["fact_order", "fact_payment"]


@pytest.mark.parametrize(
    ("decided", "healthy", "told"),
    [
        (0, False, "Nothing can be said: none of 10 messages could be classified."),
        (90, False, "Nothing can be said: none of 10 messages could be classified."),
        (90, True, "The warehouse shows no data problem; none of 10 messages could be"),
        (91, True, "No data problem stands out"),
    ],
)
def test_silence_of_a_provider_is_not_silence_of_the_people(
    made: ModuleType,
    report_of: Callable[..., Report],
    decided: int,
    healthy: bool,
    told: str,
) -> None:
    """Where no message could be classified, the page does not say that nobody asks for anything."""
    talk = made.demand({("none", ""): 3})
    source = evolve(talk.coverage[0], items=100, kept=10, sampled=10, decided=decided)
    health = made.health({}) if healthy else None
    found = report_of(health, evolve(talk, coverage=(source,)))
    assert found.document["answer"]["sentence"].startswith(told)

"""Room: tests. Detected incidents held against planned ones: matching, intervals, going on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dnr_core.catalogue import Catalogue
from dnr_core.config.settings import HealthGates, Settings
from dnr_core.errors import InputError
from dnr_core.evaluation import evaluate_health
from dnr_core.evaluation.health import summarised
from dnr_core.evaluation.health_page import render_health, render_health_markdown
from dnr_core.evaluation.intervals import clustered_share, poisson_rate, wilson
from dnr_core.evaluation.matching import Truth, errors_hours, matched
from dnr_core.evaluation.runs import Job, run_jobs
from dnr_core.model import DetectedIncident


def _truth(kind: str = "null_spike", day: int = 10, **given: Any) -> Truth:
    start, end = datetime(2025, 3, day, 8, tzinfo=UTC), datetime(2025, 3, day + 1, 7, tzinfo=UTC)
    values: dict[str, Any] = {
        "id": f"{kind}-{day}", "kind": kind, "table": "orders", "column": "customer",
        "first": date(2025, 3, day), "last": date(2025, 3, day), "start": start, "end": end,
        "size": 0.1,
    }  # fmt: skip
    return Truth(**(values | given))


def _seen(
    kind: str = "null_spike", first: int = 10, last: int = 10, **given: Any
) -> DetectedIncident:
    values: dict[str, Any] = {"table": "orders", "column": "customer", "rows": 9}
    values |= {
        "start": date(2025, 3, first),
        "end": date(2025, 3, last),
        "value": 0.1,
        "usual": 0.0,
    }
    return DetectedIncident(kind, **(values | given))  # type: ignore[arg-type]


def test_an_answer_is_of_the_kind_the_table_the_column_and_the_day() -> None:
    """Each of the four alone makes a detected incident a false one."""
    wrong = [
        _seen("orphan_spike"),
        _seen(table="items"),
        _seen(column="seller"),
        _seen(first=11, last=12),
    ]
    match = matched([_truth()], wrong)
    assert match.found == {0: None}
    assert match.false == (0, 1, 2, 3)


def test_the_nearest_answer_counts_and_the_other_is_a_repeat() -> None:
    """Two detected incidents on one planned one are one hit and no false alarm."""
    match = matched([_truth()], [_seen(first=9, last=14), _seen()])
    assert match.found == {0: 1}
    assert (match.false, match.repeats) == ((), (0,))


def test_a_gap_is_matched_by_the_hour() -> None:
    """A gap on the right day at the wrong hours answers nothing; errors are in hours."""
    planned = _truth("write_gap", column="loaded_at")
    times = {"start_time": datetime(2025, 3, 11, 6, tzinfo=UTC)}
    times["end_time"] = datetime(2025, 3, 11, 9, tzinfo=UTC)
    right = _seen("write_gap", column="loaded_at", **times)
    assert matched([planned], [right]).found == {0: 0}
    assert errors_hours(planned, right) == (22.0, 2.0)
    later = {name: moment.replace(day=12) for name, moment in times.items()}
    assert matched([planned], [_seen("write_gap", column="loaded_at", **later)]).false == (0,)


def test_intervals_are_those_of_the_books() -> None:
    """Wilson for 8 of 10, Garwood for none and for 3 events (tables of 95 % limits)."""
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    nothing, three = poisson_rate(0, 1.0), poisson_rate(3, 1.0)
    assert (nothing.low, nothing.high) == pytest.approx((0.0, 3.6889), abs=1e-3)
    assert (three.low, three.high) == pytest.approx((0.6187, 8.7673), abs=1e-3)


def test_companies_that_differ_widen_the_interval() -> None:
    """The same 30 of 40 from alike companies and from one that fails alone."""
    alike = clustered_share([(3, 4)] * 10)
    apart = clustered_share([(10, 10)] * 3 + [(0, 10)])
    assert (alike.value, apart.value) == (0.75, 0.75)
    assert alike.design_effect == 1.0
    assert apart.design_effect > 5
    assert apart.low is not None
    assert alike.low is not None
    assert apart.low < alike.low


def _company(*, planned: int, found: int, false: int, promised: bool = True) -> dict[str, Any]:
    line = {"kind": "null_spike", "table": "orders", "column": "customer", "promised": promised,
            "rows_a_day": 900.0, "start": "2025-03-10", "end": "2025-03-10"}  # fmt: skip
    missed = "missed" if promised else "not_detectable"
    return {
        "archetype": "shop", "quality": "typical" if planned else "clean", "scale": 1.0,
        "trajectory": "T1", "seed": 1, "quarters": 2.0, "column_days_tested": 100,
        "false_flags_expected": 0.1,
        "rates": [{"table": "orders", "column": "", "metric": "key_null", "measured": 7,
                   "ledger": 7, "rows": 100}],
        "planned": [
            {**line, "id": f"s{n}", "size": 0.1, "detectable_from": 0.05,
             "outcome": "found" if n < found else missed,
             "start_error_hours": 0.0 if n < found else None,
             "end_error_hours": 24.0 if n < found else None}
            for n in range(planned)
        ],
        "detected": [
            {**line, "group": "spike", "value": 0.1, "usual": 0.02, "p_value": 1e-9,
             "noise_factor": 1.0, "verdict": "true" if n < found else "false"}
            for n in range(found + false)
        ],
    }  # fmt: skip


def test_scores_are_those_counted_by_hand() -> None:
    """Three of four found, one false beside them; one false alarm in two quarters of nothing."""
    companies = [
        _company(planned=4, found=3, false=1),
        _company(planned=0, found=0, false=3),
        _company(planned=2, found=0, false=0, promised=False),
    ]
    scores = summarised(companies, HealthGates())
    values = {gate.name: gate.value for gate in scores.gates}
    assert values["spike_precision"] == 0.75
    assert values["spike_recall"] == 0.75
    assert values["clean_false_alarms"] == 1.5
    assert values["gap_recall"] is None
    assert set(scores.failed) == {"spike_precision", "spike_recall", "clean_false_alarms"}
    smaller = scores.summary["profiles"]["typical"]["smaller"]["null_spike"]
    assert (smaller["planned"], smaller["not_detectable"]) == (2, 2)
    assert smaller["recall"]["value"] is None
    page = render_health(scores.summary, whole_page=True)
    text = render_health_markdown(scores.summary)
    for told in ("75.0 %", "1.50"):
        assert told in page
        assert told in text
    assert "<script" not in page
    schema = files("dnr_core.evaluation").joinpath("schemas", "health_summary.schema.json")
    Draft202012Validator(json.loads(schema.read_text("utf-8"))).validate(
        json.loads(json.dumps(scores.summary))
    )


def test_a_run_goes_on_and_does_nothing_twice(tmp_path: Path) -> None:
    """What was done before a failure is kept; other content is done anew."""
    done: list[str] = []

    def work(job: Job, settings: Settings, catalogue: Catalogue, folder: Path) -> dict[str, Any]:
        del settings, catalogue, folder
        if job.given["fails"]:
            raise InputError("this one cannot be read")
        done.append(job.name)
        return {"name": job.name}

    def run(*jobs: tuple[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
        asked = [Job(name, given) for name, given in jobs]
        return run_jobs(asked, work, Settings(), Catalogue(), tmp_path)

    with pytest.raises(InputError):
        run(("a", {"fails": False}), ("b", {"fails": True}))
    outcomes = run(("a", {"fails": False}), ("b", {"fails": False}))
    assert [outcome["name"] for outcome in outcomes] == ["a", "b"]
    assert done == ["a", "b"]
    run(("a", {"fails": False, "seed": 2}))
    assert done == ["a", "b", "a"]


def test_nothing_to_evaluate_is_said(tmp_path: Path) -> None:
    """No company to make and none given is the user's fault, with what to do."""
    with pytest.raises(InputError, match="no company"):
        evaluate_health((), (), Settings(), Catalogue(), work=tmp_path)

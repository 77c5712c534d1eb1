"""What a person may type into the calls that make: one error that says what is wrong, and no file."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

import dnr_core
from dnr_core.api.context import open_context
from dnr_core.errors import ConfigError, DnrError


def generate(folder, **given):
    return dnr_core.generate_warehouse(
        "neobank", out=folder / "d", meta=folder / "m", context=open_context(environ={}), **given
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"scale": 0}, "above 0"),
        ({"scale": -1}, "above 0"),
        ({"scale": "nan"}, "above 0"),
        ({"scale": 1e12}, "GB free"),
        ({"months": 0}, ">= 1"),
        ({"months": 601}, "<= 600"),
        ({"snapshot_days": 0}, ">= 1"),
        ({"workers": -1}, ">= 0"),
        ({"as_of": "2025-03-09T02:30"}, "does not exist in America/Los_Angeles"),
        ({"as_of": "2025-07-01T12:00"}, "not midnight"),
        ({"as_of": "2025-07-01T00:00Z"}, "not midnight"),
        ({"as_of": "0001-01-01"}, "1900"),
        ({"as_of": "tomorrow"}, "an instant such as"),
        ({"quality": "tipical"}, "typical"),
        ({"trajectory": "T9"}, "T1"),
        ({"engine": "spark", "master": " "}, "empty"),
    ],
)
def test_what_cannot_be_made_is_told_before_a_file(tmp_path, given, told):
    """Sizes, dates and names that cannot be are refused by one error that says what is allowed."""
    with pytest.raises(DnrError) as caught:
        generate(tmp_path, **given)
    assert told in f"{caught.value} {caught.value.hint}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "as_of", ["2025-01-01", date(2025, 1, 1), datetime(2025, 1, 1, 8, tzinfo=UTC)]
)
def test_a_day_is_its_local_midnight(tmp_path, as_of):
    """An as-of without a zone is local to the company: a bare day is its midnight there."""
    made = generate(tmp_path, scale="tiny", months=3, as_of=as_of)
    assert made.manifest.settings["as_of"] == "2025-01-01T08:00:00Z"


def test_a_report_takes_a_day_as_its_local_midnight(made):
    """The same day means the same instant to health as to the generator."""
    context = open_context(environ={}).with_flags({"warehouse.as_of": "2025-07-01"})
    health = dnr_core.measure_health(made["neobank"].data, context=context)
    assert health.as_of == datetime(2025, 7, 1, 7, tzinfo=UTC)


def test_a_duckdb_file_is_not_made_in_a_store(tmp_path):
    """A DuckDB file needs a folder, which is said before the store is asked."""
    with pytest.raises(ConfigError, match="folder only"):
        dnr_core.generate_warehouse(
            "neobank", out="s3://bucket/x", duckdb=True, context=open_context(environ={})
        )

"""Numbers and days as people read them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnr_core.model import Interval
from dnr_core.report import wording as say


@pytest.mark.parametrize(
    ("cents", "text", "exact"),
    [
        (12_345_678, "$120k", "$123,457"),
        (99_950, "$1k", "$1,000"),
        (123_456_789_000, "$1.2B", "$1,234,567,890"),
        (123_450, "$1.2k", "$1,234"),
        (99_900, "$999", "$999"),
        (45, "$0.45", "$0.45"),
        (0, "$0", "$0"),
        (-250_000, "-$2.5k", "-$2,500"),
    ],
)
def test_money_has_two_digits_over_a_thousand(cents: float, text: str, exact: str) -> None:
    """Money over a thousand is rounded to two digits, its exact value stands beside it."""
    found = say.money(cents, "USD")
    assert found
    assert (found["text"], found["exact"]) == (text, exact)


def test_other_currencies_keep_their_sign_or_code() -> None:
    """Euros have their sign, a currency without a known sign its code."""
    euro, franc = say.money(250_000, "EUR"), say.money(250_000, "CHF")
    assert euro
    assert franc
    assert euro["text"] == "€2.5k"
    assert franc["text"] == "CHF\u202f2.5k"


def test_a_narrow_range_is_not_rounded_away() -> None:
    """Where two digits would make both ends equal, a third one tells them apart."""
    found = say.money_range(Interval(19_900_000, 19_700_000, 20_100_000), "USD")
    assert found
    assert found["range_text"] == "$197k to $201k"


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0213, "2.1"), (0.5, "50"), (0.0007, "0.07"), (0.99999, "100"), (0.00001, "under 0.01"),
     (0.9973, "99.7")],
)  # fmt: skip
def test_percent_has_two_digits(share: float, text: str) -> None:
    """Shares are percent with two significant digits, and nearly all is not all."""
    assert say.percent(share) == f"{text}\u202f%"


def test_days_are_written_as_people_do() -> None:
    """A span names its month and year once."""
    assert say.days_text(date(2025, 6, 6), date(2025, 6, 7)) == "6 to 7 June 2025"
    assert say.days_text(date(2025, 5, 30), date(2025, 6, 2)) == "30 May to 2 June 2025"
    assert say.days_text(date(2024, 12, 31), date(2025, 1, 1)) == (
        "31 December 2024 to 1 January 2025"
    )


def test_minutes_become_hours_and_days() -> None:
    """Long times are told in the unit in which people think of them."""
    assert [say.minutes(value) for value in (90, 200, 6000)] == [
        "90\u202fmin", "3.3\u202fh", "4.2 days",
    ]  # fmt: skip


@given(st.floats(1_000, 1e12))
def test_short_numbers_stay_within_half_a_digit(value: float) -> None:
    """A short number is never more than five percent off."""
    text = say.short_number(value)
    factor = {"k": 1e3, "M": 1e6, "B": 1e9}.get(text[-1], 1.0)
    number = float(text.rstrip("kMB").replace(",", "")) * factor
    assert abs(number - value) <= 0.05 * value + 1

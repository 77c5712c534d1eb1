"""Room: report. Numbers and days as people read them, each beside its exact value."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from dnr_core.model.need import Interval

SIGNS: Final = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
THIN: Final = "\u202f"
"""A narrow space that does not break, between a number and its unit."""
TIMES: Final = "\u00d7"
MINUS: Final = "\u2212"
ROLES: Final = {
    "exec": "executives",
    "data_eng": "data engineering",
    "analytics_eng": "analytics engineering",
    "bi": "BI",
    "product_analytics": "product analytics",
    "eng_platform": "platform engineering",
    "pm": "product management",
    "finance": "finance",
    "other": "other teams",
}
OTHER_ROLE: Final = "other"
MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def significant(value: float, digits: int = 2) -> Decimal:
    """Round to `digits` significant digits, half to even, exactly as decimal."""
    number = Decimal(repr(float(value)))
    if not number:
        return Decimal(0)
    return number.quantize(Decimal(1).scaleb(number.adjusted() - digits + 1), ROUND_HALF_EVEN)


def plain(number: Decimal) -> str:
    """Write a decimal with thousands separated and no trailing zeros."""
    text = f"{number:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def short_number(value: float, digits: int = 2) -> str:
    """Write a number with few significant digits over a thousand: 1,234,567 is "1.2M"."""
    if abs(round(value)) < 1000:
        return plain(Decimal(round(value)))
    rounded = significant(value, digits)
    for step, suffix in ((9, "B"), (6, "M"), (3, "k")):
        if abs(rounded) >= Decimal(1).scaleb(step):
            return plain(rounded.scaleb(-step)) + suffix
    return plain(rounded)


def currency_text(text: str, currency: str) -> str:
    """Put the currency's sign, or its code, before an amount."""
    sign = SIGNS.get(currency)
    if sign is None:
        return f"{currency}{THIN}{text}"
    return f"-{sign}{text[1:]}" if text.startswith("-") else f"{sign}{text}"


def money(cents: float | None, currency: str) -> dict[str, Any] | None:
    """Return an amount as cents, in short and exactly (to the whole unit)."""
    if cents is None:
        return None
    units = Decimal(round(cents)) / 100
    whole = units.quantize(Decimal(1), ROUND_HALF_EVEN)
    exact = units if abs(units) < 1 else whole
    small = plain(units.quantize(Decimal("0.01"))) if 0 < abs(units) < 1 else None
    return {
        "cents": round(cents),
        "text": currency_text(small or short_number(float(units)), currency),
        "exact": currency_text(plain(exact), currency),
    }


def money_range(interval: Interval | None, currency: str) -> dict[str, Any] | None:
    """Return an amount with its 80 % range."""
    if interval is None:
        return None
    value, low, high = (
        money(cents, currency) for cents in (interval.value, interval.low, interval.high)
    )
    if value is None or low is None or high is None:
        return None
    text = f"{low['text']} to {high['text']}"
    if low["text"] == high["text"]:
        # Two digits would hide a narrow range.
        first, last = (
            currency_text(short_number(c / 100, 3), currency) for c in (interval.low, interval.high)
        )
        text = f"{first} to {last}" if first != last else f"{first} at both ends"
    return {**value, "low": low, "high": high, "range_text": text}


def percent(share: float | None, digits: int = 2) -> str:
    """Write a share in [0, 1] as percent with two significant digits."""
    if share is None:
        return "not measured"
    return percent_points(share * 100.0, digits)


def percent_points(value: float, digits: int = 2) -> str:
    """Write a figure that is in percent already."""
    if 0 < abs(value) < 0.01:
        return f"under 0.01{THIN}%"
    if value >= 99.5 and value < 100:
        return f"{plain(Decimal(repr(value)).quantize(Decimal('0.1')))}{THIN}%"
    return f"{plain(significant(value, digits))}{THIN}%"


def minutes(value: float) -> str:
    """Write minutes, as hours from two hours on and days from three days on."""
    if value >= 3 * 1440:
        return f"{plain(significant(value / 1440))} days"
    if value >= 120:
        return f"{plain(significant(value / 60))}{THIN}h"
    return f"{plain(Decimal(round(value)))}{THIN}min"


def count(value: float) -> str:
    """Write a count with thousands separated."""
    return plain(Decimal(round(value)))


def counted(value: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun: "1 ask", "1,204 asks"."""
    return f"{count(value)} {one if value == 1 else many or one + 's'}"


def number_word(value: int) -> str:
    """Write small counts as words."""
    return NUMBERS[value] if 0 <= value < len(NUMBERS) else count(value)


def day_text(day: date | None) -> str:
    """Write a day with its year: "5 June 2025"."""
    return "" if day is None else f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def short_day(day: date) -> str:
    """Write a day without its year: "5 Jun"."""
    return f"{day.day} {MONTHS[day.month - 1][:3]}"


def days_text(start: date, end: date) -> str:
    """Write a span of days, both included, with the year once where it is one."""
    if start == end:
        return day_text(start)
    if start.year == end.year:
        if start.month == end.month:
            return f"{start.day} to {day_text(end)}"
        return f"{start.day} {MONTHS[start.month - 1]} to {day_text(end)}"
    return f"{day_text(start)} to {day_text(end)}"


def month_text(month: date) -> str:
    """Write a month: "June 2025"."""
    return f"{MONTHS[month.month - 1]} {month.year}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Write names as "a, b and c"; beyond `most`, "a, b and 4 more"."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def fraction_words(share: float) -> str:
    """Say a share in words that a person would use: "about half"."""
    steps = (
        (0.03, "very little of it"),
        (0.075, "about a twentieth"),
        (0.15, "about a tenth"),
        (0.225, "about a fifth"),
        (0.29, "about a quarter"),
        (0.42, "about a third"),
        (0.58, "about half"),
        (0.70, "about two thirds"),
        (0.83, "about three quarters"),
        (0.95, "most of it"),
    )
    for limit, words in steps:
        if share < limit:
            return words
    return "nearly all of it"


def role_title(role: str) -> str:
    """Return what people call a role."""
    return ROLES.get(role, role.replace("_", " "))


def capital(text: str) -> str:
    """Begin with a capital letter, and leave the rest as it is."""
    return text[:1].upper() + text[1:]

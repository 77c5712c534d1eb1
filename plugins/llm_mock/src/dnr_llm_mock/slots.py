"""Room: write. What slots are filled with, where neither archetype nor style says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from dnr_llm_mock.grammar import Slot

DEFAULTS: Final[Mapping[str, tuple[str, ...]]] = {
    "greeting": (
        "hi",
        "hello",
        "hey",
        "hi all",
        "morning",
        "hi team",
        "hey folks",
        "hello everyone",
    ),
    "thanks": ("thanks", "thank you", "many thanks", "thanks a lot", "appreciate it", "cheers"),
    "signoff": ("Best", "Thanks", "Regards", "Many thanks", "Best regards", "Talk soon"),
    "ack": ("ok", "got it", "right", "understood", "fair", "makes sense", "sure", "noted"),
    "dashboard": (
        "the weekly dashboard",
        "the ops board",
        "the exec dashboard",
        "our team board",
        "the Monday deck",
        "the growth board",
        "the finance view",
    ),
    "metric": (
        "active customers",
        "conversion",
        "churn",
        "average basket",
        "retention",
        "weekly actives",
        "new accounts",
        "repeat rate",
    ),
    "report": (
        "the monthly report",
        "the board pack",
        "the forecast",
        "the weekly review",
        "the quarterly review",
        "the planning sheet",
        "the close",
    ),
    "team": ("finance", "growth", "ops", "support", "product", "marketing", "risk", "sales"),
    "product": ("the app", "the premium plan", "the web shop", "the new flow", "the mobile app"),
    "event": ("sign-up", "checkout", "first purchase", "renewal", "activation", "the first visit"),
    "segment": (
        "new customers",
        "returning customers",
        "the UK cohort",
        "mobile users",
        "small businesses",
        "the spring cohort",
        "premium users",
    ),
    "channel": (
        "paid search",
        "email",
        "referral",
        "partners",
        "social",
        "affiliates",
        "the app store",
    ),
    "tool": (
        "the notebook",
        "the BI tool",
        "a plain query",
        "the export",
        "the sheet",
        "the console",
    ),
    "customer": ("customer", "client", "user", "account holder"),
    "place": ("Leeds", "Porto", "Austin", "Lyon", "Graz", "Tampa", "Ghent"),
    "role": ("someone from platform", "the on-call", "whoever owns this", "an analyst", "data eng"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    "month": (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    "soon": (
        "today",
        "tomorrow",
        "by end of week",
        "before lunch",
        "this afternoon",
        "by noon",
        "before the weekend",
        "in an hour",
        "first thing tomorrow",
    ),
    "table": ("our main table", "the core table", "the base table"),
    "column": ("the id", "the key column", "the reference"),
}
ALSO: Final[Mapping[str, str]] = {"product": "feature"}
"""Words of an archetype that fill a slot under another name."""
KEPT: Final = frozenset(
    (
        "dashboard",
        "metric",
        "report",
        "team",
        "product",
        "event",
        "segment",
        "channel",
        "customer",
        "place",
        "role",
        "day",
        "month",
        "ago",
        "column",
    )
)
"""Slots that mean the same thing all through one talk."""


def number(random: Callable[[], float], low: int, high: int) -> int:
    """A whole number in [low, high]."""
    return low + int(random() * (high - low + 1))


def _ranged(argument: str, low: int, high: int) -> tuple[int, int]:
    first, _, last = argument.partition("-")
    return (int(first), int(last)) if last else (low, high)


class Filler:
    """Fills the slots of one talk from its brief, the style and the archetype's words."""

    def __init__(self, brief: Mapping[str, Any], random: Callable[[], float]) -> None:
        self._random = random
        self._kept: dict[str, str] = {}
        style = brief.get("style") or {}
        self._words: tuple[Mapping[str, Any], ...] = (
            brief.get("vocabulary") or {},
            style.get("vocabulary") or {},
            DEFAULTS,
        )
        self._named = bool(brief.get("named"))
        self._names = {
            "table": self._everyday(brief, "table", "table_names"),
            "column": self._everyday(brief, "column", "column_names"),
            "other": tuple(
                filter(None, [_spoken(brief.get("other_table"), technical=self._named)])
            ),
        }
        incident = brief.get("incident") or {}
        if incident.get("weekday"):
            self._kept["day"] = str(incident["weekday"])
        self._days_ago = incident.get("days_ago")

    def _everyday(self, brief: Mapping[str, Any], name: str, names: str) -> tuple[str, ...]:
        technical = brief.get(name)
        if self._named and technical:
            return (str(technical),)
        everyday = tuple(str(word) for word in brief.get(names) or () if word)
        return everyday or tuple(filter(None, [_spoken(technical, technical=False)]))

    def __call__(self, slot: Slot) -> str:
        """Text of a slot; a name that ends with a digit is kept apart and stays the same."""
        name = slot.name
        base = name.rstrip("0123456789")
        if name in self._kept:
            return self._kept[name]
        text = self._drawn(base, slot.argument)
        if base != name or base in KEPT:
            if base != name and base in KEPT:
                taken = set(self._kept.values())
                for _ in range(4):
                    if text not in taken:
                        break
                    text = self._drawn(base, slot.argument)
            self._kept[name] = text
        return text

    def _drawn(self, base: str, argument: str) -> str:
        if self._names.get(base):
            return str(self._choice(self._names[base]))
        make = _MADE.get(base)
        if make is not None:
            return make(self._random, argument)
        if base == "ago":
            return self._ago()
        if base == "other":
            return self._drawn("report", "")
        for words in self._words:
            options = words.get(base) or words.get(ALSO.get(base, ""))
            if options:
                return str(self._choice(options))
        return base.replace("_", " ")

    def _ago(self) -> str:
        days = self._days_ago if self._days_ago is not None else number(self._random, 0, 6)
        days = max(0, int(days))
        if days < 2:
            return ("today", "yesterday")[days]
        return f"{days} days ago"

    def _choice(self, options: Any) -> Any:
        return options[int(self._random() * len(options))]


def _spoken(name: object, *, technical: bool) -> str:
    if not name:
        return ""
    text = str(name)
    if technical:
        return text
    for prefix in ("fact_", "dim_", "snapshot_"):
        text = text.removeprefix(prefix)
    return text.replace("_", " ")


def _plain(low: int, high: int) -> Callable[[Callable[[], float], str], str]:
    def made(random: Callable[[], float], argument: str) -> str:
        return str(number(random, *_ranged(argument, low, high)))

    return made


def _grouped(low: int, high: int) -> Callable[[Callable[[], float], str], str]:
    def made(random: Callable[[], float], argument: str) -> str:
        value = number(random, *_ranged(argument, low, high))
        return f"{value:,}" if random() < 0.7 else f"{value}"

    return made


def _percent(random: Callable[[], float], argument: str) -> str:
    low, high = _ranged(argument, 2, 40)
    value = number(random, low * 10, high * 10)
    text = f"{value / 10:.1f}" if random() < 0.4 else str(max(1, value // 10))
    return text + ("%" if random() < 0.75 else " percent")


def _money(random: Callable[[], float], argument: str) -> str:
    value = number(random, *_ranged(argument, 3, 900))
    return (f"${value}k", f"{value}k", f"${value},{number(random, 0, 999):03d}")[int(random() * 3)]


def _clock(random: Callable[[], float], _argument: str) -> str:
    hour, minute = number(random, 6, 18), number(random, 0, 11) * 5
    if random() < 0.5:
        return f"{hour}:{minute:02d}"
    half = "am" if hour < 12 else "pm"
    return (
        f"{(hour - 1) % 12 + 1}{half}"
        if random() < 0.5
        else f"{(hour - 1) % 12 + 1}:{minute:02d}{half}"
    )


def _ticket(random: Callable[[], float], _argument: str) -> str:
    return f"{('DATA', 'REQ', 'OPS', 'BI')[int(random() * 4)]}-{number(random, 100, 4999)}"


MONTHS: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905


def _date(random: Callable[[], float], _argument: str) -> str:
    return f"{MONTHS[int(random() * 12)]} {number(random, 1, 28)}"


_MADE: Final[Mapping[str, Callable[[Callable[[], float], str], str]]] = {
    "n": _plain(3, 90),
    "big": _grouped(1_100, 98_000),
    "pct": _percent,
    "money": _money,
    "clock": _clock,
    "id": _plain(10_000, 999_999),
    "ticket": _ticket,
    "date": _date,
}

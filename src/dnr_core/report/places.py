"""Room: report. Where a need's broken rows concentrate, in words; or that they do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dnr_core.health.drill import Concentration, Cut, Drill
from dnr_core.health.local_time import date_of
from dnr_core.model.need import Need
from dnr_core.report import wording as say
from dnr_core.report.context import Context
from dnr_core.report.labels import shortened

WEEKDAYS: Final = (
    *("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"),
)
MOST_NAMED: Final = 4
MOST_CHARACTERS: Final = 48
CUT_WORDS: Final = {
    "day": "day",
    "weekday": "weekday",
    "hour": "hour",
    "load_day": "day of load",
    "load_hour": "hour of load",
}


def places_document(context: Context, need: Need) -> dict[str, Any] | None:
    """Return where the broken rows of a need lie; None where nobody looked."""
    drill = context.drills.get((need.table, need.metric))
    if drill is None:
        return None
    looked = say.listed([cut_words(cut) for cut in drill.cuts], 12)
    if drill.why_not:
        text = f"Where its rows lie could not be looked at: {drill.why_not}"
    elif not drill.looked:
        text = "Every row of the window is affected" if drill.broken else "No row is affected"
    elif not drill.found:
        text = (
            "Nothing concentrates it: its rows lie as all rows do, by "
            f"{looked} ({say.count(drill.looked)} values looked at)"
        )
    else:
        text = (
            f"Looked at {say.count(drill.looked)} values of {looked}; named is what holds more "
            "of it than chance allows over all of them"
        )
    return {
        "text": text,
        "looked": drill.looked,
        "broken": drill.broken,
        "rows": drill.rows,
        "found": [_found_document(found) for found in drill.found],
    }


def _found_document(found: Concentration) -> dict[str, Any]:
    return {
        "cut": cut_words(found.cut),
        "column": found.cut.column,
        "where": where_text(found),
        "values": [value_text(found.cut, value) for value in found.values],
        "broken": found.broken,
        "broken_text": say.count(found.broken),
        "rows": found.rows,
        "rows_text": say.count(found.rows),
        "broken_share": round(found.broken_share, 6),
        "broken_share_text": say.percent(found.broken_share),
        "rows_share": round(found.rows_share, 6),
        "rows_share_text": say.percent(found.rows_share),
        "lift_text": f"{found.lift:.1f}{say.TIMES}",
        "sql": found.sql,
    }


def cut_words(cut: Cut) -> str:
    """Name a cut for people."""
    return cut.column or CUT_WORDS[cut.kind]


def value_text(cut: Cut, value: int | str | None) -> str:
    """Write one value of a cut."""
    if value is None:
        return "empty"
    if cut.kind in {"day", "load_day"}:
        return say.short_day(date_of(int(value)))
    if cut.kind == "weekday":
        return WEEKDAYS[int(value)]
    if cut.kind in {"hour", "load_hour"}:
        return f"{int(value):02d}:00"
    return shortened(str(value), MOST_CHARACTERS)


def where_text(found: Concentration) -> str:
    """Say where, without how much: "in loads between 02:00 and 05:00", "where channel is web"."""
    cut, values = found.cut, found.values
    lead = {"load_day": "in loads of ", "load_hour": "in loads ", "day": "on "}.get(cut.kind, "")
    if cut.kind in {"column", "id"}:
        return f"where {cut.column} is {_named([value_text(cut, v) for v in values])}"
    numbers = [int(value) for value in values if value is not None]
    if cut.kind in {"hour", "load_hour"}:
        return lead + _hours(numbers)
    if cut.kind == "weekday":
        return f"on {_named([WEEKDAYS[n] for n in numbers])}"
    if len(numbers) > 1 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return lead + say.days_text(date_of(numbers[0]), date_of(numbers[-1]))
    return lead + _named([say.short_day(date_of(n)) for n in numbers])


def _named(names: Sequence[str]) -> str:
    return say.listed(list(names), MOST_NAMED)


def _hours(hours: Sequence[int]) -> str:
    """Write hours as spans; one that runs over midnight is one span."""
    there = set(hours)
    starts = [hour for hour in hours if (hour - 1) % 24 not in there]
    spans = []
    for start in starts:
        length = next(n for n in range(1, 25) if (start + n) % 24 not in there or n == 24)
        spans.append(f"{start:02d}:00 and {(start + length) % 24:02d}:00")
    return f"between {' and between '.join(spans[:MOST_NAMED])}" if spans else "at all hours"


def fact(drill: Drill | None, *, without_days: bool) -> str:
    """Say in a few words what concentrates a need most; "" where nothing does.

    `without_days` leaves days aside, where an incident names them already.
    """
    for found in drill.found if drill else ():
        if without_days and found.cut.kind in {"day", "load_day"}:
            continue
        share, rows = say.percent(found.broken_share), say.percent(found.rows_share)
        return f"{share} {where_text(found)} ({rows} of rows)"
    return ""

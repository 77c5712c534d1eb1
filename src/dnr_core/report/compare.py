"""Room: report. Against an earlier report: what is new, better, worse, solved, and what it was worth."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from math import sqrt
from typing import Any, Final

from dnr_core.config.zones import zone_of
from dnr_core.errors import InputError
from dnr_core.model.need import Interval
from dnr_core.ranking.measures import SLO_KIND
from dnr_core.report import facts
from dnr_core.report import wording as say
from dnr_core.report.context import Context
from dnr_core.report.earlier import Earlier
from dnr_core.report.sides import Figures, Side, figures_now, moved, side_document, side_of

BEYOND_CHANCE: Final = 2.576
"""Standard errors (two-sided 1 %) by which a share must move to be called better or worse."""
LISTED: Final = 20
ORDER: Final = ("new", "worse", "solved", "better", "same", "not_measured")
WORDS: Final = {
    "new": ("▲", "new"),
    "worse": ("▲", "worse"),
    "solved": ("✓", "solved"),
    "better": ("✓", "better"),
    "same": ("·", "no change beyond chance"),
    "not_measured": ("·", "not measured now"),
}


def compare_document(
    context: Context, needs: list[dict[str, Any]], earlier: Earlier
) -> dict[str, Any]:
    """Return what changed since the earlier report; `needs` are all needs of this one.

    Raises:
        InputError: the earlier report is of the same day or a later one, or in another currency.
    """
    _check_days(context, earlier)
    documents = {need["id"]: need for need in needs}
    figures = figures_now(context.measures)
    rows = []
    for identity in sorted({*documents, *earlier.needs}):
        row = _row(context, earlier, documents.get(identity), earlier.needs.get(identity), figures)
        if row:
            rows.append(row)
    rows.sort(key=lambda row: (ORDER.index(row["state"]), -row["weight"], row["id"]))
    counts = {state: sum(1 for row in rows if row["state"] == state) for state in ORDER}
    gained = [row for row in rows if row["state"] in {"solved", "better"} and row["worth"]]
    worth = _together([row["worth"] for row in gained if not row["late"]], context.currency)
    late_worth = _together([row["worth"] for row in gained if row["late"]], context.currency)
    then = say.day_text(_local_day(earlier.as_of, context))
    return {
        "as_of": earlier.as_of.isoformat(),
        "then": then,
        "window": earlier.window_text,
        "counts": counts,
        "worth": worth,
        "late_worth": late_worth,
        "sentence": _sentence(then, counts, worth, late_worth),
        "rows": rows[:LISTED],
        "left_out": max(0, len(rows) - LISTED),
        "notes": _notes(context, earlier),
    }


def _check_days(context: Context, earlier: Earlier) -> None:
    now = as_of(context)
    if now is None:
        raise InputError(
            "this report has no day of its own, so it cannot be compared",
            hint="give --warehouse, or messages with a time",
        )
    if earlier.as_of >= now:
        same = "the same as-of" if earlier.as_of == now else "a later as-of"
        raise InputError(
            f"{earlier.folder} is a report of {same} ({earlier.as_of:%Y-%m-%d %H:%M} UTC; this "
            f"one is of {now:%Y-%m-%d %H:%M} UTC)",
            hint="compare with an earlier report, or give a later --as-of",
        )
    if earlier.currency != context.currency:
        raise InputError(
            f"{earlier.folder} counts in {earlier.currency}, and this report in {context.currency}",
            hint="make the earlier report again with the currency of today",
        )


def as_of(context: Context) -> datetime | None:
    """Return what counts as now, in UTC: the warehouse's as-of, else the end of the messages."""
    if context.health:
        return context.health.as_of.astimezone(UTC)
    end = context.demand.end if context.demand else None
    return end.astimezone(UTC) if end else None


def _local_day(moment: datetime, context: Context) -> Any:
    zone = context.health.tz if context.health else context.archetype.tz or "UTC"
    return moment.astimezone(zone_of(zone)).date()


def _row(
    context: Context,
    earlier: Earlier,
    document: Mapping[str, Any] | None,
    before: Mapping[str, Any] | None,
    figures: Figures,
) -> dict[str, Any] | None:
    source = document or before
    if source is None:
        return None
    theme, table = source["theme"], source["table"]

    def limit_of(table: str, metric: str) -> float | None:
        return _limit(context, earlier, table, metric)

    then = side_of(theme, table, before, earlier.figures, limit_of)
    now = side_of(theme, table, document, figures, limit_of)
    state = _state(then, now, context, earlier)
    if state is None or (state == "same" and not (then.rank or now.rank or now.over)):
        return None
    change, late = _change(context, earlier, table, then, now), then.late or now.late
    worth = _flipped(change) if state in {"solved", "better"} else None
    sign, word = WORDS[state]
    if state == "solved" and not (then.over or now.over):
        word = "no longer asked for"
    return {
        "id": source["id"],
        "title": source["title"],
        "theme": theme,
        "table": table,
        "state": state,
        "sign": sign,
        "word": word,
        "late": late,
        "then": side_document(then, context.currency),
        "now": side_document(now, context.currency),
        "change": say.money_range(change, context.currency),
        "worth": say.money_range(worth, context.currency),
        "worth_text": _worth_text(state, change, worth, context.currency, late=late),
        "weight": round(abs(change.value)) if change else 0,
    }


def _limit(context: Context, earlier: Earlier, table: str, metric: str) -> float | None:
    """Today's limit, so that no need is solved by moving it; else the one of then."""
    verdict = context.measures.verdict(table, metric) if context.measures else None
    return verdict.slo if verdict else earlier.limits.get((table, SLO_KIND[metric]))


def _state(then: Side, now: Side, context: Context, earlier: Earlier) -> str | None:
    """Name the change; None for what was no need at either day."""
    change = moved(then, now, BEYOND_CHANCE)
    if then.over or now.over:
        if not now.measured:
            return "not_measured"
        if not then.measured:
            return "new" if earlier.measured else None
        if then.over != now.over and change:
            # What steps over its limit by chance is neither solved nor new.
            return "new" if now.over else "solved"
        return _MOVES[change]
    if then.measured or now.measured:
        # Broken rows within the limit at both days: a need only as far as people ask.
        return "same" if then.rank and now.rank else None
    if context.demand is None or not earlier.asked:
        return None
    if now.asks and not then.asks:
        # What was left out of the earlier list may have been asked for.
        return None if earlier.needs_left_out and not now.rank else "new"
    if then.asks and not now.asks:
        return "solved"
    return _MOVES[change] if then.rank or now.rank else None


_MOVES: Final = {1: "worse", 0: "same", -1: "better"}


def _change(
    context: Context, earlier: Earlier, table: str, then: Side, now: Side
) -> Interval | None:
    """Return money now less what it would be at the share of then, at the volume of today.

    The ends add the two ranges as independent: differences of the ends, squared, summed, rooted.
    """
    if then.money is None and now.money is None:
        return None
    if then.money and now.money and then.late != now.late:
        return None
    volume = _volume(context, earlier, table)
    was = tuple(cents * volume for cents in then.money or (0.0, 0.0, 0.0))
    is_ = now.money or (0.0, 0.0, 0.0)
    value = is_[0] - was[0]
    return Interval(
        value,
        value - sqrt((is_[0] - is_[1]) ** 2 + (was[2] - was[0]) ** 2),
        value + sqrt((is_[2] - is_[0]) ** 2 + (was[0] - was[1]) ** 2),
    )


def _volume(context: Context, earlier: Earlier, table: str) -> float:
    """Rows a day now over rows a day then; 1 where either is not known."""
    total = context.measures.totals.get((table, "rows")) if context.measures else None
    figure = earlier.figures.get((table, "rows"))
    if total is None or figure is None or earlier.window is None or context.measures is None:
        return 1.0
    days = (earlier.window[1] - earlier.window[0]).days + 1
    if figure.rows <= 0 or total.numerator <= 0:
        return 1.0
    return (total.numerator / context.measures.window_days) / (figure.rows / days)


def _flipped(change: Interval | None) -> Interval | None:
    return Interval(-change.value, -change.high, -change.low) if change else None


def _worth_text(
    state: str, change: Interval | None, worth: Interval | None, currency: str, *, late: bool
) -> str:
    if change is None:
        return ""
    amount = say.money_range(worth or change, currency)
    if amount is None:
        return ""
    ends = f"80{say.THIN}% range {amount['range_text']}"
    if worth is not None:
        verb = "comes on time again" if late else "a month is recovered"
        return f"{amount['text']} {verb} ({ends})"
    if state in {"new", "worse"}:
        return f"{amount['text']} a month more {'late' if late else 'at risk'} ({ends})"
    return ""


def _together(parts: list[dict[str, Any]], currency: str) -> dict[str, Any] | None:
    """Return the sum of some amounts with its range, their errors taken as independent."""
    if not parts:
        return None
    value = sum(part["cents"] for part in parts)
    down = sqrt(sum((part["cents"] - part["low"]["cents"]) ** 2 for part in parts))
    up = sqrt(sum((part["high"]["cents"] - part["cents"]) ** 2 for part in parts))
    return say.money_range(Interval(value, value - down, value + up), currency)


def _sentence(
    then: str,
    counts: Mapping[str, int],
    worth: Mapping[str, Any] | None,
    late: Mapping[str, Any] | None,
) -> str:
    changed = [
        f"{say.number_word(counts[state])} {WORDS[state][1]}"
        for state in ("solved", "better", "worse", "new")
        if counts[state]
    ]
    if not changed:
        return f"Since {then}: nothing changed beyond chance."
    text = f"Since {then}: {say.listed(changed, 4)}."
    if worth:
        text += (
            f" What was mended is worth {worth['text']} a month "
            f"(80{say.THIN}% range {worth['range_text']})."
        )
    if late:
        text += f" {late['text']} a month comes on time again."
    return text


def _notes(context: Context, earlier: Earlier) -> list[str]:
    notes = [
        "A need counts as solved or new against the limits of today. Every change is one of the "
        "affected share beyond what its days scatter (two-sided 1 %).",
        "What a fix was worth: the money at the share of then and the volume of today, less the "
        "money now. Rows that are broken in two ways count in both.",
    ]
    health = context.health
    if health and earlier.window and earlier.window[1] >= health.window_start:
        days = (earlier.window[1] - health.window_start).days + 1
        notes.append(
            f"The two windows share {say.counted(days, 'day')}, which hides a part of the change."
        )
    if health and earlier.window:
        length = (earlier.window[1] - earlier.window[0]).days + 1
        if context.measures and length != context.measures.window_days:
            notes.append(
                f"The earlier window has {say.counted(length, 'day')}, this one "
                f"{context.measures.window_days}."
            )
    if (health is None) != (not earlier.measured):
        notes.append("Only one of the two reports read a warehouse, so figures are not compared.")
    if (context.demand is None) == earlier.asked:
        notes.append("Only one of the two reports read messages, so demand is not compared.")
    limits = _moved_limits(context, earlier)
    if limits:
        notes.append(f"Limits that changed since: {say.listed(limits, 6)}.")
    return notes


def _moved_limits(context: Context, earlier: Earlier) -> list[str]:
    found = []
    for (table, kind), limit in sorted(earlier.limits.items()):
        metric = next((m for m, k in SLO_KIND.items() if k == kind), "")
        verdict = context.measures.verdict(table, metric) if context.measures and metric else None
        if verdict and verdict.slo != limit:
            found.append(
                f"{facts.METRIC_WORDS[metric]} of {table} from "
                f"{facts.value_text(metric, limit)} to {facts.value_text(metric, verdict.slo)}"
            )
    return found

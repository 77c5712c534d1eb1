"""Room: report. The figures of the first screen: money by need, and the strip that joins both sides."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from math import isnan
from typing import Any

from dnr_core.report import wording as say
from dnr_core.report.chart import ACCENT, ALARM, BAND, HAIR, INK, MUTED, RAMP, Chart
from dnr_core.report.labels import at_line_end, before_bar, behind_bar, shortened

Document = Mapping[str, Any]


def money_bars(document: Document, *, width: int = 410) -> Chart | None:
    """Return the bars of the top needs, sorted, from zero, with whiskers and values at the ends."""
    bars = document["bars"]["rows"]
    if not bars:
        return None
    scale = 100.0 if document["bars"]["unit"] == "cents" else 0.01
    narrow = width < 400
    row_height = 40 if narrow else 32
    height = row_height * len(bars) + 14

    def draw(figure: Any) -> None:
        axes = figure.add_axes((0.0 if narrow else 0.37, 0.02, 1 if narrow else 0.63, 0.96))
        most = max(max(bar["high"], bar["value"]) for bar in bars) / scale or 1.0
        for place, bar in enumerate(bars):
            value = bar["value"] / scale
            thick = 0.34 if narrow else 0.5
            late = bar["kind"] == "late"
            axes.barh(
                place,
                value,
                height=thick,
                color=BAND if late else ALARM,
                edgecolor=MUTED,
                linewidth=0.8 if late else 0,
            )
            if bar["high"] > bar["low"]:
                axes.plot(
                    [bar["low"] / scale, bar["high"] / scale],
                    [place, place],
                    color=INK,
                    linewidth=1.3,
                    solid_capstyle="butt",
                )
                for end in (bar["low"], bar["high"]):
                    axes.plot(
                        [end / scale] * 2, [place - 0.13, place + 0.13], color=INK, linewidth=1.3
                    )
            note = f"{bar['text']}{' late' if bar['kind'] == 'late' else ''}"
            behind_bar(axes, note, max(value, bar["high"] / scale), place, size=12)
            if narrow:
                axes.annotate(
                    shortened(bar["title"], 44),
                    (0, place - 0.25),
                    xytext=(0, 2),
                    textcoords="offset points",
                    va="bottom",
                    fontsize=12,
                    color=INK,
                )
            else:
                label = textwrap.wrap(shortened(bar["title"], 44), 23)
                before_bar(axes, "\n".join(label), place, size=11)
        axes.set_xlim(0, most * (1.32 if narrow else 1.42))
        axes.set_ylim(len(bars) - 0.4, -0.75 if narrow else -0.6)
        axes.axvline(0, color=HAIR, linewidth=1)
        axes.axis("off")

    words = "; ".join(f"{bar['title']} {bar['text']}" for bar in bars)
    return Chart(
        "money-by-need",
        document["bars"]["title"],
        f"Bars from zero, largest first, with 80 % ranges: {words}.",
        width,
        height,
        draw,
        ("Need", "Value", "Range"),
        tuple((bar["title"], bar["text"], bar["range_text"]) for bar in bars),
    )


def strip_chart(strip: Document, *, width: int = 640, dated: bool = True) -> Chart:
    """Return one need's 90 days: rate over its usual band, flagged days, a tick for each message."""
    days = [date.fromisoformat(day) for day in strip["days"]]
    rate = [float("nan") if value is None else value for value in strip["rate"]]
    place = {day: number for number, day in enumerate(days)}
    # Strips share one axis of days, which the last one shows.
    foot_pixels = 15 if dated else 3
    height = 54 + foot_pixels

    def draw(figure: Any) -> None:
        right = 0.855 if width > 450 else 0.7
        foot, talk = foot_pixels / height, 18 / height
        top = figure.add_axes((0.004, foot + talk + 0.03, right, 1 - foot - talk - 0.03))
        below = figure.add_axes((0.004, foot, right, talk))
        flagged = _flagged_days(strip, place)
        # One pale bar through both panels: the eye sees who spoke when the data broke.
        for number in flagged:
            for axes in (top, below):
                axes.axvspan(number - 0.5, number + 0.5, color=RAMP[1], linewidth=0)
        known = [value for value in rate if not isnan(value)]
        if known:
            _rate_line(top, strip, rate, known)
            _flags(top, flagged, rate)
        else:
            top.annotate(
                "no rate of the warehouse shows this need",
                (0.0, 0.35),
                xycoords="axes fraction",
                fontsize=11,
                color=MUTED,
            )
        _message_ticks(below, strip["messages"], strip["messages_total"], told=strip["read"])
        for axes in (top, below):
            axes.set_xlim(-0.5, len(days) - 0.5)
        top.axis("off")
        _days_axis(below, days, short=width < 450, dated=dated)

    return Chart(
        f"strip-{strip['id']}",
        f"{strip['title']}: 90 days",
        f"{strip['metric_text']}. {strip['text']}",
        width,
        height,
        draw,
        ("Week from", *(f"Day {number}" for number in range(1, 8))),
        _weeks(days, rate, strip["messages"]),
    )


def _weeks(days: list[date], rate: list[float], messages: list[int]) -> tuple[tuple[str, ...], ...]:
    """Return a row a week: each day's rate, and its messages in brackets."""
    cells = [
        f"{'-' if isnan(value) else f'{value:.1f}'} ({spoken})"
        for value, spoken in zip(rate, messages, strict=True)
    ]
    return tuple(
        (
            say.short_day(days[start]),
            *cells[start : start + 7],
            *[""] * max(0, start + 7 - len(cells)),
        )
        for start in range(0, len(days), 7)
    )


def _flagged_days(strip: Document, place: dict[date, int]) -> list[int]:
    found: set[int] = set()
    for flag in strip["flagged"]:
        start, end = date.fromisoformat(flag["start"]), date.fromisoformat(flag["end"])
        found.update(number for day, number in place.items() if start <= day <= end)
    return sorted(found)


def _days_axis(axes: Any, days: list[date], *, short: bool, dated: bool) -> None:
    axes.set_yticks([])
    axes.tick_params(axis="x", length=2, pad=1, labelbottom=dated)
    starts = [n for n, day in enumerate(days) if day.day == 1] or [0]
    axes.set_xticks(starts)
    axes.set_xticklabels(
        [say.MONTHS[days[n].month - 1][: 3 if short else 9] for n in starts], ha="left"
    )


def _rate_line(axes: Any, strip: Document, rate: list[float], known: list[float]) -> None:
    beside = [v for other in strip["beside"] for v in other["rate"] if v is not None]
    highest = max([*known, *beside])
    if strip["band"]:
        axes.axhspan(
            strip["band"][0], min(strip["band"][1], highest * 1.1), color=BAND, linewidth=0
        )
    last = next((n for n in range(len(rate) - 1, -1, -1) if not isnan(rate[n])), 0)
    limit, spots = strip["limit"], [rate[last]]
    labels = [(strip["last_text"], ACCENT)]
    if limit is not None and limit <= highest * 1.15:
        axes.axhline(limit, color=MUTED, linewidth=1, dashes=(2, 2))
        spots.append(limit)
        labels.append((f"limit {strip['limit_text']}", MUTED))
    for other in strip["beside"]:
        values = [float("nan") if value is None else value for value in other["rate"]]
        axes.plot(range(len(values)), values, color=MUTED, linewidth=1)
        spots.append(next((value for value in reversed(values) if not isnan(value)), 0.0))
        labels.append((other["last_text"], MUTED))
    axes.plot(range(len(rate)), rate, color=ACCENT, linewidth=1.6)
    axes.set_ylim(0, highest * 1.35 or 1)
    for spot, (text, colour) in zip(spread(spots, highest * 0.5), labels, strict=True):
        at_line_end(axes, text, spot, size=10.5, colour=colour)


def _flags(axes: Any, flagged: list[int], rate: list[float]) -> None:
    highest = axes.get_ylim()[1] / 1.35
    heights = [highest if isnan(rate[n]) else rate[n] for n in flagged]
    axes.plot(
        flagged,
        [value + highest * 0.16 for value in heights],
        linestyle="none",
        marker="v",
        markersize=6,
        color=ALARM,
        markeredgewidth=0,
    )


def _message_ticks(axes: Any, messages: list[int], total: int, *, told: bool) -> None:
    """Draw a tick a day with messages, as high as there are many."""
    most = max([*messages, 3])
    for number, spoken in enumerate(messages):
        if spoken:
            axes.plot(
                [number, number],
                [0, 0.25 + 0.7 * spoken / most],
                color=INK,
                linewidth=2.2,
                solid_capstyle="butt",
            )
    axes.set_ylim(0, 1.05)
    words = say.counted(total, "message") if told else "not read"
    at_line_end(axes, words, 0.4, size=10.5, colour=INK)


def spread(values: list[float], least: float) -> list[float]:
    """Move label heights apart until none is closer than `least`, in their order."""
    order = sorted(range(len(values)), key=lambda n: values[n])
    placed = list(values)
    for before, after in pairwise(order):
        placed[after] = max(placed[after], placed[before] + least)
    return placed

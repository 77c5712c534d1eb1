"""Room: report. The figures of the first screen: money by need, and the strip that joins both sides."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from datetime import date
from typing import Any

from dnr_core.report import wording as say
from dnr_core.report.chart import ACCENT, ALARM, BAND, HAIR, INK, MUTED, Chart

Document = Mapping[str, Any]


def shortened(text: str, width: int) -> str:
    """Cut a label to `width` characters."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def money_bars(document: Document, *, width: int = 520) -> Chart | None:
    """Return the bars of the top needs, sorted, from zero, with whiskers and values at the ends."""
    bars = document["bars"]["rows"]
    if not bars:
        return None
    scale = 100.0 if document["bars"]["unit"] == "cents" else 0.01
    narrow = width < 450
    row_height = 40 if narrow else 34
    height = row_height * len(bars) + 14

    def draw(figure: Any) -> None:
        axes = figure.add_axes((0.0 if narrow else 0.34, 0.02, 1 if narrow else 0.66, 0.96))
        most = max(max(bar["high"], bar["value"]) for bar in bars) / scale or 1.0
        for place, bar in enumerate(bars):
            value = bar["value"] / scale
            colour = ALARM if bar["kind"] != "late" else MUTED
            thick = 0.34 if narrow else 0.5
            axes.barh(place, value, height=thick, color=colour, linewidth=0)
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
            axes.annotate(
                note,
                (max(value, bar["high"] / scale), place),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=12,
                color=INK,
            )
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
                label = textwrap.wrap(shortened(bar["title"], 46), 26)
                axes.annotate(
                    "\n".join(label),
                    (0, place),
                    xytext=(-8, 0),
                    ha="right",
                    textcoords="offset points",
                    va="center",
                    fontsize=11,
                    color=INK,
                    annotation_clip=False,
                )
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


def strip_chart(strip: Document, *, width: int = 620, height: int = 96) -> Chart:
    """Return one need's 90 days: rate over its usual band, flagged days, a tick for each message."""
    days = [date.fromisoformat(day) for day in strip["days"]]
    rate = [float("nan") if value is None else value for value in strip["rate"]]
    messages = strip["messages"]
    place = {day: number for number, day in enumerate(days)}

    def draw(figure: Any) -> None:
        low = 30 / height
        top = figure.add_axes((0.012, low + 0.2, 0.9, 0.8 - low - 0.04))
        known = [value for value in rate if value == value]
        if known:
            _rate_line(top, strip, rate, known)
            _flags(top, strip, place, rate, max(known))
        else:
            top.annotate(
                "no rate is measured for this need",
                (0.0, 0.4),
                xycoords="axes fraction",
                fontsize=11,
                color=MUTED,
            )
        top.set_xlim(-0.5, len(days) - 0.5)
        top.axis("off")
        ticks = figure.add_axes((0.012, low, 0.9, 0.17))
        _message_ticks(ticks, messages)
        ticks.set_xlim(-0.5, len(days) - 0.5)
        ticks.set_yticks([])
        ticks.tick_params(axis="x", length=3)
        starts = [n for n, day in enumerate(days) if day.day == 1] or [0]
        ticks.set_xticks(starts)
        ticks.set_xticklabels(
            [say.MONTHS[days[n].month - 1][: 3 if width < 450 else 9] for n in starts]
        )

    return Chart(
        f"strip-{strip['id']}",
        f"{strip['title']}: 90 days",
        f"{strip['metric_text']}. {strip['text']}",
        width,
        height,
        draw,
        ("Day", "Rate", "Messages"),
        tuple(
            (say.short_day(day), "" if value != value else f"{value:.2f}", str(spoken))
            for day, value, spoken in zip(days, rate, messages, strict=True)
        ),
    )


def _rate_line(axes: Any, strip: Document, rate: list[float], known: list[float]) -> None:
    highest = max(known)
    if strip["band"]:
        axes.axhspan(
            strip["band"][0], min(strip["band"][1], highest * 1.1), color=BAND, linewidth=0
        )
    if strip["limit"] is not None and strip["limit"] <= highest * 1.15:
        axes.axhline(strip["limit"], color=MUTED, linewidth=1, dashes=(2, 2))
        axes.annotate(
            "limit",
            (1, strip["limit"]),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=10,
            color=MUTED,
            annotation_clip=False,
        )
    axes.plot(range(len(rate)), rate, color=ACCENT, linewidth=1.4)
    last = next((n for n in range(len(rate) - 1, -1, -1) if rate[n] == rate[n]), 0)
    unit = f"{rate[last]:.0f} min" if strip["unit"] == "minutes" else f"{rate[last]:.1f} %"
    if strip["unit"] == "minutes" and rate[last] >= 120:
        unit = f"{rate[last] / 60:.1f} h"
    axes.annotate(
        unit,
        (1, rate[last]),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=11,
        color=ACCENT,
        annotation_clip=False,
    )
    axes.set_ylim(0, highest * 1.22 or 1)


def _flags(
    axes: Any, strip: Document, place: dict[date, int], rate: list[float], highest: float
) -> None:
    for flag in strip["flagged"]:
        start, end = date.fromisoformat(flag["start"]), date.fromisoformat(flag["end"])
        mine = [number for day, number in place.items() if start <= day <= end]
        heights = [(rate[n] if rate[n] == rate[n] else highest) for n in mine]
        axes.plot(
            mine,
            [value + highest * 0.1 for value in heights],
            linestyle="none",
            marker="v",
            markersize=6,
            color=ALARM,
            markeredgewidth=0,
        )


def _message_ticks(axes: Any, messages: list[int]) -> None:
    """Draw a tick a message, stacked on its day."""
    most = max([*messages, 4])
    for number, spoken in enumerate(messages):
        if spoken:
            axes.plot(
                [number, number],
                [0, spoken / most],
                color=INK,
                linewidth=1.8,
                solid_capstyle="butt",
            )
    axes.set_ylim(0, 1.05)

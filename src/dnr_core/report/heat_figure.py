"""Room: report. The heat map: tables by days, coloured by how far over its limit the worst figure is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from dnr_core.report import wording as say
from dnr_core.report.chart import INK, MUTED, RAMP, RAMP_LIMITS, WIDE, Chart
from dnr_core.report.labels import shortened

Document = Mapping[str, Any]


def ramp_step(overage: float) -> int:
    """Return the step of the severity ramp for a value over its limit."""
    return sum(1 for limit in RAMP_LIMITS if overage > limit)


def heat_map(document: Document) -> Chart | None:
    """Return tables x days, coloured by the worst value over its limit, incidents outlined."""
    heat = (document["health"] or {}).get("heat")
    if not heat or not heat["tables"]:
        return None
    tables, bins = heat["titles"], [date.fromisoformat(day) for day in heat["bins"]]
    row = 22
    height = row * len(tables) + 44
    cells = heat["overage"]

    def draw(figure: Any) -> None:
        from matplotlib.collections import PolyCollection

        axes = figure.add_axes((0.19, 24 / height, 0.81, (height - 44) / height))
        for step, colour in enumerate(RAMP):
            squares = [
                [(x, y), (x + 0.92, y), (x + 0.92, y + 0.86), (x, y + 0.86)]
                for y, values in enumerate(cells)
                for x, value in enumerate(values)
                if value is not None and ramp_step(value) == step
            ]
            if squares:
                axes.add_collection(
                    PolyCollection(squares, facecolors=colour, edgecolors="none", linewidths=0)
                )
        _outline(axes, heat, bins)
        axes.set_xlim(0, len(bins))
        axes.set_ylim(len(tables), 0)
        axes.set_yticks(
            [number + 0.43 for number in range(len(tables))],
            [shortened(title, 26) for title in tables],
        )
        _month_ticks(axes, bins)
        axes.spines["bottom"].set_visible(False)
        _ramp_key(figure, height)

    return Chart(
        "health-by-day",
        "Worst figure over its limit, by table and day",
        f"One row a table, one square for {heat['bin_text']}, {heat['span_text']}; darker is further "
        "over the limit; outlined squares are incidents.",
        WIDE,
        height,
        draw,
        ("Table", "Days over a limit", "Days measured"),
        tuple(
            (title, str(over), str(known))
            for title, over, known in zip(
                tables, heat["days_over"], heat["days_known"], strict=True
            )
        ),
    )


def _outline(axes: Any, heat: Document, bins: list[date]) -> None:
    for incident in heat["incidents"]:
        y = heat["tables"].index(incident["table"])
        start, end = date.fromisoformat(incident["start"]), date.fromisoformat(incident["end"])
        inside = [
            n
            for n, day in enumerate(bins)
            if day <= end and (n + 1 == len(bins) or bins[n + 1] > start)
        ]
        if inside and end >= bins[0]:
            left, right = inside[0], inside[-1] + 0.92
            axes.plot(
                [left, right, right, left, left],
                [y, y, y + 0.86, y + 0.86, y],
                color=INK,
                linewidth=1.4,
            )


def _month_ticks(axes: Any, bins: list[date]) -> None:
    firsts = [n for n, day in enumerate(bins) if n == 0 or day.month != bins[n - 1].month]
    if len(firsts) > 1 and firsts[1] < 4:
        firsts = firsts[1:]
    every = max(1, len(firsts) // 12)
    axes.set_xticks(firsts[::every])
    axes.set_xticklabels(
        [
            say.MONTHS[bins[n].month - 1][:3] + (f" {bins[n].year}" if i == 0 else "")
            for i, n in enumerate(firsts[::every])
        ],
        ha="left",
    )
    axes.tick_params(axis="x", length=0)


def _ramp_key(figure: Any, height: int) -> None:
    key = figure.add_axes((0.19, 1 - 18 / height, 0.81, 16 / height))
    words = ("within", *(f"to {limit * 2:.0f}{say.TIMES}" for limit in RAMP_LIMITS[:-1]), "beyond")
    for step, colour in enumerate(RAMP):
        key.barh(0.5, 1.5, left=step * 8, height=0.7, color=colour, linewidth=0)
        key.annotate(words[step], (step * 8 + 1.9, 0.5), va="center", fontsize=10, color=MUTED)
    key.set_xlim(0, 81)
    key.set_ylim(0, 1)
    key.axis("off")

"""Room: report. The figures below the first screen: money, KPIs, themes, incidents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from math import isnan
from typing import Any, Final

from dnr_core.report import wording as say
from dnr_core.report.chart import ACCENT, ALARM, HAIR, INK, MUTED, WIDE, Chart
from dnr_core.report.labels import at_line_end, before_bar, behind_bar, shortened

Document = Mapping[str, Any]
Panels = Sequence[tuple[str, Any, str]]
"""Label, months and colour of each small chart."""


def revenue_chart(document: Document) -> Chart | None:
    """Return revenue by month, a panel a stream, with the part at risk on its own scale."""
    money = document["money"]
    if not money or not money["streams"]:
        return None
    panels = [(s["title"], s["months"], ACCENT) for s in money["streams"] if s["is_revenue"]][:5]
    if money["at_risk"]:
        panels.append(("At risk on the cards' needs", money["at_risk"], ALARM))
    return _panels("revenue", "Revenue by month", panels, kind="bars")


def kpi_chart(document: Document) -> Chart | None:
    """Return the KPIs by month as small multiples."""
    money = document["money"]
    if not money or not money["kpis"]:
        return None
    panels = [(kpi["title"], kpi["months"], ACCENT) for kpi in money["kpis"]][:9]
    return _panels("kpis", "Key figures by month", panels, kind="line")


def _months_table(panels: Panels) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return columns and rows: a row a month, a column a figure."""
    texts = {month["month"]: month["text"] for _, months, _ in panels for month in months}
    values = [{month["month"]: month["value_text"] for month in months} for _, months, _ in panels]
    rows = tuple(
        (texts[month], *(column.get(month, "") for column in values)) for month in sorted(texts)
    )
    return ("Month", *(label for label, _, _ in panels)), rows


def _panels(
    name: str,
    title: str,
    panels: Panels,
    *,
    kind: str,
) -> Chart:
    columns, rows = _months_table(panels)
    across = min(3, len(panels))
    down = -(-len(panels) // across)
    height = 150 * down

    def draw(figure: Any) -> None:
        for place, (label, months, colour) in enumerate(panels):
            left, top = place % across / across, 1 - place // across / down
            axes = figure.add_axes(
                (
                    left + 0.012,
                    top - 1 / down + 26 / height,
                    1 / across - 0.09,
                    1 / down - 62 / height,
                )
            )
            values = [
                float("nan") if month["value"] is None else float(month["value"])
                for month in months
            ]
            _panel(axes, values, months, colour, kind=kind)
            figure.text(
                left + 0.012,
                top - 14 / height,
                shortened(label, 38),
                fontsize=12,
                color=INK,
                va="center",
            )

    return Chart(
        name,
        title,
        "; ".join(
            f"{label}: {months[-1]['value_text']} in {months[-1]['text']}"
            for label, months, _ in panels
            if months
        ),
        WIDE,
        height,
        draw,
        columns,
        rows,
    )


def _panel(
    axes: Any, values: list[float], months: Sequence[Document], colour: str, *, kind: str
) -> None:
    spots = range(len(values))
    known = [value for value in values if not isnan(value)]
    top = max([*known, 0.0]) or 1.0
    if kind == "bars":
        axes.bar(
            spots, [0.0 if isnan(v) else v for v in values], width=0.7, color=colour, linewidth=0
        )
    else:
        axes.plot(spots, values, color=colour, linewidth=1.6)
        axes.plot([len(values) - 1], values[-1:], marker="o", markersize=4, color=colour)
    axes.set_ylim(min([0.0, *known]), top * 1.12)
    axes.set_xlim(-0.6, len(values) - 0.4)
    if values and not isnan(values[-1]):
        at_line_end(axes, months[-1]["value_text"], values[-1], size=11, colour=INK)
    axes.set_yticks([])
    ends = [0, len(values) - 1] if len(values) > 1 else [0]
    axes.set_xticks(ends, [_month_label(str(months[n]["month"])) for n in ends])
    _inward(axes)
    axes.tick_params(axis="x", length=0)
    axes.spines["bottom"].set_color(HAIR)


def _inward(axes: Any) -> None:
    """Let the outer labels of an axis end where the axis ends."""
    labels = axes.get_xticklabels()
    if len(labels) > 1:
        labels[0].set_horizontalalignment("left")
        labels[-1].set_horizontalalignment("right")


def _month_label(month: str) -> str:
    return f"{say.MONTHS[int(month[5:7]) - 1][:3]} {month[:4]}"


def themes_chart(document: Document) -> Chart | None:
    """Return each theme's share of the demand with its 80 % range."""
    rows = document["themes"]["rows"]
    if not rows:
        return None
    height = 30 * len(rows) + 10

    def draw(figure: Any) -> None:
        axes = figure.add_axes((0.36, 0.02, 0.64, 0.96))
        most = max(row["high"] for row in rows) or 1.0
        for place, row in enumerate(rows):
            axes.barh(place, row["share"], height=0.5, color=ACCENT, linewidth=0)
            axes.plot([row["low"], row["high"]], [place, place], color=INK, linewidth=1.3)
            behind_bar(axes, row["text"], row["high"], place, size=11)
            before_bar(axes, shortened(row["title"], 30), place, size=11)
        axes.set_xlim(0, most * 1.2)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.axvline(0, color=HAIR, linewidth=1)
        axes.axis("off")

    return Chart(
        "themes",
        "Share of the demand by theme",
        "; ".join(f"{row['title']} {row['text']} ({row['range_text']})" for row in rows),
        620,
        height,
        draw,
        ("Theme", "Share", "80 % range", "Items"),
        tuple((r["title"], r["text"], r["range_text"], r["items_text"]) for r in rows),
    )


def themes_by_month_chart(document: Document) -> Chart | None:
    """Return the items of each theme by month as small multiples on one scale."""
    themes = document["themes"]
    months = themes["months"]
    if not months:
        return None
    rows = [row for row in themes["rows"] if row["theme"] in themes["by_month"]][:8]
    most = max((max(themes["by_month"][row["theme"]], default=0) for row in rows), default=0) or 1
    across = 4
    down = -(-len(rows) // across)
    height = 112 * down

    def draw(figure: Any) -> None:
        for place, row in enumerate(rows):
            left, top = place % across / across, 1 - place // across / down
            axes = figure.add_axes(
                (
                    left + 0.008,
                    top - 1 / down + 22 / height,
                    1 / across - 0.04,
                    1 / down - 50 / height,
                )
            )
            values = themes["by_month"][row["theme"]]
            axes.bar(range(len(values)), values, width=0.72, color=ACCENT, linewidth=0)
            axes.set_ylim(0, most * 1.05)
            axes.set_xlim(-0.6, len(values) - 0.4)
            axes.set_yticks([])
            ends = [0, len(values) - 1] if len(values) > 1 else [0]
            axes.set_xticks(ends, [_month_label(months[n]) for n in ends])
            _inward(axes)
            axes.tick_params(axis="x", length=0)
            peak = max(values)
            axes.annotate(
                str(peak),
                (values.index(peak), peak),
                xytext=(0, 2),
                ha="center",
                textcoords="offset points",
                fontsize=10,
                color=MUTED,
            )
            figure.text(
                left + 0.008,
                top - 12 / height,
                shortened(row["title"], 32),
                fontsize=11,
                color=INK,
                va="center",
            )

    return Chart(
        "themes-by-month",
        "Asks by theme and month",
        f"Items a month, {_month_label(months[0])} to {_month_label(months[-1])}, one scale for all.",
        WIDE,
        height,
        draw,
        ("Theme", *(_month_label(month) for month in months)),
        tuple((row["title"], *(str(n) for n in themes["by_month"][row["theme"]])) for row in rows),
    )


def incidents_chart(document: Document) -> Chart | None:
    """Return incidents on one time line, a row a table."""
    rows = document["incidents"]["rows"]
    if not rows:
        return None
    tables = list(dict.fromkeys(sorted(row["title"] for row in rows)))[:20]
    begin = document["time"]["history_start"] or rows[-1]["start"]
    end = document["time"]["window_end"]
    shown = [row for row in rows if row["title"] in tables]
    first = min(date.fromisoformat(day) for day in [*(r["start"] for r in shown), begin])
    last = max(date.fromisoformat(day) for day in [*(r["end"] for r in shown), end])
    height = 24 * len(tables) + 30

    def draw(figure: Any) -> None:
        axes = figure.add_axes((0.19, 24 / height, 0.8, 1 - 28 / height))
        for row in shown:
            place = tables.index(row["title"])
            start = (date.fromisoformat(row["start"]) - first).days
            days = (date.fromisoformat(row["end"]) - date.fromisoformat(row["start"])).days + 1
            span = max((last - first).days, 1)
            marker = _MARKERS.get(row["kind"], "o")
            if days > span / 90:
                axes.plot(
                    [start, start + days - 1],
                    [place, place],
                    color=ALARM,
                    linewidth=4,
                    solid_capstyle="butt",
                )
            axes.plot(
                [start],
                [place],
                marker=marker,
                markersize=7,
                color=ALARM,
                markeredgewidth=0,
                linestyle="none",
            )
        axes.set_yticks(range(len(tables)), [shortened(title, 26) for title in tables])
        axes.set_ylim(len(tables) - 0.4, -0.6)
        axes.grid(axis="y")
        total = (last - first).days
        axes.set_xlim(-max(total * 0.02, 1), total + max(total * 0.02, 1))
        spots = sorted({0, total // 2, total})
        axes.set_xticks(
            spots, [say.day_text(date.fromordinal(first.toordinal() + s)) for s in spots]
        )
        _inward(axes)

    return Chart(
        "incidents",
        "Incidents",
        f"{say.counted(len(shown), 'incident')} between {say.day_text(first)} and {say.day_text(last)}: "
        "a triangle is a spike, a square a gap or a drop, a diamond a surge of late loads.",
        WIDE,
        height,
        draw,
    )


_MARKERS: Final = {
    "null_spike": "^",
    "orphan_spike": "^",
    "duplicate_spike": "^",
    "volume_drop": "s",
    "write_gap": "s",
    "lag_surge": "D",
}

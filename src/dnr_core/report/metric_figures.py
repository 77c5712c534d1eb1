"""Room: report. The daily figures of health, a line a table: lag, key nulls, orphans, duplicates."""

from __future__ import annotations

from datetime import date, timedelta
from math import isnan
from typing import Any, Final

from dnr_core.ranking.measures import EPOCH, Measures
from dnr_core.report import wording as say
from dnr_core.report.chart import ACCENT, ALARM, INK, MUTED, Chart
from dnr_core.report.context import last_days
from dnr_core.report.figures import spread
from dnr_core.report.labels import shortened

METRIC_FIGURES: Final = (
    ("key_nulls", "key_null", "Rows with an empty key, percent by day"),
    ("orphans", "fk_failure", "Rows with an unmatched key, percent by day"),
    ("duplicates", "duplicate", "Duplicate rows, percent by day"),
    ("lag", "lag_p95_minutes", "Slowest 5 % of loads, minutes by day"),
)
LINES: Final = 4
DAYS: Final = 90


def metric_document(measures: Measures | None, titles: Any) -> list[dict[str, Any]]:
    """Return for each metric its daily values for the worst tables, over 90 local days."""
    if measures is None:
        return []
    found = []
    first = measures.last - DAYS + 1
    days = last_days(EPOCH + timedelta(days=measures.last), DAYS)
    for name, metric, title in METRIC_FIGURES:
        lines = []
        for table in measures.tables:
            series = measures.series(table, metric).within(first, measures.last)
            if not series.days.size:
                continue
            values: list[float | None] = [None] * DAYS
            for day, top, rows, value in zip(
                series.days.tolist(), series.numerator.tolist(), series.denominator.tolist(),
                series.value.tolist(), strict=True,
            ):  # fmt: skip
                if metric == "lag_p95_minutes":
                    values[day - first] = round(value, 3) if not isnan(value) else None
                elif rows > 0:
                    values[day - first] = round(top / rows * 100, 4)
            known = [value for value in values if value is not None]
            if known and max(known) > 0:
                verdict = measures.verdict(table, "late" if metric.startswith("lag") else metric)
                lines.append(
                    {
                        "table": table,
                        "title": titles(table),
                        "values": values,
                        "mean": sum(known) / len(known),
                        "limit": verdict.slo if verdict else None,
                    }
                )
        lines.sort(key=lambda line: (-line["mean"], line["table"]))
        if lines:
            found.append(
                {
                    "name": name,
                    "title": title,
                    "unit": "minutes" if metric.startswith("lag") else "percent",
                    "days": [day.isoformat() for day in days],
                    "lines": [{**line, "mean": round(line["mean"], 4)} for line in lines[:LINES]],
                    "left_out": max(0, len(lines) - LINES),
                }
            )
    return found


def metric_chart(document: dict[str, Any]) -> Chart:
    """Return one metric by day, direct labels at the line ends, the limit dashed."""
    lines = document["lines"]
    days = [date.fromisoformat(day) for day in document["days"]]
    colours = (ACCENT, ALARM, INK, MUTED)

    def draw(figure: Any) -> None:
        axes = figure.add_axes((0.06, 0.12, 0.7, 0.78))
        tops = []
        for line, colour in zip(lines, colours, strict=False):
            values = [float("nan") if value is None else value for value in line["values"]]
            axes.plot(range(len(values)), values, color=colour, linewidth=1.5)
            tops.append([value for value in values if not isnan(value)][-1])
        highest = max(v for line in lines for v in line["values"] if v is not None)
        spots = spread(tops, highest * 0.09)
        for line, colour, spot in zip(lines, colours, spots, strict=False):
            axes.annotate(
                shortened(line["title"], 28),
                (len(days) - 1, spot),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                fontsize=11,
                color=colour,
                annotation_clip=False,
            )
        limit = lines[0]["limit"]
        if limit is not None:
            axes.axhline(limit, color=MUTED, linewidth=1, dashes=(3, 3))
            axes.annotate(
                "limit",
                (0, limit),
                xytext=(0, 3),
                textcoords="offset points",
                fontsize=10,
                color=MUTED,
            )
        axes.set_ylim(0, max(highest, limit or 0) * 1.1)
        axes.set_xlim(0, len(days) - 1)
        axes.grid(axis="y")
        firsts = [n for n, day in enumerate(days) if day.day == 1]
        axes.set_xticks(firsts, [f"{say.short_day(days[n])} {days[n].year}" for n in firsts])
        axes.set_title(document["title"])

    return Chart(
        document["name"],
        document["title"],
        f"{document['title']}, 90 days; highest: {lines[0]['title']}.",
        760,
        280,
        draw,
    )

"""Room: report. All figures of one report, by what they are for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from dnr_core.report import section_figures as section
from dnr_core.report.chart import Chart
from dnr_core.report.figures import money_bars, strip_chart
from dnr_core.report.heat_figure import heat_map
from dnr_core.report.metric_figures import metric_chart

SLIM: Final = 340


@frozen
class Charts:
    """Figures of a report; None where there is nothing to draw. Pairs are wide and narrow."""

    bars: tuple[Chart, Chart] | None
    strips: tuple[tuple[Chart, Chart], ...]
    heat: Chart | None
    revenue: Chart | None
    kpis: Chart | None
    themes: Chart | None
    themes_by_month: Chart | None
    incidents: Chart | None
    metrics: tuple[Chart, ...]

    def files(self) -> Iterator[Chart]:
        """Yield the figures that are also written as files."""
        if self.bars:
            yield self.bars[0]
        for wide, _ in self.strips:
            yield wide
        for chart in (
            self.heat,
            self.revenue,
            self.kpis,
            self.themes,
            self.themes_by_month,
            self.incidents,
            *self.metrics,
        ):
            if chart:
                yield chart


def all_charts(document: Mapping[str, Any]) -> Charts:
    """Return every figure that the document has data for."""
    wide, slim = money_bars(document), money_bars(document, width=SLIM)
    return Charts(
        bars=(wide, slim) if wide and slim else None,
        strips=tuple(
            (strip_chart(strip, dated=last), strip_chart(strip, width=SLIM, dated=last))
            for strip, last in _with_last(document["strips"])
        ),
        heat=heat_map(document),
        revenue=section.revenue_chart(document),
        kpis=section.kpi_chart(document),
        themes=section.themes_chart(document),
        themes_by_month=section.themes_by_month_chart(document),
        incidents=section.incidents_chart(document),
        metrics=tuple(metric_chart(metric) for metric in document["metrics"]),
    )


def _with_last(strips: Sequence[Any]) -> list[tuple[Any, bool]]:
    """Pair each strip with whether it is the last."""
    return [(strip, place == len(strips)) for place, strip in enumerate(strips, 1)]

"""Room: report. The picture of a made warehouse: rows a local day, with the incidents marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from dnr_core.errors import ConfigError
from dnr_core.report import wording as say
from dnr_core.report.chart import ACCENT, ALARM, HAIR, INK, MUTED, RAMP, WIDE, Chart, Drawings

_LANE_PIXELS: Final = 84
_ROW_PIXELS: Final = 17
_HEAD_PIXELS: Final = 26
_TITLE_PIXELS: Final = 46
_GAP_PIXELS: Final = 14
_FOOT_PIXELS: Final = 22
_LEFT: Final = 0.004
_WIDTH: Final = 0.845
_LEGEND: Final = "Rows a local day, each table from zero. Triangles mark the days of incidents."
ENDINGS: Final = (".svg", ".png")


@frozen
class Mark:
    """An incident on the picture: its kind as people say it, and its first and last local day."""

    kind: str
    first: date
    last: date


@frozen
class Lane:
    """A table: its name, its rows on each day, and its incidents."""

    table: str
    rows: tuple[int, ...]
    marks: tuple[Mark, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its incidents, each with a row of its own."""
        return tuple(dict.fromkeys(mark.kind for mark in self.marks))

    @property
    def pixels(self) -> int:
        """Height, heading and rows of marks included."""
        return _HEAD_PIXELS + _LANE_PIXELS + _ROW_PIXELS * len(self.kinds) + _GAP_PIXELS


def volume_chart(title: str, first: date, lanes: Sequence[Lane]) -> Chart:
    """Return rows a day by table from zero, one lane below the other, incidents marked under each.

    Args:
        title: what company it is.
        first: the first local day.
        lanes: the tables; all have as many days.
    """
    days = len(lanes[0].rows) if lanes else 1
    height = sum(lane.pixels for lane in lanes) + _TITLE_PIXELS + _FOOT_PIXELS

    def draw(figure: Any) -> None:
        figure.text(_LEFT, 1 - 15 / height, title, fontsize=12.5, color=INK, va="center")
        figure.text(_LEFT, 1 - 33 / height, _LEGEND, fontsize=11, color=MUTED, va="center")
        top = float(height - _TITLE_PIXELS)
        for place, lane in enumerate(lanes):
            _draw_lane(figure, lane, first, top, height, dated=place == len(lanes) - 1)
            top -= lane.pixels

    told = "; ".join(
        f"{lane.table}: up to {max(lane.rows, default=0):,} rows a day"
        + (f", {say.counted(len(lane.marks), 'incident')}" if lane.marks else "")
        for lane in lanes
    )
    return Chart(
        "volume-by-day",
        title,
        f"Rows a local day from zero, {say.counted(days, 'day')} from {first.isoformat()}: {told}.",
        WIDE,
        height,
        draw,
        ("Table", "Incident", "First day", "Last day"),
        tuple(
            (lane.table, mark.kind, mark.first.isoformat(), mark.last.isoformat())
            for lane in lanes
            for mark in lane.marks
        ),
    )


def _draw_lane(
    figure: Any, lane: Lane, first: date, top: float, height: int, *, dated: bool
) -> None:
    days = len(lane.rows)

    def axes_at(above: float, pixels: float) -> Any:
        made = figure.add_axes((_LEFT, (above - pixels) / height, _WIDTH, pixels / height))
        made.set_xlim(-0.5, days - 0.5)
        made.set_yticks([])
        made.tick_params(axis="x", length=0, labelbottom=False)
        for side in ("bottom", "left", "right", "top"):
            made.spines[side].set_visible(False)
        return made

    volume = axes_at(top - _HEAD_PIXELS, _LANE_PIXELS)
    most = max(lane.rows, default=0) or 1
    panels = [volume]
    edge = top - _HEAD_PIXELS - _LANE_PIXELS
    for kind in lane.kinds:
        row = axes_at(edge, _ROW_PIXELS)
        _draw_marks(row, kind, lane.marks, first)
        panels.append(row)
        edge -= _ROW_PIXELS
    for mark in lane.marks:
        low, high = (mark.first - first).days - 0.5, (mark.last - first).days + 0.5
        for panel in panels:
            # Through volume and marks alike: what the day looked like is right above its mark.
            panel.axvspan(low, high, color=RAMP[1], linewidth=0, zorder=0)
    volume.fill_between(range(days), lane.rows, color=ACCENT, alpha=0.14, linewidth=0)
    volume.plot(range(days), lane.rows, color=ACCENT, linewidth=1.2)
    volume.set_ylim(0, most * 1.04)
    volume.axhline(0, color=HAIR, linewidth=1)
    volume.annotate(
        lane.table,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 8),
        textcoords="offset points",
        fontsize=12,
        color=INK,
    )
    known = [place for place, count in enumerate(lane.rows) if count]
    last = lane.rows[known[-1]] if known else 0
    for value, text, colour in ((most, f"most {most:,}", MUTED), (last, f"last {last:,}", ACCENT)):
        volume.annotate(
            text,
            (1, min(value / (most * 1.04), 0.97 if colour == MUTED else 0.74)),
            xycoords="axes fraction",
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=10.5,
            color=colour,
        )
    if dated:
        _month_axis(panels[-1], first, days)


def _draw_marks(axes: Any, kind: str, marks: Sequence[Mark], first: date) -> None:
    mine = [mark for mark in marks if mark.kind == kind]
    places = [((mark.first - first).days + (mark.last - first).days) / 2 for mark in mine]
    axes.set_ylim(0, 1)
    axes.plot(
        places,
        [0.5] * len(places),
        linestyle="none",
        marker="^",
        markersize=6.5,
        color=ALARM,
        markeredgewidth=0,
    )
    axes.annotate(
        f"{kind} ({len(mine)})",
        (1, 0.5),
        xycoords="axes fraction",
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=10.5,
        color=INK,
    )


def _month_axis(axes: Any, first: date, days: int) -> None:
    heads = [place for place in range(days) if (first + timedelta(days=place)).day == 1] or [0]
    every = -(-len(heads) // 20)
    shown = heads[::every]
    axes.spines["bottom"].set_visible(True)
    axes.tick_params(axis="x", length=3, pad=2, labelbottom=True)
    axes.set_xticks(shown)
    names = []
    for place in shown:
        day = first + timedelta(days=place)
        # The year stands for its first month that is shown, or labels would run into one another.
        names.append(str(day.year) if day.month <= every else say.MONTHS[day.month - 1][:3])
    axes.set_xticklabels(names, ha="left")


@frozen
class Picture:
    """A drawn chart, as SVG or PNG; the same data gives the same bytes. Notebooks show it."""

    chart: Chart
    _drawings: Drawings = field(factory=Drawings, eq=False, repr=False)

    @property
    def svg(self) -> bytes:
        """The picture as SVG."""
        return self._drawings.svg(self.chart)

    @property
    def png(self) -> bytes:
        """The picture as PNG."""
        return self._drawings.png(self.chart)

    def save(self, file: Path | str) -> Path:
        """Write the picture whole or not at all; the ending says in which form.

        Raises:
            ConfigError: the ending is neither .svg nor .png.
            FolderError: the file cannot be written.
        """
        from dnr_core.workspace import disk_errors, whole_file

        path = Path(file)
        check_ending(path)
        with disk_errors(path.parent), whole_file(path) as handle:
            handle.write(self.svg if path.suffix.lower() == ".svg" else self.png)
        return path

    def _repr_svg_(self) -> str:
        return self.svg.decode("utf-8")


def check_ending(path: Path) -> None:
    """Refuse a picture's file whose ending is none of ours."""
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(
            f"{path} is no name for a picture", hint=f"let it end in {' or '.join(ENDINGS)}"
        )


def volume_lanes(
    rows: Mapping[str, tuple[int, ...]],
    titles: Mapping[str, str],
    marks: Mapping[str, Sequence[Mark]],
) -> tuple[Lane, ...]:
    """Return the lanes of tables in their order, each with its incidents by date."""
    return tuple(
        Lane(
            titles.get(table, table),
            counts,
            tuple(sorted(marks.get(table, ()), key=lambda mark: (mark.first, mark.kind))),
        )
        for table, counts in rows.items()
    )

"""Room: report. The labels of figures: a value behind its bar, a name before it, a line's end."""

from __future__ import annotations

from typing import Any

from dnr_core.report.chart import INK


def shortened(text: str, width: int) -> str:
    """Cut a label to `width` characters."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def behind_bar(axes: Any, text: str, end: float, place: float, *, size: float) -> None:
    """Write a bar's value behind its end, or behind its whisker's."""
    _write(axes, text, (end, place), (6, 0), size=size, colour=INK)


def before_bar(axes: Any, text: str, place: float, *, size: float) -> None:
    """Write a bar's name before the line that it starts from."""
    _write(axes, text, (0, place), (-8, 0), size=size, colour=INK, ha="right", clipped=False)


def at_line_end(axes: Any, text: str, height: float, *, size: float, colour: str) -> None:
    """Write what a line ends in to the right of the panel."""
    _write(
        axes,
        text,
        (1, height),
        (4, 0),
        size=size,
        colour=colour,
        clipped=False,
        xycoords=("axes fraction", "data"),
    )


def _write(
    axes: Any,
    text: str,
    spot: tuple[float, float],
    apart: tuple[float, float],
    *,
    size: float,
    colour: str,
    clipped: bool | None = None,
    **how: Any,
) -> None:
    axes.annotate(
        text,
        spot,
        xytext=apart,
        textcoords="offset points",
        va="center",
        fontsize=size,
        color=colour,
        annotation_clip=clipped,
        **how,
    )

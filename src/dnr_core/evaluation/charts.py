"""Room: evaluation. Small figures for pages of scores: dots with ranges, and reliability diagrams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

_SIDE: Final = 300
_EDGE: Final = 44
_WIDTH: Final = 640
_LEFT: Final = 210
_RIGHT: Final = 80
_ROW: Final = 28

STYLE: Final = """svg { display: block; margin: .5rem 0 1.5rem; max-width: 100%; font-size: 13px; }
svg text { fill: currentColor; }
.grid { stroke: #8886; }
.honest { stroke: #d55e00; stroke-dasharray: 5 4; }
.range { stroke: #0072b2; stroke-width: 3; }
.dot { fill: #0072b2; }
.bin { fill: #0072b2; fill-opacity: .7; }"""
"""What a page with these figures adds to its style."""


def dots_figure(
    key: str, title: str, rows: Sequence[tuple[str, float, float | None, float | None]]
) -> str:
    """Return an SVG of shares on one scale from 0 to 100 %: name, value, and bounds where there are."""
    height, across = _ROW * len(rows) + 40, _WIDTH - _LEFT - _RIGHT
    drawn = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x = _LEFT + tick * across
        drawn.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="8" y2="{height - 28}"/>'
            f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle">{100 * tick:.0f} %</text>'
        )
    for place, (name, value, low, high) in enumerate(rows):
        y = 8 + _ROW * place + _ROW / 2
        drawn.append(
            f'<text x="{_LEFT - 12}" y="{y + 5:.1f}" text-anchor="end">{escape(name)}</text>'
        )
        if low is not None and high is not None:
            ends = f'x1="{_LEFT + low * across:.1f}" x2="{_LEFT + high * across:.1f}"'
            drawn.append(f'<line class="range" {ends} y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(
            f'<circle class="dot" cx="{_LEFT + value * across:.1f}" cy="{y:.1f}" r="5"/>'
            f'<text x="{_WIDTH - _RIGHT + 12}" y="{y + 5:.1f}">{100 * value:.1f} %</text>'
        )
    return _svg(_WIDTH, height, key, title, drawn)


def reliability_figure(
    key: str, title: str, bins: Sequence[Mapping[str, float]], axis: str = "certainty"
) -> str:
    """Return a reliability diagram: a dot a bin, its area by mass, over the line of the honest.

    A bin has `certainty` (what was said), `share` (how often it was so) and `count`.
    """
    if not bins:
        return ""
    whole = sum(one["count"] for one in bins)
    drawn = []
    for tick in (0, 0.5, 1):
        at = _EDGE + tick * _SIDE
        across, up = f"{at:.0f}", f"{8 + _SIDE - tick * _SIDE:.0f}"
        drawn.append(
            f'<line class="grid" x1="{across}" x2="{across}" y1="8" y2="{8 + _SIDE}"/>'
            f'<line class="grid" x1="{_EDGE}" x2="{_EDGE + _SIDE}" y1="{up}" y2="{up}"/>'
            f'<text x="{across}" y="{_SIDE + 26}" text-anchor="middle">{100 * tick:.0f} %</text>'
            f'<text x="{_EDGE - 6}" y="{float(up) + 5:.0f}" text-anchor="end">{100 * tick:.0f} %</text>'
        )
    drawn.append(
        f'<line class="honest" x1="{_EDGE}" y1="{8 + _SIDE}" x2="{_EDGE + _SIDE}" y2="8"/>'
        f'<text x="{_EDGE + _SIDE / 2:.0f}" y="{_SIDE + 44}" text-anchor="middle">{escape(axis)}</text>'
    )
    for one in bins:
        x, y = _EDGE + one["certainty"] * _SIDE, 8 + (1 - one["share"]) * _SIDE
        radius = 4 + 12 * (one["count"] / whole) ** 0.5
        drawn.append(f'<circle class="bin" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>')
    return _svg(_EDGE + _SIDE + 20, _SIDE + 54, key, title, drawn)


def _svg(width: int, height: int, name: str, title: str, drawn: Sequence[str]) -> str:
    key = "".join(c if c.isalnum() else "-" for c in name)
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-labelledby="f-{key}"><title id="f-{key}">{escape(title)}</title>'
        f"{''.join(drawn)}</svg>"
    )

"""Room: report. The house style of all figures, and how a figure becomes bytes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

INK: Final = "#1b1f24"
MUTED: Final = "#5b6470"
HAIR: Final = "#d4d9df"
ACCENT: Final = "#0072b2"
ALARM: Final = "#d55e00"
BAND: Final = "#e4e9ef"
PAPER: Final = "#ffffff"
RAMP: Final = ("#eef1f5", "#f9dcc6", "#f2b48c", "#e88b53", "#d55e01", "#8f3e00")
"""Severity: within the limit, then up to 2, 4, 8, 16 times the limit and beyond."""
RAMP_LIMITS: Final = (1.0, 2.0, 4.0, 8.0, 16.0)

VARIABLES: Final = {
    INK: "--ink",
    MUTED: "--muted",
    HAIR: "--hair",
    ACCENT: "--accent",
    ALARM: "--alarm",
    BAND: "--band",
    PAPER: "--paper",
    **{colour: f"--ramp{step}" for step, colour in enumerate(RAMP)},
}
"""The page's variable for each colour, so that charts follow light and dark."""

WIDE: Final = 1100
"""Pixels of a figure over the whole column."""
SALT: Final = "dnr"
PNG_DPI: Final = 144
STYLE: Final[dict[str, Any]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": HAIR,
    "axes.facecolor": PAPER,
    "axes.formatter.use_mathtext": False,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 11,
    "axes.linewidth": 1.0,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "normal",
    "axes.unicode_minus": True,
    "figure.dpi": 72,
    "figure.facecolor": PAPER,
    "font.family": ["DejaVu Sans"],
    "font.size": 11,
    "grid.color": HAIR,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.6,
    "path.simplify": False,
    "savefig.dpi": 72,
    "svg.fonttype": "none",
    "svg.hashsalt": SALT,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "xtick.labelsize": 11,
    "xtick.major.size": 3,
    "ytick.color": MUTED,
    "ytick.labelcolor": MUTED,
    "ytick.labelsize": 11,
    "ytick.major.size": 0,
}
"""The one style of all figures. A point is a pixel of the page at its full width."""


@frozen
class Chart:
    """A figure by name: what it shows in words, how it is drawn, and its data as a table.

    `draw(figure)` draws on an empty matplotlib figure of `width` x `height` pixels.
    """

    name: str
    title: str
    description: str
    width: int
    height: int
    draw: Callable[[Any], None]
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def _drawn(chart: Chart) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(chart.width / 72, chart.height / 72))
    chart.draw(figure)
    return figure


def _style() -> Any:
    import matplotlib as mpl

    # From the library's own defaults, so that a user's matplotlibrc changes no figure; only what
    # differs is set, because each setting is checked. Backends are left alone: to ask for the
    # current one imports pyplot, which nothing here needs.
    default, present = mpl.rcParamsDefault, mpl.rcParams
    names = [name for name in default if not name.startswith("backend")]
    changed: Any = {name: default[name] for name in names if present[name] != default[name]}
    return mpl.rc_context(changed | STYLE)


class Drawings:
    """Figures as bytes, each drawn once however often it is asked for."""

    def __init__(self) -> None:
        self._figures: dict[tuple[str, int], Any] = {}
        self._svg: dict[tuple[str, int], bytes] = {}

    def svg(self, chart: Chart) -> bytes:
        """Return the figure as SVG with fixed colours, without date or library version."""
        key = (chart.name, chart.width)
        if key not in self._svg:
            nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
            self._svg[key] = self._saved(chart, format="svg", metadata=nothing)
        return self._svg[key]

    def png(self, chart: Chart) -> bytes:
        """Return the figure as PNG without metadata."""
        return self._saved(chart, format="png", dpi=PNG_DPI, metadata={"Software": None})

    def _saved(self, chart: Chart, **how: Any) -> bytes:
        key = (chart.name, chart.width)
        buffer = io.BytesIO()
        with _style():
            if key not in self._figures:
                self._figures[key] = _drawn(chart)
            self._figures[key].savefig(buffer, **how)
        return buffer.getvalue()

"""Room: evaluation. The scores of rankings as a page with figures, and as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from dnr_core.evaluation.page import rendered

SCORE_TITLES: Final[dict[str, str]] = {
    "top1": "true first need named first",
    "overlap": "of the true top three named",
    "ndcg": "NDCG@3",
    "regret": "revenue regret",
}
WHY_TITLES: Final[dict[str, str]] = {
    "unknown": "the report knows of no such need",
    "hidden": "hidden, for want of confidence",
    "close": "truly within 0.02 of what took its place",
    "imagined": "what took its place is no true need",
    "revenue": "money was measured wrongly",
    "demand": "demand was measured wrongly",
    "severity": "the figure was measured wrongly",
    "recency": "the peak was dated wrongly",
}
_SIDE: Final = 300
_EDGE: Final = 44
_WIDTH: Final = 640
_LEFT: Final = 190
_RIGHT: Final = 80
_ROW: Final = 28


def mean_words(score: Mapping[str, Any]) -> str:
    """Return a mean with its interval: `0.912 (0.880 to 0.941)`."""
    return f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"


def answer_lines(group: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return a line for the report and each baseline, in words."""
    return [
        (who.replace("_", " "), *(mean_words(scores[name]) for name in SCORE_TITLES))
        for who, scores in group["answers"].items()
    ]


def reason_lines(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return how many true top needs are on no card, by reason, most first."""
    counts = Counter(miss["why"] for miss in summary["missed"])
    return [
        (WHY_TITLES.get(why, why), f"{count}")
        for why, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


def certainty_words(certainty: Mapping[str, Any]) -> str:
    """Return a calibration error with its interval and the number of needs."""
    if certainty["error"] is None:
        return "nothing to measure"
    return (
        f"{certainty['error']:.3f} ({certainty['low']:.3f} to {certainty['high']:.3f}), "
        f"{certainty['needs']:,} needs"
    )


def overlap_figure(name: str, group: Mapping[str, Any]) -> str:
    """Return an SVG of the overlap of the report and the baselines, with intervals."""
    rows = [(who.replace("_", " "), s["overlap"]) for who, s in group["answers"].items()]
    height, across = _ROW * len(rows) + 40, _WIDTH - _LEFT - _RIGHT
    drawn = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x = _LEFT + tick * across
        drawn.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="8" y2="{height - 28}"/>'
            f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle">{100 * tick:.0f} %</text>'
        )
    for place, (who, score) in enumerate(rows):
        y = 8 + _ROW * place + _ROW / 2
        low, value, high = (_LEFT + score[part] * across for part in ("low", "value", "high"))
        drawn.append(
            f'<text x="{_LEFT - 12}" y="{y + 5:.1f}" text-anchor="end">{escape(who)}</text>'
            f'<line class="range" x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<circle class="dot" cx="{value:.1f}" cy="{y:.1f}" r="5"/>'
            f'<text x="{_WIDTH - _RIGHT + 12}" y="{y + 5:.1f}">{100 * score["value"]:.1f} %</text>'
        )
    title = f"Share of the true top three that is named, {name}, with 95 % intervals"
    return _svg(_WIDTH, height, f"overlap-{name}", title, drawn)


def reliability_figure(name: str, bins: Sequence[Mapping[str, float]]) -> str:
    """Return a reliability diagram: a dot a bin, its area by mass, over the line of the honest."""
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
        f'<text x="{_EDGE + _SIDE / 2:.0f}" y="{_SIDE + 44}" text-anchor="middle">certainty</text>'
    )
    for one in bins:
        x, y = _EDGE + one["certainty"] * _SIDE, 8 + (1 - one["share"]) * _SIDE
        radius = 4 + 12 * (one["count"] / whole) ** 0.5
        drawn.append(f'<circle class="bin" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>')
    title = f"How often a need is truly in the top three, by its certainty, {name}"
    return _svg(_EDGE + _SIDE + 20, _SIDE + 54, f"reliability-{name}", title, drawn)


def _svg(width: int, height: int, name: str, title: str, drawn: Sequence[str]) -> str:
    key = "".join(c if c.isalnum() else "-" for c in name)
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-labelledby="f-{key}"><title id="f-{key}">{escape(title)}</title>'
        f"{''.join(drawn)}</svg>"
    )


def render_ranking(summary: Mapping[str, Any], *, whole_page: bool) -> str:
    """Return the page (or, for a notebook, its body) of the scores."""
    groups = [
        {
            "name": name,
            "companies": group["companies"],
            "lines": answer_lines(group),
            "overlap": overlap_figure(name, group),
            "certainty": certainty_words(group["certainty"]),
            "contenders": certainty_words(group["certainty_of_contenders"]),
            "reliability": reliability_figure(name, group["certainty_of_contenders"]["bins"]),
            "bins": group["certainty_of_contenders"]["bins"],
        }
        for name, group in summary["groups"].items()
    ]
    return rendered(
        "ranking.html",
        whole_page=whole_page,
        summary=summary,
        titles=list(SCORE_TITLES.values()),
        groups=groups,
        reasons=reason_lines(summary),
        why=WHY_TITLES,
    )


def render_ranking_markdown(summary: Mapping[str, Any]) -> str:
    """Return the scores as Markdown: gates, answers, certainty, and why needs were missed."""
    text = [
        "# Reports held against the true ranking",
        "",
        f"{summary['companies']:,} companies were drawn, made, and ranked from their data alone.",
        "",
    ]
    text += _table(
        ("gate", "measured", "asked", "verdict"),
        [
            (
                gate["name"].replace("_", " "),
                "not measured" if gate["value"] is None else f"{gate['value']:.3f}",
                f"at {'most' if gate['is_most'] else 'least'} {gate['limit']:g}",
                "passed" if gate["passed"] else "failed",
            )
            for gate in summary["gates"]
        ],
    )
    for name, group in summary["groups"].items():
        text += ["", f"## {name} ({group['companies']:,} companies)", ""]
        text += _table(("answer", *SCORE_TITLES.values()), answer_lines(group))
        text += [
            "",
            f"Calibration error of the certainty over all needs: {certainty_words(group['certainty'])}.",
            "Over the needs that are in the top three of any resample: "
            f"{certainty_words(group['certainty_of_contenders'])}.",
        ]
    reasons = reason_lines(summary)
    if reasons:
        text += ["", "## True top needs that are on no card", ""]
        text += _table(("why", "needs"), reasons)
    return "\n".join([*text, ""])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(header)} |",
        f"|{' --- |' * len(header)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]

"""Room: evaluation. The scores of rankings as a page with figures, and as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dnr_core.evaluation.charts import STYLE, dots_figure, reliability_figure
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
    rows = [
        (who.replace("_", " "), s["overlap"]["value"], s["overlap"]["low"], s["overlap"]["high"])
        for who, s in group["answers"].items()
    ]
    title = f"Share of the true top three that is named, {name}, with 95 % intervals"
    return dots_figure(f"overlap-{name}", title, rows)


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
            "reliability": reliability_figure(
                f"reliability-{name}",
                f"How often a need is truly in the top three, by its certainty, {name}",
                group["certainty_of_contenders"]["bins"],
            ),
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
        figure_style=STYLE,
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

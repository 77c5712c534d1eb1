"""Room: evaluation. The scores of detected incidents as a page, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from dnr_core.evaluation.page import rendered

KIND_TITLES: Final[dict[str, str]] = {
    "null_spike": "null spikes",
    "orphan_spike": "orphan spikes",
    "duplicate_spike": "duplicate spikes",
    "volume_drop": "volume drops",
    "write_gap": "write gaps",
    "lag_surge": "lag surges",
}
_CSV: Final = (
    "company", "role", "kind", "table", "column", "start", "end", "outcome", "verdict", "size",
    "detectable_from", "rows_a_day", "promised", "start_error_hours", "end_error_hours",
    "value", "usual", "p_value", "noise_factor", "id",
)  # fmt: skip
_WIDTH: Final = 640
_LEFT: Final = 190
_RIGHT: Final = 80
_ROW: Final = 28


def share_words(share: Mapping[str, Any]) -> str:
    """Return a share with its interval in words: `98.1 % (96.0 to 99.2 %)`."""
    if share["value"] is None:
        return "nothing to measure"
    return (
        f"{100 * share['value']:.1f} % ({100 * share['low']:.1f} to {100 * share['high']:.1f} %), "
        f"{share['hits']:,} of {share['trials']:,}"
    )


def rate_words(rate: Mapping[str, Any]) -> str:
    """Return events an exposure with their interval in words."""
    if rate["value"] is None:
        return "nothing to measure"
    return f"{rate['value']:.2f} ({rate['low']:.2f} to {rate['high']:.2f})"


def error_words(error: Mapping[str, Any] | None) -> str:
    """Return how far starts or ends are off, in hours."""
    if error is None:
        return "nothing to measure"
    return (
        f"median {error['median']:+g} h, {error['least']:+g} to {error['most']:+g} h, "
        f"{100 * error['exact_share']:.0f} % exact"
    )


def lines(summary: Mapping[str, Any], part: str) -> Iterator[dict[str, str]]:
    """Yield a line for each profile and kind of a part (`promised` or `smaller`), in words."""
    for profile, scores in summary["profiles"].items():
        for kind, score in scores[part].items():
            if not score["planned"] and not score["detected"]:
                continue
            yield {
                "profile": profile,
                "kind": KIND_TITLES[kind],
                "planned": f"{score['planned']:,}",
                "not_detectable": f"{score['not_detectable']:,}",
                "precision": share_words(score["precision"]),
                "recall": share_words(score["recall"]),
                "start": error_words(score["start_error_hours"]),
                "end": error_words(score["end_error_hours"]),
            }


def alarms(summary: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield a line for each profile: companies, quarters and false alarms, in words."""
    for profile, scores in summary["profiles"].items():
        rate = scores["false_alarms"]
        yield {
            "profile": profile,
            "companies": f"{scores['companies']:,}",
            "quarters": f"{scores['company_quarters']:,.0f}",
            "tested": f"{scores['column_days_tested']:,}",
            "count": f"{rate['count']:,}",
            "rate": rate_words(rate),
        }


def figure(summary: Mapping[str, Any], score: str) -> str:
    """Return an SVG of precision or recall by profile and kind: dots with their intervals."""
    rows = [
        (f"{profile}, {KIND_TITLES[kind]}", values[score])
        for profile, scores in summary["profiles"].items()
        for kind, values in scores["promised"].items()
        if values[score]["value"] is not None
    ]
    if not rows:
        return ""
    height = _ROW * len(rows) + 40
    across = _WIDTH - _LEFT - _RIGHT
    drawn: list[str] = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x = _LEFT + tick * across
        drawn.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="8" y2="{height - 28}"/>'
            f'<text class="tick" x="{x:.1f}" y="{height - 10}" text-anchor="middle">'
            f"{100 * tick:.0f} %</text>"
        )
    for place, (name, share) in enumerate(rows):
        y = 8 + _ROW * place + _ROW / 2
        low, value, high = (_LEFT + share[part] * across for part in ("low", "value", "high"))
        drawn.append(
            f'<text x="{_LEFT - 12}" y="{y + 5:.1f}" text-anchor="end">{escape(name)}</text>'
            f'<line class="range" x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<circle class="dot" cx="{value:.1f}" cy="{y:.1f}" r="5"/>'
            f'<text x="{_WIDTH - _RIGHT + 12}" y="{y + 5:.1f}">{100 * share["value"]:.1f} %</text>'
        )
    title = f"{score.capitalize()} by profile and kind, with 95 % intervals"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img" '
        f'aria-labelledby="f-{score}"><title id="f-{score}">{title}</title>{"".join(drawn)}</svg>'
    )


def render_health(summary: Mapping[str, Any], *, whole_page: bool) -> str:
    """Return the page (or, for a notebook, its body) of the scores."""
    wrong = [line for line in summary["incidents"] if _is_wrong(line)]
    return rendered(
        "health.html",
        whole_page=whole_page,
        summary=summary,
        promised=list(lines(summary, "promised")),
        smaller=list(lines(summary, "smaller")),
        alarms=list(alarms(summary)),
        figures=[figure(summary, "recall"), figure(summary, "precision")],
        wrong=wrong,
        titles=KIND_TITLES,
    )


def _is_wrong(line: Mapping[str, Any]) -> bool:
    return line.get("outcome") == "missed" or line.get("verdict") == "false"


def render_health_markdown(summary: Mapping[str, Any]) -> str:
    """Return the scores as Markdown: gates, kinds, false alarms, and the rates of the ledger."""
    verdicts = {True: "passed", False: "failed", None: "nothing to measure"}
    text = ["# Incidents that health detects, held against the truth", ""]
    text += _table(
        ("gate", "measured", "asked", "verdict"),
        [
            (
                gate["name"],
                "not measured" if gate["value"] is None else f"{gate['value']:.3f}",
                f"at {'most' if gate['is_most'] else 'least'} {gate['limit']:g}",
                verdicts[gate["passed"]],
            )
            for gate in summary["gates"]
        ],
    )
    least = summary["promise"]["rows_a_day"]
    for part, title in (
        ("promised", f"Tables of at least {least} rows a day"),
        ("smaller", "Smaller tables"),
    ):
        found = list(lines(summary, part))
        if found:
            text += ["", f"## {title}", ""]
            text += _table(
                ("profile", "kind", "planned", "not detectable at this size", "precision",
                 "recall", "start", "end"),
                [tuple(line.values()) for line in found],
            )  # fmt: skip
    text += ["", "## False alarms", ""]
    text += _table(
        ("profile", "companies", "company-quarters", "column-days", "false alarms",
         "a company and quarter"),
        [tuple(line.values()) for line in alarms(summary)],
    )  # fmt: skip
    rates = summary["rates"]
    text += [
        "",
        f"{rates['compared']:,} counts of broken rows ({rates['rows_compared']:,} rows) compared "
        f"with the ledger: {len(rates['different'])} differ.",
        "",
    ]
    return "\n".join(text)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(header)} |",
        f"|{' --- |' * len(header)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def incidents_csv(summary: Mapping[str, Any]) -> str:
    """Return a line for each planned incident, and for each detected one that answers none."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(summary["incidents"])
    return text.getvalue()

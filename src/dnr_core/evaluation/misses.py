"""Room: evaluation. Why a report missed a true top need: what it took for something else."""

from __future__ import annotations

from typing import Any, Final

from dnr_core.config.settings import ReportSettings
from dnr_core.evaluation.oracle import Oracle, TrueNeed
from dnr_core.model import RankedNeed, Ranking, Score

CLOSE: Final = 0.02
"""Scores this near to one another are a coin toss that the page shows as one."""


def missed(oracle: Oracle, said: Ranking, report: ReportSettings) -> list[dict[str, Any]]:
    """Return each true top need that is on no card, with the reason.

    `unknown`: there is no such need in the report. `hidden`: its confidence is too low. `close`:
    truly it is within `CLOSE` of the need that took its place. `imagined`: what took its place is no
    true need. Else the part of the score that is furthest from the truth, of the need itself or of
    the one that took its place.
    """
    top = {need.key for need in oracle.top}
    true = {need.key: need for need in oracle.needs}
    known = {(one.need.theme, one.need.table): one for one in said.needs}
    cards = [(one.need.theme, one.need.table) for one in said.top]
    wrong = [key for key in cards if key not in top]
    found = []
    for need in oracle.top:
        if need.key in cards:
            continue
        one = known.get(need.key)
        rival = next((key for key in wrong if key[0] == need.key[0]), None)
        rival = rival or (wrong[-1] if wrong else None)
        found.append(
            {
                "theme": need.need.theme,
                "table": need.need.table,
                "instead": list(rival) if rival else None,
                "why": _why(need, one, true.get(rival) if rival else None, rival, known, report),
                "true_score": need.score.value,
                "true_parts": dict(need.score.parts),
                "said_score": one.score.value if one else None,
                "said_parts": dict(one.score.parts) if one else None,
                "certainty": one.certainty if one else None,
            }
        )
    return found


def _why(
    need: TrueNeed,
    one: RankedNeed | None,
    truly: TrueNeed | None,
    rival: tuple[str, str] | None,
    known: dict[tuple[str, str], RankedNeed],
    report: ReportSettings,
) -> str:
    if one is None:
        return "unknown"
    if one.hidden:
        return "hidden"
    if truly is not None and need.score.value - truly.score.value < CLOSE:
        return "close"
    if rival and truly is None:
        return "imagined"
    gaps = _gaps(need.score, one.score, report)
    if rival and truly is not None:
        other = _gaps(truly.score, known[rival].score, report)
        gaps = {name: max(gap, other.get(name, 0.0)) for name, gap in gaps.items()}
    return max(sorted(gaps), key=lambda name: gaps[name]) if gaps else "score"


def _gaps(true: Score, said: Score, report: ReportSettings) -> dict[str, float]:
    """Return how far each part is off, in what it adds to the score."""
    weights = report.scoring_weights
    scale = {"revenue": weights.revenue, "demand": weights.demand, "severity": weights.severity}
    return {
        # What multiplies the whole weighs as much as the whole.
        name: abs(true.parts[name] - said.parts[name]) * scale.get(name, true.value)
        for name in true.parts
        if name in said.parts
    }

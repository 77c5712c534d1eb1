"""Room: ranking. From both sides to one ranking, with its certainty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from attrs import evolve, frozen

from dnr_core.config.settings import ReportSettings, Settings
from dnr_core.errors import PluginError
from dnr_core.model.archetype import Archetype
from dnr_core.model.demand import DemandResult
from dnr_core.model.health import HealthResult
from dnr_core.model.lazy import load
from dnr_core.model.need import Interval, Need, RankedNeed, Ranking, Score
from dnr_core.ranking.bootstrap import (
    MAX_CONTENDERS,
    Draws,
    breach_probability,
    draw,
    interval,
    places,
    rival_of,
    scores,
)
from dnr_core.ranking.confidence import agreement, confidence, coverage, hidden_reason
from dnr_core.ranking.needs import MONTH_DAYS, Candidate, Evidence, candidates, gather
from dnr_core.ranking.words import need_title

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue

LATE: Final = "late"
SCORE_DIGITS: Final = 9
"""Scores closer than this are ties: the last bits must not decide a place."""


@frozen
class _Judged:
    """A candidate with its need completed, its score, and its column in the draws."""

    candidate: Candidate
    need: Need
    score: Score
    confidence: float
    parts: dict[str, float]
    hidden: str
    column: int

    @property
    def order(self) -> tuple[float, float, float, float, str, str]:
        """Best first; equal scores by money, demand, severity, table, theme."""
        return (
            -round(self.score.value, SCORE_DIGITS),
            -round(self.need.revenue_share or 0.0, SCORE_DIGITS),
            -round(self.need.demand_share, SCORE_DIGITS),
            -round(self.score.parts.get("severity", 0.0), SCORE_DIGITS),
            self.need.table,
            self.need.theme,
        )


def rank(
    archetype: Archetype,
    settings: Settings,
    catalogue: Catalogue,
    *,
    health: HealthResult | None = None,
    demand: DemandResult | None = None,
) -> Ranking:
    """Weigh every need that the warehouse or the talk shows, and say how sure its place is.

    Money is cents per 30 days of the window. The result depends neither on the order of the
    input nor on the unit of money. Formulas: `docs/explanation/ranking.md`.

    Raises:
        UnknownNameError: no plugin brings the scorer that the settings name.
        PluginError: the scorer fails on a need.
    """
    report = settings.report
    scorer = catalogue.scorer(report.scorer)
    score = _guarded(scorer.name, load(scorer.score))
    evidence = gather(health, demand)
    found = candidates(report, evidence)
    draws = draw(evidence, found, report)
    judged = sorted(
        (
            _judge(evidence, candidate, draws, column, score=score, settings=report)
            for column, candidate in enumerate(found)
        ),
        key=lambda item: item.order,
    )
    shown = [item for item in judged if not item.hidden]
    top = _diverse(shown, report.top)
    certainty, rivals = _certainty(
        evidence, found, shown, top, draws, archetype=archetype, score=score, settings=report
    )
    ranked = tuple(
        RankedNeed(
            need=item.need,
            score=item.score,
            rank=top.index(item) + 1 if item in top else 0,
            confidence=item.confidence,
            confidence_parts=item.parts,
            certainty=certainty.get(item.column),
            money=_money(item, draws),
            demand=_demand(item, draws, evidence),
            hidden=item.hidden,
            rival=rivals.get(item.column, ""),
        )
        for item in judged
    )
    return Ranking(
        needs=ranked,
        total=_total(evidence, top, draws),
        basis=_basis(evidence),
        notes=_notes(evidence),
        scorer=scorer.name,
        resamples=report.resamples,
    )


def _guarded(
    name: str, score: Callable[[Need, Any], Score]
) -> Callable[[Need, ReportSettings], Score]:
    def call(need: Need, settings: ReportSettings) -> Score:
        try:
            return score(need, settings)
        except Exception as error:
            # A plugin's scorer may raise anything of its own.
            raise PluginError(
                f"the scorer {name!r} failed on {need.theme} of {need.table}: "
                f"{type(error).__name__}: {error}",
                hint="choose another with report.scorer, or mend the plugin",
            ) from error

    return call


def _judge(
    evidence: Evidence,
    candidate: Candidate,
    draws: Draws,
    column: int,
    *,
    score: Callable[[Need, ReportSettings], Score],
    settings: ReportSettings,
) -> _Judged:
    need = evolve(
        candidate.need,
        coverage=coverage(evidence, candidate.need.table),
        agreement=agreement(evidence, candidate),
        breach_probability=breach_probability(candidate, draws, column),
    )
    value, parts = confidence(need)
    return _Judged(
        candidate,
        need,
        score(need, settings),
        value,
        parts,
        hidden_reason(need, value, settings.min_confidence),
        column,
    )


def _diverse(shown: Sequence[_Judged], count: int) -> list[_Judged]:
    """Return the best need of each theme, the best `count` of them."""
    chosen: dict[str, _Judged] = {}
    for item in shown:
        chosen.setdefault(item.need.theme, item)
    return list(chosen.values())[:count]


def _certainty(
    evidence: Evidence,
    found: Sequence[Candidate],
    shown: Sequence[_Judged],
    top: Sequence[_Judged],
    draws: Draws,
    *,
    archetype: Archetype,
    score: Callable[[Need, ReportSettings], Score],
    settings: ReportSettings,
) -> tuple[dict[int, float], dict[int, str]]:
    """Return by column the share of resamples in the top, and the title of the closest rival."""
    contenders = list(shown[:MAX_CONTENDERS])
    contenders += [item for item in top if item not in contenders]
    if not contenders:
        return {}, {}
    columns = [item.column for item in contenders]
    result = scores(evidence, found, columns, draws, score, settings)
    share, inside = places(result, [item.need.theme for item in contenders], settings.top)
    on_cards = [place for place, item in enumerate(contenders) if item in top]
    titles = [need_title(archetype.schema, i.need.theme, i.need.table) for i in contenders]
    certainty = dict(zip(columns, share, strict=True))
    certainty.update({item.column: 0.0 for item in shown if item.column not in certainty})
    rivals: dict[int, str] = {}
    for place, column in enumerate(columns):
        rival = rival_of(place, on_cards, inside)
        if rival is not None:
            rivals[column] = titles[rival]
    return certainty, rivals


def _money(item: _Judged, draws: Draws) -> Interval | None:
    cents = item.need.revenue_cents
    if cents is None or not item.need.has_broken_rows:
        return None
    return interval(cents, cents * draws.share_ratio[:, item.column])


def _demand(item: _Judged, draws: Draws, evidence: Evidence) -> Interval | None:
    if evidence.demand is None:
        return None
    return interval(item.need.demand_share, draws.demand_share[:, item.column])


def at_risk(need: Need) -> bool:
    """Tell whether the need's money is at risk; that of late rows is late, not at risk."""
    return need.has_broken_rows and need.metric != LATE and bool(need.revenue_cents)


def _total(evidence: Evidence, top: Sequence[_Judged], draws: Draws) -> Interval | None:
    """Return money at risk a month over the top needs, each row once."""
    mine = [item for item in top if at_risk(item.need)]
    health, measures = evidence.health, evidence.measures
    if not mine or health is None or measures is None:
        return None
    added = sum(item.need.revenue_cents or 0.0 for item in mine)
    pairs = tuple((i.need.table, "", metric) for i in mine for metric in i.candidate.metrics)
    once = health.affected_total(pairs) if health.affected_total and len(mine) > 1 else None
    value = added if once is None else min(added, once * MONTH_DAYS / measures.window_days)
    drawn = np.zeros(draws.share_ratio.shape[0])
    for item in mine:
        drawn += (item.need.revenue_cents or 0.0) * draws.share_ratio[:, item.column]
    return interval(value, drawn * (value / added))


def _basis(evidence: Evidence) -> str:
    money = evidence.monthly_cents is not None
    if evidence.health is None:
        return "demand"
    first = "money" if money else "rows"
    return f"{first}, demand and severity" if evidence.demand else f"{first} and severity"


def _notes(evidence: Evidence) -> tuple[str, ...]:
    notes = []
    if evidence.health is None:
        notes.append(
            "No warehouse was read: needs are ranked on demand alone."
            if evidence.demand
            else "Neither a warehouse nor messages were read."
        )
    elif evidence.monthly_cents is None:
        declared = bool(evidence.health.revenue)
        why = "No full month of revenue is known" if declared else "No money is declared"
        notes.append(f"{why}: the affected share of a table's rows stands in for revenue.")
    if evidence.demand is None and evidence.health is not None:
        first = "money" if evidence.monthly_cents else "rows"
        notes.append(f"No messages were read: needs are ranked on {first} and severity alone.")
    return tuple(notes)

"""Room: report. One assembled object, from which JSON, Markdown, figures and the page all come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from dnr_core.config.settings import Settings
from dnr_core.health.drill import Drill
from dnr_core.model.archetype import Archetype
from dnr_core.model.demand import DemandResult
from dnr_core.model.health import HealthResult
from dnr_core.model.need import Ranking
from dnr_core.report.answer import answer_document, footing_document, place_document
from dnr_core.report.cards import need_document
from dnr_core.report.compare import as_of, compare_document
from dnr_core.report.context import Context
from dnr_core.report.earlier import Earlier
from dnr_core.report.health_section import health_document, incidents_document
from dnr_core.report.metric_figures import metric_document
from dnr_core.report.proof import method_document, proof_document
from dnr_core.report.sections import money_document, themes_document
from dnr_core.report.strips import strip_document
from dnr_core.report.wording import percent

FORMAT: Final = "dnr-report"
VERSION: Final = 1
BARS: Final = 8
TABLE_NEEDS: Final = 60


@frozen
class Report:
    """A finished report. `document` holds every number that its page prints, ready for JSON.

    `health` and `demand` are what it was assembled from, for the files that list all of it.
    """

    document: Mapping[str, Any] = field(repr=False)
    archetype: Archetype = field(repr=False)
    settings: Settings = field(repr=False)
    ranking: Ranking = field(repr=False)
    health: HealthResult | None = field(default=None, repr=False)
    demand: DemandResult | None = field(default=None, repr=False)

    def save(self, folder: Path | str, *, plugins: Mapping[str, str] | None = None) -> Path:
        """Write all files of the report into `folder`, whole or not at all.

        `plugins` are versions by distribution, for the manifest.

        Raises:
            FolderError: the folder holds something else, is read-only, or its disk is full.
            FolderHeldError: another run writes to it.
        """
        from dnr_core.report.save import save

        return save(self, Path(folder), plugins=plugins or {})

    def html(self) -> str:
        """Return the page, complete in itself."""
        from dnr_core.report.html import page

        return page(self.document)

    def markdown(self) -> str:
        """Return what the first screen says, then the tables, as Markdown."""
        from dnr_core.report.markdown import summary

        return summary(self.document)

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        return str(self.document["answer"]["sentence"])

    @property
    def shortfalls(self) -> tuple[str, ...]:
        """Where the messages fell short: sources under their coverage floor, or stopped early."""
        if self.demand is None:
            return ()
        found = []
        for source in self.demand.coverage:
            if source.below_floor:
                found.append(f"{source.source}: only {source.coverage:.0%} of its items were seen")
            elif source.stopped:
                found.append(f"{source.source}: stopped early ({source.stopped})")
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """Return what `exec_summary.json` holds, its list of figure files aside."""
        from dnr_core.report.json_ import exec_summary

        return dict(exec_summary(self.document, ()))

    def __str__(self) -> str:
        lines = [self.sentence]
        if self.document["compare"]:
            lines.append(self.document["compare"]["sentence"])
        for card in self.document["cards"]:
            money = (card.get("money") or {}).get("text", "money not measured")
            lines.append(
                f"  {card['rank']}. {card['title']} ({card['table']}): {money}; "
                f"{card['severity']['text']}; {card['certainty']['text']}"
            )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from dnr_core.report.html import fragment

        return fragment(self.document)


def assemble(
    archetype: Archetype,
    settings: Settings,
    ranking: Ranking,
    *,
    health: HealthResult | None = None,
    demand: DemandResult | None = None,
    source: str = "",
    synthetic: bool = False,
    earlier: Earlier | None = None,
    drills: Mapping[tuple[str, str], Drill] | None = None,
) -> Report:
    """Put everything that a report says into one object.

    `source` says where the data lies, for people; it must hold no secret and, for a report that
    is to repeat on another machine, no path of this one. `earlier` is a report to compare with;
    `drills` say, by table and metric, where broken rows concentrate.

    Raises:
        InputError: `earlier` is of the same day or a later one.
    """
    context = Context(archetype, settings, ranking, health, demand, drills or {})
    needs = [need_document(context, ranked) for ranked in ranking.needs]
    top = [need for need in sorted(needs, key=lambda need: need["rank"]) if need["rank"]]
    strips = [strip_document(context, ranked) for ranked in ranking.top]
    document = {
        "format": FORMAT,
        "version": VERSION,
        "place": place_document(context, source=source, synthetic=synthetic),
        "time": _time(context),
        "answer": answer_document(context, needs),
        "compare": compare_document(context, needs, earlier) if earlier else None,
        "cards": top,
        "hidden": [_hidden(need) for need in needs if need["hidden"]],
        "hidden_under": f"{settings.report.min_confidence:.2f}",
        "bars": _bars(needs, by_money=context.has_money),
        "strips": [strip for strip in strips if strip],
        "footing": footing_document(context, synthetic=synthetic),
        "health": health_document(context),
        "metrics": metric_document(context.measures, context.title),
        "money": money_document(context),
        "themes": themes_document(context),
        "incidents": incidents_document(context),
        "needs": needs[:TABLE_NEEDS],
        "needs_left_out": max(0, len(needs) - TABLE_NEEDS),
        "proofs": [proof_document(context, ranked) for ranked in ranking.top],
        "method": method_document(context),
        "budget": dict(demand.budget) if demand else None,
    }
    return Report(document, archetype, settings, ranking, health, demand)


def _time(context: Context) -> dict[str, Any]:
    health = context.health
    if health is None:
        now = as_of(context)
        known = {"as_of": now.isoformat()} if now else {}
        return {"tz": context.archetype.tz or context.settings.warehouse.tz, **known}
    return {
        "tz": health.tz,
        "as_of": health.as_of.isoformat(),
        "window_start": health.window_start.isoformat(),
        "window_end": health.window_end.isoformat(),
        "history_start": health.history_start.isoformat() if health.history_start else None,
        "history_end": health.history_end.isoformat() if health.history_end else None,
        "backend": health.backend,
    }


def _hidden(need: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": need["id"],
        "title": need["title"],
        "why": need["hidden"],
        "confidence": need["confidence"]["text"],
    }


def _bars(needs: list[dict[str, Any]], *, by_money: bool) -> dict[str, Any]:
    """Return the top needs by money; where none is declared, by affected share of rows."""
    shown = [need for need in needs if not need["hidden"]]
    if by_money:
        priced = [need for need in shown if need["money"]["kind"] != "none"]
        priced.sort(key=lambda need: -need["money"]["cents"])
        bars = [
            {
                "id": need["id"],
                "title": need["title"],
                "kind": need["money"]["kind"],
                "value": need["money"]["cents"],
                "low": need["money"]["low"]["cents"],
                "high": need["money"]["high"]["cents"],
                "text": need["money"]["text"],
                "range_text": need["money"]["range"],
            }
            for need in priced[:BARS]
        ]
        return {"unit": "cents", "title": "Money by need, a month", "rows": bars}
    rows = _share_bars(shown, _affected_share, kind="rows")
    if rows:
        return {"unit": "share", "title": "Affected share of rows by need", "rows": rows}
    asked = _share_bars(shown, lambda need: need["asks"]["share"], kind="demand")
    return {"unit": "share", "title": "Share of the demand by need", "rows": asked}


def _affected_share(need: dict[str, Any]) -> float | None:
    rows, affected = need["severity"]["rows"], need["severity"]["affected_rows"]
    return affected / rows if rows and affected else None


def _share_bars(
    shown: list[dict[str, Any]],
    share_of: Callable[[dict[str, Any]], float | None],
    *,
    kind: str,
) -> list[dict[str, Any]]:
    found = []
    for need in shown:
        share = share_of(need)
        if not share:
            continue
        ends = need["asks"] if kind == "demand" else {}
        found.append(
            {
                "id": need["id"],
                "title": need["title"],
                "kind": kind,
                "value": round(share, 6),
                "low": ends.get("share_low", round(share, 6)),
                "high": ends.get("share_high", round(share, 6)),
                "text": percent(share),
                "range_text": ends.get("share_text", ""),
            }
        )
    return sorted(found, key=lambda bar: -bar["value"])[:BARS]

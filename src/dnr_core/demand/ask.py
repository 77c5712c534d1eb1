"""Room: demand. Asking the provider: what fits the cap, who is drawn, what was answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from attrs import define, evolve, field, frozen

from dnr_core.config.settings import Settings
from dnr_core.demand.classify import (
    DROPPED,
    Verdict,
    classify_requests,
    verdict,
)
from dnr_core.demand.closure import is_unmet
from dnr_core.demand.entities import Dictionary, Mention, by_rule, read_first
from dnr_core.demand.lexicon import Lexicon
from dnr_core.demand.pack import Packed, pack
from dnr_core.demand.read import Item, ItemText, item_texts, later_mails
from dnr_core.demand.sample import Candidate, affordable, draw, in_drawn_order
from dnr_core.demand.text import quote
from dnr_core.llm import Budget, Cache, Calibration, Completed, Outcome, complete_all, estimate
from dnr_core.model import Price, Provider, Request
from dnr_core.progress import Progress

if TYPE_CHECKING:
    import duckdb

PREFLIGHT_ITEMS: Final = 200
"""Items a source that are packed, and not sent, to learn what one costs."""

PILOT_ITEMS: Final = 60
"""Items a source that are asked first where not everything fits the cap."""

PART_ITEMS: Final = 20_000
"""Items whose texts are held at once."""

_STOPS: Final[Mapping[str, str]] = {"failures": "failed_calls"}


@frozen
class Finding:
    """What is kept of an item that is demand, once its messages are let go."""

    packed: Packed
    mentions: tuple[Mention, ...]
    unmet: bool
    quote: str


@define
class SourceRun:
    """How the asking of one source went."""

    wanted: int
    sampled: int = 0
    stopped: str = ""
    failed: int = 0
    calls: int = 0
    cached: int = 0
    parse_errors: int = 0
    planned_item_usd: float = 0.0
    reason: str = ""


@define
class Pilot:
    """Requests with what became of them, to learn what tokens really are."""

    requests: list[Request] = field(factory=list)
    outcomes: list[Outcome] = field(factory=list)

    def add(self, requests: Sequence[Request], outcomes: Sequence[Outcome]) -> None:
        """Take in the outcomes of one run."""
        start = len(self.requests)
        self.requests += requests
        self.outcomes += [evolve(outcome, index=start + outcome.index) for outcome in outcomes]

    def calibration(self, provider: Provider) -> Calibration:
        """Return the tokens counted over the tokens bounded."""
        return Calibration.of(self.requests, self.outcomes, provider)

    def cost_usd(self, budget: Budget) -> float:
        """Return what the answered calls cost, or would have cost without the cache."""
        counted = [outcome.usage for outcome in self.outcomes if outcome.usage is not None]
        return budget.cost_usd(
            sum(usage.prompt_tokens for usage in counted),
            sum(usage.completion_tokens for usage in counted),
        )


@define
class Asked:
    """Everything that asking brought. `verdicts` and `findings` are by the item's row."""

    verdicts: dict[int, Verdict] = field(factory=dict)
    findings: dict[int, Finding] = field(factory=dict)
    runs: dict[str, SourceRun] = field(factory=dict)
    offline_estimate_usd: float = 0.0
    """Before the first call."""
    estimate_usd: float = 0.0
    pilot: Pilot = field(factory=Pilot)
    fatal: bool = False


@frozen
class Asker:
    """What asking needs; `weights` share the cap over the sources."""

    connection: duckdb.DuckDBPyConnection
    lexicon: Lexicon
    dictionary: Dictionary
    settings: Settings
    provider: Provider
    price: Price | None
    budget: Budget
    cache: Cache | None
    weights: Mapping[str, float]
    progress: Progress

    def ask(self, items: Sequence[Item]) -> Asked:
        """Draw what fits the cap from the kept items, and classify it, source by source.

        Where not everything fits by the offline estimate, a pilot is asked first, and its counts
        of tokens take the place of the estimate's prior for all that follows.
        """
        by_source: dict[str, list[Item]] = {}
        for item in items:
            by_source.setdefault(item.source, []).append(item)
        asked = Asked(runs={source: SourceRun(len(own)) for source, own in by_source.items()})
        wanted = {source: len(own) for source, own in by_source.items()}
        granted = wanted if self.provider.local else self._grant(by_source, asked, Calibration())
        asked.offline_estimate_usd = asked.estimate_usd
        if granted != wanted:
            for source, own in by_source.items():
                self._draw(own, min(PILOT_ITEMS, granted[source]), asked)
            left = {
                source: [item for item in own if item.row not in asked.verdicts]
                for source, own in by_source.items()
            }
            granted = self._grant(left, asked, asked.pilot.calibration(self.provider))
            by_source = left
        for source, own in by_source.items():
            self._draw(own, granted[source], asked)
        return asked

    def _draw(self, items: Sequence[Item], total: int, asked: Asked) -> None:
        """Ask about `total` of the items of one source."""
        if not items or not total:
            return
        source = items[0].source
        run = asked.runs[source]
        candidates = [_candidate(item) for item in items]
        chosen = draw(candidates, total, self.settings.report.seed, source)
        sampled = [item for item in items if item.item_id in chosen]
        for part in _parts(sampled):
            if asked.fatal or run.stopped:
                run.stopped = run.stopped or "failed_calls"
                return
            run.sampled += len(part)
            self._classify(part, asked, run)

    def _grant(
        self, by_source: Mapping[str, Sequence[Item]], asked: Asked, calibration: Calibration
    ) -> dict[str, int]:
        """Return how many items of each source may be asked, by packing some and sending none.

        What a pilot used counts at the price of its tokens, also where its answers came from the
        cache: a run that goes on where another was killed plans what that one planned.
        """
        for source, own in by_source.items():
            by_id = {item.item_id: item for item in own}
            ids = in_drawn_order(by_id, self.settings.report.seed, source)[:PREFLIGHT_ITEMS]
            texts = item_texts(self.connection, self.lexicon, [by_id[item_id] for item_id in ids])
            packs = [pack(texts[item_id].messages).text for item_id in ids]
            requests = classify_requests(packs, self.settings.classification)
            asked.runs[source].planned_item_usd = estimate(
                requests, self.provider, price=self.price, calibration=calibration
            ).cost_usd_p90
        costs = {source: asked.runs[source].planned_item_usd for source in by_source}
        used = asked.pilot.cost_usd(self.budget)
        usable = max(0.0, self.budget.cap_usd * (1 - self.settings.budget.safety_margin) - used)
        wanted = {source: len(own) for source, own in by_source.items()}
        granted = affordable(usable, wanted, costs, self.weights)
        asked.estimate_usd = used + sum(granted[s] * costs[s] for s in sorted(granted))
        return granted

    def _classify(self, part: Sequence[Item], asked: Asked, run: SourceRun) -> None:
        source = part[0].source
        texts = item_texts(self.connection, self.lexicon, part)
        packs = {item.row: pack(texts[item.item_id].messages) for item in part}
        asking: list[Item] = []
        for item in part:
            # Nothing is there to be read: no call is needed to know that it is no demand.
            if packs[item.row].text:
                asking.append(item)
            else:
                asked.verdicts[item.row] = DROPPED
        chosen = self.settings.classification
        requests = classify_requests([packs[item.row].text for item in asking], chosen)
        completed = complete_all(
            requests,
            self.provider,
            budget=self.budget,
            cache=self.cache,
            concurrency=chosen.concurrency,
            timeout_seconds=chosen.timeout_seconds,
            progress=self.progress,
            task=f"classify {source}",
        )
        _count(completed, run)
        if not self.provider.local:
            asked.pilot.add(requests, completed.outcomes)
        asked.fatal = asked.fatal or completed.stopped == "fatal"
        demanded = []
        for item, outcome in zip(asking, completed.outcomes, strict=True):
            said = verdict(outcome, source)
            asked.verdicts[item.row] = said
            if said.theme is not None:
                demanded.append(item)
        later = later_mails(self.connection, demanded) if source == "email" else {}
        for item in demanded:
            asked.findings[item.row] = self._finding(
                texts[item.item_id], packs[item.row], later.get(item.item_id)
            )

    def _finding(self, text: ItemText, packed: Packed, later: list[str] | None) -> Finding:
        messages = text.messages
        mentions = by_rule([(m.message_id, m.text) for m in messages], self.dictionary)
        if not mentions and text.sql:
            mentions = read_first(text.sql, messages[0].message_id, self.dictionary)
        opening = next((m for m in messages if m.is_root), messages[0])
        return Finding(
            packed,
            mentions,
            is_unmet(later if later else [message.text for message in messages]),
            quote(opening.text),
        )


def _candidate(item: Item) -> Candidate:
    day = item.day.isoformat() if item.day else ""
    return Candidate(item.item_id, (day, item.bucket), item.kept_by != "fallback")


def _parts(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), PART_ITEMS):
        yield items[start : start + PART_ITEMS]


def _count(completed: Completed, run: SourceRun) -> None:
    run.calls += completed.calls
    run.cached += completed.cached
    run.failed += completed.count("failed")
    run.parse_errors += completed.count("parse_error") + completed.count("refused")
    if completed.stopped:
        run.stopped = (
            "failed_calls"
            if completed.stopped == "fatal"
            else _STOPS.get(completed.stopped, completed.stopped)
        )
        run.reason = completed.reason

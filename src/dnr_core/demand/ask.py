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
from dnr_core.demand.confidence import Confidences
from dnr_core.demand.entities import Dictionary, Mention, by_rule, read_first
from dnr_core.demand.lexicon import Lexicon
from dnr_core.demand.pack import Packed, pack
from dnr_core.demand.read import Item, ItemText, item_texts, later_mails
from dnr_core.demand.sample import Candidate, affordable, draw, in_drawn_order
from dnr_core.demand.text import quote
from dnr_core.errors import ConfigError
from dnr_core.llm import (
    Budget,
    Cache,
    Calibration,
    Completed,
    Outcome,
    complete_all,
    complete_in_batch,
    estimate,
    part_of,
)
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

BATCH_POLL_SECONDS: Final = 30.0
"""How often a job of the service is looked at."""

_NOTHING: Final = Packed("", ())

_STOPS: Final[Mapping[str, str]] = {"failures": "failed_calls"}


@frozen
class Finding:
    """What is kept of an item that is demand, once its messages are let go.

    `packed` is empty where `mentions` says all: nobody is asked about it again.
    """

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


@frozen
class Prepared:
    """Items of one source, ready to be asked about; `asking` are those that have any text."""

    source: str
    asking: tuple[Item, ...]
    texts: Mapping[str, ItemText]
    packs: Mapping[int, Packed]
    requests: tuple[Request, ...]


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
    confidences: Confidences

    def ask(self, items: Sequence[Item]) -> Asked:
        """Draw what fits the cap from the kept items, and classify it, source by source.

        Where not everything fits by the offline estimate, a pilot is asked first, and its counts
        of tokens take the place of the estimate's prior for all that follows. By batch there is no
        pilot, which may take a day, and all sources are asked together.
        """
        by_source: dict[str, list[Item]] = {}
        for item in items:
            by_source.setdefault(item.source, []).append(item)
        asked = Asked(runs={source: SourceRun(len(own)) for source, own in by_source.items()})
        wanted = {source: len(own) for source, own in by_source.items()}
        granted = wanted if self.provider.local else self._grant(by_source, asked, Calibration())
        asked.offline_estimate_usd = asked.estimate_usd
        if self.settings.classification.batch:
            self._ask_in_batch(by_source, granted, asked)
            return asked
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
        run = asked.runs[items[0].source]
        for part in parts(self._sample(items, total)):
            if asked.fatal or run.stopped:
                run.stopped = run.stopped or "failed_calls"
                return
            self._classify(part, asked, run)

    def _sample(self, items: Sequence[Item], total: int) -> list[Item]:
        candidates = [_candidate(item) for item in items]
        chosen = draw(candidates, total, self.settings.report.seed, items[0].source)
        return [item for item in items if item.item_id in chosen]

    def _ask_in_batch(
        self,
        by_source: Mapping[str, Sequence[Item]],
        granted: Mapping[str, int],
        asked: Asked,
    ) -> None:
        ready = [
            self._prepare(self._sample(own, granted[source]), asked)
            for source, own in by_source.items()
            if own and granted[source]
        ]
        requests = [request for each in ready for request in each.requests]
        if self.cache is None:
            raise ConfigError(
                "jobs need the cache, which keeps them where a run is ended",
                hint="leave out --batch, or set cache.enabled",
            )
        self.progress.start("classify by batch", len(requests), "items")
        done = complete_in_batch(
            requests,
            self.provider,
            budget=self.budget,
            cache=self.cache,
            poll_seconds=BATCH_POLL_SECONDS,
            on_outcome=lambda _: self.progress.advance("classify by batch", 1),
        )
        self.progress.done("classify by batch", done.reason)
        start = 0
        for each in ready:
            end = start + len(each.requests)
            self._take(each, part_of(done, start, end), asked, asked.runs[each.source])
            start = end

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
        ready = self._prepare(part, asked)
        chosen = self.settings.classification
        completed = complete_all(
            ready.requests,
            self.provider,
            budget=self.budget,
            cache=self.cache,
            concurrency=chosen.concurrency,
            timeout_seconds=chosen.timeout_seconds,
            progress=self.progress,
            task=f"classify {ready.source}",
        )
        if not self.provider.local:
            asked.pilot.add(ready.requests, completed.outcomes)
        self._take(ready, completed, asked, run)

    def _prepare(self, part: Sequence[Item], asked: Asked) -> Prepared:
        """Pack some items of one source. One without text is decided at once: it is no demand."""
        texts = item_texts(self.connection, self.lexicon, part)
        packs = {item.row: pack(texts[item.item_id].messages) for item in part}
        asking = tuple(item for item in part if packs[item.row].text)
        asked.verdicts |= {item.row: DROPPED for item in part if not packs[item.row].text}
        asked.runs[part[0].source].sampled += len(part)
        requests = classify_requests(
            [packs[item.row].text for item in asking], self.settings.classification
        )
        return Prepared(part[0].source, asking, texts, packs, tuple(requests))

    def _take(self, ready: Prepared, completed: Completed, asked: Asked, run: SourceRun) -> None:
        """Write down what was answered."""
        _count(completed, run)
        asked.fatal = asked.fatal or completed.stopped == "fatal"
        demanded = []
        for item, outcome in zip(ready.asking, completed.outcomes, strict=True):
            said = verdict(outcome, ready.source, self.confidences)
            asked.verdicts[item.row] = said
            if said.theme is not None:
                demanded.append(item)
        later = later_mails(self.connection, demanded) if ready.source == "email" else {}
        for item in demanded:
            asked.findings[item.row] = self._finding(
                ready.texts[item.item_id], ready.packs[item.row], later.get(item.item_id)
            )

    def _finding(self, text: ItemText, packed: Packed, later: list[str] | None) -> Finding:
        messages = text.messages
        mentions = by_rule([(m.message_id, m.text) for m in messages], self.dictionary)
        if not mentions and text.sql:
            mentions = read_first(text.sql, messages[0].message_id, self.dictionary)
        opening = next((m for m in messages if m.is_root), messages[0])
        return Finding(
            _NOTHING if mentions else packed,
            mentions,
            is_unmet(later if later else [message.text for message in messages]),
            quote(opening.text),
        )


def _candidate(item: Item) -> Candidate:
    day = item.day.isoformat() if item.day else ""
    return Candidate(item.item_id, (day, item.bucket), item.kept_by != "fallback")


def parts(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Yield the items so many at once that what is held of them stays bounded."""
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

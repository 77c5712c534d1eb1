"""Room: demand. Asking which tables the items mean that name none exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import define, frozen

from dnr_core.config.settings import Settings
from dnr_core.demand import ask as asking
from dnr_core.demand.ask import Finding, parts
from dnr_core.demand.entities import (
    Mention,
    entity_instructions,
    entity_requests,
    from_outcome,
)
from dnr_core.demand.read import Item
from dnr_core.demand.sample import Candidate, affordable, draw
from dnr_core.llm import Budget, Cache, Completed, complete_all, complete_in_batch, estimate
from dnr_core.model import Price, Provider, Request, Schema
from dnr_core.progress import Progress


@define
class _Run:
    """How the asking went, over all parts."""

    stopped: str
    answered: int = 0
    calls: int = 0
    cached: int = 0

    def add(self, completed: Completed) -> None:
        """Count one part; nobody is asked again where the money is gone or the service is down."""
        self.answered += completed.count("ok")
        self.calls += completed.calls
        self.cached += completed.cached
        if completed.stopped in {"budget", "fatal", "failures"}:
            self.stopped = "budget" if completed.stopped == "budget" else "failed_calls"


@frozen
class Named:
    """Mentions by the item's row, and what they cost."""

    mentions: Mapping[int, tuple[Mention, ...]]
    account: Mapping[str, Any]


def name_entities(
    items: Sequence[Item],
    findings: Mapping[int, Finding],
    schema: Schema,
    settings: Settings,
    provider: Provider,
    *,
    price: Price | None,
    cache: Cache | None,
    weights: Mapping[str, float],
    progress: Progress,
    ask: bool = True,
    batch: bool = False,
) -> Named:
    """Find the tables of every item that is demand: by exact name for nothing, else by provider.

    Args:
        items: the items that are demand.
        findings: what was kept of them, by row.
        schema: the dictionary: nothing outside of it is ever named.
        settings: with the cap of entities and its model.
        provider: who is asked.
        price: of the provider's model.
        cache: where answers are kept.
        weights: share the cap over the sources.
        progress: is told.
        ask: False asks nobody (the account is exhausted, or the key is wrong).
        batch: ask by a job of the provider's service; `price` is that of jobs, and a cache is needed.
    """
    mentions = {item.row: findings[item.row].mentions for item in items}
    silent = [item for item in items if not mentions[item.row]] if schema.names else []
    budget = Budget(settings.entities.api_cap_usd, price)
    account = {
        "cap_usd": settings.entities.api_cap_usd,
        "items": len(items),
        "by_rule": sum(bool(found) for found in mentions.values()),
        "wanted": len(silent),
    }
    by_source: dict[str, list[Item]] = {}
    for item in silent:
        by_source.setdefault(item.source, []).append(item)
    most_tokens = settings.entities.max_output_tokens
    instructions = entity_instructions(schema)

    def requests(own: Sequence[Item]) -> list[Request]:
        texts = [findings[item.row].packed.text for item in own]
        return entity_requests(texts, instructions, most_tokens)

    costs = {
        s: 0.0 if provider.local else estimate(requests(own), provider, price=price).cost_usd_p90
        for s, own in by_source.items()
    }
    usable = settings.entities.api_cap_usd * (1 - settings.budget.safety_margin)
    wanted = {source: len(own) for source, own in by_source.items()}
    granted = affordable(usable, wanted, costs, weights) if ask else dict.fromkeys(wanted, 0)
    run = _Run("" if ask else "failed_calls")
    drawn = {
        source: _sample(own, granted[source], source, settings.report.seed)
        for source, own in by_source.items()
        if ask
    }

    def completed(part: Sequence[Item], task: str) -> Completed:
        if not batch or cache is None:
            return complete_all(
                requests(part),
                provider,
                budget=budget,
                cache=cache,
                concurrency=settings.classification.concurrency,
                timeout_seconds=settings.classification.timeout_seconds,
                progress=progress,
                task=task,
            )
        progress.start(task, len(part), "items")
        done = complete_in_batch(
            requests(part),
            provider,
            budget=budget,
            cache=cache,
            poll_seconds=asking.BATCH_POLL_SECONDS,
            on_outcome=lambda _: progress.advance(task, 1),
        )
        progress.done(task, done.reason)
        return done

    for part, task in _in_runs(drawn, provider, batch=batch):
        if run.stopped:
            break
        done = completed(part, task)
        for item, outcome in zip(part, done.outcomes, strict=True):
            mentions[item.row] = from_outcome(outcome, findings[item.row].packed.message_ids)
        run.add(done)
    return Named(
        mentions,
        {
            **account,
            "by_batch": batch,
            "answered": run.answered,
            "calls": run.calls,
            "cached": run.cached,
            "coverage": 1.0 if not items else (account["by_rule"] + run.answered) / len(items),
            "estimate_usd": sum(granted[s] * costs[s] for s in sorted(granted)),
            "actual_usd": budget.spent_usd,
            "reserved_usd": budget.kept_usd,
            "stopped": run.stopped,
        },
    )


def _sample(own: Sequence[Item], total: int, source: str, seed: int) -> list[Item]:
    candidates = [Candidate(item.item_id, (str(item.day or ""), item.bucket)) for item in own]
    chosen = draw(candidates, total, seed, source)
    return [item for item in own if item.item_id in chosen]


def _in_runs(
    drawn: Mapping[str, Sequence[Item]], provider: Provider, *, batch: bool
) -> Iterator[tuple[Sequence[Item], str]]:
    """Yield what is asked at once, with its name.

    All that costs money in a source is one run, which knows when to stop; a job holds all sources,
    because each may take a day.
    """
    if batch:
        every = [item for own in drawn.values() for item in own]
        if every:
            yield every, "entities by batch"
        return
    for source, own in drawn.items():
        for part in parts(own) if provider.local else (own,):
            yield part, f"entities {source}"

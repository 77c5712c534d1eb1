"""Room: demand. Asking which tables the items mean that name none exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from dnr_core.config.settings import Settings
from dnr_core.demand.ask import Finding, parts
from dnr_core.demand.entities import (
    Mention,
    entity_instructions,
    entity_requests,
    from_outcome,
)
from dnr_core.demand.read import Item
from dnr_core.demand.sample import Candidate, affordable, draw
from dnr_core.llm import Budget, Cache, complete_all, estimate
from dnr_core.model import Price, Provider, Request, Schema
from dnr_core.progress import Progress


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
    asked = calls = cached = 0
    stopped = "" if ask else "failed_calls"
    for source, own in by_source.items():
        if stopped:
            break
        candidates = [Candidate(i.item_id, (str(i.day or ""), i.bucket)) for i in own]
        chosen = draw(candidates, granted[source], settings.report.seed, source)
        drawn = [item for item in own if item.item_id in chosen]
        # All that costs money is one run, which knows when to stop.
        for part in parts(drawn) if provider.local else (drawn,):
            completed = complete_all(
                requests(part),
                provider,
                budget=budget,
                cache=cache,
                concurrency=settings.classification.concurrency,
                timeout_seconds=settings.classification.timeout_seconds,
                progress=progress,
                task=f"entities {source}",
            )
            for item, outcome in zip(part, completed.outcomes, strict=True):
                mentions[item.row] = from_outcome(outcome, findings[item.row].packed.message_ids)
            asked += completed.count("ok")
            calls += completed.calls
            cached += completed.cached
            # Nobody is asked again where the money is gone or the service is down.
            if completed.stopped in {"budget", "fatal", "failures"}:
                stopped = "budget" if completed.stopped == "budget" else "failed_calls"
                break
    return Named(
        mentions,
        {
            **account,
            "answered": asked,
            "calls": calls,
            "cached": cached,
            "coverage": 1.0 if not items else (account["by_rule"] + asked) / len(items),
            "estimate_usd": sum(granted[s] * costs[s] for s in sorted(granted)),
            "actual_usd": budget.spent_usd,
            "reserved_usd": budget.kept_usd,
            "stopped": stopped,
        },
    )
